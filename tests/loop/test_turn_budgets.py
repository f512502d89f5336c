"""PodDisruptionBudgets over pods of variants: what they keep stays, is said, and blocks no more."""

import pytest

from tests.decide import gpus, stage
from tests.decide.stage import FP16, FP32, SWAPS, Stage

KEEPS = "a PodDisruptionBudget keeps {} of fp32 available"


def rested(play: Stage, turns: int = 10) -> None:
    """Plays on, and sees that nothing moves any more."""
    play.play(turns)
    there = dict(play.asked)
    assert play.play(turns) == []
    assert play.asked == there


@pytest.mark.parametrize(
    ("has", "keeps", "arrivals", "gpu", "ends", "told"),
    [
        pytest.param({"fp32": 4}, 2, 2400.0, 8, {"fp32": 2, "fp16": 1}, True, id="an exchange"),
        pytest.param({"fp32": 4}, 9, 2400.0, 8, {"fp32": 4}, True, id="more than there are"),
        pytest.param({"fp32": 1}, 3, 0.0, 8, {"fp32": 1}, True, id="the last one"),
        pytest.param({"fp32": 4}, 3, 600.0, 8, {"fp32": 3}, True, id="less is wanted"),
        pytest.param({"fp32": 4}, 1, 600.0, 8, {"fp32": 1}, False, id="so much is wanted"),
        pytest.param({"fp32": 4}, 0, 2400.0, 8, {"fp16": 2}, False, id="nothing is kept"),
        pytest.param({"fp32": 2}, 1, 2400.0, 2, {"fp32": 1, "fp16": 1}, True, id="no GPU is free"),
        pytest.param({"fp32": 2}, 2, 2400.0, 2, {"fp32": 2}, True, id="no GPU would be free"),
        pytest.param({"fp32": 0}, 2, 600.0, 8, {"fp32": 1}, False, id="none is there yet"),
    ],
)
def test_what_a_budget_keeps_stays_and_is_named_where_it_is_why(
    has: dict[str, int], keeps: int, arrivals: float, gpu: int, ends: dict[str, int], told: bool
) -> None:
    play = Stage(gpus.node("a", gpu=gpu))
    play.budgets = {"ptycho-fp32": keeps}
    play.enter(stage.app(FP32, FP16, **SWAPS), arrivals, has)
    least = min(keeps, has["fp32"])
    for _ in range(10):
        play.turn()
        assert play.has().get("fp32", 0) >= least
    rested(play)
    assert play.has() == ends
    decision = play.last[gpus.key("ptycho")].decision
    assert (KEEPS.format(least) in decision.message) is told
    assert ("PodDisruptionBudget" in [clamp.limit for clamp in decision.clamps]) is told


def test_an_exchange_goes_on_once_the_budget_is_gone() -> None:
    play = Stage(gpus.node("a", gpu=8))
    play.budgets = {"ptycho-fp32": 2}
    play.enter(stage.app(FP32, FP16, **SWAPS), 2400.0, {"fp32": 4})
    rested(play)
    play.budgets = {}
    assert play.play(6)[-1] == {"fp16": 2}


def test_a_smaller_maximum_waits_for_a_budget() -> None:
    play = Stage(gpus.node("a", gpu=8))
    play.budgets = {"ptycho-fp32": 3}
    play.enter(stage.app({**FP32, "replicas": {"min": 0, "max": 2}}, **SWAPS), 1200.0, {"fp32": 4})
    rested(play)
    assert play.has() == {"fp32": 3}


def test_pods_that_have_no_node_are_not_available_and_not_kept() -> None:
    play = Stage(gpus.node("a", gpu=8))
    play.unschedulable, play.budgets = {"ptycho-fp32"}, {"ptycho-fp32": 2}
    play.enter(stage.app(FP32, pendingDeadlineSeconds=30), 1200.0)
    assert play.play(6) == [{"fp32": 2}, {}]
    assert play.placing().reason == "RolledBack"


def test_others_are_granted_what_a_budget_leaves_and_no_more() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.budgets = {"cheap-fp32": 3}
    play.enter(stage.app(FP32, name="cheap", priority=10, **SWAPS), 2400.0, {"fp32": 4})
    least = {**FP32, "replicas": {"min": 2, "max": 8}}
    play.enter(stage.app(least, name="dear", priority=30), 1200.0)
    play.enter(stage.app(FP32, name="third"), 600.0)
    rested(play)
    assert (play.has("cheap"), play.has("dear")) == ({"fp32": 3}, {"fp32": 1})
    assert play.placing("dear").feasible is False
    # What is free besides is shared out as ever.
    play.inventory.node_put(gpus.node("b", gpu=2))
    rested(play)
    assert (play.has("dear"), play.has("third")) == ({"fp32": 2}, {"fp32": 1})
