"""The third knob as the user writes it: the variants that an app may run as, and when to change.

Reads: the part `placement` of a ChargedApp. Gives: `Placement`. Never: what a variant's pods need
of a node; that is read from their template.
"""

from typing import Final, Self

from pydantic import Field, model_validator

from charon_operator.model.quantity import Number, Percent
from charon_operator.model.targets import Capacity, ScaleTargetRef
from charon_operator.model.wire import BY_NAME, ItemName, Rule, Wire, rules

_ORDERED: Final = "min must not be greater than max"
_ONE_EACH: Final = "no two variants may have the same scaleTargetRef"
_SOME: Final = "at least one variant must allow more than 0 replicas"
_WITHIN_ONE: Final = "must be between 0 and 1"
MOST_VARIANTS: Final = 8


class VariantReplicas(Wire):
    """Bounds of one variant's replica count."""

    model_config = rules(Rule("self.min <= self.max", _ORDERED, ".min"))

    min: int = Field(default=0, ge=0, le=1000, strict=True, description="Never fewer than this.")
    max: int = Field(ge=0, le=1000, strict=True, description="Never more than this.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(_ORDERED)
        return self


class VariantSpec(Wire):
    """One way to run the app: a workload of its own."""

    name: ItemName = Field(description="Name of the variant.")
    scale_target_ref: ScaleTargetRef = Field(
        description="Its workload; what a pod needs of a node is read from the pod template."
    )
    capacity_per_replica: Capacity = Field(description="What one of its replicas serves.")
    cost_per_replica: Number = Field(
        description='What one of its replicas costs, in a unit common to all variants, as "8".'
    )
    quality: Number = Field(default=1.0, description='Quality of what it gives, from "0" to "1".')
    replicas: VariantReplicas = Field(description="Bounds of its replica count.")


class Placement(Wire):
    """GPU variants of one app, and when to change between them."""

    priority: int = Field(
        default=10,
        ge=1,
        le=1000,
        strict=True,
        description=(
            "Where apps compete for devices, a share of the demand counts this much; bounded by "
            "the operator's configuration."
        ),
    )
    min_quality: Number = Field(
        default=0.0,
        description=(
            'Least quality of the mix, from "0" to "1": the mean of its variants\' qualities, '
            "weighted by capacity."
        ),
    )
    saving_percent: Percent = Field(
        default=15.0, description='A cheaper mix is moved to only when it saves this much, as "15".'
    )
    min_dwell_seconds: int = Field(
        default=300,
        ge=0,
        le=86400,
        strict=True,
        description="A mix is kept for so long before it is left for a cheaper one.",
    )
    pending_deadline_seconds: int = Field(
        default=120,
        ge=10,
        le=7200,
        strict=True,
        description=(
            "Pods that wait for a node for longer turn the move back. Set it above the time that a "
            "cluster autoscaler takes to bring a node, where there is one."
        ),
    )
    variants: list[VariantSpec] = Field(
        min_length=1,
        max_length=MOST_VARIANTS,
        description="The ways to run the app.",
        json_schema_extra=BY_NAME,
    )
