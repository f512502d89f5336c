"""What is known of an app at one turn, and what comes out of the turn: the turn's two sides.

Reads: nothing. Gives: `AppFacts` in, `Outcome` out. Never: hidden state; the same facts and the
same memory give the same outcome, to the byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Decision, Past, Resize
from charon_operator.model.placing import Placing, VariantFacts
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.reading import Attainment, Missing, Readings
from charon_operator.model.sizes import Sizes
from charon_operator.model.workload import Absent, Key, Rival, Workload
from charon_operator.names import Reason


@dataclass(frozen=True, slots=True)
class Broken:
    """A resource that cannot be used: which field, and what to write instead."""

    key: Key
    uid: str
    generation: int
    field: str
    message: str
    reason: Reason = Reason.INVALID_SPEC


@dataclass(frozen=True, slots=True)
class AppFacts:
    """Everything a decision on one app may stand on.

    Attributes:
        app: the app, or what is wrong with it.
        policy: its policy, what is wrong with it, or None when there is none of that name.
        workload: its target now; None when the API server has not said.
        rivals: other controllers that name the same target (the app itself is not among them).
        readings: by indicator name.
        attainments: by objective name, as last computed; absent before the first answer.
        broken_queries: queries refused before they were asked.
        forced_advisory: why nothing may be written, else empty.
        past: what the status of an app says that is seen for the first time.
        sizes: of the target's pods; None when nobody asked, or the API server did not answer.
        variants: by name, of an app with placement; `workload` is then all of them together.
        fixed_forms: the administrator lets no pod template be changed.
    """

    app: ChargedApp | Broken
    policy: ControlPolicy | Broken | None = None
    workload: Workload | Absent | None = None
    rivals: tuple[Rival, ...] = ()
    readings: Readings = field(default_factory=dict)
    attainments: Mapping[str, Attainment] = field(default_factory=dict)
    broken_queries: tuple[Broken, ...] = ()
    forced_advisory: str = ""
    past: Past = field(default_factory=Past)
    sizes: Sizes | None = None
    variants: Mapping[str, VariantFacts] = field(default_factory=dict)
    fixed_forms: bool = False

    @property
    def key(self) -> Key:
        """Namespace and name of the app."""
        return self.app.key


class ObjectiveVerdict(StrEnum):
    """How an objective stands."""

    MET = "Met"
    VIOLATED = "Violated"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class ObjectiveState:
    """How an objective stands.

    Attributes:
        verdict: of the window's attainment against its target.
        good_now: whether the threshold holds at this moment; None when that is not known.
        attainment: share of observed time that was good, 0..1, or None.
        coverage: share of the window that was observed, 0..1.
        budget_remaining: 1 = none of the error budget used, 0 = all, negative beyond; or None.
    """

    name: str
    verdict: ObjectiveVerdict
    good_now: bool | None
    attainment: float | None
    coverage: float
    budget_remaining: float | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Who else moves the target, in words for the status.

    Attributes:
        manager: `HorizontalPodAutoscaler web`, or a field manager.
        field: what it moves, as `spec.replicas`.
    """

    reason: Reason
    manager: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one turn says of one app.

    Attributes:
        problem: why the app cannot be controlled at all, else None.
        missing: indicators without a usable value, by name.
        blind_fleet: lowering is blocked fleet-wide at this turn.
        settling: pods asked for and not ready yet.
        resize: what size the pods should have; None for an app whose pods are not resized.
        placing: what its variants should be; None for an app without placement.
        delays: by knob, how long its last moves took from write to effect, seconds.
    """

    key: Key
    uid: str
    generation: int
    decision: Decision
    objectives: tuple[ObjectiveState, ...] = ()
    problem: Broken | None = None
    conflict: Conflict | None = None
    missing: Mapping[str, Missing] = field(default_factory=dict)
    blind_fleet: bool = False
    settling: int = 0
    resize: Resize | None = None
    placing: Placing | None = None
    delays: Mapping[str, float] = field(default_factory=dict)
