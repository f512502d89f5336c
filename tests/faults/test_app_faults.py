"""Apps that are changed without end, made again and again, or hold what nobody can read."""

import time

import pytest

from charon_operator.model.hold import Direction
from tests.faults import apifault, harness, manifests
from tests.faults.lengths import LENGTHS
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.faults]
_LONG_S = 8


def test_b18_when_an_app_flips_each_second_then_the_cooldown_holds(
    operator: harness.Operator, world: harness.World
) -> None:
    world.load(9)
    world.wait_settled(9)
    for turn in range(LENGTHS.flips):
        world.change(replicas={"min": 1, "max": (4, 9)[turn % 2]})
        harness.hold(1)
    world.wait_settled(9)
    assert [*world.violations(operator), *world.unseen()] == []


def test_b18_when_an_app_is_made_again_and_again_then_the_cooldown_holds(
    operator: harness.Operator, world: harness.World
) -> None:
    # Longer than a life: a life that forgot the raise of the one before would lower.
    world.apply(manifests.policy(lowering={"cooldownSeconds": _LONG_S, "maxPerHour": 3600}))
    world.wait_settled(2)
    world.load(9)
    world.wait_replicas(9)
    wait_until(world.moves, "the raise in the audit log")
    world.load(3)
    for _ in range(LENGTHS.recreations):
        world.bed.kubectl("delete", "chargedapp", "web", f"-n{world.namespace}")
        born_s = time.time()
        world.apply(manifests.charged_app("web"))
        _wait_life(world, operator, born_s)
    world.wait_settled(3, 60)
    assert [move.after for move in world.moves()] == [9, 3]
    assert world.violations(operator, cooldown_s=_LONG_S) == []


def _wait_life(world: harness.World, operator: harness.Operator, born_s: float) -> None:
    """Two turns of a life of an app: the first is for looking only, the second could lower."""
    wait_until(lambda: len(world.turns(operator, born_s)) >= 2, "two turns of a life")


def test_b21_when_a_hold_cannot_be_read_then_it_holds_everything(
    stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> None:
    # The schema rejects it, so it is planted on its way to the operator, as an old object would be.
    world.wait_settled(2)
    rule = apifault.Rule(
        do=apifault.Mutate(lambda body: _plant(body, world.namespace)),
        verbs=("list", "watch"),
        resource="chargedapps",
    )
    with stage.api.broken(rule):
        world.change(holds=[{"name": "planted", "direction": Direction.UP}])
        world.wait_observed()
        since_s = time.time()
        world.load(9)
        world.wait_turns(3)
        assert harness.first_move(world, since_s) is None
        world.load(1)
        world.wait_turns(6)
        assert harness.first_move(world, since_s) is None
        world.change(holds=[])
        world.wait_replicas(1)
    assert world.violations(operator) == []


def _plant(body: dict[str, object], namespace: str) -> None:
    spec, meta = body.get("spec"), body.get("metadata")
    if not isinstance(spec, dict) or not isinstance(meta, dict):
        return
    if meta.get("namespace") == namespace:
        for item in spec.get("holds") or []:
            item["direction"] = "Sideways"
