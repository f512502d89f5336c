"""The third knob as the user writes it: the variants that an app may run as, and when to change.

Reads: the part `placement` of a ChargedApp. Gives: `Placement`. Never: what a variant's pods need
of a node; that is read from their template.
"""

from enum import StrEnum
from typing import Final, Self

from pydantic import Field, model_validator

from charon_operator.model.quantity import Percent, PositiveNumber, WithinOne
from charon_operator.model.targets import Capacity, ScaleTargetRef
from charon_operator.model.wire import BY_NAME, ItemName, Rule, Wire, rules

_ORDERED: Final = "min must not be greater than max"
_ONE_EACH: Final = "no two variants may have the same scaleTargetRef: give each its own workload"
_SOME: Final = "at least one variant must allow a replica: raise its replicas.max"
_TWICE: Final = "two variants have the same name: every name may be there once"
_REACHED: Final = (
    "no variant that may run reaches minQuality: lower it, or add a variant of that quality"
)
MOST_VARIANTS: Final = 8


class NewNodes(StrEnum):
    """Who brings nodes for pods that none has room for."""

    NONE = "None"
    AUTOSCALER = "Autoscaler"


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
    cost_per_replica: PositiveNumber = Field(
        description='What one of its replicas costs, in a unit common to all variants, as "8".'
    )
    quality: WithinOne = Field(
        default=1.0,
        description='Quality of what it gives, from "0" to "1", as "0.97".',
        json_schema_extra={"default": "1"},
    )
    replicas: VariantReplicas = Field(description="Bounds of its replica count.")


class Placement(Wire):
    """GPU variants of one app, and when to change between them."""

    model_config = rules(
        Rule(
            "self.variants.all(v, self.variants.exists_one(w, w.scaleTargetRef.kind == "
            "v.scaleTargetRef.kind && w.scaleTargetRef.name == v.scaleTargetRef.name))",
            _ONE_EACH,
            ".variants",
        ),
        Rule("self.variants.exists(v, v.replicas.max > 0)", _SOME, ".variants"),
        Rule(
            "self.variants.exists(v, v.replicas.max > 0 && "
            "double(v.quality) >= double(self.minQuality))",
            _REACHED,
            ".minQuality",
        ),
    )

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
    min_quality: WithinOne = Field(
        default=0.0,
        description=(
            'Least quality of the mix, from "0" to "1": the mean of its variants\' qualities, '
            "weighted by capacity."
        ),
        json_schema_extra={"default": "0"},
    )
    saving_percent: Percent = Field(
        default=15.0,
        description='A cheaper mix is moved to only when it saves this much, in percent, as "15".',
        json_schema_extra={"default": "15"},
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
            "Pods that have waited for a node for so long are given up, and asked for again later. "
            "With newNodes Autoscaler set it above the time that the autoscaler takes to bring a "
            "node."
        ),
    )
    new_nodes: NewNodes = Field(
        default=NewNodes.NONE,
        description=(
            "None: pods are asked for only where they fit now. Autoscaler: what is wanted beyond "
            "that is asked for, too, so that pods are Pending and a cluster autoscaler, which acts "
            "on those, brings nodes for them."
        ),
    )
    variants: list[VariantSpec] = Field(
        min_length=1,
        max_length=MOST_VARIANTS,
        description="The ways to run the app.",
        json_schema_extra=BY_NAME,
    )

    @model_validator(mode="after")
    def _names_a_workload_once(self) -> Self:
        named = [variant.name for variant in self.variants]
        if len(named) != len(set(named)):
            raise ValueError(_TWICE)
        used = [(one.scale_target_ref.kind, one.scale_target_ref.name) for one in self.variants]
        if len(used) != len(set(used)):
            raise ValueError(_ONE_EACH)
        return self

    @model_validator(mode="after")
    def _can_be_had(self) -> Self:
        running = [variant for variant in self.variants if variant.replicas.max > 0]
        if not running:
            raise ValueError(_SOME)
        if max(variant.quality for variant in running) < self.min_quality:
            raise ValueError(_REACHED)
        return self
