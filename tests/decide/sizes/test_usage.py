"""Sizes by what pods use: the histogram, what it asks for, and the way of a size through turns."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.decide.sizes import usage
from charon_operator.loop.turn import resized
from charon_operator.model import memory
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Resize
from charon_operator.model.facts import Outcome
from charon_operator.model.learnt import Learnt, Usage
from charon_operator.model.memory import AppMemory, FleetMemory, Knobs
from charon_operator.model.reading import Missing, MissingReason, Reading
from charon_operator.model.sizes import Size, SizedPod, Sizes
from charon_operator.ports import WriteOutcome
from tests.decide import build

DAY_S = 24 * 3600.0
INDICATORS = [{"name": name, "query": name} for name in ("queued", "cores")]


def by_usage(**changes: Any) -> ChargedApp:
    """The Ratio app, with CPU by what pods use."""
    sized = {
        "container": "app",
        "mode": "InPlace",
        "sizing": "Usage",
        "cpu": {"min": "100m", "max": "2", "usage": "cores"},
    }
    given_resources = {**sized, **changes.pop("resources", {})}
    return build.ratio_app(**{"indicators": INDICATORS, "resources": given_resources, **changes})


APP = by_usage()


def seen(*samples: tuple[float, float], known: Usage | None = None) -> Usage | None:
    """The histogram after samples: time and cores."""
    for time_s, cores in samples:
        known = usage.noted(known, APP.spec, {"cores": Reading(cores, time_s)})
    return known


def steady(cores: float, until_s: float, step_s: float = 60.0) -> Usage | None:
    return seen(*((step_s * n, cores) for n in range(int(until_s / step_s) + 1)))


@pytest.mark.parametrize(
    ("cores", "ends"),
    [
        pytest.param(0.0, 0.01, id="nothing: the first bucket"),
        pytest.param(-1.0, 0.01, id="below nothing"),
        pytest.param(0.009, 0.01, id="within the first bucket"),
        pytest.param(0.0101, 0.0205, id="the second one is 5 % wider"),
        pytest.param(0.3, 0.305390, id="a share of a core"),
        pytest.param(1e9, 1021.026, id="beyond the last"),
    ],
)
def test_wanted_is_the_end_of_the_bucket_and_the_margin(cores: float, ends: float) -> None:
    found = usage.wanted(seen((0.0, cores)))
    assert found == pytest.approx(ends * 1.15, rel=1e-4)


def test_wanted_is_what_is_enough_nine_tenths_of_the_time() -> None:
    samples = [(60.0 * n, 2.0 if n % 20 == 0 else 0.1) for n in range(200)]
    rare = usage.wanted(seen(*samples))
    often = usage.wanted(
        seen(*((time_s, 2.0 if n % 5 else 0.1) for n, (time_s, _) in enumerate(samples)))
    )
    assert rare is not None
    assert often is not None
    assert rare < 0.2 < 2.0 < often


def test_sample_that_stood_for_longer_weighs_more_but_a_gap_weighs_nothing() -> None:
    dense = seen((0.0, 0.1), *((1.0 + n, 1.0) for n in range(50)), (110.0, 0.1))
    assert dense is not None
    assert math.isclose(dict(dense.weights)[usage._bucket(0.1)], 61.0, rel_tol=1e-2)
    gap = seen((0.0, 0.1), (DAY_S, 1.0))
    assert gap is not None
    assert dict(gap.weights)[usage._bucket(1.0)] == 60.0


def test_weights_halve_in_a_day() -> None:
    known = steady(0.1, 3600.0)
    assert usage.seen_s(known, 3600.0) == pytest.approx(3600.0, rel=0.02)
    assert usage.seen_s(known, 3600.0 + DAY_S) == pytest.approx(1800.0, rel=0.02)
    assert usage.seen_s(None, 0.0) == 0.0


def test_what_is_long_past_loses_to_what_is_new() -> None:
    busy = steady(1.0, 6 * 3600.0)
    idle = seen(*((3 * DAY_S + 60.0 * n, 0.1) for n in range(720)), known=busy)
    assert (usage.wanted(busy) or 0) > 1.0
    assert (usage.wanted(idle) or 9) < 0.2


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(None, id="not asked"),
        pytest.param(Missing(MissingReason.NO_DATA), id="missing"),
        pytest.param(Reading(9.0, 60.0), id="the same sample"),
        pytest.param(Reading(9.0, 30.0), id="an older one"),
    ],
)
def test_what_is_not_new_adds_nothing(reading: Reading | Missing | None) -> None:
    known = seen((0.0, 0.1), (60.0, 0.1))
    readings = {} if reading is None else {"cores": reading}
    assert usage.noted(known, APP.spec, readings) == known


@pytest.mark.parametrize(
    "app",
    [
        by_usage(indicators=[INDICATORS[0], {"name": "cores", "query": "cores / 1000"}]),
        by_usage(resources={"container": "other"}),
    ],
    ids=["a query that was mended", "another container"],
)
def test_another_source_begins_anew(app: ChargedApp) -> None:
    known = steady(1.0, 7200.0)
    found = usage.noted(known, app.spec, {"cores": Reading(0.1, 7260.0)})
    assert found is not None
    assert len(found.weights) == 1
    assert usage.noted(known, app.spec, {}) is None


def test_app_that_is_not_sized_by_usage_keeps_none() -> None:
    plain = by_usage(resources={"mode": "Off"})
    assert usage.noted(steady(1.0, 60.0), plain.spec, {"cores": Reading(1.0, 120.0)}) is None


@given(
    samples=st.lists(
        st.tuples(st.floats(0, 1e7), st.floats(-10, 1e12, allow_nan=False)), min_size=1, max_size=60
    )
)
def test_histogram_is_bounded_and_the_same_after_json(samples: list[tuple[float, float]]) -> None:
    known = seen(*samples)
    assert known is not None
    buckets = [bucket for bucket, _ in known.weights]
    assert buckets == sorted(set(buckets))
    assert 0 <= buckets[0] <= buckets[-1] <= 175
    wanted = usage.wanted(known)
    assert wanted is not None
    assert 0.01 * 1.15 <= wanted <= 1022 * 1.15
    app = AppMemory("u", "t", 0.0, knobs=Knobs(learnt=Learnt(known)))
    fleet = FleetMemory({build.KEY: app})
    content = json.loads(json.dumps(memory.dump(fleet)))
    assert memory.load(content) == fleet


@given(cores=st.floats(0, 900), times=st.lists(st.floats(0, 1e6), min_size=1, unique=True))
def test_steady_usage_is_covered_and_not_by_much(cores: float, times: list[float]) -> None:
    wanted = usage.wanted(seen(*((time_s, cores) for time_s in sorted(times))))
    assert wanted is not None
    assert cores * 1.15 <= wanted * (1 + 1e-9)
    assert wanted <= (cores * 1.05 + 0.01) * 1.15 * (1 + 1e-9)


def test_clock_that_was_set_back_does_not_stop_the_samples() -> None:
    app = AppMemory("u", "t", 0.0, knobs=Knobs(learnt=Learnt(steady(0.1, 7200.0))))
    aged = memory.aged(app, 600.0)
    assert aged.knobs is not None
    assert aged.knobs.learnt.usage is not None
    assert aged.knobs.learnt.usage.sampled_at_s == 600.0


# Through turns.


def sizes(count: int, cpu_m: int, **changes: Any) -> Sizes:
    size = Size(cpu_m, None)
    pod = replace(SizedPod("p", "u", "1", True, True, size, size), **changes)
    return Sizes(Size(200), tuple(replace(pod, name=f"p{n}", uid=f"u{n}") for n in range(count)))


def after(
    cores: float | None,
    now_s: float,
    known: FleetMemory | None = None,
    *,
    count: int = 3,
    cpu_m: int = 200,
    **changes: Any,
) -> tuple[FleetMemory, Outcome, Resize]:
    app = changes.pop("app", APP)
    given_sizes = changes.pop("sizes", sizes(count, cpu_m))
    values = {"queued": 30.0, "cores": cores, **changes}
    facts = build.facts(
        app, build.workload(count, of=app), build.readings(now_s, **values), sizes=given_sizes
    )
    known, outcome = build.one(facts, now_s, known)
    assert outcome.resize is not None
    return known, outcome, outcome.resize


def hour(cores: float, cpu_m: int = 200) -> FleetMemory:
    """An hour and more of usage, up to 4000 s."""
    known: FleetMemory | None = None
    for now_s in range(0, 4001, 50):
        known, _, _ = after(cores, float(now_s), known, cpu_m=cpu_m)
    assert known is not None
    return known


def cpu(resize: Resize) -> int | None:
    return resize.final.cpu_m if resize.final else None


@pytest.mark.parametrize(
    ("cores", "size", "words"),
    [
        pytest.param(0.3, 360, "pods use at most 0.305 cores 90% of the time", id="raised"),
        pytest.param(5.0, 2000, "between 100m and 2000m are allowed", id="to the bound"),
        pytest.param(None, 200, "what pods use has not been seen yet", id="nothing is known"),
        pytest.param(0.05, 200, "usage has been seen for 0 min", id="too early to lower"),
    ],
)
def test_first_sample_raises_and_does_not_lower(cores: float | None, size: int, words: str) -> None:
    _, outcome, resize = after(cores, 1000.0)
    assert cpu(resize) == size
    assert words in resize.message
    assert outcome.decision.message == "Unchanged at 3: freshness wants 3."


def test_size_is_lowered_after_an_hour_of_usage() -> None:
    _, _, resize = after(0.1, 4050.0, hour(0.1))
    assert cpu(resize) == 130
    assert resize.message.startswith("Lowered from 200m to 130m: pods use at most 0.11")


def test_size_is_not_lowered_while_usage_is_missing() -> None:
    known = hour(0.1)
    _, _, resize = after(None, 4050.0, known)
    assert cpu(resize) == 200
    assert "cores (NoData)" in resize.message
    _, _, resize = after(0.1, 4050.0 + 3 * DAY_S, known)
    assert "usage has been seen for 9 min" in resize.message


def test_smaller_maximum_does_not_wait_for_usage() -> None:
    app = by_usage(resources={"cpu": {"min": "100m", "max": "150m", "usage": "cores"}})
    _, _, resize = after(0.1, 1000.0, app=app)
    assert cpu(resize) == 150


def test_replicas_serve_the_demand_alone_and_one_knob_is_lowered_at_a_time() -> None:
    _, outcome, resize = after(0.1, 4050.0, hour(0.1), queued=100.0)
    assert (cpu(resize), outcome.decision.final) == (130, 10)
    _, outcome, resize = after(0.1, 4050.0, hour(0.1), queued=10.0)
    moved = (cpu(resize) != 200, outcome.decision.final != 3)
    assert sorted(moved) == [False, True]


def test_pods_that_cannot_be_resized_are_not_raised() -> None:
    _, _, resize = after(0.3, 1000.0, sizes=sizes(3, 200, refusal="it has a GPU"))
    assert cpu(resize) == 200


def test_usage_survives_a_resize_and_settles() -> None:
    known, cpu_m, moves = hour(0.3), 200, 0
    for now_s in range(4050, 12000, 50):
        known, _, resize = after(0.3, float(now_s), known, cpu_m=cpu_m)
        if resize.moves:
            known = resized(known, build.KEY, resize, WriteOutcome.WRITTEN, float(now_s))
            cpu_m, moves = cpu(resize) or 0, moves + 1
    assert (cpu_m, moves) == (360, 1)


def test_law_that_plans_capacity_needs_it_stated() -> None:
    app = by_usage(
        indicators=[*INDICATORS, {"name": "arrivals", "query": "a"}],
        bindings={"backlog": "queued", "arrivals": "arrivals"},
        capacityPerReplica=None,
    )
    facts = build.facts(
        app,
        build.workload(2, of=app),
        build.readings(0.0, queued=1.0, cores=0.1, arrivals=1.0),
        policy=build.policy(controller={"type": "Queueing"}),
        sizes=sizes(2, 200),
    )
    _, outcome = build.one(facts, 0.0)
    assert outcome.problem is not None
    assert outcome.problem.field == "spec.capacityPerReplica"
