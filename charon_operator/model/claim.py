"""What an app with variants claims of the cluster, and the way it is on: remembered between turns.

Reads: nothing. Gives: frozen values, to JSON-able ones and back (`load(dump(x)) == x`). Never: a
decision; those are made in `decide`.
"""

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Any

from charon_operator.model import gpu_json
from charon_operator.model.gpu import Need
from charon_operator.model.workload import Key, Target

Counts = Mapping[str, int]
"""Replicas by name of a variant."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run an app.

    Attributes:
        need: what one replica asks of a node.
        capacity: units a second that a replica serves.
        cost: of a replica, in the app's own unit.
        quality: of what it gives, 0..1.
        least, most: replicas.
    """

    name: str
    need: Need
    capacity: float
    cost: float
    quality: float
    least: int
    most: int

    def within(self, most: int) -> "Variant":
        """The same with no more than so many replicas, its minimum included."""
        most = max(0, min(self.most, most))
        return replace(self, least=min(self.least, most), most=most)

    def keeping(self, least: int) -> "Variant":
        """The same with no fewer than so many replicas, whatever its maximum is."""
        return replace(self, least=max(self.least, least), most=max(self.most, least))


@dataclass(frozen=True, slots=True)
class Patience:
    """What stands against moving to a cheaper mix.

    Attributes:
        saving: share of the cost, 0..1, that it must save at least.
        dwell_s: seconds that a mix is kept at least.
    """

    saving: float = 0.15
    dwell_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What an app wants, and what it has.

    Attributes:
        priority: above 0; at 20 a share of the demand counts twice as much as at 10.
        wanted: units a second; None when that is not known.
        quality: that the mix has at least, 0..1.
        held: node of each bound pod, by name of a variant; the last is the first to go.
        targets: its workloads, by name of a variant.
        asked: replicas asked for; those that are not held are on their way.
        goal: the mix it is on its way to, which is what is kept and grown; None: what is held.
        is_met: its objectives are met.
        since_s: when its mix last changed, seconds since 1970; None when that is not known.
        keeps: it gives up no pod at this time, not even for another's minimum.
        acts: what it is granted is written; if not, it takes nothing from the others.
    """

    key: Key
    priority: float
    wanted: float | None
    quality: float
    variants: tuple[Variant, ...]
    held: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    targets: Mapping[str, Target] = field(default_factory=dict)
    asked: Counts = field(default_factory=dict)
    goal: Counts | None = None
    is_met: bool = False
    since_s: float | None = None
    patience: Patience = field(default_factory=Patience)
    keeps: bool = False
    acts: bool = True


@dataclass(frozen=True, slots=True)
class Handover:
    """Where an app is going, and what it falls back on.

    Attributes:
        start: the last mix that came about.
        target: where it goes; after a failure this is `start`.
        stuck_since_s: since when pods have waited for a node, seconds since 1970; None: none does.
        failed: the target that did not come about, tried again from `retry_at_s` on; else None.
        failures: how often in a row something did not come about.
        why: what stood against it, in words.
    """

    start: Counts
    target: Counts
    stuck_since_s: float | None = None
    failed: Counts | None = None
    failures: int = 0
    retry_at_s: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What we last wrote and the target's generation that the write stood on."""

    replicas: int
    generation: int


@dataclass(frozen=True, slots=True)
class PlacingMemory:
    """What is remembered of an app with variants.

    Attributes:
        claim: the last one; None before the first.
        handover: the way it is on; None while nothing is written.
        awaited: of the variants whose pods wait for new nodes, the way from what fits to all of
            them; None where none does, and none has failed.
        since_s: when its mix last changed, seconds since 1970.
        written: what was last written, by name of a variant.
        generations: of the targets at the last turn, by name of a variant.
    """

    since_s: float
    claim: Claim | None = None
    handover: Handover | None = None
    written: Mapping[str, Written] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)
    awaited: Handover | None = None


def aged(known: PlacingMemory, now_s: float, history_s: float) -> PlacingMemory:
    """A clock that was set back makes nothing newer, and no wait longer than histories are kept."""
    ways = known.handover, known.awaited
    handover, awaited = (way and _aged_way(way, now_s, history_s) for way in ways)
    since_s = min(known.since_s, now_s)
    return replace(known, since_s=since_s, handover=handover, awaited=awaited)


def _aged_way(way: Handover, now_s: float, history_s: float) -> Handover:
    stuck_s = way.stuck_since_s
    way = replace(
        way,
        stuck_since_s=None if stuck_s is None else min(stuck_s, now_s),
        retry_at_s=min(way.retry_at_s, now_s + history_s),
    )
    if now_s - way.retry_at_s >= history_s:
        return replace(way, failed=None, failures=0, retry_at_s=0.0, why="")
    return way


def dump(known: PlacingMemory) -> dict[str, Any]:
    """The memory as JSON-able values."""
    way = known.handover
    return {
        "since": known.since_s,
        "claim": known.claim and _dump_claim(known.claim),
        "handover": way and asdict(way),
        "written": {name: [one.replicas, one.generation] for name, one in known.written.items()},
        "generations": dict(known.generations),
        **({"awaited": asdict(known.awaited)} if known.awaited else {}),
    }


def load(row: Mapping[str, Any]) -> PlacingMemory:
    """A memory from what `dump` gave."""
    return PlacingMemory(
        since_s=row["since"],
        claim=row["claim"] and _load_claim(row["claim"]),
        handover=row["handover"] and Handover(**row["handover"]),
        written={name: Written(*one) for name, one in row["written"].items()},
        generations=row["generations"],
        awaited=Handover(**row["awaited"]) if "awaited" in row else None,
    )


def _dump_claim(claim: Claim) -> dict[str, Any]:
    return {
        "app": [claim.key.namespace, claim.key.name],
        "priority": claim.priority,
        "wanted": claim.wanted,
        "quality": claim.quality,
        "variants": [_dump_variant(one) for one in claim.variants],
        "held": {name: list(nodes) for name, nodes in claim.held.items()},
        "targets": {name: list(astuple(one)) for name, one in claim.targets.items()},
        "asked": dict(claim.asked),
        "goal": None if claim.goal is None else dict(claim.goal),
        "isMet": claim.is_met,
        "since": claim.since_s,
        "patience": [claim.patience.saving, claim.patience.dwell_s],
        "keeps": claim.keeps,
        "acts": claim.acts,
    }


def _load_claim(row: Mapping[str, Any]) -> Claim:
    return Claim(
        key=Key(*row["app"]),
        priority=row["priority"],
        wanted=row["wanted"],
        quality=row["quality"],
        variants=tuple(_load_variant(one) for one in row["variants"]),
        held={name: tuple(nodes) for name, nodes in row["held"].items()},
        targets={name: Target(*one) for name, one in row["targets"].items()},
        asked=row["asked"],
        goal=row["goal"],
        is_met=row["isMet"],
        since_s=row["since"],
        patience=Patience(*row["patience"]),
        keeps=row["keeps"],
        acts=row["acts"],
    )


def _dump_variant(one: Variant) -> list[Any]:
    bounds = (one.capacity, one.cost, one.quality, one.least, one.most)
    return [one.name, gpu_json.need_to_json(one.need), *bounds]


def _load_variant(row: list[Any]) -> Variant:
    name, need, *bounds = row
    return Variant(name, gpu_json.need_from_json(need), *bounds)
