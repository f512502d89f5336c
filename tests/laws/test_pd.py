"""PD: the equation, its first step, and its floor."""

import pytest

from charon_operator.laws.law import Sample
from charon_operator.laws.pd import PD, PDParameters
from charon_operator.model.reading import Reading

LAW = PD()
PARAMETERS = PDParameters(kp="1", kd="2", units_per_replica="64")


def sample(value: float, time_s: float, sign: int = 1) -> Sample:
    return Sample(
        time_s=time_s,
        dt_s=None,
        readings={"value": Reading(value, time_s)},
        set_point=100.0,
        threshold=600.0,
        sign=sign,
        replicas=5,
        ready=5,
        minimum=3,
        maximum=37,
        capacity_per_replica=None,
    )


def wanted_after(*series: tuple[float, float]) -> float | None:
    """What is wanted at the last of some (time in s, value)."""
    state, wanted = LAW.start(PARAMETERS, 5), None
    for time_s, value in series:
        state, demand = LAW.step(PARAMETERS, state, sample(value, time_s))
        wanted = demand.replicas
    return wanted


@pytest.mark.parametrize(
    ("before", "value", "dt_s", "wanted"),
    [
        pytest.param(740, 740, 2.0, 10, id="no change: no derivative"),
        pytest.param(676, 740, 2.0, 11, id="64 more in 2 s adds 2*32"),
        pytest.param(676, 740, 1.0, 12, id="64 more in 1 s adds 2*64"),
        pytest.param(1380, 740, 1.0, 3, id="a fast fall asks for the minimum"),
        pytest.param(100, 100, 1.0, 3, id="no error asks for the minimum"),
    ],
)
def test_demand_follows_the_equation(before: float, value: float, dt_s: float, wanted: int) -> None:
    calm = [(0.0, before), (dt_s, before), (2 * dt_s, before)]
    assert wanted_after(*calm, (3 * dt_s, value)) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        pytest.param(740, 10, id="640/64, no derivative"),
        pytest.param(741, 11, id="rounded up"),
        pytest.param(0, 3, id="below the set point asks for the minimum"),
        pytest.param(101, 1, id="a small error asks for one, bounds are the turn's"),
    ],
)
def test_first_demand_is_proportional(value: float, wanted: int) -> None:
    assert wanted_after((0.0, value)) == wanted


def test_error_turns_round_when_less_is_worse() -> None:
    state, demand = LAW.step(PARAMETERS, LAW.start(PARAMETERS, 5), sample(36, 10.0, sign=-1))
    assert state["error"]["value"] == 64.0
    assert demand.replicas == 1
