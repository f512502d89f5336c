"""The turn of an app whose variants share a Deployment: when that changes, and how, and back."""

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.decide.placement import shares
from charon_operator.model import memory
from charon_operator.model.claim import Claim
from charon_operator.model.memory import FleetMemory
from charon_operator.model.placing import Supply
from charon_operator.ports import WriteOutcome
from tests.decide import build, gpus, reshaping
from tests.decide.reshaping import Reshaping, way
from tests.decide.stage import TURN_S

SMALL = way("small", 1, "100", "4", "A100")
BIG = way("big", 1, "300", "9", "H100")
CHEAP = way("cheap", 1, "100", "2", "T4")
PAIR = way("pair", 2, "250", "6", "A100")
DWELL_S = 60.0


def nodes(a100: int = 2, h100: int = 2, t4: int = 4) -> list[Any]:
    counts = {"A100": a100, "H100": h100, "T4": t4}
    return [gpus.node(name.lower(), name, gpu=count) for name, count in counts.items() if count]


def play(
    *ways: Any, live: str = "small", replicas: int = 1, load: float | None = 100.0,
    on: list[Any] | None = None, web: dict[str, Any] | None = None, **changes: Any,
) -> Reshaping:  # fmt: skip
    found = Reshaping(
        *(nodes() if on is None else on),
        chosen=reshaping.app(*(ways or (SMALL, BIG)), **changes),
        live=live,
        replicas=replicas,
        **(web or {}),
    )
    found.arrivals = load
    return found


def test_what_the_live_form_can_never_serve_is_served_by_another() -> None:
    there = play(replicas=2, load=500.0)
    assert there.play(20) == [{"big": 2}]
    ((at_s, change),) = there.changes
    assert at_s == 10_000.0 + DWELL_S
    assert (change.before, change.after, change.replicas) == ("small", "big", 2)
    assert (change.surges, change.came_from) == (True, ("small", 2))
    assert min(there.served) >= 200.0
    assert there.served[-1] == 600.0
    assert (there.placing.feasible, there.placing.reason) == (True, "Enough")


def test_a_change_says_what_it_does() -> None:
    there = play(replicas=2, load=500.0)
    while not there.changes:
        there.turn()
    assert there.last is not None
    decision = there.last.decision
    assert decision.reason == "Raised"
    assert "small 2 -> 0, big 0 -> 2" in decision.message
    assert "Deployment workload/web changes from small to big by its pod template" in (
        decision.message
    )
    moves = {one.name: (one.asked, one.final, one.goal) for one in there.placing.variants}
    assert moves == {"small": (2, 0, 0), "big": (0, 2, 2)}


def test_as_much_for_less_is_changed_to_after_the_dwell_and_is_kept() -> None:
    there = play(SMALL, CHEAP, replicas=2, load=200.0)
    assert there.play(40) == [{"cheap": 2}]
    assert min(there.served) >= 200.0
    assert len(there.changes) == 1


def test_a_small_saving_is_not_worth_a_rollout() -> None:
    there = play(SMALL, {**CHEAP, "costPerReplica": "3.5"}, replicas=2, load=200.0)
    assert there.play(40) == []


def test_replicas_follow_once_all_pods_are_in_the_new_form() -> None:
    there = play(SMALL, BIG, replicas=2, load=700.0, on=nodes(h100=3))
    assert there.play(30) == [{"big": 2}, {"big": 3}]
    assert there.placing.feasible is True
    fewer = play(SMALL, BIG, replicas=2, load=250.0)
    assert fewer.play(30) == [{"big": 2}, {"big": 1}]
    assert min(fewer.served) >= 200.0


def test_what_is_too_much_for_any_form_is_served_by_the_one_that_serves_most() -> None:
    there = play(SMALL, BIG, replicas=2, load=5000.0)
    there.play(30)
    assert (there.live, there.web.replicas) == ("big", 2)
    assert there.placing.reason == "OutOfReach"
    assert len(there.changes) == 1


@pytest.mark.parametrize(("free", "surge"), [(2, True), (1, False)])
def test_where_no_new_pod_fits_beside_them_one_old_pod_goes_first(free: int, surge: bool) -> None:
    one = {**SMALL, "replicas": {"min": 0, "max": 1}}
    there = play(one, PAIR, load=150.0, on=nodes(a100=1 + free, h100=0))
    assert there.play(20) == [{"pair": 1}]
    ((_, change),) = there.changes
    assert change.surges is surge
    assert max(there.waited) <= (0 if surge else 1)
    assert there.served[-1] == 250.0
    assert (there.web.surge, there.web.unavailable) == ((1, 0) if surge else (0, 1))


def test_a_disruption_budget_keeps_the_pods_that_would_go_first() -> None:
    one = {**SMALL, "replicas": {"min": 0, "max": 1}}
    there = play(one, PAIR, load=150.0, on=nodes(a100=2, h100=0), web={"floor": 1})
    assert there.play(12) == []
    assert "a PodDisruptionBudget keeps 1 available, and no new pod fits beside them" in (
        there.placing.message
    )


def test_where_not_even_then_one_fits_nothing_is_changed_and_it_is_said_why() -> None:
    others = gpus.need("A100", gpu=1)
    one = {**SMALL, "replicas": {"min": 0, "max": 2}}
    apart = [gpus.node("a", "A100", gpu=1), gpus.node("b", "A100", gpu=2)]
    there = play(one, {**PAIR, "capacityPerReplica": {"value": "900"}}, load=500.0, on=apart)
    there.inventory.pod_put(gpus.pod("other", "b", others))
    assert there.play(20) == [{"small": 2}]
    assert not there.changes
    full = play(one, PAIR, replicas=2, load=240.0, on=[gpus.node("a", "A100", gpu=4)])
    full.inventory.pod_put(gpus.pod("other", "a", others))
    full.play(20)
    assert not full.changes


@pytest.mark.parametrize(
    ("web", "words"),
    [
        ({"rolls": False}, "Recreate ends all pods at once: set spec.strategy.type to Rolling"),
        ({"paused": True}, "its rollouts are paused: set spec.paused to false"),
    ],
)
def test_what_stands_against_a_change_is_said_with_the_remedy(web: Any, words: str) -> None:
    there = play(replicas=2, load=500.0, web=web)
    assert there.play(12) == []
    assert not there.changes
    assert "Deployment workload/web would become big, but" in there.placing.message
    assert words in there.placing.message


def test_as_many_pods_that_serve_less_do_not_take_the_place_of_what_serves() -> None:
    tiny = way("tiny", 1, "40", "1", "T4")
    there = play(SMALL, tiny, replicas=1, load=100.0)
    assert there.play(12) == []
    assert "as many pods of it as there are of small serve less than is wanted" in (
        there.placing.message
    )


def test_without_the_administrators_leave_nothing_is_changed() -> None:
    there = play(replicas=2, load=500.0)
    there.facts_changed = {"fixed_forms": True}
    assert there.play(12) == []
    assert there.placing.message.endswith(
        "; nothing is changed to big, as the operator may not change pod templates "
        "(set knobs.placement.templates=true in its values)."
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "Advisory"},
        {"holds": [{"name": "party", "direction": "Up"}]},
        {"holds": [{"name": "party", "direction": "Down"}]},
    ],
    ids=["Advisory", "held up", "held down"],
)
def test_what_is_not_to_be_moved_is_not_changed(changes: Any) -> None:
    there = play(replicas=2, load=500.0, **changes)
    assert there.play(12) == []


def test_while_metrics_are_missing_nothing_is_changed() -> None:
    there = play(replicas=2, load=500.0)
    there.turn()
    there.arrivals = None
    assert there.play(12) == []


def test_a_restart_changes_nothing_before_another_dwell() -> None:
    there = play(replicas=2, load=500.0)
    for _ in range(12):
        there.memory = FleetMemory()
        assert there.play(1) == []


def test_a_restart_in_the_middle_of_a_change_goes_on_with_it() -> None:
    there = play(replicas=2, load=500.0)
    while not there.changes:
        there.turn()
    there.memory = FleetMemory()
    there.play(20)
    assert (there.live, there.web.replicas, len(there.changes)) == ("big", 2, 1)
    known = there.memory.apps[there.app.key].placing
    assert known is not None
    assert known.handover is not None
    assert known.handover.start == {"small": 0, "big": 2}


def test_what_another_app_was_granted_and_has_not_asked_for_is_not_counted_on() -> None:
    need, there = gpus.need(gpu=1), gpus.stock(gpus.node("a", gpu=4))
    ways = (gpus.variant("any", need),)
    other = Claim(gpus.key("other"), 10.0, 200.0, 0.0, ways, asked={"any": 0}, since_s=0.0)
    found = shares.share([other], [other.key], Supply(there.nodes, there.free), 1000.0)
    assert (found.stock.fit(need, 9).total, found.unpromised().fit(need, 9).total) == (4, 2)


def test_what_somebody_else_holds_is_not_counted_on() -> None:
    there = play(SMALL, CHEAP, replicas=2, load=200.0, on=nodes(t4=2))
    there.play(3)
    there.inventory.pod_put(gpus.pod("other", "t4", gpus.need("T4", gpu=1)))
    assert there.play(12) == []
    there.inventory.pod_gone("other")
    assert there.play(6) == [{"cheap": 2}]


# The way back.


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
