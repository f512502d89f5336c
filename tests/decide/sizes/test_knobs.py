"""Arbitration: the curve and its inverse, the cheapest pair, and the step towards it."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from charon_operator.decide.sizes import knobs, sizing
from charon_operator.decide.sizes.knobs import Ground, Plan
from charon_operator.model.policy import Knob, Knobs
from charon_operator.model.resources import CurvePoint


def curve(*points: tuple[str, str]) -> list[CurvePoint]:
    return [CurvePoint.model_validate({"cpu": cpu, "capacity": what}) for cpu, what in points]


CURVE = curve(("100m", "6.5"), ("1", "66"))
# The first half core serves nearly as much as two.
CONCAVE = curve(("500m", "60"), ("2", "80"))
DEAR_REPLICAS = Knobs.model_validate({"prices": {"replica": "10", "core": "1"}})
FREE_REPLICAS = Knobs.model_validate({"prices": {"replica": "0", "core": "1"}})
REPLICAS_FIRST = Knobs.model_validate({"order": ["Replicas", "Resources"]})


NOW = Plan(2, 500)


def ground(now: Plan = NOW, **changes: Any) -> Ground:
    whole = Ground(
        now=now,
        ready=now.replicas,
        replicas=(1, 10),
        cpu_m=(100, 1000),
        curve=CURVE,
        knobs=Knobs(),
        settled=True,
    )
    return replace(whole, **changes)


@pytest.mark.parametrize(
    ("cpu_m", "serves"),
    [
        pytest.param(0, 0.0, id="nothing"),
        pytest.param(50, 3.25, id="half of the way to the first point"),
        pytest.param(100, 6.5, id="the first point"),
        pytest.param(550, 36.25, id="between two points"),
        pytest.param(1000, 66.0, id="the last point"),
        pytest.param(4000, 66.0, id="beyond it nothing is gained"),
    ],
)
def test_capacity_follows_the_curve(cpu_m: int, serves: float) -> None:
    assert sizing.capacity(CURVE, cpu_m) == pytest.approx(serves)


@pytest.mark.parametrize(
    ("wanted", "cpu_m"),
    [
        pytest.param(0.0, 100, id="nothing: the least"),
        pytest.param(3.0, 100, id="below the least"),
        pytest.param(6.5, 100, id="a point"),
        pytest.param(36.25, 550, id="between two points"),
        pytest.param(36.3, 560, id="rounded up to two digits"),
        pytest.param(66.0, 1000, id="the last point"),
        pytest.param(67.0, 1000, id="more than any size serves"),
        pytest.param(math.inf, 1000, id="no end"),
    ],
)
def test_size_is_the_smallest_that_serves(wanted: float, cpu_m: int) -> None:
    assert sizing.cpu_for(CURVE, wanted, 100, 4000) == cpu_m


@given(wanted=st.floats(0, 100), least_m=st.integers(10, 900), width_m=st.integers(0, 3000))
def test_size_serves_what_is_wanted_wherever_one_does(
    wanted: float, least_m: int, width_m: int
) -> None:
    size = sizing.cpu_for(CURVE, wanted, least_m, least_m + width_m)
    assert least_m <= size <= least_m + width_m
    most = sizing.capacity(CURVE, least_m + width_m)
    assert sizing.capacity(CURVE, size) >= min(wanted, most) * (1 - 1e-6)


@pytest.mark.parametrize(
    ("demand", "changes", "plan"),
    [
        pytest.param(0.0, {}, Plan(1, 100), id="nothing: the least of both"),
        pytest.param(60.0, {}, Plan(1, 910), id="one pod serves it"),
        pytest.param(70.0, {}, Plan(2, 540), id="one pod cannot"),
        pytest.param(
            66.0, {"knobs": FREE_REPLICAS, "curve": CONCAVE}, Plan(5, 110), id="small ones do more"
        ),
        pytest.param(
            75.0,
            {"knobs": DEAR_REPLICAS, "curve": CONCAVE, "cpu_m": (100, 2000)},
            Plan(1, 1700),
            id="dear replicas: one large pod",
        ),
        pytest.param(1e9, {}, Plan(10, 1000), id="more than there is: all there is"),
        pytest.param(60.0, {"replicas": (3, 10)}, Plan(3, 310), id="at least three"),
    ],
)
def test_plan_is_the_cheapest_pair(demand: float, changes: dict[str, Any], plan: Plan) -> None:
    assert knobs.cheapest(ground(**changes), demand) == plan


@pytest.mark.parametrize(
    ("order", "plan"),
    [(["Resources", "Replicas"], Plan(1, 200)), (["Replicas", "Resources"], Plan(2, 100))],
)
def test_order_decides_between_pairs_of_one_price(order: list[str], plan: Plan) -> None:
    given_knobs = Knobs.model_validate({"order": order, "prices": {"replica": "0", "core": "1"}})
    straight = curve(("100m", "10"), ("200m", "20"))
    here = ground(curve=straight, cpu_m=(100, 200), replicas=(1, 2), knobs=given_knobs)
    assert knobs.cheapest(here, 20.0) == plan


@pytest.mark.parametrize(
    ("here", "demand", "wanted"),
    [
        pytest.param(ground(Plan(1, 200)), 60.0, Plan(1, 910), id="the size covers it alone"),
        pytest.param(
            ground(Plan(1, 200)), 150.0, Plan(3, 1000), id="beyond one pod's ceiling: both"
        ),
        pytest.param(
            ground(Plan(3, 200), ready=1),
            60.0,
            Plan(3, 910),
            id="those that start are covered for by those that are ready",
        ),
        pytest.param(
            ground(Plan(3, 200), ready=0), 30.0, Plan(3, 460), id="none is ready: as if one were"
        ),
        pytest.param(
            ground(Plan(1, 200), knobs=REPLICAS_FIRST), 60.0, Plan(5, 200), id="replicas first"
        ),
        pytest.param(
            ground(Plan(1, 200), knobs=REPLICAS_FIRST, replicas=(1, 3)),
            60.0,
            Plan(3, 310),
            id="replicas first, and the size for what they cannot",
        ),
        pytest.param(
            ground(Plan(3, 1000)), 150.0, Plan(3, 760), id="new pods are ready: the size follows"
        ),
        pytest.param(
            ground(Plan(3, 1000), ready=2),
            130.0,
            Plan(2, 990),
            id="down only as far as those that are ready cover, each as if the other stayed",
        ),
        pytest.param(
            ground(Plan(3, 1000)), 50.0, Plan(1, 760), id="neither below where both will end"
        ),
        pytest.param(
            ground(Plan(5, 100), knobs=DEAR_REPLICAS),
            30.0,
            Plan(5, 460),
            id="fewer and larger pods save much: they grow first",
        ),
        pytest.param(
            ground(Plan(5, 100), knobs=DEAR_REPLICAS, settled=False),
            30.0,
            Plan(5, 100),
            id="not while anything is on its way",
        ),
        pytest.param(
            ground(Plan(5, 100), knobs=FREE_REPLICAS),
            30.0,
            Plan(5, 100),
            id="a pair that saves nothing is not worth two moves",
        ),
        pytest.param(
            ground(Plan(1, 2000), curve=CONCAVE, cpu_m=(100, 2000)),
            80.0,
            Plan(2, 2000),
            id="more and smaller pods save much: they come first",
        ),
    ],
)
def test_step_covers_what_is_demanded(here: Ground, demand: float, wanted: Plan) -> None:
    assert knobs.wanted(here, demand) == wanted


@pytest.mark.parametrize(
    ("prices", "knob"),
    [
        ({"replica": "10", "core": "1"}, Knob.REPLICAS),
        ({"replica": "0", "core": "1"}, Knob.RESOURCES),
    ],
)
def test_lowering_begins_with_what_saves_most(prices: dict[str, str], knob: Knob) -> None:
    here = ground(Plan(2, 1000), knobs=Knobs.model_validate({"prices": prices}))
    assert knobs.saves_most(here, Plan(1, 400)) is knob


@st.composite
def grounds(draw: st.DrawFn) -> Ground:
    low, width = draw(st.integers(1, 5)), draw(st.integers(0, 20))
    least_m, range_m = draw(st.integers(10, 1000)), draw(st.integers(0, 3000))
    points = draw(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 50)), min_size=2))
    cpu_m, capacity, rising = 9, 0.0, []
    for step_m, gain in points[:16]:
        cpu_m, capacity = cpu_m + step_m, capacity + gain
        rising.append((f"{cpu_m}m", f"{capacity:g}"))
    count = draw(st.integers(low, low + width))
    return Ground(
        now=Plan(count, draw(st.integers(least_m, least_m + range_m))),
        ready=draw(st.integers(0, count)),
        replicas=(low, low + width),
        cpu_m=(least_m, least_m + range_m),
        curve=curve(*rising),
        knobs=draw(st.sampled_from([Knobs(), DEAR_REPLICAS, FREE_REPLICAS, REPLICAS_FIRST])),
        settled=draw(st.booleans()),
    )


@given(here=grounds(), demand=st.floats(0, 1e6))
def test_plan_stays_within_bounds_and_covers_what_can_be_covered(
    here: Ground, demand: float
) -> None:
    plan = knobs.cheapest(here, demand)
    for found in (plan, knobs.wanted(here, demand)):
        assert here.replicas[0] <= found.replicas <= here.replicas[1]
        assert here.cpu_m[0] <= found.cpu_m <= here.cpu_m[1]
    most = here.replicas[1] * here.serves(here.cpu_m[1])
    assert plan.replicas * here.serves(plan.cpu_m) >= min(demand, most) * (1 - 1e-6)


@given(here=grounds(), demand=st.floats(0, 1e6))
def test_no_single_step_down_uncovers_what_is_covered(here: Ground, demand: float) -> None:
    now = here.now
    assume(here.ready * here.serves(now.cpu_m) >= demand)
    found = knobs.wanted(here, demand)
    assert here.ready * here.serves(max(found.cpu_m, 1)) >= demand * (1 - 1e-6)
    assert found.replicas * here.serves(now.cpu_m) >= demand * (1 - 1e-6)


@given(here=grounds(), demand=st.floats(0, 1e6))
def test_what_is_not_covered_is_never_lowered(here: Ground, demand: float) -> None:
    assume(here.ready * here.serves(here.now.cpu_m) < demand * (1 - 1e-6))
    found = knobs.wanted(here, demand)
    assert found.replicas >= here.now.replicas
    assert found.cpu_m >= here.now.cpu_m
