"""Two apps of two namespaces want more GPUs than there are (design.md 5.6), on a real scheduler."""

import json

import pytest

from charon_operator.names import GrantReason, Shortage
from tests.gpu_bed import template
from tests.placement.manifests import SET_POINT, Variant
from tests.placement.stage import App, Ground

pytestmark = pytest.mark.testbed


def gpu(ground: Ground, least: int = 1, replicas: int = 0) -> Variant:
    """One GPU of the test's own product serves 100."""
    return Variant("gpu", template(product=ground.product), least=least, replicas=replicas)


def names_nobody_else(told: App, other: App) -> bool:
    said = json.dumps(dict(told.status()))
    return other.name not in said and other.namespace not in said


def test_minima_first_then_by_gain_and_each_is_told_why(ground: Ground) -> None:
    ground.node(4)
    amber = ground.app("amber", gpu(ground), load=300, priority=20)
    beryl = ground.app("beryl", gpu(ground), load=300)
    # Two minima; of what is left a third of the demand counts twice as much for the one of 20.
    amber.wait_ready(gpu=3)
    beryl.wait_ready(gpu=1)
    assert "300 of 300" in amber.wait_feasible("True", GrantReason.ENOUGH)
    said = beryl.wait_feasible("False", Shortage.BUSY_NOW)
    assert "100 of 300" in said
    assert names_nobody_else(amber, beryl)
    assert names_nobody_else(beryl, amber)
    beryl.wait_told(gpu={"asked": 1, "ready": 1, "waiting": 0, "goal": 1})
    assert not amber.waiting() + beryl.waiting()

    # What the stronger gives up, the weaker gets.
    amber.load(100)
    amber.wait_ready(gpu=1)
    beryl.wait_ready(gpu=3)
    beryl.wait_feasible("True", GrantReason.ENOUGH)

    # Within its objective it is not robbed, however strong the other is.
    amber.load(300)
    assert "100 of 300" in amber.wait_feasible("False", Shortage.BUSY_NOW)
    moved = len(amber.history() + beryl.history())
    amber.wait_turns(5)
    assert (amber.asked(), beryl.asked()) == ({"gpu": 1}, {"gpu": 3})
    assert len(amber.history() + beryl.history()) == moved

    # Once it is not, it gives way to the larger gain, and is told so.
    beryl.load(300, queued=SET_POINT + 1)
    amber.wait_ready(gpu=3)
    beryl.wait_ready(gpu=1)
    assert "2 pod(s) gave way to a larger gain" in beryl.said_last()
    beryl.wait_feasible("False", Shortage.BUSY_NOW)
    amber.wait_feasible("True", GrantReason.ENOUGH)
    assert names_nobody_else(beryl, amber)
    assert max(sum(one.values()) for one in amber.history()) == 3


def test_a_new_minimum_comes_before_what_others_want(ground: Ground) -> None:
    ground.node(2)
    amber = ground.app("amber", gpu(ground, least=0), load=200, priority=100)
    amber.wait_ready(gpu=2)
    beryl = ground.app("beryl", gpu(ground), load=100)
    beryl.wait_ready(gpu=1)
    amber.wait_ready(gpu=1)
    assert "1 pod(s) gave way to a larger gain" in amber.said_last()
    assert "100 of 200" in amber.wait_feasible("False", Shortage.BUSY_NOW)
    assert names_nobody_else(amber, beryl)
