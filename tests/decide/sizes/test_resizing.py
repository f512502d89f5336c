"""The second knob through whole turns: what is known of pods, and both knobs together."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from charon_operator.model import memory
from charon_operator.model.decision import Past
from charon_operator.model.memory import Knobs
from charon_operator.model.sizes import Resizing, Size, Sizes
from charon_operator.model.workload import Rollout
from tests.decide import build
from tests.decide.sizes.sized import MI, cpu, decided, facts, pods, queue, sized, wrote


@pytest.mark.parametrize(
    ("count", "queued", "size", "replicas"),
    [
        pytest.param(2, 20.0, 200, 2, id="in balance"),
        pytest.param(2, 60.0, 600, 2, id="the size alone covers it"),
        pytest.param(2, 200.0, 1000, 4, id="beyond the ceiling of the pods that are there: both"),
        pytest.param(2, 10.0, 200, 1, id="less is needed: the count saves most"),
    ],
)
def test_both_knobs_serve_one_demand(count: int, queued: float, size: int, replicas: int) -> None:
    _, outcome, resize = decided(facts(count, queued, 1000.0, pods(count)), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (size, replicas)
    assert resize.acts


def test_reasons_name_the_demand_and_the_plan() -> None:
    _, outcome, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    wish = "freshness wants 120 a second, for now 2 of 600m."
    assert outcome.decision.message == f"Unchanged at 2: {wish}"
    assert resize.message == f"Raised from 200m to 600m: {wish}"
    assert resize.current == Size(200)
    assert resize.decision_id != outcome.decision.decision_id


def test_one_knob_is_lowered_at_a_time_and_each_after_the_cooldown() -> None:
    rules = {"lowering": {"cooldownSeconds": 60, "maxPerHour": 3600}}
    known, outcome, resize = decided(queue(2, 240.0, 1000.0, pods(2), rules=rules), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (1000, 3)
    known = build.wrote(wrote(known, resize, 1000.0), outcome, 1000.0)
    count, size, moves = 3, 1000, []
    for now_s in range(1010, 1400, 10):
        given_facts = queue(count, 10.0, float(now_s), pods(count, size), rules=rules)
        known, outcome, resize = decided(given_facts, float(now_s), known)
        if outcome.decision.moves:
            moves.append((now_s, "replicas"))
            known, count = build.wrote(known, outcome, now_s), outcome.decision.final
        if resize.moves:
            moves.append((now_s, "size"))
            known, size = wrote(known, resize, float(now_s)), cpu(resize) or 0
    assert (count, size) == (1, 100)
    assert {knob for _, knob in moves} == {"replicas", "size"}
    times = [1000, *(time_s for time_s, _ in moves)]
    assert all(late - early >= 60 for early, late in itertools.pairwise(times))


def test_a_demand_for_replicas_does_not_grow_with_the_pods() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    moving = pods(2, 600, actual=Size(200, 256 * MI), resizing=Resizing.IN_PROGRESS)
    again = replace(facts(2, 60.0, 1000.0, moving), sizes=moving)
    _, _, resize = decided(again, 1005.0, known)
    assert cpu(resize) == 600


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"arrivals": None}, "arrivals (NoData)", id="nothing to judge by"),
        pytest.param({"seen": {"rss": None}}, "rss (NoData)", id="any indicator"),
        pytest.param(
            {
                "app": sized(
                    bindings={"backlog": "queued", "arrivals": "arrivals"},
                    holds=[{"name": "pause", "direction": "Down"}],
                )
            },
            "paused at 800m by hold pause",
            id="hold",
        ),
        pytest.param({"rules": {"behavior": {}}}, "the largest wish", id="stabilisation window"),
        pytest.param(
            {"rules": {"lowering": {"cooldownSeconds": 3600}}}, "since the last", id="cooldown"
        ),
        pytest.param(
            {"workload": build.workload(1, rollout=Rollout.IN_FLIGHT)}, "a rollout", id="rollout"
        ),
    ],
)
def test_size_is_not_lowered_when_a_limit_forbids_it(changes: dict[str, Any], words: str) -> None:
    known, _, resize = decided(queue(1, 80.0, 1000.0, pods(1)), 1000.0)
    known = wrote(known, resize, 1000.0)
    known, _, resize = decided(queue(1, 80.0, 1990.0, pods(1, 800)), 1990.0, known)
    asked = {"count": 1, "arrivals": 20.0, "now_s": 2000.0, "sizes": pods(1, 800)}
    _, _, free = decided(queue(**asked), 2000.0, known)
    _, _, bound = decided(queue(**{**asked, **changes}), 2000.0, known)
    assert (cpu(free), cpu(bound)) == (200, 800)
    assert words in bound.message


def test_hold_up_stops_a_raise_of_the_size() -> None:
    app = sized(holds=[{"name": "pause", "direction": "Up"}])
    _, outcome, resize = decided(facts(2, 60.0, 1000.0, pods(2), app=app), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (200, 2)
    assert "paused at 200m by hold pause" in resize.message


@pytest.mark.parametrize(
    ("changes", "acts"),
    [
        ({}, True),
        ({"app": sized(mode="Advisory")}, False),
        ({"forced_advisory": "label"}, False),
    ],
)
def test_size_is_computed_whether_or_not_it_may_act(changes: dict[str, Any], acts: bool) -> None:
    _, _, resize = decided(facts(2, 60.0, 1000.0, pods(2), **changes), 1000.0)
    assert cpu(resize) == 600
    assert (resize.acts, resize.moves) == (acts, acts)


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(None, id="not asked"),
        pytest.param(Sizes(Size(), problem="there is no container app"), id="no such container"),
    ],
)
def test_nothing_is_guessed_when_sizes_are_not_known(sizes: Sizes | None) -> None:
    app = sized(capacityPerReplica=None)
    _, outcome, resize = decided(facts(2, 60.0, 1000.0, sizes, app=app), 1000.0)
    assert resize.final is None
    assert not resize.moves
    assert outcome.decision.final == 6
    assert (sizes.problem if sizes else "have not been read yet") in resize.message


def test_law_that_plans_capacity_waits_for_the_size_of_the_pods() -> None:
    app = sized(capacityPerReplica=None, bindings={"backlog": "queued", "arrivals": "arrivals"})
    _, outcome, _ = decided(queue(2, 120.0, 1000.0, None, app=app), 1000.0)
    assert outcome.problem is None
    assert (outcome.decision.final, outcome.decision.reason) == (2, "Held")
    _, outcome, resize = decided(queue(2, 120.0, 1000.0, pods(2), app=app), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (600, 2)


def test_pods_without_a_size_of_their_own_count_by_the_template() -> None:
    starting = pods(2, 300, running=False, ready=False)
    _, _, resize = decided(facts(2, 20.0, 1000.0, starting), 1000.0)
    assert resize.current == Size(200)


def test_app_whose_mode_is_off_is_driven_as_one_without_the_knob() -> None:
    off = sized(resources={"mode": "Off"})
    plain = sized()
    plain = replace(plain, spec=plain.spec.model_copy(update={"resources": None}))
    found = [build.one(facts(2, 200.0, 1000.0, None, app=app), 1000.0) for app in (off, plain)]
    assert found[0] == found[1]
    assert found[0][1].resize is None
    assert found[0][0].apps[build.KEY].knobs is None


def test_nothing_is_exchanged_while_a_lowering_could_not_follow() -> None:
    dear = {"rules": {"knobs": {"prices": {"replica": "10", "core": "1"}}}}
    _, _, resize = decided(queue(2, 40.0, 1000.0, pods(2), **dear), 1000.0)
    assert cpu(resize) == 400
    app = sized(
        bindings={"backlog": "queued", "arrivals": "arrivals"},
        holds=[{"name": "pause", "direction": "Down"}],
    )
    _, _, resize = decided(queue(2, 40.0, 1000.0, pods(2), app=app, **dear), 1000.0)
    assert cpu(resize) == 200


def test_size_is_what_the_status_told_before_a_restart() -> None:
    past = Past(decided=True, size=Size(600))
    _, _, resize = decided(facts(2, 60.0, 1000.0, None, past=past), 1000.0)
    assert resize.current == Size(600)


def test_knobs_are_forgotten_with_their_time() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    app = known.apps[build.KEY]
    late = memory.aged(app, 9000.0).knobs
    assert late == Knobs(size=Size(600))
    early = memory.aged(app, 500.0).knobs
    assert early is not None
    assert early.moves[0].time_s == 500.0
