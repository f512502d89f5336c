"""Variants that wait for new nodes beside other apps: what those get is theirs, and stays so."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.decide.placement import newnodes
from charon_operator.decide.placement.newnodes import awaited
from tests.decide import build, gpus, stage
from tests.decide.stage import FP32, Stage, variant, waiting


def rivals() -> Stage:
    """An app with 4 GPUs that wants more, on a node that has no more."""
    play = Stage(gpus.node("a", gpu=4))
    play.enter(waiting(FP32, name="cheap", priority=10, pendingDeadlineSeconds=600),
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


def test_room_that_is_made_for_another_is_not_taken_by_a_third_that_waits() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, name="cheap", priority=10, minDwellSeconds=0), 2300.0, {"fp32": 4})
    play.played[gpus.key("cheap")].changes = {
        "readings": build.readings(play.now_s, queued=700.0, arrivals=2300.0)
    }
    play.enter(waiting(FP32, name="third", priority=1, pendingDeadlineSeconds=600), 1200.0)
    play.play(3)
    assert (play.has("cheap"), play.has("third")) == ({"fp32": 4}, {"fp32": 2})
    play.enter(stage.app(FP32, name="dear", priority=30), 1200.0)
    for _ in range(6):
        play.turn()
        assert play.serves("third") == 0.0
    assert play.serves("dear") == 1200.0
    assert play.has("third") == {"fp32": 2}


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
