"""Where laws are stepped: the one place that decides when, and that survives what a law does.

Reads: a law, what it remembers, readings by role. Gives: a new memory, the demand, and what is
missing or failed. Never: a step without new data, a number that is none, an exception of a law.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from charon_operator.laws.law import Law, Parameters, Sample
from charon_operator.model.decision import Demand
from charon_operator.model.memory import LawMemory
from charon_operator.model.reading import Missing, Reading, Sampled

# Beyond any cluster: such a demand is a mistake, not a wish.
LARGEST: Final = 1e9


@dataclass(frozen=True, slots=True)
class Setting:
    """What surrounds a step besides readings; the fields are those of `laws.law.Sample`."""

    set_point: float
    threshold: float
    sign: int
    replicas: int
    ready: int
    minimum: int
    maximum: int
    capacity_per_replica: float | None


@dataclass(frozen=True, slots=True)
class Stepped:
    """What came of asking a law.

    Attributes:
        memory: of the law, unchanged when it was not stepped.
        demand: the newest, or the previous one where nothing new was sampled; None before the first
            step.
        missing: roles without a usable reading; the demand is then an old one.
        failure: what the law did wrong, in a sentence, else empty.
    """

    memory: LawMemory
    demand: Demand | None
    missing: Mapping[str, Missing]
    failure: str = ""


def begin(law: str, parameters: Mapping[str, str], inputs: tuple[str, ...]) -> LawMemory:
    """The memory of a law that has not been stepped; its state is made at the first step."""
    return LawMemory(law, dict(parameters), inputs, {})


def step(
    law: Law[Any],
    parameters: Parameters,
    memory: LawMemory,
    readings: Mapping[str, Sampled],
    setting: Setting,
) -> Stepped:
    """Step a law if every role in `readings` is usable and the newest sample is a new one."""
    missing = {role: item for role, item in readings.items() if isinstance(item, Missing)}
    usable = {role: item for role, item in readings.items() if isinstance(item, Reading)}
    if missing or not usable:
        return Stepped(memory, memory.demand, missing)
    time_s = max(reading.sampled_at_s for reading in usable.values())
    before_s = memory.stepped_at_s
    if before_s is not None and time_s <= before_s:
        return Stepped(memory, memory.demand, missing)
    sample = Sample(
        time_s=time_s,
        dt_s=None if before_s is None else time_s - before_s,
        readings=usable,
        set_point=setting.set_point,
        threshold=setting.threshold,
        sign=setting.sign,
        replicas=setting.replicas,
        ready=setting.ready,
        minimum=setting.minimum,
        maximum=setting.maximum,
        capacity_per_replica=setting.capacity_per_replica,
    )
    return _tried(law, parameters, memory, sample)


def _tried(law: Law[Any], parameters: Parameters, memory: LawMemory, sample: Sample) -> Stepped:
    try:
        state = memory.state
        if memory.stepped_at_s is None:
            state = law.start(parameters, sample.replicas)
        state, demand = law.step(parameters, state, sample)
        json.dumps(state, allow_nan=False)
    except Exception as error:  # a law is a plug-in: whatever it does, the turn goes on
        return Stepped(memory, None, {}, f"{law.name}: {str(error) or type(error).__name__}")
    fault = _fault(demand)
    if fault:
        return Stepped(memory, None, {}, f"{law.name}: {fault}")
    moved = replace(memory, state=state, stepped_at_s=sample.time_s, demand=demand)
    return Stepped(moved, demand, {})


def _fault(demand: Demand) -> str:
    if (demand.replicas is None) == (demand.capacity is None):
        return "a demand needs either replicas or capacity"
    wanted = demand.capacity if demand.replicas is None else demand.replicas
    if wanted is None or not math.isfinite(wanted) or not 0 <= wanted <= LARGEST:
        return f"demanded {wanted}, which is not a count between 0 and {LARGEST:.0f}"
    if not all(math.isfinite(term) for term in demand.terms.values()):
        return "gave a term that is not finite"
    return ""
