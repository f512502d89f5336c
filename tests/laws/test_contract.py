"""The contract every control law keeps; a new law is judged by being in the registry."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.laws import registry, stepping
from charon_operator.laws.law import Law, Parameters
from charon_operator.model.decision import Demand
from charon_operator.model.memory import LawMemory
from charon_operator.model.reading import Missing, MissingReason, Reading, Sampled
from tests.decide import build

REQUIRED: Mapping[str, Mapping[str, str]] = {"PD": {"unitsPerReplica": "64", "kd": "1"}}
GIVEN: Mapping[str, Mapping[str, str]] = {name: REQUIRED.get(name, {}) for name in registry.names()}
VALUES = st.floats(min_value=0, max_value=1e7, allow_nan=False)


def law_of(name: str) -> tuple[Law[Any], Parameters]:
    law = registry.find(name)
    return law, registry.check_parameters(law, GIVEN[name])


def setting(**changes: Any) -> stepping.Setting:
    given = {
        "set_point": 200.0,
        "threshold": 600.0,
        "sign": 1,
        "replicas": 4,
        "ready": 4,
        "minimum": 1,
        "maximum": 37,
        "capacity_per_replica": 64.0,
    }
    return stepping.Setting(**{**given, **changes})


def seen(law: Law[Any], time_s: float, value: float, arrivals: float = 100.0) -> dict[str, Sampled]:
    known = {"value": value, "backlog": value, "arrivals": arrivals}
    return {role: Reading(known.get(role, value), time_s) for role in sorted(law.roles)}


def fresh(name: str) -> LawMemory:
    return stepping.begin(name, GIVEN[name], ())


def drive(name: str, values: list[float], **changes: Any) -> list[Demand | None]:
    law, parameters = law_of(name)
    memory, demands = fresh(name), []
    for index, value in enumerate(values):
        stepped = stepping.step(
            law, parameters, memory, seen(law, 2.0 * (index + 1), value), setting(**changes)
        )
        assert stepped.failure == ""
        memory = stepped.memory
        demands.append(stepped.demand)
    return demands


every_law = pytest.mark.parametrize("name", registry.names())


@every_law
@given(values=st.lists(VALUES, min_size=1, max_size=8), ready=st.integers(0, 4))
def test_demand_is_finite_and_not_negative_on_any_series(
    name: str, values: list[float], ready: int
) -> None:
    for demand in drive(name, values, ready=ready):
        assert demand is not None
        wanted = demand.capacity if demand.replicas is None else demand.replicas
        assert wanted is not None
        assert math.isfinite(wanted)
        assert wanted >= 0


@every_law
@given(
    values=st.lists(VALUES, min_size=1, max_size=6),
    low=st.integers(1, 5),
    spread=st.integers(0, 40),
)
def test_decision_is_within_bounds_after_the_turn(
    name: str, values: list[float], low: int, spread: int
) -> None:
    policy = build.policy(controller={"type": name, "parameters": dict(GIVEN[name])})
    app = build.app(replicas={"min": low, "max": low + spread})
    memory, current = None, 4
    for index, value in enumerate(values):
        now_s = 15.0 * (index + 1)
        readings = build.readings(now_s, queued=value, arrivals=100.0)
        facts = build.facts(app, build.workload(current), readings, policy=policy)
        memory, outcome = build.one(facts, now_s, memory)
        final = outcome.decision.final
        assert outcome.problem is None
        # Up into the bounds it goes at once, down into them as slowly as any lowering.
        assert low <= final
        assert final <= low + spread or final == current
        memory, current = build.wrote(memory, outcome, now_s), final


@every_law
@given(values=st.lists(VALUES, min_size=1, max_size=8))
def test_demands_are_the_same_on_the_same_series(name: str, values: list[float]) -> None:
    assert drive(name, values) == drive(name, values)


@every_law
@given(values=st.lists(VALUES, min_size=2, max_size=8), cut=st.integers(1, 7))
def test_demands_are_the_same_when_the_state_goes_through_json(
    name: str, values: list[float], cut: int
) -> None:
    law, parameters = law_of(name)
    memory, demands = fresh(name), []
    for index, value in enumerate(values):
        if index == cut:
            state = json.loads(json.dumps(memory.state))
            assert state == memory.state
            memory = LawMemory(
                name, memory.parameters, (), state, memory.stepped_at_s, memory.demand
            )
        sampled = seen(law, 2.0 * (index + 1), value)
        stepped = stepping.step(law, parameters, memory, sampled, setting())
        memory = stepped.memory
        demands.append(stepped.demand)
    assert demands == drive(name, values)


@every_law
def test_state_and_demand_are_kept_when_a_sample_is_missing(name: str) -> None:
    law, parameters = law_of(name)
    memory = stepping.step(law, parameters, fresh(name), seen(law, 2.0, 900.0), setting()).memory
    for role in law.roles:
        gap = {**seen(law, 4.0, 900.0), role: Missing(MissingReason.STALE)}
        stepped = stepping.step(law, parameters, memory, gap, setting())
        assert stepped.memory == memory
        assert stepped.demand == memory.demand
        assert set(stepped.missing) == {role}


@every_law
def test_law_is_not_stepped_when_no_sample_is_newer(name: str) -> None:
    law, parameters = law_of(name)
    memory = stepping.step(law, parameters, fresh(name), seen(law, 2.0, 900.0), setting()).memory
    stepped = stepping.step(law, parameters, memory, seen(law, 2.0, 5000.0), setting())
    assert stepped.memory == memory
    assert stepped.demand == memory.demand


@every_law
def test_demand_does_not_wind_up_when_saturated_for_long(name: str) -> None:
    calm = [100.0] * 5
    rested = drive(name, calm, replicas=37, ready=37)
    wound = drive(name, [1e6] * 500 + calm, replicas=37, ready=37)
    assert wound[-1] == rested_at(wound[-1], rested[-1])


def rested_at(demand: Demand | None, other: Demand | None) -> Demand | None:
    """The other demand, as of the first one's sample."""
    assert demand is not None
    assert other is not None
    return Demand(other.replicas, other.capacity, other.terms, demand.sampled_at_s)


@every_law
def test_first_demand_moves_nothing_when_the_app_is_in_balance(name: str) -> None:
    # In balance for each law: 4 replicas serve 100/s with head-room; PD's error asks for 4.
    balanced = {"Queueing": 200.0, "PD": 200.0 + 4 * 64.0, "Ratio": 800.0, "Hold": 1.0}
    if name not in balanced:
        pytest.fail(f"say at which value {name} leaves 4 replicas alone")
    capacity = 100 / (4 - math.sqrt(100 / 43.0))
    demand = drive(name, [balanced[name]], capacity_per_replica=max(capacity, 43.0))[0]
    assert demand is not None
    assert demand.replicas is not None
    # As the turn makes whole replicas of it.
    assert math.ceil(demand.replicas) == 4


@every_law
def test_docstring_says_equation_and_conditions(name: str) -> None:
    words = type(registry.find(name)).__doc__ or ""
    assert "Sampling:" in words
    assert "Saturation:" in words
    assert "Missing sample:" in words
