"""The third knob as the user writes it: the variants that an app may run as, and when to change.

Reads: the part `placement` of a ChargedApp. Gives: `Placement`. Never: what a variant's pods need
of a node; that is read from their pod template.
"""

from enum import StrEnum
from itertools import combinations
from typing import Final, Self

from pydantic import Field, model_validator

from charon_operator import names
from charon_operator.model.bounds import Bounds
from charon_operator.model.form import Form
from charon_operator.model.quantity import Percent, PositiveNumber, WithinOne
from charon_operator.model.targets import Capacity, ScaleTargetRef
from charon_operator.model.wire import BY_NAME, ItemName, Rule, Wire, rules

_ONE_EACH: Final = (
    "no two variants may have the same scaleTargetRef unless each has a template: give each its "
    "own workload, or a template"
)
_ONE_CONTAINER: Final = (
    "variants of the same scaleTargetRef must name the same container in their templates"
)
_ALIKE: Final = (
    "no two variants of the same scaleTargetRef may have the same template: change gpus, product "
    "or runtimeClassName of one"
)
_DEPLOYMENT_ONLY: Final = (
    "template goes with a scaleTargetRef of kind Deployment only: leave template out"
)
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


class VariantReplicas(Bounds):
    """Bounds of one variant's replica count."""

    min: int = Field(default=0, ge=0, le=1000, strict=True, description="Never fewer than this.")
    max: int = Field(ge=0, le=1000, strict=True, description="Never more than this.")


class VariantSpec(Wire):
    """One way to run the app: a workload of its own, or a form of one that it shares."""

    model_config = rules(
        Rule(
            "!has(self.template) || self.scaleTargetRef.kind == 'Deployment'",
            _DEPLOYMENT_ONLY,
            ".template",
        )
    )

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
    template: Form | None = Field(
        default=None,
        description=(
            "What the pod template is changed to when the app changes to this variant; variants "
            "may share a Deployment when each has one. Needs knobs.placement.templates in the "
            "operator's chart."
        ),
    )

    @model_validator(mode="after")
    def _has_a_template_to_change(self) -> Self:
        if self.template is not None and self.scale_target_ref.kind != names.DEPLOYMENT:
            raise ValueError(_DEPLOYMENT_ONLY)
        return self


def _of_one_workload(holds: str, message: str) -> Rule:
    """What must hold for any two variants, v and w, that have the same scaleTargetRef."""
    apart = (
        "v.name == w.name || v.scaleTargetRef.kind != w.scaleTargetRef.kind || "
        "v.scaleTargetRef.name != w.scaleTargetRef.name"
    )
    rule = f"self.variants.all(v, self.variants.all(w, {apart} || {holds}))"
    return Rule(rule, message, ".variants")


def _differ(field: str) -> str:
    # By has(): with orValue the API server does not know how long the texts may be.
    v, w = (f"{one}.template.{field}" for one in "vw")
    return f"(has({v}) ? (has({w}) ? {v} != {w} : {v} != '') : has({w}) && {w} != '')"


class Placement(Wire):
    """GPU variants of one app, and when to change between them."""

    model_config = rules(
        _of_one_workload("has(v.template) && has(w.template)", _ONE_EACH),
        _of_one_workload(
            "!has(v.template) || !has(w.template) || v.template.container == w.template.container",
            _ONE_CONTAINER,
        ),
        _of_one_workload(
            "!has(v.template) || !has(w.template) || v.template.gpus != w.template.gpus || "
            f"{_differ('product')} || {_differ('runtimeClassName')}",
            _ALIKE,
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
    def _names_are_unique(self) -> Self:
        named = [variant.name for variant in self.variants]
        if len(named) != len(set(named)):
            raise ValueError(_TWICE)
        return self

    @model_validator(mode="after")
    def _shares_a_workload_by_templates(self) -> Self:
        for one, other in combinations(self.variants, 2):
            if one.scale_target_ref != other.scale_target_ref:
                continue
            if one.template is None or other.template is None:
                raise ValueError(_ONE_EACH)
            if one.template.container != other.template.container:
                raise ValueError(_ONE_CONTAINER)
            if one.template == other.template:
                raise ValueError(_ALIKE)
        return self

    @model_validator(mode="after")
    def _can_be_had(self) -> Self:
        running = [variant for variant in self.variants if variant.replicas.max > 0]
        if not running:
            raise ValueError(_SOME)
        if max(variant.quality for variant in running) < self.min_quality:
            raise ValueError(_REACHED)
        return self
