"""ChargedApp: a workload and the objectives it is held to, as the user writes it.

Reads: bodies of `chargedapps.charon.dev`. Gives: `ChargedApp`, or a SpecError that names the field.
Never: a default that acts (an app is Advisory until its owner says Active).
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from charon_operator.model import wire
from charon_operator.model.bounds import Bounds
from charon_operator.model.hold import Hold
from charon_operator.model.indicator import Indicator
from charon_operator.model.placement import Placement
from charon_operator.model.quantity import Number, Percent
from charon_operator.model.resources import Resources
from charon_operator.model.targets import Capacity, ScaleTargetRef
from charon_operator.model.wire import BY_NAME, ItemName, ObjectName, Rule, Wire, rules
from charon_operator.model.workload import Key, Target


class Mode(StrEnum):
    """Whether an app's decisions are carried out."""

    ADVISORY = "Advisory"
    ACTIVE = "Active"


class Actuation(StrEnum):
    """How a replica count reaches the target."""

    SCALE = "Scale"
    METRIC = "Metric"


class Comparison(StrEnum):
    """How an indicator is held against its threshold."""

    AT_MOST = "LessThanOrEqual"
    AT_LEAST = "GreaterThanOrEqual"


class PolicyRef(Wire):
    """The ControlPolicy of the same namespace that drives this app."""

    name: ObjectName = Field(description="Name of a ControlPolicy in the same namespace.")


class Threshold(Wire):
    """Good is when the indicator is on the right side of a value."""

    indicator: ItemName = Field(description="Name of an indicator of this app.")
    op: Comparison = Field(description="LessThanOrEqual or GreaterThanOrEqual.")
    value: Number = Field(description='The bound, in the indicator\'s unit, as "600".')


class Objective(Wire):
    """What the application promises: good for a share of the time, over a window."""

    model_config = rules(
        Rule(
            "!has(self.setPoint) || self.threshold.op != 'LessThanOrEqual' || "
            "double(self.setPoint) <= double(self.threshold.value)",
            "setPoint must not be above the threshold's value",
            ".setPoint",
        ),
        Rule(
            "!has(self.setPoint) || self.threshold.op != 'GreaterThanOrEqual' || "
            "double(self.setPoint) >= double(self.threshold.value)",
            "setPoint must not be below the threshold's value",
            ".setPoint",
        ),
    )

    name: ItemName = Field(description="Name of the objective.")
    threshold: Threshold = Field(description="When the application counts as good.")
    set_point: Number | None = Field(
        default=None,
        description=(
            "What the law aims at, on the good side of the threshold. Default: the threshold."
        ),
    )
    target: Percent = Field(description='Percent of the time that must be good, as "95".')
    window_seconds: int = Field(
        default=3600,
        ge=60,
        le=2592000,
        strict=True,
        description="The window over which attainment is counted.",
    )

    @property
    def aim(self) -> float:
        """The set point, in the indicator's unit."""
        return self.threshold.value if self.set_point is None else self.set_point

    @property
    def sign(self) -> int:
        """+1 when a larger value is worse, -1 when a smaller one is."""
        return 1 if self.threshold.op is Comparison.AT_MOST else -1

    @model_validator(mode="after")
    def _aims_inside(self) -> Self:
        if self.threshold.op is Comparison.AT_MOST and self.aim > self.threshold.value:
            raise ValueError("setPoint must not be above the threshold's value")
        if self.threshold.op is Comparison.AT_LEAST and self.aim < self.threshold.value:
            raise ValueError("setPoint must not be below the threshold's value")
        return self


class Replicas(Bounds):
    """Bounds of the replica count and how it is applied."""

    min: int = Field(ge=1, le=1000, strict=True, description="Never fewer than this.")
    max: int = Field(ge=1, le=1000, strict=True, description="Never more than this.")
    actuation: Actuation = Field(
        default=Actuation.SCALE,
        description=(
            "Scale: the operator writes the scale subresource. Metric: it only publishes "
            "charon_desired_replicas, for an HPA or KEDA to obey."
        ),
    )


_ONE_WAY: Final = "exactly one of scaleTargetRef and placement is needed: leave out the other"
_BOUNDS: Final = (
    "replicas is needed with scaleTargetRef, and left out with placement: each of its variants has "
    "bounds of its own"
)
_CAPACITY: Final = (
    "capacityPerReplica is left out with placement: each of its variants has one of its own"
)
_NO_RESIZE: Final = (
    "resources.mode InPlace does not go with placement, whose variants keep their sizes: set "
    "mode: Off"
)


class ChargedAppSpec(Wire):
    """What a ChargedApp asks for."""

    model_config = rules(
        Rule(
            "self.bindings.all(role, self.indicators.exists(i, i.name == self.bindings[role]))",
            "every binding must name one of the indicators",
            ".bindings",
        ),
        Rule(
            "self.bindings.all(role, size(role) <= 63)",
            "the name of a role has at most 63 characters",
            ".bindings",
        ),
        Rule(
            "self.objectives.all(o, self.indicators.exists(i, i.name == o.threshold.indicator))",
            "every threshold must name one of the indicators",
            ".objectives",
        ),
        Rule(
            "!has(self.resources) || !has(self.resources.memory) || "
            "self.indicators.exists(i, i.name == self.resources.memory.usage)",
            "resources.memory.usage must name one of the indicators",
            ".resources",
        ),
        Rule(
            "!has(self.resources) || !has(self.resources.cpu) || !has(self.resources.cpu.usage) || "
            "self.indicators.exists(i, i.name == self.resources.cpu.usage)",
            "resources.cpu.usage must name one of the indicators",
            ".resources",
        ),
        Rule("has(self.scaleTargetRef) != has(self.placement)", _ONE_WAY, ".scaleTargetRef"),
        Rule("has(self.replicas) != has(self.placement)", _BOUNDS, ".replicas"),
        Rule(
            "!has(self.capacityPerReplica) || !has(self.placement)",
            _CAPACITY,
            ".capacityPerReplica",
        ),
        Rule(
            "!has(self.resources) || !has(self.placement) || self.resources.mode != 'InPlace'",
            _NO_RESIZE,
            ".resources",
        ),
    )

    mode: Mode = Field(
        default=Mode.ADVISORY,
        description="Advisory: computes and records, leaves the target alone. Active: also acts.",
    )
    policy_ref: PolicyRef = Field(description="Which ControlPolicy drives this app.")
    scale_target_ref: ScaleTargetRef | None = Field(
        default=None, description="Which workload is scaled. Exactly one of this and placement."
    )
    capacity_per_replica: Capacity | None = Field(
        default=None,
        description=(
            "What one replica can serve. Laws that plan capacity need it; with placement each "
            "variant has its own."
        ),
    )
    indicators: list[Indicator] = Field(
        min_length=1,
        max_length=16,
        description="The numbers that say how the application does.",
        json_schema_extra=BY_NAME,
    )
    bindings: dict[Annotated[str, Field(max_length=63)], ItemName] = Field(
        default_factory=dict,
        max_length=16,
        description="Which indicator plays which role for the control law, as backlog: queued.",
    )
    objectives: list[Objective] = Field(
        min_length=1,
        max_length=8,
        description="What is promised. Each drives its own control law; the largest demand wins.",
        json_schema_extra=BY_NAME,
    )
    replicas: Replicas | None = Field(
        default=None,
        description="Bounds of the replica count. Needed with scaleTargetRef, and only there.",
    )
    resources: Resources | None = Field(
        default=None, description="CPU and memory of running pods, moved in place."
    )
    placement: Placement | None = Field(
        default=None,
        description="Variants of the app, each a workload of its own, chosen by cost.",
    )
    holds: list[Hold] = Field(
        default_factory=list,
        max_length=16,
        description="Pauses, by name and direction.",
        json_schema_extra=BY_NAME,
    )

    @property
    def references(self) -> tuple[ScaleTargetRef, ...]:
        """What is scaled, in the order of the spec."""
        if self.placement is not None:
            return tuple(one.scale_target_ref for one in self.placement.variants)
        assert self.scale_target_ref is not None
        return (self.scale_target_ref,)

    @property
    def bounds(self) -> Replicas:
        """Bounds of the replica count, all variants together."""
        if self.placement is None:
            assert self.replicas is not None
            return self.replicas
        each = [variant.replicas for variant in self.placement.variants]
        low, high = (sum(one.min for one in each), sum(one.max for one in each))
        return Replicas.model_construct(min=low, max=high, actuation=Actuation.SCALE)

    @property
    def plans_capacity(self) -> bool:
        """Whether what is demanded is counted in units a second, as replicas differ."""
        return self.sizes_cpu or self.placement is not None

    @property
    def sized(self) -> Resources | None:
        """What says how running pods are resized; None while they are not."""
        return self.resources if self.resources and self.resources.acts else None

    @property
    def sizes_cpu(self) -> bool:
        """Whether what a pod serves follows from its size."""
        return self.sized is not None and self.sized.cpu is not None and not self.sized.by_usage

    @model_validator(mode="after")
    def _has_one_way_to_scale(self) -> Self:
        if (self.scale_target_ref is None) == (self.placement is None):
            raise ValueError(_ONE_WAY)
        if (self.replicas is None) != (self.placement is not None):
            raise ValueError(_BOUNDS)
        return self

    @model_validator(mode="after")
    def _leaves_the_rest_to_variants(self) -> Self:
        if self.placement is not None and self.capacity_per_replica is not None:
            raise ValueError(_CAPACITY)
        if self.placement is not None and self.sized is not None:
            raise ValueError(_NO_RESIZE)
        return self

    @model_validator(mode="after")
    def _refers_to_known_indicators(self) -> Self:
        known = {indicator.name for indicator in self.indicators}
        for role, name in self.bindings.items():
            if name not in known:
                raise ValueError(
                    f"bindings.{role} names {name!r}, which is not one of the indicators"
                )
        for objective in self.objectives:
            if objective.threshold.indicator not in known:
                raise ValueError(
                    f"objectives[{objective.name}].threshold.indicator names "
                    f"{objective.threshold.indicator!r}, which is not one of the indicators"
                )
        sized = self.resources
        for part, bounds in (("cpu", sized and sized.cpu), ("memory", sized and sized.memory)):
            if bounds and bounds.usage is not None and bounds.usage not in known:
                field, name = f"resources.{part}.usage", bounds.usage
                raise ValueError(f"{field} names {name!r}, which is not one of the indicators")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        lists = {"indicators": self.indicators, "objectives": self.objectives, "holds": self.holds}
        for field, items in lists.items():
            seen = [item.name for item in items]  # type: ignore[attr-defined]
            if len(seen) != len(set(seen)):
                raise ValueError(f"{field} has two items of one name")
        return self


@dataclass(frozen=True, slots=True)
class ChargedApp:
    """A ChargedApp as the fleet sees it.

    Attributes:
        created_at_s: creation time, seconds since 1970; the older of two rivals acts.
        deleting: a deletion timestamp is set.
    """

    key: Key
    uid: str
    generation: int
    created_at_s: float
    deleting: bool
    spec: ChargedAppSpec

    @property
    def targets(self) -> tuple[Target, ...]:
        """The workloads it scales: one, or one of each variant."""
        namespace = self.key.namespace
        return tuple(Target(one.kind, namespace, one.name) for one in self.spec.references)

    @property
    def target(self) -> Target:
        """The workload it scales, the first variant's with placement."""
        return self.targets[0]

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Self:
        """Read a resource body.

        Raises:
            SpecError: the spec cannot be used; it names the field and the remedy.
        """
        meta = wire.metadata(body)
        return cls(
            key=Key(str(meta.get("namespace", "default")), str(meta.get("name", ""))),
            uid=str(meta.get("uid", "")),
            generation=wire.generation(meta),
            created_at_s=timestamp(meta.get("creationTimestamp")),
            deleting=bool(meta.get("deletionTimestamp")),
            spec=ChargedAppSpec.read(body.get("spec") or {}, "spec"),
        )


def timestamp(text: object) -> float:
    """Seconds since 1970 of an RFC 3339 text as the API server writes it; 0.0 for anything else."""
    if not isinstance(text, str):
        return 0.0
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return moment.timestamp() if moment.tzinfo else 0.0
