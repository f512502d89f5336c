"""The status of a ChargedApp: what the operator says of it, in the words of the API.

Reads: nothing. Gives: the models from which the CRD's status schema is rendered. Never: an input; a
user can forge a status, so what is read back from one is parsed defensively (`model.body`).
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, WithJsonSchema

from charon_operator.model.facts import ObjectiveVerdict
from charon_operator.model.placement import MOST_VARIANTS
from charon_operator.model.wire import BY_NAME, Wire
from charon_operator.names import ConditionType

# Generous on purpose: a status that the schema refuses would be a status that nobody sees.
_SENTENCE_LENGTH: Final = 32768

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40})]
Share = Annotated[str, Field(max_length=20)]
Word = Annotated[str, Field(max_length=253)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
_BY_TYPE: Final[dict[str, Any]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
}


class Condition(Wire):
    """One aspect of the state, as Kubernetes conditions are."""

    type: ConditionType = Field(
        description="Ready sums up the others. OwnershipConflict is False when all is well."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(min_length=1, max_length=1024, description="One CamelCase word.")
    message: str = Field(
        default="",
        max_length=_SENTENCE_LENGTH,
        description="A sentence for people: which field is at fault, and what to do.",
    )
    last_transition_time: Moment = Field(description="When the status last changed.")
    observed_generation: int | None = Field(
        default=None, ge=0, description="The generation of the spec that this was said of."
    )


class ObjectiveStatus(Wire):
    """How one objective stands. Figures are in bands: exact ones are metrics and journal rows."""

    name: Word = Field(description="Name of the objective.")
    state: ObjectiveVerdict = Field(
        description="Met, Violated or Unknown: attainment over the window against the target."
    )
    attainment: Share | None = Field(
        default=None, description="Percent of the observed time that was good."
    )
    coverage: Share | None = Field(
        default=None, description="Percent of the window that was observed at all."
    )
    budget_remaining: Share | None = Field(
        default=None,
        description="Percent of the error budget that is left; negative when overspent.",
    )


class ReplicaStatus(Wire):
    """The replica count now and as wanted."""

    current: Count = Field(description="What the target asks for (its spec.replicas).")
    desired: Count = Field(description="What the operator wants, after all limits.")


class SizeStatus(Wire):
    """CPU and memory of one container."""

    cpu: Share | None = Field(default=None, description='CPU, as "500m".')
    memory: Share | None = Field(default=None, description='Memory, as "1Gi".')


class ResourcesStatus(SizeStatus):
    """The size that pods are meant to have, and how many have it."""

    container: Word = Field(description="Which container of the pods.")
    template: SizeStatus | None = Field(
        default=None,
        description="What the pod template says; pods are born with it, and it is left alone.",
    )
    pods: Count = Field(default=0, description="Pods that run and may be resized.")
    settled: Count = Field(default=0, description="Those of them that have that size.")


class VariantStatus(Wire):
    """One variant of an app with placement."""

    name: Word = Field(description="Name of the variant.")
    asked: Count = Field(description="Replicas asked for (spec.replicas of its workload).")
    ready: Count = Field(description="Pods that are ready.")
    waiting: Count = Field(description="Pods that have no node.")
    goal: Count = Field(description="Replicas it is on its way to.")


class PlacementStatus(Wire):
    """How the variants stand. Figures are those of the moment at which this state came about."""

    variants: list[VariantStatus] = Field(
        default_factory=list,
        max_length=MOST_VARIANTS,
        description="The variants, in the order of the spec.",
        json_schema_extra=BY_NAME,
    )
    wanted: Share | None = Field(
        default=None, description="Units a second wanted, after limits; absent while not known."
    )
    capacity: Share = Field(description="Units a second that what is asked for now can serve.")
    reason: Word = Field(description="As that of the condition PlacementFeasible.")
    message: str = Field(
        default="", max_length=_SENTENCE_LENGTH, description="The same in a sentence."
    )


class PendingActionStatus(Wire):
    """A write that was announced before it was made; after a crash it counts as made."""

    id: Word = Field(description="The decision that wants it.")
    knob: Word = Field(description="What it moves, as replicas.")
    start: Count = Field(alias="from", description="The value before.")
    to: Count = Field(description="The value after.")
    time: Moment = Field(description="When it was announced.")


class DecisionStatus(Wire):
    """The last decision that changed something, and why."""

    time: Moment = Field(description="When it was taken.")
    decision_id: Word = Field(description="Its id, to be found in the journal.")
    knob: Word = Field(description="What it is about, as replicas.")
    start: Count = Field(alias="from", description="The value before.")
    raw: int | None = Field(
        default=None, description="What the control law asked for, before limits."
    )
    to: Count = Field(description="The value wanted, after limits.")
    reason: Word = Field(description="Raised, Lowered, Unchanged, Held, or what stands in the way.")
    message: str = Field(
        default="", max_length=_SENTENCE_LENGTH, description="The same in a sentence."
    )
    limited_by: list[Word] = Field(
        default_factory=list,
        max_length=32,
        description="The limits that changed what was asked for, in order.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class ConflictStatus(Wire):
    """Who else moves the target."""

    manager: Annotated[str, Field(max_length=1024)] = Field(
        description="A controller, as HorizontalPodAutoscaler web, or a field manager."
    )
    field: Word = Field(description="What it moves, as spec.replicas.")


class ChargedAppStatus(Wire):
    """What the operator says of an app. It is output: nothing is decided on it unchecked."""

    observed_generation: int | None = Field(
        default=None, ge=0, description="The generation of the spec that this status speaks of."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        description=(
            "Ready, MetricsHealthy, ObjectivesMet, Actuating, OwnershipConflict, ResizeSettled for "
            "an app whose pods are resized, and PlacementFeasible for one with placement."
        ),
        json_schema_extra=_BY_TYPE,
    )
    objectives: list[ObjectiveStatus] = Field(
        default_factory=list,
        max_length=16,
        description="How each objective stands.",
        json_schema_extra=BY_NAME,
    )
    replicas: ReplicaStatus | None = Field(
        default=None, description="The replica count now and as wanted, of all variants together."
    )
    resources: ResourcesStatus | None = Field(
        default=None, description="The size of the pods, for an app whose pods are resized."
    )
    placement: PlacementStatus | None = Field(
        default=None, description="How the variants stand, for an app with placement."
    )
    pending_action: PendingActionStatus | None = Field(
        default=None, description="A write that was announced and has not been seen in the target."
    )
    last_decision: DecisionStatus | None = Field(
        default=None, description="The last decision that changed something, and why."
    )
    conflicts: list[ConflictStatus] = Field(
        default_factory=list,
        max_length=16,
        description="Who else moves the target; nothing is written while there is one.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
