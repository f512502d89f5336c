"""Queueing: what it asks for, and what it does about replicas that do not start."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.laws.law import Sample
from charon_operator.laws.queueing import Queueing, QueueingParameters
from charon_operator.model.decision import Demand
from charon_operator.model.reading import Reading

LAW = Queueing()
PLAIN = QueueingParameters(drain_seconds="10", start_seconds="0", headroom="0")


def sample(time_s: float, backlog: float, arrivals: float, **changes: Any) -> Sample:
    given = {
        "time_s": time_s,
        "dt_s": None,
        "readings": {
            "value": Reading(backlog, time_s),
            "backlog": Reading(backlog, time_s),
            "arrivals": Reading(arrivals, time_s),
        },
        "set_point": 200.0,
        "threshold": 600.0,
        "sign": 1,
        "replicas": 10,
        "ready": 10,
        "minimum": 1,
        "maximum": 37,
        "capacity_per_replica": 64.0,
    }
    return Sample(**{**given, **changes})


def replicas(demand: Demand) -> int:
    assert demand.replicas is not None
    # As the turn makes whole replicas of it.
    return math.ceil(demand.replicas - 1e-9)


def first(parameters: QueueingParameters, seen: Sample) -> int:
    return replicas(LAW.step(parameters, LAW.start(parameters, seen.replicas), seen)[1])


def drive(parameters: QueueingParameters, *samples: Sample) -> list[Demand]:
    state, demands = LAW.start(parameters, samples[0].replicas), []
    for seen in samples:
        state, demand = LAW.step(parameters, state, seen)
        demands.append(demand)
    return demands


@pytest.mark.parametrize(
    ("backlog", "arrivals", "wanted"),
    [
        pytest.param(0, 0, 0, id="nothing arrives and nothing waits: nothing is wanted"),
        pytest.param(0, 640, 10, id="arrivals alone: arrivals over capacity"),
        pytest.param(0, 641, 11, id="a little more asks for a whole replica more"),
        pytest.param(200, 640, 10, id="a backlog at the set point is left"),
        pytest.param(520, 640, 11, id="320 above it in 10 s is half a replica more"),
        pytest.param(840, 640, 11, id="640 above it in 10 s is one replica more"),
        pytest.param(-5, -5, 0, id="negative numbers count as nothing"),
    ],
)
def test_demand_serves_arrivals_and_drains_backlog(
    backlog: float, arrivals: float, wanted: int
) -> None:
    assert first(PLAIN, sample(1.0, backlog, arrivals, replicas=11, ready=11)) == wanted


@pytest.mark.parametrize(("arrivals", "beta"), [(640, "1"), (64, "2"), (6400, "0.5")])
def test_headroom_grows_with_the_square_root_of_the_load(arrivals: float, beta: str) -> None:
    parameters = QueueingParameters(drain_seconds="10", start_seconds="0", headroom=beta)
    load = arrivals / 64
    wanted = math.ceil(load + float(beta) * math.sqrt(load))
    assert first(parameters, sample(1.0, 0, arrivals, replicas=200, ready=200)) == wanted


def test_backlog_is_not_asked_for_twice_when_the_replicas_for_it_are_starting() -> None:
    parameters = QueueingParameters(drain_seconds="10", start_seconds="10", headroom="0")
    asked = first(parameters, sample(0.0, 500, 1000, replicas=1, ready=1))
    # Nothing has started yet, so the backlog grew as predicted; the demand must not grow with it.
    grown = [
        sample(2.0 * k, 500 + (1000 - 64) * 2.0 * k, 1000, replicas=asked, ready=1, dt_s=2.0)
        for k in range(1, 5)
    ]
    demands = drive(parameters, sample(0.0, 500, 1000, replicas=1, ready=1), *grown)
    assert [replicas(demand) for demand in demands] == [asked] * 5


def test_demand_is_not_lowered_because_the_backlog_is_predicted_to_shrink() -> None:
    parameters = QueueingParameters(drain_seconds="10", start_seconds="20", headroom="0")
    # 10 replicas drain 540/s: in 20 s nothing would be left, but 500 wait at this moment.
    seen = sample(0.0, 500, 100, replicas=10, ready=10)
    assert first(parameters, seen) == math.ceil((100 + 300 / 10) / 64)


def test_nothing_is_lowered_when_the_threshold_is_broken() -> None:
    assert first(PLAIN, sample(1.0, 601, 0, replicas=10, ready=10)) == 10
    assert first(PLAIN, sample(1.0, 600, 0, replicas=10, ready=10)) == 1


def test_overdue_replicas_are_replaced_when_they_do_not_start_in_time() -> None:
    parameters = QueueingParameters(drain_seconds="10", start_seconds="5", headroom="0")
    series = [sample(0.0, 0, 640, replicas=10, ready=10)]
    series += [sample(float(t), 0, 640, replicas=10, ready=6, dt_s=1.0) for t in range(1, 8)]
    demands = drive(parameters, *series)
    assert [demand.terms["overdue"] for demand in demands] == [0, 0, 0, 0, 0, 0, 4, 4]
    assert replicas(demands[-1]) - replicas(demands[0]) >= 4


def test_overdue_replicas_are_not_replaced_when_enough_are_ready() -> None:
    parameters = QueueingParameters(drain_seconds="10", start_seconds="5", headroom="0")
    series = [sample(float(t), 0, 640, replicas=20, ready=10, dt_s=1.0) for t in range(9)]
    demands = drive(parameters, *series)
    assert demands[-1].terms["overdue"] == 10
    assert replicas(demands[-1]) == 10


def test_replacement_is_bounded_when_nothing_ever_starts() -> None:
    parameters = QueueingParameters(
        drain_seconds="10", start_seconds="0", headroom="0", replacement_percent="100"
    )
    state, asked = LAW.start(parameters, 1), 1
    for step in range(100):
        seen = sample(float(step), 0, 640, replicas=asked, ready=0, dt_s=1.0)
        state, demand = LAW.step(parameters, state, seen)
        asked = replicas(demand)
    assert asked == 2 * 10


def test_fall_of_arrivals_is_believed_slowly_only_when_asked_for() -> None:
    slow = QueueingParameters(start_seconds="0", headroom="0", arrivals_fall_seconds="10")
    series = [
        sample(0.0, 0, 640, replicas=10),
        sample(10.0, 0, 0, replicas=10, dt_s=10.0),
        sample(20.0, 0, 640, replicas=10, dt_s=10.0),
    ]
    assert [replicas(demand) for demand in drive(PLAIN, *series)] == [10, 0, 10]
    assert [replicas(demand) for demand in drive(slow, *series)] == [
        10,
        math.ceil(10 * math.exp(-1)),
        10,
    ]


def test_backlog_aim_is_its_own_when_the_objective_is_about_something_else() -> None:
    parameters = QueueingParameters(
        drain_seconds="10", start_seconds="0", headroom="0", backlog_set_point="840"
    )
    assert first(parameters, sample(1.0, 840, 640)) == 10


def test_replicas_asked_for_between_samples_count_from_the_first_of_them() -> None:
    parameters = QueueingParameters(start_seconds="10")
    series = [
        sample(0.0, 0, 0, replicas=1, ready=1),
        sample(4.0, 0, 0, replicas=5, ready=1, dt_s=4.0),
        sample(10.0, 0, 0, replicas=5, ready=1, dt_s=6.0),
        sample(11.0, 0, 0, replicas=5, ready=0, dt_s=1.0),
    ]
    demands = drive(parameters, *series)
    assert [demand.terms["warming"] for demand in demands] == [0, 4, 0, 1]
    assert [demand.terms["overdue"] for demand in demands] == [0, 0, 4, 4]


@given(
    ready=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    start_s=st.integers(0, 12),
)
def test_overdue_is_the_least_not_ready_count_of_the_start_up_time(
    ready: list[int], start_s: int
) -> None:
    parameters = QueueingParameters(start_seconds=str(start_s))
    series = [
        sample(float(t), 0, 0, replicas=40, ready=count, dt_s=1.0) for t, count in enumerate(ready)
    ]
    demands = drive(parameters, *series)
    waiting = [40 - count for count in ready]
    for t, demand in enumerate(demands):
        least = min(waiting[t - start_s : t + 1]) if t >= start_s else 0
        assert demand.terms["overdue"] == least
        assert demand.terms["overdue"] + demand.terms["warming"] == waiting[t]


def test_growth_of_the_backlog_counts_as_arrivals_when_the_rate_lags_behind() -> None:
    calm = [sample(2.0 * k, 100, 64, dt_s=2.0) for k in range(2)]
    jumped = sample(4.0, 1380, 64, dt_s=2.0)
    shrunk = sample(6.0, 100, 64, dt_s=2.0)
    demands = drive(PLAIN, *calm, jumped, shrunk)
    # Over 4 s at first: one distance between samples alone says little.
    assert [demand.terms["arrivals"] for demand in demands] == [64, 64, 320, 64]


def test_growth_is_that_of_the_backlog_when_arrivals_are_sampled_at_other_moments() -> None:
    moments = [(5.0 * k, 5.0 * k + offset) for k in range(6) for offset in (0.0, 0.05)]
    series = []
    for whole_s, time_s in moments:
        # Arrivals come first, the backlog 0.05 s later; it grows by 30 in 5 s.
        backlog_s = whole_s + 0.05 if time_s > whole_s else whole_s - 4.95
        backlog = Reading(100 + 6 * (backlog_s + 4.95), backlog_s)
        readings = {"value": backlog, "backlog": backlog, "arrivals": Reading(64, whole_s)}
        series.append(sample(time_s, 0, 0, readings=readings, dt_s=0.05))
    demands = drive(PLAIN, *series)
    assert [demand.terms["arrivals"] for demand in demands] == [64] * 12


@pytest.mark.parametrize(
    ("success", "ready", "wanted"),
    [
        pytest.param("100", 4, 10, id="all starts succeed: as many as are needed"),
        pytest.param("50", 4, 16, id="half of them do: twice those that are lacking"),
        pytest.param("40", 4, 19, id="40 %: two and a half times"),
        pytest.param("40", 10, 10, id="enough are ready: no more"),
        pytest.param("40", 20, 10, id="more are ready: fewer"),
    ],
)
def test_starts_that_will_fail_are_allowed_for(success: str, ready: int, wanted: int) -> None:
    parameters = QueueingParameters(
        drain_seconds="10", start_seconds="0", headroom="0", start_success_percent=success
    )
    assert first(parameters, sample(1.0, 0, 640, replicas=ready, ready=ready)) == wanted
