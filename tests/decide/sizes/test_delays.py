"""How long knobs take: measured on raises, expected of the next one, used in arbitration."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from charon_operator.decide.sizes import delays, knobs
from charon_operator.decide.sizes.knobs import Ground, Plan
from charon_operator.loop.turn import resized
from charon_operator.model import memory
from charon_operator.model.learnt import Delay, Learnt
from charon_operator.model.memory import Action, AppMemory, FleetMemory, Knobs
from charon_operator.model.policy import Knob
from charon_operator.model.quarantine import Quarantine
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes
from charon_operator.ports import WriteOutcome
from tests.decide import build
from tests.decide.sizes.test_knobs import FREE_REPLICAS, REPLICAS_FIRST, ground

SIZES_SLOW = {Knob.RESOURCES: 40.0, Knob.REPLICAS: 30.0}
REPLICAS_SLOW = {Knob.RESOURCES: 1.0, Knob.REPLICAS: 90.0}


def sizes(
    cpu_m: int = 500, count: int = 2, settled_at_s: float | None = None, **changes: Any
) -> Sizes:
    size = Size(cpu_m)
    pod = replace(SizedPod("p", "u", "1", True, True, size, size), **changes)
    found = tuple(replace(pod, name=f"p{n}", uid=f"u{n}") for n in range(count))
    return Sizes(Size(200), found, settled_at_s=settled_at_s)


def app(*actions: Action, moves: tuple[Action, ...] = (), **changes: Any) -> AppMemory:
    known = Knobs(size=Size(500), moves=moves, **changes)
    return AppMemory("u", "t", 0.0, actions=actions, knobs=known)


def noted(known: AppMemory, now_s: float, ready: int = 9, seen: Sizes | None = None) -> Learnt:
    return delays.noted(known, build.workload(9, ready=ready), seen, now_s)


UP = Action(100.0, 1, 3)


@pytest.mark.parametrize(
    ("actions", "ready", "seconds"),
    [
        pytest.param((UP,), 3, (25.0,), id="all are ready"),
        pytest.param((UP,), 2, (), id="not all are"),
        pytest.param((UP, Action(110.0, 3, 5)), 5, (25.0, 15.0), id="two raises in one"),
        pytest.param((UP, Action(110.0, 3, 5)), 4, (25.0,), id="the first of two"),
        pytest.param((Action(100.0, 3, 1),), 1, (), id="a lowering"),
        pytest.param((UP, Action(110.0, 3, 2)), 3, (), id="a raise that was taken back"),
        pytest.param((UP, Action(110.0, 5, 3)), 3, (25.0,), id="a lowering to as many"),
        pytest.param((replace(UP, stood_on=4),), 3, (), id="a raise of which nobody knows"),
        pytest.param((), 9, (), id="nothing"),
    ],
)
def test_raise_of_replicas_takes_until_its_pods_are_ready(
    actions: tuple[Action, ...], ready: int, seconds: tuple[float, ...]
) -> None:
    assert noted(app(*actions), 125.0, ready).replicas.seconds == seconds


GROWN = (Action(100.0, 200, 500),)
FAILED = Quarantine(Knob.RESOURCES, 999.0, 1, "ResizeDeferred", "no room")


@pytest.mark.parametrize(
    ("known", "seen", "seconds"),
    [
        pytest.param(app(moves=GROWN), sizes(), (25.0,), id="seen at a turn"),
        pytest.param(app(moves=GROWN), sizes(settled_at_s=102.5), (2.5,), id="seen between turns"),
        pytest.param(app(moves=GROWN), sizes(settled_at_s=99.0), (0.0,), id="a clock set back"),
        pytest.param(app(moves=GROWN), sizes(200), (), id="another size"),
        pytest.param(app(moves=GROWN), sizes(resizing=Resizing.IN_PROGRESS), (), id="on its way"),
        pytest.param(app(moves=GROWN), None, (), id="not known"),
        pytest.param(app(moves=GROWN), sizes(count=0), (), id="no pods"),
        pytest.param(app(moves=GROWN), sizes(running=False), (), id="no pods that run"),
        pytest.param(app(moves=GROWN, failed=FAILED), sizes(), (), id="given back"),
        pytest.param(app(moves=(Action(100.0, 800, 500),)), sizes(), (), id="a lowering"),
    ],
)
def test_raise_of_a_size_takes_until_pods_show_it(
    known: AppMemory, seen: Sizes | None, seconds: tuple[float, ...]
) -> None:
    assert noted(known, 125.0, seen=seen).resources.seconds == seconds


def test_raise_is_measured_once() -> None:
    known = app(UP, moves=GROWN)
    first = noted(known, 125.0, seen=sizes())
    again = replace(known, knobs=replace(known.knobs or Knobs(), learnt=first))
    assert noted(again, 130.0, seen=sizes()) == first


def test_raise_that_was_given_back_is_never_measured() -> None:
    known = app(moves=GROWN, failed=FAILED)
    learnt = noted(known, 125.0, seen=sizes())
    released = app(moves=GROWN, learnt=learnt)
    assert noted(released, 2000.0, seen=sizes()).resources.seconds == ()
    assert delays.expected(released, 2000.0)[Knob.RESOURCES] == 1.0


def learnt(*seconds: float) -> Learnt:
    return Learnt(replicas=Delay(seconds, until_s=50.0))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(app(), 30.0, id="what is usual"),
        pytest.param(app(learnt=learnt(20.0)), 20.0, id="one"),
        pytest.param(app(learnt=learnt(20.0, 600.0, 25.0)), 25.0, id="the median"),
        pytest.param(app(UP, learnt=learnt(20.0)), 70.0, id="one that is under way for longer"),
        pytest.param(app(UP, learnt=learnt(90.0)), 90.0, id="one that is under way"),
        pytest.param(
            app(replace(UP, time_s=40.0), learnt=learnt(20.0)), 20.0, id="one that is measured"
        ),
    ],
)
def test_expected_is_the_median_or_longer(known: AppMemory, expected: float) -> None:
    found = delays.expected(known, 170.0)
    assert found == {Knob.REPLICAS: expected, Knob.RESOURCES: 1.0}


@given(
    times=st.lists(st.floats(0, 1e6), max_size=30),
    counts=st.lists(st.integers(1, 50), min_size=31, max_size=31),
    readies=st.lists(st.integers(0, 50), min_size=31, max_size=31),
)
def test_what_is_learnt_is_bounded_and_the_same_after_json(
    times: list[float], counts: list[int], readies: list[int]
) -> None:
    known = app()
    for time_s, start, to, ready in zip(sorted(times), counts, counts[1:], readies, strict=False):
        found = noted(known, time_s, ready)
        assert len(found.replicas.seconds) <= 5
        assert all(seconds >= 0 for seconds in found.replicas.seconds)
        assert all(seconds >= 0 for seconds in delays.expected(known, time_s).values())
        actions = (*known.actions, Action(time_s, start, to))
        known = replace(known, actions=actions, knobs=replace(known.knobs or Knobs(), learnt=found))
    fleet = FleetMemory({build.KEY: known})
    assert memory.load(json.loads(json.dumps(memory.dump(fleet)))) == fleet


def test_clock_that_was_set_back_does_not_stop_measuring() -> None:
    known = memory.aged(app(learnt=Learnt(None, Delay((1.0,), 5000.0))), 100.0)
    again = replace(known, actions=(Action(110.0, 1, 3),))
    assert noted(again, 125.0).replicas.seconds == (1.0, 15.0)


# Arbitration.


@pytest.mark.parametrize(
    ("here", "demand", "wanted", "words"),
    [
        pytest.param(ground(Plan(1, 200)), 60.0, Plan(1, 910), "", id="fast: it covers it alone"),
        pytest.param(
            ground(Plan(1, 200), delays=SIZES_SLOW),
            60.0,
            Plan(5, 910),
            "a size takes 40 s to come, so replicas are raised as well",
            id="sizes are slow: both at once",
        ),
        pytest.param(
            ground(Plan(1, 200), delays={**SIZES_SLOW, Knob.REPLICAS: 50.0}),
            60.0,
            Plan(1, 910),
            "",
            id="replicas are slower still",
        ),
        pytest.param(
            ground(Plan(1, 200), delays={Knob.RESOURCES: 2.0, Knob.REPLICAS: 0.5}),
            60.0,
            Plan(1, 910),
            "",
            id="not slow for what it is",
        ),
        pytest.param(
            ground(Plan(5, 910), ready=1, per_pod=13.0, delays=SIZES_SLOW),
            60.0,
            Plan(5, 910),
            "",
            id="both are under way",
        ),
        pytest.param(
            ground(Plan(2, 910), per_pod=13.0, delays=SIZES_SLOW),
            60.0,
            Plan(5, 910),
            "a size takes 40 s to come, so replicas are raised as well",
            id="the size was asked for and does not come",
        ),
        pytest.param(
            ground(Plan(7, 910), per_pod=13.0, delays=SIZES_SLOW),
            60.0,
            Plan(5, 910),
            "",
            id="what it does not serve yet is kept",
        ),
        pytest.param(
            ground(Plan(2, 910), per_pod=13.0), 60.0, Plan(1, 910), "", id="it is soon to come"
        ),
        pytest.param(
            ground(Plan(1, 200), knobs=REPLICAS_FIRST, delays=REPLICAS_SLOW),
            60.0,
            Plan(5, 910),
            "replicas take 90 s to come, so the size is raised as well",
            id="replicas are first and slow",
        ),
        pytest.param(
            ground(Plan(1, 200), knobs=REPLICAS_FIRST),
            60.0,
            Plan(5, 200),
            "",
            id="replicas are first, and as fast as they are",
        ),
        pytest.param(
            ground(Plan(1, 200), restarts=True, delays=REPLICAS_SLOW),
            60.0,
            Plan(5, 200),
            "replicas go first",
            id="nothing is restarted because replicas are slow",
        ),
    ],
)
def test_slow_knob_is_not_waited_for(here: Ground, demand: float, wanted: Plan, words: str) -> None:
    found = knobs.wanted(here, demand)
    assert found == wanted
    assert found.why.startswith(words) if words else not found.why


@given(
    demand=st.floats(0, 1e4),
    count=st.integers(1, 10),
    cpu_m=st.integers(100, 1000),
    ready=st.integers(0, 10),
    share=st.floats(0, 1),
    slow=st.sampled_from([SIZES_SLOW, REPLICAS_SLOW, delays.USUAL]),
    prices=st.sampled_from([FREE_REPLICAS, REPLICAS_FIRST]),
)
def test_slow_knob_never_leads_to_less(
    demand: float,
    count: int,
    cpu_m: int,
    ready: int,
    share: float,
    slow: dict[Knob, float],
    prices: Any,
) -> None:
    quick = ground(Plan(count, cpu_m), ready=min(ready, count), knobs=prices)
    assume(quick.ready * quick.serves(cpu_m) < demand)
    late = replace(quick, per_pod=share * quick.serves(cpu_m), delays=slow)
    found, at_least = knobs.wanted(late, demand), knobs.wanted(quick, demand)
    assert (late.replicas[1], late.cpu_m[1]) >= (found.replicas, found.cpu_m)
    assert found.replicas >= at_least.replicas
    assert found.cpu_m >= at_least.cpu_m


@given(
    demand=st.floats(0, 1e3),
    count=st.integers(1, 10),
    cpu_m=st.integers(100, 1000),
    share=st.floats(0.01, 3),
)
def test_size_that_is_late_is_not_counted_on(
    demand: float, count: int, cpu_m: int, share: float
) -> None:
    here = ground(Plan(count, cpu_m), delays=SIZES_SLOW)
    here = replace(here, per_pod=share * here.serves(cpu_m))
    assert here.each <= here.serves(cpu_m)
    served = min(demand, 10 * here.each)
    assert knobs.wanted(here, demand).replicas * here.each >= served * (1 - 1e-6)


# Through turns.

SIZED: dict[str, Any] = {
    "container": "app",
    "mode": "InPlace",
    "cpu": {"min": "100m", "max": "1"},
    "curve": [{"cpu": "100m", "capacity": "10"}, {"cpu": "2", "capacity": "200"}],
}


def after(queued: float, now_s: float, seen: Sizes, known: FleetMemory | None = None) -> Any:
    chosen = build.ratio_app(resources=SIZED)
    rules: dict[str, Any] = {"knobs": {"prices": {"replica": "0", "core": "1"}}}
    found = build.facts(
        chosen,
        build.workload(len(seen.pods), of=chosen),
        build.readings(now_s, queued=queued),
        sizes=seen,
        policy=build.policy(**rules),
    )
    return build.one(found, now_s, known)


def test_size_that_does_not_come_is_joined_by_replicas_and_its_delay_is_told() -> None:
    known, outcome = after(60.0, 1000.0, sizes(200))
    assert outcome.delays == {}
    known = resized(known, build.KEY, outcome.resize, WriteOutcome.WRITTEN, 1000.0)
    waiting = {"actual": Size(200), "resizing": Resizing.DEFERRED, "since_s": 1000.0}
    known, outcome = after(60.0, 1015.0, sizes(600, **waiting), known)
    assert outcome.decision.final == 2
    known, outcome = after(60.0, 1045.0, sizes(600, **waiting), known)
    assert outcome.decision.final == 6
    assert "a size takes 45 s to come, so replicas are raised as well" in outcome.decision.message
    known, outcome = after(60.0, 1050.0, sizes(600, settled_at_s=1048.0), known)
    assert outcome.delays == {"Resources": 48.0}
