"""What is remembered between turns: of one app, and of the fleet.

Reads: nothing. Gives: frozen, JSON-able values (`dump(load(x)) == x`), with bounded histories.
Never: a fact that the cluster or the metric store could be asked for again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any, Final

from charon_operator.model import claim
from charon_operator.model.claim import PlacingMemory, Written
from charon_operator.model.decision import Demand
from charon_operator.model.learnt import Learnt
from charon_operator.model.quarantine import Lowering, Quarantine
from charon_operator.model.reading import CLOCK_SKEW_S
from charon_operator.model.sizes import Size
from charon_operator.model.workload import Key

# The longest windows that may ask: stabilisation and lowerings per hour look back 3600 s.
HISTORY_S: Final = 3600.0
VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A replica count or size (millicores) that was wanted at a time (s since 1970)."""

    time_s: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Action:
    """A change of ours that was made, or may have been.

    Attributes:
        stood_on: the target's generation under a write that was not answered, until the target
            shows what came of it; None once that is known.
        restarts: containers restarted for it.
    """

    time_s: float
    start: int
    to: int
    stood_on: int | None = None
    restarts: bool = False

    @property
    def disturbs(self) -> bool:
        """Whether pods were taken away or made smaller, or containers restarted."""
        return self.restarts or self.to < self.start


@dataclass(frozen=True, slots=True)
class Revert:
    """A value of ours that another field manager overwrote, as seen at a time."""

    time_s: float
    manager: str


@dataclass(frozen=True, slots=True)
class Yielded:
    """We stopped writing because of `manager`.

    Attributes:
        generation: of the app then; another one releases us.
        replicas: of the target, as last seen.
        quiet_from_s: when the target's replicas last changed, seconds since 1970.
    """

    manager: str
    generation: int
    replicas: int
    quiet_from_s: float


@dataclass(frozen=True, slots=True)
class LawMemory:
    """One law at work for one objective.

    Attributes:
        law: its name. With `parameters` and `inputs`, what a running state belongs to.
        inputs: role, colon, indicator for every role.
        state: the law's own.
        stepped_at_s: sample time of the last step, seconds since 1970; None before the first.
        demand: of the last step, or None.
    """

    law: str
    parameters: Mapping[str, str]
    inputs: tuple[str, ...]
    state: Mapping[str, Any]
    stepped_at_s: float | None = None
    demand: Demand | None = None


@dataclass(frozen=True, slots=True)
class Knobs:
    """What is remembered of an app whose pods are resized, besides what every app has.

    Attributes:
        size: what pods were last meant to have; None before the first resize.
        wishes, moves: of the size, in millicores; as `recommendations` and `actions` of replicas.
        failed: raising by this knob is quarantined, or was lately.
        lowering: the last one, while it is watched.
        undone: a lowering that was undone lately.
        learnt: what pods use, how long moves take.
    """

    size: Size | None = None
    wishes: tuple[Recommendation, ...] = ()
    moves: tuple[Action, ...] = ()
    failed: Quarantine | None = None
    lowering: Lowering | None = None
    undone: Quarantine | None = None
    learnt: Learnt = field(default_factory=Learnt)


@dataclass(frozen=True, slots=True)
class AppMemory:
    """What is remembered of one app. Times are seconds since 1970.

    Attributes:
        uid, target_uid: whom the memory is about; another uid means a fresh one.
        first_seen_s: start of this memory.
        acted_at_s: when we last changed the target, or somebody else last owned it; None: not
            known, counts as `first_seen_s`.
        counted_from_s: since when every lowering is known; earlier ones may be forgotten.
        lost_at_s: since when an objective cannot be judged; None while all can.
        healthy_at_s: the last turn at which all objectives could be judged; None before that ever
            happened, and after a turn at which none was looked at.
        target_generation: of the target at the last turn.
        refused: pods asked for could not be made, or lately could not.
        knobs: of an app whose pods are resized, else None.
        placing: of an app with variants, else None. `recommendations` and `actions` of such an app
            are in thousandths of a unit a second.
    """

    uid: str
    target_uid: str
    first_seen_s: float
    acted_at_s: float | None = None
    counted_from_s: float = 0.0
    lost_at_s: float | None = None
    healthy_at_s: float | None = None
    target_generation: int = 0
    laws: Mapping[str, LawMemory] = field(default_factory=dict)
    recommendations: tuple[Recommendation, ...] = ()
    actions: tuple[Action, ...] = ()
    written: Written | None = None
    reverts: tuple[Revert, ...] = ()
    yielded: Yielded | None = None
    refused: Quarantine | None = None
    knobs: Knobs | None = None
    placing: PlacingMemory | None = None

    @property
    def size(self) -> Size | None:
        """What the pods were last meant to have."""
        return self.knobs.size if self.knobs else None

    @property
    def quarantine(self) -> Quarantine | None:
        """Why raising by a knob is quarantined, or was lately."""
        return self.knobs.failed if self.knobs else None


@dataclass(frozen=True, slots=True)
class FleetMemory:
    """What is remembered of all apps."""

    apps: Mapping[Key, AppMemory] = field(default_factory=dict)

    def updated(self, changes: Mapping[Key, AppMemory]) -> "FleetMemory":
        """The same memory with some apps' replaced."""
        return FleetMemory({**self.apps, **changes}) if changes else self

    def forgetting(self, keys: Iterable[Key]) -> "FleetMemory":
        """The same memory without some apps."""
        gone = frozenset(keys)
        return FleetMemory({key: app for key, app in self.apps.items() if key not in gone})


def aged(app: AppMemory, now_s: float) -> AppMemory:
    """Drop what no window can ask for any more; a clock that was set back makes nothing newer.

    A law that was stepped on a sample from the future would wait for the clock to get there: it
    begins anew instead.
    """
    since_s = now_s - HISTORY_S
    oldest = [item.time_s for item in app.recommendations[:1]]
    oldest += [item.time_s for item in app.actions[:1]]
    newest = [item.time_s for item in app.recommendations]
    newest += [item.time_s for item in app.actions]
    newest += [law.stepped_at_s - CLOCK_SKEW_S for law in app.laws.values() if law.stepped_at_s]
    newest += [app.first_seen_s, app.acted_at_s or 0.0, app.counted_from_s]
    knobs = app.knobs and _aged_knobs(app.knobs, now_s)
    refused = _held(app.refused, now_s)
    placing = app.placing and claim.aged(app.placing, now_s, HISTORY_S)
    if (knobs, refused, placing) != (app.knobs, app.refused, app.placing):
        app = replace(app, knobs=knobs, refused=refused, placing=placing)
    if max(newest) <= now_s and min(oldest, default=now_s) > since_s:
        return app
    return replace(
        app,
        first_seen_s=min(app.first_seen_s, now_s),
        acted_at_s=None if app.acted_at_s is None else min(app.acted_at_s, now_s),
        counted_from_s=min(app.counted_from_s, now_s),
        laws={
            name: law
            for name, law in app.laws.items()
            if (law.stepped_at_s or 0.0) <= now_s + CLOCK_SKEW_S
        },
        recommendations=_recent(app.recommendations, now_s),
        actions=_made(app.actions, now_s),
    )


def _recent(history: Sequence[Recommendation], now_s: float) -> tuple[Recommendation, ...]:
    return tuple(item for item in history if now_s - HISTORY_S < item.time_s <= now_s)


def _made(actions: Sequence[Action], now_s: float) -> tuple[Action, ...]:
    return tuple(
        action if action.time_s <= now_s else replace(action, time_s=now_s)
        for action in actions
        if now_s - HISTORY_S < action.time_s
    )


def _aged_knobs(knobs: Knobs, now_s: float) -> Knobs:
    watched = knobs.lowering
    return Knobs(
        size=knobs.size,
        wishes=_recent(knobs.wishes, now_s),
        moves=_made(knobs.moves, now_s),
        failed=_held(knobs.failed, now_s),
        lowering=watched if watched and watched.time_s <= now_s else None,
        undone=_held(knobs.undone, now_s),
        learnt=knobs.learnt.aged(now_s),
    )


def _held(one: Quarantine | None, now_s: float) -> Quarantine | None:
    """A quarantine that back-off still counts from; a clock set back makes none longer."""
    if one is None or now_s - one.until_s >= HISTORY_S:
        return None
    # The longest lasts as long as histories do, whatever became of the clock.
    return one if one.until_s <= now_s + HISTORY_S else replace(one, until_s=now_s + HISTORY_S)


def recommended(
    history: Sequence[Recommendation], newest: Recommendation
) -> tuple[Recommendation, ...]:
    """Append to a history, keeping only what a later minimum or maximum can still depend on.

    An older entry matters to no window once a newer one is at least as large and another newer one
    at least as small. A steady app therefore keeps a single entry.
    """
    kept = [newest]
    low = high = newest.replicas
    for past in reversed(history):
        if past.replicas < low or past.replicas > high:
            kept.append(past)
            low, high = min(low, past.replicas), max(high, past.replicas)
    return tuple(reversed(kept))


def dump(memory: FleetMemory) -> dict[str, Any]:
    """The memory as JSON-able values."""
    return {
        "version": VERSION,
        "apps": {str(key): _dump_app(app) for key, app in sorted(memory.apps.items())},
    }


def load(content: Mapping[str, Any]) -> FleetMemory:
    """A memory from what `dump` gave.

    Raises:
        ValueError: the content is of another version.
    """
    if content.get("version") != VERSION:
        raise ValueError(f"memory of version {content.get('version')!r}, not {VERSION}: drop it")
    apps: Mapping[str, Any] = content["apps"]
    return FleetMemory({Key(*name.split("/", 1)): _load_app(app) for name, app in apps.items()})


def _dump_app(app: AppMemory) -> dict[str, Any]:
    return {
        "uid": app.uid,
        "targetUid": app.target_uid,
        "firstSeen": app.first_seen_s,
        "actedAt": app.acted_at_s,
        "countedFrom": app.counted_from_s,
        "lostAt": app.lost_at_s,
        "healthyAt": app.healthy_at_s,
        "targetGeneration": app.target_generation,
        "laws": {name: _dump_law(law) for name, law in sorted(app.laws.items())},
        "recommendations": [[r.time_s, r.replicas] for r in app.recommendations],
        "actions": [_dump_action(action) for action in app.actions],
        "written": app.written and [app.written.replicas, app.written.generation],
        "reverts": [[r.time_s, r.manager] for r in app.reverts],
        "yielded": app.yielded
        and [
            app.yielded.manager,
            app.yielded.generation,
            app.yielded.replicas,
            app.yielded.quiet_from_s,
        ],
        **({"refused": list(astuple(app.refused))} if app.refused else {}),
        **({"knobs": _dump_knobs(app.knobs)} if app.knobs else {}),
        **({"placing": claim.dump(app.placing)} if app.placing else {}),
    }


def _dump_knobs(knobs: Knobs) -> dict[str, Any]:
    size, lowering = knobs.size, knobs.lowering
    return {
        "size": size and [size.cpu_m, size.memory_b],
        "wishes": [[wish.time_s, wish.replicas] for wish in knobs.wishes],
        "moves": [_dump_action(move) for move in knobs.moves],
        "failed": knobs.failed and list(astuple(knobs.failed)),
        "lowering": lowering and list(astuple(lowering)),
        "undone": knobs.undone and list(astuple(knobs.undone)),
        **({"learnt": knobs.learnt.dump()} if knobs.learnt != Learnt() else {}),
    }


def _load_knobs(row: Mapping[str, Any]) -> Knobs:
    return Knobs(
        size=row["size"] and Size(*row["size"]),
        wishes=tuple(Recommendation(*item) for item in row["wishes"]),
        moves=tuple(Action(*item) for item in row["moves"]),
        failed=row["failed"] and Quarantine(*row["failed"]),
        lowering=row["lowering"] and Lowering(*row["lowering"]),
        undone=row["undone"] and Quarantine(*row["undone"]),
        learnt=Learnt.load(row["learnt"]) if "learnt" in row else Learnt(),
    )


def _dump_action(action: Action) -> list[Any]:
    made = [action.time_s, action.start, action.to]
    if action.restarts:
        return [*made, action.stood_on, True]
    return made if action.stood_on is None else [*made, action.stood_on]


def _load_app(row: Mapping[str, Any]) -> AppMemory:
    return AppMemory(
        uid=row["uid"],
        target_uid=row["targetUid"],
        first_seen_s=row["firstSeen"],
        acted_at_s=row["actedAt"],
        counted_from_s=row["countedFrom"],
        lost_at_s=row["lostAt"],
        healthy_at_s=row["healthyAt"],
        target_generation=row["targetGeneration"],
        laws={name: _load_law(law) for name, law in row["laws"].items()},
        recommendations=tuple(Recommendation(*item) for item in row["recommendations"]),
        actions=tuple(Action(*item) for item in row["actions"]),
        written=row["written"] and Written(*row["written"]),
        reverts=tuple(Revert(*item) for item in row["reverts"]),
        yielded=row["yielded"] and Yielded(*row["yielded"]),
        refused=Quarantine(*row["refused"]) if "refused" in row else None,
        knobs=_load_knobs(row["knobs"]) if "knobs" in row else None,
        placing=claim.load(row["placing"]) if "placing" in row else None,
    )


def _dump_law(law: LawMemory) -> dict[str, Any]:
    demand = law.demand
    return {
        "law": law.law,
        "parameters": dict(law.parameters),
        "inputs": list(law.inputs),
        "state": dict(law.state),
        "steppedAt": law.stepped_at_s,
        "demand": demand
        and [demand.replicas, demand.capacity, dict(demand.terms), demand.sampled_at_s],
    }


def _load_law(row: Mapping[str, Any]) -> LawMemory:
    return LawMemory(
        law=row["law"],
        parameters=row["parameters"],
        inputs=tuple(row["inputs"]),
        state=row["state"],
        stepped_at_s=row["steppedAt"],
        demand=row["demand"] and Demand(*row["demand"]),
    )
