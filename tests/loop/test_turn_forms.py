"""The turn of an app whose variants share a Deployment: when that changes, and how, and back."""

from typing import Any

import pytest

from charon_operator.decide.placement import shares
from charon_operator.model.claim import Claim
from charon_operator.model.memory import FleetMemory
from charon_operator.model.placing import Supply
from tests.decide import gpus
from tests.decide.reshaping import BIG, CHEAP, DWELL_S, PAIR, SMALL, nodes, play, way


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
