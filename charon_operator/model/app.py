"""ChargedApp: a workload and the objectives it is held to, as the user writes it.

Reads: bodies of `chargedapps.charon.dev`. Gives: `ChargedApp`, or a SpecError that names the field.
Never: a default that acts (an app is Advisory until its owner says Active).
"""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, Field, WithJsonSchema, model_validator

from charon_operator.model import wire
from charon_operator.model.quantity import Number, Percent, PositiveNumber
from charon_operator.model.resources import Resources
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


class Coverage(StrEnum):
    """What an indicator's series are counted against."""

    NONE = "None"
    PER_READY_POD = "PerReadyPod"


class Comparison(StrEnum):
    """How an indicator is held against its threshold."""

    AT_MOST = "LessThanOrEqual"
    AT_LEAST = "GreaterThanOrEqual"


class Direction(StrEnum):
    """Which moves a hold stops."""

    UP = "Up"
    DOWN = "Down"
    BOTH = "Both"


class PolicyRef(Wire):
    """The ControlPolicy of the same namespace that drives this app."""

    name: ObjectName = Field(description="Name of a ControlPolicy in the same namespace.")


class ScaleTargetRef(Wire):
    """The workload to scale, in the same namespace."""

    api_version: Literal["apps/v1"] = Field(default="apps/v1", description="Always apps/v1.")
    kind: Literal["Deployment", "StatefulSet"] = Field(description="Deployment or StatefulSet.")
    name: ObjectName = Field(description="Name of the workload, in the namespace of this app.")


class Capacity(Wire):
    """What one replica can serve."""

    value: PositiveNumber = Field(description='Units a second that one replica serves, as "64".')
    unit: str = Field(
        default="", max_length=63, description="Unit of the value, for people, as frames/s."
    )


class Indicator(Wire):
    """One number that says how the application does."""

    name: ItemName = Field(description="Name by which bindings and objectives refer to it.")
    query: str = Field(
        min_length=1,
        max_length=4096,
        description=(
            "PromQL that gives one value. $namespace, $name and $target stand for the app's "
            "namespace, its name and its target's name; matchers for the app's scope are added."
        ),
    )
    unit: str = Field(default="", max_length=63, description="Unit of the value, for people.")
    max_sample_age_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        strict=True,
        description="A value whose oldest input is older than this counts as missing.",
    )
    coverage: Coverage = Field(
        default=Coverage.NONE,
        description=(
            "PerReadyPod: the value counts as missing unless every ready pod gave a fresh series, "
            "told apart by the label pod."
        ),
    )


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


class Replicas(Wire):
    """Bounds of the replica count and how it is applied."""

    model_config = rules(Rule("self.min <= self.max", "min must not be greater than max", ".min"))

    min: int = Field(ge=1, le=1000, strict=True, description="Never fewer than this.")
    max: int = Field(ge=1, le=1000, strict=True, description="Never more than this.")
    actuation: Actuation = Field(
        default=Actuation.SCALE,
        description=(
            "Scale: the operator writes the scale subresource. Metric: it only publishes "
            "charon_desired_replicas, for an HPA or KEDA to obey."
        ),
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not be greater than max")
        return self


def _known_direction(value: object) -> object:
    # Fail safe: a hold that cannot be read stops everything (the schema rejects it first).
    return value if value in list(Direction) else Direction.BOTH


# A format alone lets a time without a zone pass, which would mean another moment to every reader.
_RFC3339: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[-+][0-9]{2}:[0-9]{2})$"
)
_UNTIL = WithJsonSchema(
    {"type": "string", "format": "date-time", "pattern": _RFC3339, "maxLength": 40}
)


def _rfc3339(value: object) -> object:
    if isinstance(value, datetime.datetime) or (
        isinstance(value, str) and re.fullmatch(_RFC3339, value)
    ):
        return value
    raise ValueError("must be a time with its zone, as 2030-12-31T06:00:00Z (RFC 3339)")


class Hold(Wire):
    """A pause: the app keeps thinking and recording, and does not move in this direction."""

    name: ItemName = Field(description="Name of the hold, so that it can be found and removed.")
    direction: Annotated[Direction, BeforeValidator(_known_direction)] = Field(
        default=Direction.BOTH, description="Up, Down or Both."
    )
    until: Annotated[AwareDatetime, BeforeValidator(_rfc3339), _UNTIL] | None = Field(
        default=None,
        description=(
            "When it ends, as 2030-12-31T06:00:00Z (RFC 3339). Without it: until it is removed."
        ),
    )
    reason: str = Field(default="", max_length=1024, description="Why, for people.")

    def active_at(self, now_s: float) -> bool:
        """Whether it holds at a time in seconds since 1970."""
        return self.until is None or now_s < self.until.timestamp()


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
    )

    mode: Mode = Field(
        default=Mode.ADVISORY,
        description="Advisory: computes and records, leaves the target alone. Active: also acts.",
    )
    policy_ref: PolicyRef = Field(description="Which ControlPolicy drives this app.")
    scale_target_ref: ScaleTargetRef = Field(description="Which workload is scaled.")
    capacity_per_replica: Capacity | None = Field(
        default=None, description="What one replica can serve. Laws that plan capacity need it."
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
    replicas: Replicas = Field(description="Bounds of the replica count.")
    resources: Resources | None = Field(
        default=None, description="CPU and memory of running pods, moved in place."
    )
    holds: list[Hold] = Field(
        default_factory=list,
        max_length=16,
        description="Pauses, by name and direction.",
        json_schema_extra=BY_NAME,
    )

    @property
    def sized(self) -> Resources | None:
        """What says how running pods are resized; None while they are not."""
        return self.resources if self.resources and self.resources.acts else None

    @property
    def sizes_cpu(self) -> bool:
        """Whether what a pod serves follows from its size."""
        return self.sized is not None and self.sized.cpu is not None and not self.sized.by_usage

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
    def target(self) -> Target:
        """The workload it scales."""
        reference = self.spec.scale_target_ref
        return Target(reference.kind, self.key.namespace, reference.name)

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
