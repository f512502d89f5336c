"""The way back from a change of form that did not come about, and what holds on every way."""

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.model import memory
from charon_operator.model.memory import FleetMemory
from charon_operator.ports import WriteOutcome
from tests.decide import build, reshaping
from tests.decide.reshaping import BIG, CHEAP, DWELL_S, PAIR, SMALL, Reshaping, nodes, play, way
from tests.decide.stage import TURN_S


@pytest.mark.parametrize("restarts", [False, True], ids=["one life", "killed on the way"])
def test_pods_that_find_no_node_turn_the_change_back(restarts: bool) -> None:
    there = play(replicas=2, load=500.0, pendingDeadlineSeconds=30, web={"barred": {"H100"}})
    while not there.changes:
        there.turn()
    if restarts:
        there.memory = FleetMemory()
    # Whatever happened, the old pods are those that serve.
    while len(there.changes) < 2:
        there.turn()
    assert there.last is not None
    said = there.last.decision.message
    assert "Deployment workload/web goes back from big to small by its pod template" in said
    there.turn()
    (_, _), (_, back) = there.changes
    assert (back.before, back.after, back.replicas) == ("big", "small", 2)
    assert (back.came_from, back.surges) == (("small", 2), True)
    assert min(there.served) == 200.0
    assert there.waited[-1] == 0
    assert there.web.surge == 1


@pytest.mark.parametrize(
    ("web", "words"),
    [
        ({"quota": 2}, "2 pod(s) of big had no node for 30 s: exceeded quota: pods"),
        ({"broken": {"H100"}, "deadline": 4}, "the rollout has exceeded its progress deadline"),
    ],
    ids=["not made", "never ready"],
)
def test_pods_that_cannot_be_made_or_get_ready_turn_it_back_too(web: Any, words: str) -> None:
    there = play(replicas=2, load=500.0, pendingDeadlineSeconds=30, web=web)
    while len(there.changes) < 2:
        there.turn()
    there.play(2)
    assert (there.live, there.web.replicas) == ("small", 2)
    assert min(there.served) == 200.0
    assert words in there.placing.message


def test_where_fewer_of_a_form_may_run_it_is_not_changed_to() -> None:
    few = {**BIG, "replicas": {"min": 0, "max": 1}}
    there = play(SMALL, few, replicas=2, load=290.0)
    assert there.play(12) == []
    assert "not as many pods of it fit, or are allowed by its replicas.max, as there are of" in (
        there.placing.message
    )


def test_what_failed_is_said_and_tried_again_later_each_time() -> None:
    there = play(replicas=2, load=500.0, pendingDeadlineSeconds=60, web={"barred": {"H100"}})
    while len(there.changes) < 2:
        there.turn()
    there.turn()
    assert (there.placing.feasible, there.placing.reason) == (False, "RolledBack")
    assert "big 2 did not come about" in there.placing.message
    there.play(100)
    tried = [at_s for at_s, change in there.changes if change.after == "big"]
    gaps = [after - before for before, after in itertools.pairwise(tried)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= 120.0
    there.web.barred.clear()
    there.play(100)
    assert (there.live, there.placing.feasible) == ("big", True)


def test_a_restart_on_the_way_back_does_not_turn_it_around() -> None:
    there = play(replicas=2, load=150.0, pendingDeadlineSeconds=30, web={"barred": {"H100"}})
    there.arrivals = 500.0
    while len(there.changes) < 2:
        there.turn()
    there.memory = FleetMemory()
    there.play(3)
    assert len(there.changes) == 2


@pytest.mark.parametrize("outcome", [WriteOutcome.REFUSED, WriteOutcome.CONFLICT])
def test_a_change_that_was_not_written_is_decided_again(outcome: WriteOutcome) -> None:
    there = play(replicas=2, load=500.0)
    there.writes = outcome
    there.play(8)
    assert there.placing.change is not None
    there.writes = WriteOutcome.WRITTEN
    assert there.play(1) == [{"big": 2}]


def test_a_way_back_that_was_not_written_is_tried_until_it_is() -> None:
    there = play(replicas=2, load=500.0, pendingDeadlineSeconds=30, web={"barred": {"H100"}})
    while not there.changes:
        there.turn()
    there.writes = WriteOutcome.REFUSED
    there.play(8)
    assert there.placing.change is not None
    assert there.placing.change.after == "small"
    there.writes = WriteOutcome.WRITTEN
    assert there.play(1) == [{"small": 2}]


def test_who_changes_the_template_by_hand_is_not_fought() -> None:
    there = play(replicas=2, load=500.0)
    there.play(12)
    there.web.form, there.web.generation = there.form("small"), there.web.generation + 1
    assert there.live == "small"
    assert there.play(int(DWELL_S / TURN_S)) == []


def test_who_takes_it_back_twice_is_given_way_to() -> None:
    there = play(replicas=2, load=500.0)
    for _ in range(2):
        there.play(14)
        assert there.live == "big"
        there.web.form, there.web.generation = there.form("small"), there.web.generation + 1
    there.play(14)
    assert there.live == "small"
    assert there.last is not None
    assert there.last.conflict is not None
    assert there.last.conflict.reason == "RevertedByManager"


def test_no_replica_is_asked_for_while_pods_are_replaced() -> None:
    there = play(SMALL, BIG, replicas=2, load=500.0, on=nodes(h100=4))
    while not there.changes:
        there.turn()
    there.arrivals = 1200.0
    there.turn()
    assert (there.web.old != [], there.web.replicas) == (True, 2)
    there.play(10)
    assert (there.live, there.web.replicas) == ("big", 4)


@pytest.mark.parametrize("seed", range(12))
def test_a_demand_that_stays_comes_to_rest(seed: int) -> None:
    chance = random.Random(seed)
    ways = [
        way(
            f"v{number}",
            chance.choice([0, 1, 1, 2]),
            chance.choice(["50", "100", "150", "400"]),
            chance.choice("12358"),
            product,
            most=chance.randint(2, 6),
        )
        for number, product in enumerate(chance.sample(["A100", "H100", "T4", ""], 3))
    ]
    there = play(
        *ways,
        live="v0",
        replicas=chance.randint(0, 2),
        load=chance.choice([40.0, 150.0, 290.0, 700.0, 3000.0]),
        on=nodes(chance.randint(1, 6), chance.randint(0, 4), chance.randint(0, 4)),
        web={"surge": chance.choice([0, 1, 2]), "unavailable": 1},
    )
    there.play(60)
    rests = (there.live, there.web.replicas, len(there.changes))
    there.play(40)
    assert (there.live, there.web.replicas, len(there.changes)) == rests
    assert len(there.changes) <= 2


FORMS = st.sampled_from(
    [(SMALL, BIG), (SMALL, CHEAP), (SMALL, PAIR), (SMALL, BIG, CHEAP), (CHEAP, BIG, PAIR)]
)
LOADS = st.sampled_from([None, 0.0, 90.0, 200.0, 350.0, 900.0, 3000.0])


@given(
    ways=FORMS,
    replicas=st.integers(0, 3),
    loads=st.lists(st.tuples(LOADS, st.integers(1, 12)), min_size=1, max_size=5),
    web=st.fixed_dictionaries({
        "surge": st.integers(0, 2), "unavailable": st.just(1), "rolls": st.booleans(),
    }),
    barred=st.sampled_from([None, "A100", "H100", "T4"]),
    kills=st.sets(st.integers(0, 60)),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_deployment_is_asked_for_one_form_at_a_time_and_not_too_often(
    ways: Any, replicas: int, loads: Any, web: Any, barred: str | None, kills: set[int]
) -> None:
    there = play(*ways, live=ways[0]["name"], replicas=replicas, web=web, on=nodes(4, 2, 3),
                 pendingDeadlineSeconds=30)  # fmt: skip
    there.web.barred = {barred} - {None, there.web.form.product}  # type: ignore[arg-type]
    turns = 0
    since_s = there.now_s
    for load, count in loads:
        there.arrivals = load
        for _ in range(count):
            turns += 1
            if turns in kills:
                there.memory, since_s = FleetMemory(), there.now_s
            since_s = _judged(there, since_s)


def _judged(there: Reshaping, since_s: float) -> float:
    """One turn, and since when the mix stands."""
    before, known, supply = there.facts(), there.memory, there.inventory.supply([reshaping.WEB])
    live, asked, now_s = there.live, there.web.replicas, there.now_s
    result = there.turn()
    stored = memory.load(json.loads(json.dumps(memory.dump(known), allow_nan=False)))
    assert build.turns([before], now_s, stored, there.safety, supply) == result
    placing = there.placing
    assert sum(one.final > 0 for one in placing.variants) <= 1
    if there.arrivals is None:
        assert placing.change is None or placing.change.after == placing.change.came_from[0]
    change = placing.change
    if change is None:
        assert {one.name for one in placing.variants if one.final} <= {live}
        return since_s
    assert change.before == live != change.after
    came, replicas = change.came_from
    if came == change.after:
        _, gone = there.changes[-2] if len(there.changes) > 1 else (0.0, None)
        assert gone is None or (gone.came_from == (came, replicas))
    else:
        assert (came, replicas, change.replicas) == (live, asked, asked)
        assert there.now_s - TURN_S - since_s >= DWELL_S
    return now_s
