"""What the objectives demand: one law instance an objective, the largest demand wins.

Reads: readings, the app's laws as remembered. Gives: demands in replicas, and which objectives are
unknown. Never: a demand from data that is missing now (it could only repeat an old wish).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from charon_operator.laws import stepping
from charon_operator.laws.law import Law, Parameters
from charon_operator.model.app import ChargedAppSpec, Objective
from charon_operator.model.decision import Demand
from charon_operator.model.memory import LawMemory
from charon_operator.model.reading import Missing, MissingReason, Readings
from charon_operator.model.workload import Workload

# Of a law whose demand is counted in what replicas serve: another state than without.
_SIZED: Final = "sized"
VALUE: Final = "value"
# A demand that is a whole number but for rounding asks for no further replica.
_SLACK: Final = 1e-9
_NOT_ASKED: Final = Missing(MissingReason.NO_DATA, "not asked yet")
_NO_SIZE: Final = {"size": Missing(MissingReason.NO_DATA, "the size of the pods is not known yet")}


@dataclass(frozen=True, slots=True)
class Wish:
    """What one objective asks for.

    Attributes:
        demand: the law's newest; its age counts from its sample.
        replicas: the demand in whole replicas; None when the objective is unknown now.
        capacity: the demand in units a second, for an app whose replicas differ; else None.
        missing: by role, why the objective is unknown.
        failure: what its law did wrong, else empty.
    """

    objective: str
    demand: Demand | None
    replicas: int | None
    memory: LawMemory
    missing: Mapping[str, Missing]
    failure: str = ""
    capacity: float | None = None


def missing(spec: ChargedAppSpec, readings: Readings) -> dict[str, Missing]:
    """All indicators without a usable value."""
    found = {item.name: readings.get(item.name, _NOT_ASKED) for item in spec.indicators}
    return {name: reading for name, reading in found.items() if isinstance(reading, Missing)}


def wishes(
    spec: ChargedAppSpec,
    controller: tuple[Law[Any], Parameters, Mapping[str, str]],
    remembered: Mapping[str, LawMemory],
    readings: Readings,
    workload: Workload,
    per_pod: float | None = None,
) -> tuple[Wish, ...]:
    """Ask every objective's law.

    Args:
        spec: of the app.
        controller: the law, its checked parameters, and the same as given.
        remembered: by objective name.
        readings: by indicator name.
        workload: the target now.
        per_pod: what a pod serves at its size now, units a second; None where that is not known.
    """
    seen = (readings, workload, _per_pod(spec, per_pod))
    return tuple(
        _wish(spec, objective, controller, remembered.get(objective.name), seen)
        for objective in spec.objectives
    )


def largest(found: Sequence[Wish]) -> Wish | None:
    """The wish for most (the first of equals), or None."""
    known = [wish for wish in found if wish.replicas is not None]
    return max(known, key=lambda wish: (wish.replicas or 0, wish.capacity or 0.0), default=None)


def _per_pod(spec: ChargedAppSpec, per_pod: float | None) -> float | None:
    stated = spec.capacity_per_replica
    return stated.value if per_pod is None and stated else per_pod


def _wish(
    spec: ChargedAppSpec,
    objective: Objective,
    controller: tuple[Law[Any], Parameters, Mapping[str, str]],
    memory: LawMemory | None,
    seen: tuple[Readings, Workload, float | None],
) -> Wish:
    law, parameters, given = controller
    readings, workload, per_pod = seen
    roles = {
        role: objective.threshold.indicator if role == VALUE else spec.bindings[role]
        for role in sorted(law.roles)
    }
    inputs = (*(f"{role}:{name}" for role, name in roles.items()), _aim(objective))
    inputs += (_SIZED,) if spec.plans_capacity else ()
    if memory is None or (memory.law, memory.parameters, memory.inputs) != (
        law.name,
        given,
        inputs,
    ):
        memory = stepping.begin(law.name, given, inputs)
    asked = {role: readings.get(name, _NOT_ASKED) for role, name in roles.items()}
    if law.needs_capacity and per_pod is None:
        return Wish(objective.name, memory.demand, None, memory, _NO_SIZE)
    setting = _setting(spec, objective, workload, per_pod)
    stepped = stepping.step(law, parameters, memory, asked, setting)
    if spec.plans_capacity:
        stepped = _in_capacity(stepped, per_pod)
    known = stepped.demand if not stepped.missing and not stepped.failure else None
    return Wish(
        objective=objective.name,
        demand=stepped.demand,
        replicas=None if known is None else _replicas(known, per_pod),
        memory=stepped.memory,
        missing=stepped.missing,
        failure=stepped.failure,
        capacity=known.capacity if known and spec.plans_capacity else None,
    )


def _in_capacity(stepped: stepping.Stepped, per_pod: float | None) -> stepping.Stepped:
    """Count a new demand for replicas in what they served then: it must not grow with the pods."""
    demand = stepped.demand
    if demand is None or demand.replicas is None or per_pod is None:
        return stepped
    counted = replace(demand, replicas=None, capacity=demand.replicas * per_pod)
    return replace(stepped, demand=counted, memory=replace(stepped.memory, demand=counted))


def _aim(objective: Objective) -> str:
    # A law that aims elsewhere starts anew: an old error against a new aim is no derivative.
    return f"{objective.threshold.op.value}:{objective.aim!r}"


def _setting(
    spec: ChargedAppSpec, objective: Objective, workload: Workload, per_pod: float | None
) -> stepping.Setting:
    return stepping.Setting(
        set_point=objective.aim,
        threshold=objective.threshold.value,
        sign=objective.sign,
        replicas=workload.replicas,
        ready=workload.ready,
        minimum=spec.bounds.min,
        maximum=spec.bounds.max,
        capacity_per_replica=per_pod,
    )


def _replicas(demand: Demand, per_pod: float | None) -> int:
    if demand.replicas is not None:
        return math.ceil(demand.replicas - _SLACK)
    return math.ceil((demand.capacity or 0.0) / (per_pod or 1.0) - _SLACK)
