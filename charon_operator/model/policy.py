"""ControlPolicy: which law drives an app, how often, and within which limits.

Reads: bodies of `controlpolicies.charon.dev`. Gives: `ControlPolicy`, or a SpecError that names the
field. Never: knowledge of the laws themselves (a law checks its own parameters).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from charon_operator.model import wire
from charon_operator.model.quantity import NonNegativeNumber
from charon_operator.model.wire import Rule, Wire, rules
from charon_operator.model.workload import Key


class SelectPolicy(StrEnum):
    """Which of several scaling policies counts, as in HPA v2."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class PolicyType(StrEnum):
    """What a scaling policy counts in, as in HPA v2."""

    PODS = "Pods"
    PERCENT = "Percent"


class FallbackStrategy(StrEnum):
    """What to do when metrics stay away."""

    HOLD = "Hold"
    AT_LEAST = "AtLeast"


class Knob(StrEnum):
    """What of an app can be moved."""

    RESOURCES = "Resources"
    REPLICAS = "Replicas"


class ScalingPolicy(Wire):
    """At most so much change within a period, as in HPA v2."""

    type: PolicyType = Field(description="Pods or Percent.")
    value: int = Field(ge=1, le=10000, strict=True, description="Pods, or percent of the replicas.")
    period_seconds: int = Field(
        ge=1, le=1800, strict=True, description="The period over which changes are counted."
    )


class ScalingRules(Wire):
    """Rules for one direction, with the names and meaning of HPA v2."""

    stabilization_window_seconds: int | None = Field(
        default=None,
        ge=0,
        le=3600,
        strict=True,
        description=(
            "Past recommendations within this window are considered: the smallest for scaling up, "
            "the largest for scaling down. Default: 0 up, 300 down."
        ),
    )
    select_policy: SelectPolicy = Field(
        default=SelectPolicy.MAX, description="Max, Min or Disabled (no scaling this way)."
    )
    policies: list[ScalingPolicy] | None = Field(
        default=None,
        min_length=1,
        max_length=8,
        description=(
            "Limits on the speed of change. Default: up the larger of 4 pods and 100 % in 15 s, "
            "down 100 % in 15 s."
        ),
    )


class Behavior(Wire):
    """How fast replicas may change, as HPA v2's `behavior`."""

    scale_up: ScalingRules = Field(default_factory=ScalingRules, description="Rules for raising.")
    scale_down: ScalingRules = Field(
        default_factory=ScalingRules, description="Rules for lowering."
    )


class Lowering(Wire):
    """Extra care when lowering. Never delays a raise."""

    cooldown_seconds: int = Field(
        default=60,
        ge=0,
        le=3600,
        strict=True,
        description="Not lowered within this time after any change of ours.",
    )
    max_per_hour: int = Field(
        default=20,
        ge=1,
        le=3600,
        strict=True,
        description="At most so many lowerings an hour, restarts for another size among them.",
    )


class Fallback(Wire):
    """What to do when metrics stay away. It may raise, never lower."""

    model_config = rules(
        Rule(
            "!has(self.strategy) || self.strategy != 'AtLeast' || has(self.replicas)",
            "replicas is needed with strategy AtLeast",
        )
    )

    after_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        strict=True,
        description="How long metrics must be missing first.",
    )
    strategy: FallbackStrategy = Field(
        default=FallbackStrategy.HOLD,
        description="Hold: stay. AtLeast: raise to `replicas` if there are fewer.",
    )
    replicas: int | None = Field(
        default=None, ge=1, le=1000, strict=True, description="For AtLeast: the count to reach."
    )

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if self.strategy is FallbackStrategy.AT_LEAST and self.replicas is None:
            raise ValueError("replicas is needed with strategy AtLeast")
        return self


class Controller(Wire):
    """The control law and its parameters."""

    type: str = Field(
        default="Queueing",
        max_length=63,
        pattern=r"^[A-Za-z][A-Za-z0-9]*$",
        description="Name of a control law: Queueing, PD, Ratio, Hold.",
    )
    parameters: dict[Annotated[str, Field(max_length=63)], Annotated[str, Field(max_length=63)]] = (
        Field(
            default_factory=dict,
            max_length=32,
            description='Parameters of the law, as strings: {drainSeconds: "10"}.',
        )
    )


class Prices(Wire):
    """What a running replica and each core of it cost, in any one currency."""

    replica: NonNegativeNumber = Field(
        default=0.1,
        description='Price of a replica whatever its size, as "0.1".',
        json_schema_extra={"default": "0.1"},
    )
    core: NonNegativeNumber = Field(
        default=1.0,
        description='Price of a core, as "1".',
        json_schema_extra={"default": "1"},
    )


class Knobs(Wire):
    """Which knob is moved first, and what decides between them. For apps with `resources`."""

    order: list[Knob] = Field(
        default=[Knob.RESOURCES, Knob.REPLICAS],
        min_length=1,
        max_length=2,
        description=(
            "Which knob is asked first when more is needed, and which is moved when both cost the "
            "same. One that is not named comes last. One that was seen to be slow is not waited "
            "for: both are raised."
        ),
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    prices: Prices = Field(
        default_factory=Prices,
        description="The cheapest replicas and size that serve the load are aimed at.",
    )

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if len(self.order) != len(set(self.order)):
            raise ValueError("order has one knob twice")
        return self

    def first(self, knob: Knob) -> bool:
        """Whether a knob is asked before the other one."""
        return self.order[0] is knob


class ControlPolicySpec(Wire):
    """What a ControlPolicy says."""

    period_seconds: int = Field(
        default=15,
        ge=1,
        le=3600,
        strict=True,
        description="How often an app is decided on. Below the scrape interval nothing is gained.",
    )
    controller: Controller = Field(default_factory=Controller, description="The control law.")
    behavior: Behavior = Field(
        default_factory=Behavior, description="How fast replicas may change."
    )
    lowering: Lowering = Field(default_factory=Lowering, description="Extra care when lowering.")
    fallback: Fallback = Field(
        default_factory=Fallback, description="What to do when metrics stay away."
    )
    knobs: Knobs = Field(
        default_factory=Knobs,
        description="Which of replicas and CPU is moved, for apps with `resources`.",
    )


@dataclass(frozen=True, slots=True)
class ControlPolicy:
    """A ControlPolicy as the fleet sees it."""

    key: Key
    uid: str
    generation: int
    spec: ControlPolicySpec

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
            spec=ControlPolicySpec.read(body.get("spec") or {}, "spec"),
        )
