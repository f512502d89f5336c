"""Why an app cannot be controlled at all: its spec, its policy, its queries, its target.

Reads: the facts of an app. Gives: the first `Broken` that stands in the way, or the controller that
is to be used. Never: an exception for what a user wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from charon_operator.decide.demand import VALUE
from charon_operator.errors import ParameterError
from charon_operator.laws import registry
from charon_operator.laws.law import Choosy, Law, Parameters
from charon_operator.model.app import ChargedApp
from charon_operator.model.facts import AppFacts, Broken
from charon_operator.model.placing import VariantFacts
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.workload import Absent, Target, Workload
from charon_operator.names import Reason
from charon_operator.settings import Safety

SUPPLY_UNKNOWN: Final = (
    "what is free on the nodes is not known: they are not listed yet, or the operator may not list "
    "them (set knobs.placement.enabled=true in its values)"
)


@dataclass(frozen=True, slots=True)
class Usable:
    """An app with everything a decision needs; `controller` as `demand.wishes` takes it."""

    app: ChargedApp
    policy: ControlPolicy
    workload: Workload
    controller: tuple[Law[Any], Parameters, Mapping[str, str]]


def check(facts: AppFacts, safety: Safety) -> Usable | Broken | None:
    """Whether an app can be controlled; None while its target has not been read."""
    app = facts.app
    if isinstance(app, Broken):
        return app
    if app.deleting:
        return broken(app, "metadata", "the app is being deleted", Reason.DELETING)
    if facts.broken_queries:
        return facts.broken_queries[0]
    policy = _policy(app, facts.policy)
    if isinstance(policy, Broken):
        return policy
    controller = _controller(app, policy)
    if isinstance(controller, Broken):
        return controller
    workload = _targets(app, facts, safety)
    if not isinstance(workload, Workload):
        return workload
    return Usable(app, policy, workload, controller)


def broken(app: ChargedApp, field: str, message: str, reason: Reason) -> Broken:
    """A problem of that app."""
    return Broken(app.key, app.uid, app.generation, field, message, reason)


def _policy(app: ChargedApp, policy: ControlPolicy | Broken | None) -> ControlPolicy | Broken:
    name = app.spec.policy_ref.name
    if policy is None:
        message = f"there is no ControlPolicy {name} in namespace {app.key.namespace}; create it"
        return broken(app, "spec.policyRef.name", message, Reason.POLICY_NOT_FOUND)
    if isinstance(policy, Broken):
        message = f"ControlPolicy {name}, {policy.field}: {policy.message}"
        return broken(app, "spec.policyRef.name", message, Reason.INVALID_POLICY)
    return policy


def _controller(
    app: ChargedApp, policy: ControlPolicy
) -> tuple[Law[Any], Parameters, Mapping[str, str]] | Broken:
    given = policy.spec.controller
    reason = Reason.UNKNOWN_CONTROLLER
    try:
        law = registry.find(given.type)
        reason = Reason.INVALID_PARAMETERS
        parameters = registry.check_parameters(law, given.parameters)
    except ParameterError as error:
        field = f"ControlPolicy {policy.key.name}, {error.field}"
        return broken(app, field, error.message, reason)
    return _bindings(app, law) or _misfit(app, law) or (law, parameters, given.parameters)


def _bindings(app: ChargedApp, law: Law[Any]) -> Broken | None:
    unbound = sorted(law.roles - {VALUE} - set(app.spec.bindings))
    if unbound:
        message = f"{law.name} needs to know which indicator is {unbound[0]}; bind one to it"
        return broken(app, f"spec.bindings.{unbound[0]}", message, Reason.INVALID_BINDING)
    stated = app.spec.capacity_per_replica is not None or app.spec.plans_capacity
    if law.needs_capacity and not stated:
        message = f'{law.name} needs what one replica can serve, such as {{value: "64"}}'
        return broken(app, "spec.capacityPerReplica", message, Reason.INVALID_SPEC)
    return None


def _misfit(app: ChargedApp, law: Law[Any]) -> Broken | None:
    if not isinstance(law, Choosy):
        return None
    for objective in app.spec.objectives:
        message = law.misfit(objective.aim, objective.sign)
        if message:
            field = f"spec.objectives[{objective.name}]"
            return broken(app, field, message, Reason.INVALID_SPEC)
    return None


def _targets(app: ChargedApp, facts: AppFacts, safety: Safety) -> Workload | Broken | None:
    """The target, or all variants' targets as one; what is wrong with the first that is wrong."""
    placement = app.spec.placement
    if placement is None:
        return _target(app, ("spec.scaleTargetRef", app.target), facts.workload, safety)
    for variant, target in zip(placement.variants, app.targets, strict=True):
        field = f"spec.placement.variants[{variant.name}]"
        known = facts.variants.get(variant.name)
        found = _target(app, (field, target), known.workload if known else None, safety)
        if isinstance(found, Broken):
            return found
        unfit = _unfit(known) if known else ""
        if unfit:
            return broken(app, field, unfit, Reason.INVALID_SPEC)
        if found is None or known is None:
            return None
        if known.need is None:
            return broken(app, "spec.placement", SUPPLY_UNKNOWN, Reason.SUPPLY_UNKNOWN)
    return facts.workload if isinstance(facts.workload, Workload) else None


def _unfit(known: VariantFacts) -> str:
    """Why pods of a variant cannot be placed, however many nodes there are; else empty."""
    need = known.need
    if need is None or not need.sees_all_gpus:
        return known.problem
    return (
        f"its pods would see every GPU of their node, as they ask for none: leave runtimeClassName "
        f"{need.runtime_class} out of the pod template, or ask for nvidia.com/gpu"
    )


def _target(
    app: ChargedApp,
    named: tuple[str, Target],
    workload: Workload | Absent | None,
    safety: Safety,
) -> Workload | Broken | None:
    field, target = named
    if target.namespace in safety.denied_namespaces:
        message = f"targets in namespace {target.namespace} may not be scaled"
        return broken(app, field, message, Reason.TARGET_NOT_ALLOWED)
    if target.kind == "Deployment" and f"{target.namespace}/{target.name}" == safety.own_deployment:
        message = "the operator does not scale itself"
        return broken(app, field, message, Reason.TARGET_NOT_ALLOWED)
    if isinstance(workload, Absent):
        refused = workload.reason == Reason.TARGET_NOT_ALLOWED
        reason = Reason.TARGET_NOT_ALLOWED if refused else Reason.TARGET_NOT_FOUND
        return broken(app, field, workload.detail or workload.reason, reason)
    if workload is not None and workload.deleting:
        message = f"{target} is being deleted"
        return broken(app, field, message, Reason.TARGET_NOT_FOUND)
    # Of several variants some are at 0; a lone target at 0 was switched off by somebody.
    if workload is not None and workload.replicas == 0 and app.spec.placement is None:
        message = f"{target} is scaled to 0, which switches control off; scale it to 1 to switch on"
        return broken(app, field, message, Reason.TARGET_NOT_ALLOWED)
    return workload
