"""Variants that wait for nodes which a cluster autoscaler brings: the test plays the autoscaler."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.decide.placement import newnodes
from charon_operator.decide.placement.newnodes import awaited
from charon_operator.model.memory import FleetMemory
from charon_operator.names import GrantReason, Reason, Shortage
from tests.decide import build, gpus, stage
from tests.decide.stage import FP32, Stage, variant

A100 = variant("a100", "400", "1")
CPU = variant("cpu", "100", "1", most=40)
NEEDS = {"a100": gpus.need("A100", gpu=1), "cpu": gpus.need(cpu=16_000)}
# A turn is 15 s.
DEADLINE_S = 60
APP = gpus.key("ptycho")


def waiting(*ways: dict[str, Any], **changes: Any) -> Any:
    """An app that may wait for new nodes, and moves at once to what is cheaper."""
    given = {"newNodes": "Autoscaler", "pendingDeadlineSeconds": DEADLINE_S, "minDwellSeconds": 0}
    return stage.app(*ways, **{**given, **changes})


def four_cpus(*ways: dict[str, Any], arrivals: float = 800.0, **changes: Any) -> Stage:
    """One node without GPUs, with room for four pods of the slow variant."""
    play = Stage(gpus.node("plain", ""))
    play.enter(waiting(*(ways or (A100, CPU)), **changes), arrivals, needs=NEEDS)
    return play


def brings(play: Stage, *names: str) -> None:
    """Nodes with a GPU each."""
    for name in names:
        play.inventory.node_put(gpus.node(name, "A100", gpu=1))


def said(play: Stage) -> str:
    return play.last[APP].decision.message


def test_pods_wait_for_a_node_and_what_fits_serves_meanwhile() -> None:
    play = four_cpus()
    assert play.play(1) == [{"a100": 2, "cpu": 4}]
    assert said(play).startswith("Raised: freshness wants 800 a second: a100 0 -> 2, cpu 0 -> 4; ")
    assert "2 pod(s) of a100 wait for a node that an autoscaler is to bring, for 60 s" in said(play)
    assert play.play(2) == []
    assert (play.placing().feasible, play.placing().reason) == (False, Reason.WAITING_FOR_NODES)
    assert "autoscaler is to bring, until 1970-01-01T02:47:55Z" in play.placing().message
    assert "a100: NoSuchProduct" in play.placing().message
    assert {one.name: (one.waiting, one.goal) for one in play.placing().variants} == {
        "a100": (2, 2), "cpu": (0, 4),
    }  # fmt: skip
    assert play.serves() == 400.0
    brings(play, "first", "second")
    assert play.play(8) == [{"a100": 2}]
    assert play.serves() == 800.0
    assert (play.placing().feasible, play.placing().reason) == (True, GrantReason.ENOUGH)
    assert play.memory.apps[APP].placing is not None
    assert play.memory.apps[APP].placing.awaited is None


def test_without_leave_nothing_is_asked_for_that_does_not_fit() -> None:
    play = four_cpus(newNodes="None")
    assert play.play(8) == [{"cpu": 4}]
    assert play.placing().reason == Shortage.NO_SUCH_PRODUCT


def test_nodes_that_come_one_by_one_start_the_deadline_anew() -> None:
    play = four_cpus()
    play.play(4)
    brings(play, "first")
    assert play.play(3) == []
    assert "1 pod(s) of a100 wait" in play.placing().message
    brings(play, "second")
    assert play.play(6) == [{"a100": 2}]


def test_a_dearer_mix_that_serves_all_gives_way_as_nodes_come_one_by_one() -> None:
    play = Stage(*(gpus.node(f"plain-{n}", "") for n in range(5)))
    cheap = {**A100, "costPerReplica": "3.4"}
    play.enter(waiting(cheap, CPU, pendingDeadlineSeconds=600), 2000.0, {"cpu": 20}, needs=NEEDS)
    come = []
    for turn in range(30):
        if turn % 4 == 3:
            brings(play, f"node-{turn}")
        play.turn()
        come.append(play.ready[play.played[APP].app.targets[0]])
        assert play.serves() >= 2000.0
        assert play.has().get("a100", 0) == 5 or turn < 1
    assert come == sorted(come)
    assert play.has() == {"a100": 5}


def test_what_has_room_and_was_not_granted_is_not_waited_for() -> None:
    """It would be given a node at once, and given up again, in turns."""
    sizes = [("T4", 4), ("T4", 1), ("A100", 2), ("A100", 8)]
    play = Stage(
        *(gpus.node(f"n{n}", product, gpu=size) for n, (product, size) in enumerate(sizes))
    )
    first = variant("v0", "1200", "8", most=2)
    play.enter(
        waiting(first, name="first"), 4000.0, {"v0": 2}, needs={"v0": gpus.need("T4", gpu=1)}
    )
    ways = (variant("v0", "300", "2", most=5), variant("v1", "600", "1", most=1),
            variant("v2", "600", "2", most=3))  # fmt: skip
    needs = {"v0": gpus.need("A100", gpu=1), "v2": gpus.need("T4", gpu=2)}
    play.enter(waiting(*ways), 2000.0, {"v0": 5, "v1": 1}, needs=needs)
    for _ in range(12):
        play.turn()
        assert play.has() == {"v0": 5, "v1": 1}
    assert play.inventory.stock().fit(needs["v2"]).total == 1


def test_pods_that_waited_in_vain_are_given_up_and_the_time_to_the_next_try_doubles() -> None:
    play = four_cpus(A100)
    tries, gaps = [], []
    for _ in range(90):
        before = play.has()
        play.turn()
        if play.has() and not before:
            tries.append(play.now_s)
        if before and not play.has():
            gaps.append(play.now_s)
            assert said(play).startswith("Lowered: freshness wants 800 a second: a100 2 -> 0; ")
            assert (play.placing().feasible, play.placing().reason) == (False, Reason.ROLLED_BACK)
            assert "a100: NoSuchProduct" in play.placing().message
            assert "; a100 2 did not come about: 2 pod(s) of a100 had no node for 60 s; " in (
                play.placing().message
            )
    assert [again - gone for gone, again in zip(gaps, tries[1:], strict=False)] == [120, 240, 480]
    assert [gone - tried for tried, gone in zip(tries, gaps, strict=False)][:3] == [75, 75, 75]


def test_what_waited_in_vain_is_replaced_by_the_next_cheapest_which_may_wait_too() -> None:
    play = four_cpus()
    moves = play.play(20)
    assert moves == [{"a100": 2, "cpu": 4}, {"cpu": 4}, {"cpu": 8}, {"cpu": 4}]
    assert (
        "a100 2, cpu 8 did not come about: 4 pod(s) of cpu had no node for 60 s; tried again "
        in (play.placing().message)
    )


def test_failures_are_forgotten_once_nothing_is_lacking() -> None:
    play = four_cpus(A100)
    play.play(8)
    known = play.memory.apps[APP].placing
    assert known is not None
    assert known.awaited is not None
    assert known.awaited.failures == 1
    brings(play, "first", "second")
    play.play(10)
    assert play.serves() == 800.0
    known = play.memory.apps[APP].placing
    assert known is not None
    assert known.awaited is None


def test_what_fits_is_raised_while_pods_wait() -> None:
    play = four_cpus(arrivals=200.0, pendingDeadlineSeconds=600)
    assert play.play(3) == [{"a100": 1, "cpu": 2}]
    play.played[APP].arrivals = 300.0
    assert play.play(3) == [{"a100": 1, "cpu": 3}]
    assert play.serves() == 300.0
    assert play.placing().feasible is True
    assert "1 pod(s) of a100 wait for a node" in play.placing().message


def test_a_wish_that_falls_takes_back_what_waits_for_it() -> None:
    play = four_cpus(pendingDeadlineSeconds=600)
    play.play(3)
    play.played[APP].arrivals = 400.0
    assert play.play(10)[-1] == {"a100": 1, "cpu": 4}
    play.played[APP].arrivals = 100.0
    assert play.play(10)[-1] == {"cpu": 1}, "one a100 costs as much"


@pytest.mark.parametrize(
    ("most", "wanted", "asked"), [(3, 9000.0, 3), (8, 900.0, 3), (0, 900.0, 0)]
)
def test_no_more_waits_than_its_bounds_and_its_wish_allow(
    most: int, wanted: float, asked: int
) -> None:
    play = four_cpus({**A100, "replicas": {"min": 0, "max": most}}, CPU, arrivals=wanted,
                     pendingDeadlineSeconds=600)  # fmt: skip
    play.play(4)
    assert play.has().get("a100", 0) == asked


def taken(play: Stage) -> None:
    for at in ("a", "b"):
        play.inventory.node_put(gpus.node(at, "A100", gpu=2))
        play.inventory.pod_put(gpus.pod(f"guest-{at}", at, gpus.need(gpu=2)))


def halved(play: Stage) -> None:
    for at in ("a", "b"):
        play.inventory.node_put(gpus.node(at, "A100", gpu=2))
        play.inventory.pod_put(gpus.pod(f"guest-{at}", at, gpus.need(gpu=1)))


SHORTAGES: list[tuple[Shortage, Callable[[Stage], None]]] = [
    (Shortage.BUSY_NOW, taken),
    (Shortage.FRAGMENTED, halved),
    (Shortage.NO_SUCH_PRODUCT, lambda play: None),
    (
        Shortage.NODES_NOT_READY,
        lambda play: play.inventory.node_put(gpus.node("a", "A100", gpu=2, ready=False)),
    ),
    (
        Shortage.TAINTS,
        lambda play: play.inventory.node_put(gpus.node("a", "A100", gpu=2, taints=(gpus.TAINT,))),
    ),
    (
        Shortage.CAN_NEVER_FIT,
        lambda play: play.inventory.node_put(gpus.node("a", "A100", gpu=1)),
    ),
]


@pytest.mark.parametrize(("shortage", "set_up"), SHORTAGES, ids=[str(one) for one, _ in SHORTAGES])
def test_every_shortage_is_waited_on_as_new_nodes_may_be_unlike_those_there(
    shortage: Shortage, set_up: Callable[[Stage], None]
) -> None:
    play = Stage()
    set_up(play)
    play.enter(waiting(A100), 400.0, needs={"a100": gpus.need("A100", gpu=2)})
    assert play.play(2) == [{"a100": 1}]
    assert play.placing().reason == Reason.WAITING_FOR_NODES
    assert f"a100: {shortage}" in play.placing().message
    play.inventory.node_put(gpus.node("new", "A100", gpu=2))
    play.play(3)
    assert (play.serves(), play.placing().feasible) == (400.0, True)


def test_a_minimum_waits_without_a_deadline() -> None:
    least = {**A100, "replicas": {"min": 1, "max": 8}}
    play = four_cpus(least, CPU, arrivals=100.0)
    play.turn()
    for _ in range(12):
        play.turn()
        assert play.has()["a100"] == 1
    assert "bring, as the minimum asks" in play.placing().message
    brings(play, "first")
    play.play(4)
    assert (play.has(), play.placing().feasible) == ({"a100": 1}, True)


def test_above_a_minimum_only_the_rest_is_given_up() -> None:
    least = {**A100, "replicas": {"min": 1, "max": 8}}
    play = four_cpus(least)
    assert play.play(8) == [{"a100": 2}, {"a100": 1}]
    assert "a100 2 did not come about: 1 pod(s) of a100 had no node" in play.placing().message


def test_a_saving_alone_is_waited_for_after_the_dwell_and_if_it_is_large_enough() -> None:
    play = four_cpus(arrivals=400.0, minDwellSeconds=60)
    assert play.play(12) == [{"cpu": 4}, {"a100": 1, "cpu": 4}, {"cpu": 4}]
    assert play.placing().feasible is True
    assert "400 of 400 units a second can be served; a100 1 did not come about" in (
        play.placing().message
    )
    dear = {**A100, "costPerReplica": "3.9"}
    assert four_cpus(dear, CPU, arrivals=400.0).play(6) == [{"cpu": 4}]


@pytest.mark.parametrize("every", [1, 3], ids=["before every turn", "before every third"])
def test_a_restart_asks_for_no_more(every: int) -> None:
    """What waits is not taken for what is there; the deadline begins anew."""
    play = four_cpus(pendingDeadlineSeconds=45)
    for count in range(9):
        if count % every == 0:
            play.memory = FleetMemory()
        play.turn()
        assert play.has() == {"a100": 2, "cpu": 4}
    assert play.play(4)[0] == {"cpu": 4}


def test_missing_metrics_give_up_nothing_that_waits() -> None:
    play = four_cpus(pendingDeadlineSeconds=600)
    play.play(3)
    play.played[APP].arrivals = None
    assert play.play(4) == []
    brings(play, "first", "second")
    assert play.play(4) == []
    assert play.serves() == 1200.0


def test_pods_that_a_quota_forbids_are_given_up_with_its_words() -> None:
    play = four_cpus(A100, arrivals=400.0)
    play.quota = {"ptycho-a100": 0}
    assert play.play(8) == [{"a100": 1}, {}]
    assert "exceeded quota: gpus; tried again 120 s after that" in play.placing().message


@pytest.mark.parametrize("direction", ["Up", "Both"])
def test_a_hold_asks_for_no_node(direction: str) -> None:
    holds = [{"name": "party", "direction": direction, "reason": "a demonstration"}]
    assert four_cpus(holds=holds).play(4) == []


def test_who_does_not_act_is_told_what_would_wait() -> None:
    play = four_cpus(mode="Advisory")
    assert play.play(3) == []
    assert "a100 0 -> 2, cpu 0 -> 4; 2 pod(s) of a100 wait for a node" in said(play)
    first = play.placing()
    play.turn()
    assert play.placing() == first, "no time that moves on"


def rivals(**changes: Any) -> Stage:
    """An app with 4 GPUs that wants more, on a node that has no more."""
    play = Stage(gpus.node("a", gpu=4))
    play.enter(waiting(FP32, name="cheap", priority=10, pendingDeadlineSeconds=600, **changes),
               3600.0, {"fp32": 4})  # fmt: skip
    play.played[gpus.key("cheap")].changes = {
        "readings": build.readings(play.now_s, queued=700.0, arrivals=3600.0)
    }
    return play


def test_pods_that_wait_do_not_take_the_room_that_others_are_to_get() -> None:
    play = rivals()
    play.play(3)
    wants = play.has("cheap")
    assert wants["fp32"] > 4
    play.enter(stage.app(FP32, name="dear", priority=30), 1200.0)
    seen = []
    for _ in range(12):
        play.turn()
        seen.append((play.has("cheap").get("fp32", 0), play.has("dear").get("fp32", 0)))
    assert play.serves("dear") == 1200.0
    assert play.serves("cheap") == 1200.0
    assert seen[0][0] == 2, "what waits goes with what gives way"
    assert seen[-1] == (wants["fp32"], 2), "and waits again once the other has what it was to get"
    assert len({cheap for cheap, _ in seen}) == 2, seen


def test_what_others_are_about_to_take_gets_no_new_pod_that_waits() -> None:
    """Both come at once: the free GPUs go to the one that they were granted to."""
    play = Stage(gpus.node("a", gpu=2))
    play.enter(waiting(FP32, name="cheap", priority=1), 1200.0)
    play.enter(stage.app(FP32, name="dear", priority=30), 1200.0)
    play.turn()
    assert (play.has("cheap"), play.has("dear")) == ({}, {"fp32": 2})
    play.play(3)
    assert (play.has("cheap"), play.has("dear")) == ({"fp32": 2}, {"fp32": 2})
    assert (play.serves("cheap"), play.serves("dear")) == (0.0, 1200.0)


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Stage, Stage]:
    """The same apps on the same nodes, where the first may wait for new nodes, and where not."""
    nodes = [
        gpus.node(f"n{n}", product, gpu=count)
        for n, (product, count) in enumerate(
            draw(st.lists(st.tuples(st.sampled_from(["A100", "T4"]), st.sampled_from([1, 2, 4])),
                          max_size=3))
        )
    ]  # fmt: skip
    apps = []
    for _ in range(draw(st.integers(1, 3))):
        ways, needs, has = [], {}, {}
        for place in range(draw(st.integers(1, 3))):
            name = f"v{place}"
            capacity = draw(st.sampled_from(["100", "300", "600"]))
            least = draw(st.sampled_from([0, 0, 1]))
            ways.append(variant(name, capacity, draw(st.sampled_from("128")), least=least, most=5))
            product = draw(st.sampled_from(["", "A100", "T4"]))
            needs[name] = gpus.need(product, gpu=draw(st.sampled_from([1, 1, 2])))
            has[name] = draw(st.sampled_from([0, 0, 1, 2]))
        wanted = draw(st.sampled_from([None, 100.0, 500.0, 900.0, 2000.0]))
        priority = draw(st.sampled_from([5, 10, 20]))
        dwell = draw(st.sampled_from([0, 30]))
        apps.append((ways, needs, has, wanted, priority, dwell))
    plays = []
    for choice in ("Autoscaler", "None"):
        play = Stage(*nodes)
        for number, (ways, needs, has, wanted, priority, dwell) in enumerate(apps):
            chosen = stage.app(
                *ways, name=f"app-{number}", priority=priority, minDwellSeconds=dwell,
                pendingDeadlineSeconds=30, newNodes="None" if number else choice,
            )  # fmt: skip
            play.enter(chosen, wanted, has, needs=needs)
        plays.append(play)
    return plays[0], plays[1]


@given(fleets(), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_waiting_pods_stay_within_bounds_and_change_nothing_for_others(
    plays: tuple[Stage, Stage], turns: int
) -> None:
    play, _ = plays
    for _ in range(turns):
        supply, before, now_s = play.supply(), play.memory, play.now_s
        facts = [play.facts(key) for key in play.played]
        result = play.turn()
        assert build.turns(facts, now_s, before, play.safety, supply) == result
        for outcome in result.outcomes:
            assert outcome.placing is not None
            for one in outcome.placing.variants:
                assert one.final <= max(one.asked, 5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(newnodes, "awaited", lambda *args: replace(awaited(*args), counts={}))
            plain = build.turns(facts, now_s, before, play.safety, supply)
        assert plain.outcomes[1:] == result.outcomes[1:], "others do what they would do without"


@given(fleets())
@settings(max_examples=60, deadline=None)
def test_alone_it_is_served_no_worse_while_it_waits(plays: tuple[Stage, Stage]) -> None:
    waits, plain = plays
    if len(waits.played) > 1:
        return
    for _ in range(16):
        waits.turn()
        plain.turn()
        assert waits.serves("app-0") >= plain.serves("app-0")
