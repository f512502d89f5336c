"""What apps with variants are granted and told where they compete, or nodes do not do."""

from typing import Any

import pytest

from charon_operator.model.workload import Rival
from charon_operator.settings import Safety
from tests.decide import build, gpus, stage
from tests.decide.stage import FP32, SWAPS, Stage, variant


@pytest.mark.parametrize(
    "changes",
    [{"mode": "Advisory"}, {"forced": "the namespace's label"}, {"rival": True}],
    ids=["Advisory", "forced", "an HPA"],
)
def test_who_does_not_act_is_told_what_would_be_and_takes_nothing(changes: Any) -> None:
    hpa = Rival("HorizontalPodAutoscaler", "workload", "web")
    facts = {"rivals": (hpa,)} if changes.pop("rival", False) else {}
    if "forced" in changes:
        facts = {"forced_advisory": changes.pop("forced")}
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, name="quiet", priority=90, **changes), 2400.0, {"fp32": 1})
    play.played[gpus.key("quiet")].changes = facts
    play.enter(stage.app(FP32, name="loud"), 1800.0, {"fp32": 1})
    outcome = play.turn().outcomes[0]
    assert (outcome.decision.acts, outcome.placing and outcome.placing.moves) == (False, False)
    assert "fp32 1 -> 3" in outcome.decision.message
    play.play(3)
    assert (play.has("quiet"), play.has("loud")) == ({"fp32": 1}, {"fp32": 3})


def test_two_apps_compete_by_priority_and_neither_hears_of_the_other() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, name="dear", priority=30), 1800.0, {"fp32": 1})
    play.enter(stage.app(FP32, name="cheap", priority=10), 1800.0, {"fp32": 1})
    play.play(8)
    assert (play.has("dear"), play.has("cheap")) == ({"fp32": 3}, {"fp32": 1})
    assert play.placing("dear").feasible is True
    assert play.placing("cheap").feasible is False
    for name, other in (("dear", "cheap"), ("cheap", "dear")):
        said = play.placing(name).message + play.last[gpus.key(name)].decision.message
        assert other not in said
    assert "600 of 1800 units a second can be served" in play.placing("cheap").message


def test_who_gives_way_is_told_so() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, name="cheap", priority=10, **SWAPS), 2400.0, {"fp32": 4})
    play.enter(stage.app(FP32, name="dear", priority=30), 1200.0)
    play.played[gpus.key("cheap")].attainments = {}
    play.played[gpus.key("cheap")].changes = {"readings": build.readings(
        play.now_s, queued=700.0, arrivals=1800.0)}  # fmt: skip
    outcomes = play.turn().outcomes
    assert outcomes[0].placing is not None
    assert outcomes[0].placing.reason == "GaveWay"
    assert "2 pod(s) gave way to a larger gain" in outcomes[0].placing.message
    play.play(4)
    assert (play.has("cheap"), play.has("dear")) == ({"fp32": 2}, {"fp32": 2})


def test_the_administrator_bounds_a_priority_and_says_so() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.safety = Safety(max_priority=10, max_priority_of={"workload": 5})
    play.enter(stage.app(FP32, priority=90), 1800.0)
    play.turn()
    assert play.placing().message.endswith("; priority 90 counts as 5, the most in workload.")


def test_fragmentation_is_named_as_such() -> None:
    play = Stage(gpus.node("a", gpu=2), gpus.node("b", gpu=2))
    for at in ("a", "b"):
        play.inventory.pod_put(gpus.pod(f"other-{at}", at, stage.ONE))
    play.enter(stage.app(variant("pair", "3000", "16")), 3000.0, needs={"pair": gpus.need(gpu=2)})
    play.turn()
    assert (play.placing().feasible, play.placing().reason) == (False, "Fragmented")
    assert "2 nvidia.com/gpu free on 2 node(s), a pod asks for 2 nvidia.com/gpu on one node" in (
        play.placing().message
    )


@pytest.mark.parametrize(
    ("node", "needs", "reason"),
    [
        (gpus.node("a", "T4", gpu=4), gpus.need("A100", gpu=1), "NoSuchProduct"),
        (gpus.node("a", gpu=4), gpus.need(gpu=8), "CanNeverFit"),
        (gpus.node("a", gpu=4, taints=(gpus.TAINT,)), stage.ONE, "Taints"),
        (gpus.node("a", gpu=4, ready=False), stage.ONE, "NodesNotReady"),
        (gpus.node("a", gpu=1), stage.ONE, "OutOfReach"),
    ],
)
def test_what_cannot_be_had_is_said_in_the_inventorys_words(
    node: Any, needs: Any, reason: str
) -> None:
    play = Stage(node)
    play.enter(stage.app(FP32), 1800.0, needs={"fp32": needs})
    play.turn()
    assert (play.placing().feasible, play.placing().reason) == (False, reason)


def test_an_app_that_is_not_due_keeps_its_claim() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, name="dear", priority=30), 1800.0, {"fp32": 1})
    play.enter(stage.app(FP32, name="cheap", priority=10), 1800.0)
    play.turn("dear")
    kept = play.memory.apps[gpus.key("dear")]
    play.turn("cheap")
    assert play.memory.apps[gpus.key("dear")] == kept
    assert play.has("cheap") == {"fp32": 1}
