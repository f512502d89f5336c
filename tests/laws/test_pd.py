"""PD: the equation, its first step, and its floor."""

import pytest

from charon_operator.laws.law import Sample, State
from charon_operator.laws.pd import PD, PDParameters
from charon_operator.model.reading import Reading

LAW = PD()
PARAMETERS = PDParameters(kp="1", kd="2", units_per_replica="64")


def step(
    state: State, value: float, dt_s: float | None, sign: int = 1
) -> tuple[State, float | None]:
    seen = Sample(
        time_s=10.0,
        dt_s=dt_s,
        readings={"value": Reading(value, 10.0)},
        set_point=100.0,
        threshold=600.0,
        sign=sign,
        replicas=5,
        ready=5,
        minimum=3,
        maximum=37,
        capacity_per_replica=None,
    )
    state, demand = LAW.step(PARAMETERS, state, seen)
    return state, demand.replicas


@pytest.mark.parametrize(
    ("before", "value", "dt_s", "wanted"),
    [
        pytest.param(None, 740, None, 10, id="first step: 640/64, no derivative"),
        pytest.param(None, 741, None, 11, id="rounded up"),
        pytest.param(640.0, 740, 2.0, 10, id="no change: no derivative"),
        pytest.param(576.0, 740, 2.0, 11, id="64 more in 2 s adds 2*32"),
        pytest.param(576.0, 740, 1.0, 12, id="64 more in 1 s adds 2*64"),
        pytest.param(1280.0, 740, 1.0, 3, id="a fast fall asks for the minimum"),
        pytest.param(0.0, 100, 1.0, 3, id="no error asks for the minimum"),
        pytest.param(None, 0, None, 3, id="below the set point asks for the minimum"),
        pytest.param(None, 101, None, 1, id="a small error asks for one, bounds are the turn's"),
    ],
)
def test_demand_follows_the_equation(
    before: float | None, value: float, dt_s: float | None, wanted: int
) -> None:
    assert step({"error": before}, value, dt_s)[1] == wanted


def test_error_turns_round_when_less_is_worse() -> None:
    state, wanted = step(LAW.start(PARAMETERS, 5), 36, None, sign=-1)
    assert state == {"error": 64.0}
    assert wanted == 1
