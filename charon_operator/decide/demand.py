"""What the objectives demand: one law instance an objective, the largest demand wins.

Reads: readings, the app's laws as remembered. Gives: demands in replicas, and which objectives are
unknown. Never: a demand from data that is missing now (it could only repeat an old wish).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from charon_operator.laws import stepping
from charon_operator.laws.law import Law, Parameters
from charon_operator.model.app import ChargedAppSpec, Objective
from charon_operator.model.decision import Demand
from charon_operator.model.memory import LawMemory
from charon_operator.model.reading import Missing, MissingReason, Readings
from charon_operator.model.workload import Workload

VALUE: Final = "value"
# A demand that is a whole number but for rounding asks for no further replica.
_SLACK: Final = 1e-9
_NOT_ASKED: Final = Missing(MissingReason.NO_DATA, "not asked yet")


@dataclass(frozen=True, slots=True)
class Wish:
    """What one objective asks for.

    Attributes:
        demand: the law's newest; its age counts from its sample.
        replicas: the demand in whole replicas; None when the objective is unknown now.
        missing: by role, why the objective is unknown.
        failure: what its law did wrong, else empty.
    """

    objective: str
    demand: Demand | None
    replicas: int | None
    memory: LawMemory
    missing: Mapping[str, Missing]
    failure: str = ""


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
) -> tuple[Wish, ...]:
    """Ask every objective's law.

    Args:
        spec: of the app.
        controller: the law, its checked parameters, and the same as given.
        remembered: by objective name.
        readings: by indicator name.
        workload: the target now.
    """
    return tuple(
        _wish(spec, objective, controller, remembered.get(objective.name), (readings, workload))
        for objective in spec.objectives
    )


def largest(found: Sequence[Wish]) -> Wish | None:
    """The wish for most replicas (the first of equals), or None."""
    known = [wish for wish in found if wish.replicas is not None]
    return max(known, key=lambda wish: wish.replicas or 0, default=None)


def _wish(
    spec: ChargedAppSpec,
    objective: Objective,
    controller: tuple[Law[Any], Parameters, Mapping[str, str]],
    memory: LawMemory | None,
    seen: tuple[Readings, Workload],
) -> Wish:
    law, parameters, given = controller
    readings, workload = seen
    roles = {
        role: objective.threshold.indicator if role == VALUE else spec.bindings[role]
        for role in sorted(law.roles)
    }
    inputs = (*(f"{role}:{name}" for role, name in roles.items()), _aim(objective))
    if memory is None or (memory.law, memory.parameters, memory.inputs) != (
        law.name,
        given,
        inputs,
    ):
        memory = stepping.begin(law.name, given, inputs)
    asked = {role: readings.get(name, _NOT_ASKED) for role, name in roles.items()}
    stepped = stepping.step(law, parameters, memory, asked, _setting(spec, objective, workload))
    known = stepped.demand if not stepped.missing and not stepped.failure else None
    return Wish(
        objective=objective.name,
        demand=stepped.demand,
        replicas=None if known is None else _replicas(known, spec),
        memory=stepped.memory,
        missing=stepped.missing,
        failure=stepped.failure,
    )


def _aim(objective: Objective) -> str:
    # A law that aims elsewhere starts anew: an old error against a new aim is no derivative.
    return f"{objective.threshold.op.value}:{objective.aim!r}"


def _setting(spec: ChargedAppSpec, objective: Objective, workload: Workload) -> stepping.Setting:
    capacity = spec.capacity_per_replica
    return stepping.Setting(
        set_point=objective.aim,
        threshold=objective.threshold.value,
        sign=objective.sign,
        replicas=workload.replicas,
        ready=workload.ready,
        minimum=spec.replicas.min,
        maximum=spec.replicas.max,
        capacity_per_replica=capacity.value if capacity else None,
    )


def _replicas(demand: Demand, spec: ChargedAppSpec) -> int:
    if demand.replicas is not None:
        return math.ceil(demand.replicas - _SLACK)
    capacity = spec.capacity_per_replica
    wanted = (demand.capacity or 0.0) / (capacity.value if capacity else 1.0)
    return math.ceil(wanted - _SLACK)
