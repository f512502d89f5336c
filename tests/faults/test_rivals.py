"""Others move the same target: an HPA, a second app, a field manager that takes values back."""

import json
import time

import pytest

from charon_operator import names
from charon_operator.names import ConditionType
from tests.faults import harness, manifests, truth
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.faults]
CONFLICT = ConditionType.OWNERSHIP_CONFLICT
GITOPS = "gitops-of-the-team"


def test_f29_when_an_hpa_has_the_target_then_nothing_of_ours_is_written(
    operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    world.apply(manifests.hpa("web", 5))
    found = world.wait_condition(CONFLICT, "True")
    assert found["reason"] == names.Reason.HPA_OWNS_TARGET
    assert "web-hpa" in json.dumps(world.status()["conflicts"])
    since_s = time.time()
    world.wait_replicas(5, 60)  # the HPA's own write: its minimum
    world.load(9)
    world.wait_turns(4)
    ours = [str(write) for write in world.writes() if write.is_scale and write.asked_s > since_s]
    assert ours == []
    world.bed.kubectl("delete", "hpa", "web-hpa", f"-n{world.namespace}")
    world.wait_settled(9)
    assert [*world.violations(operator), *world.unseen()] == []


def test_b19_when_a_second_app_names_the_target_then_the_older_acts_alone(
    operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    # Made in the same second, the two would be told apart by uid.
    wait_until(lambda: time.time() > world.began_s + 2, "another second of creation")
    world.apply(manifests.charged_app("younger", replicas={"min": 12, "max": 15}))
    found = world.wait_condition(CONFLICT, "True", name="younger")
    assert found["reason"] == names.Reason.CHARGED_APP_OWNS_TARGET
    assert "web" in found["message"]
    world.load(6)
    world.wait_settled(6)
    assert {move.after for move in world.moves()} == {6}
    world.bed.kubectl("delete", "chargedapp", "web", f"-n{world.namespace}")
    world.wait_replicas(12)
    assert world.violations(operator) == []


def test_f30_when_gitops_reverts_then_it_is_fought_twice_and_named(
    operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    world.load(6)
    for count in (1, 2):
        # The count of replicas may be that of before the revert; that of our moves only grows.
        wait_until(lambda made=count: len(world.moves()) == made, f"{count} moves of ours")
        world.wait_replicas(6)
        _apply_as_gitops(world, 3)
    found = world.wait_condition(CONFLICT, "True")
    assert found["reason"] == names.Reason.REVERTED_BY_MANAGER
    assert GITOPS in found["message"]
    assert world.status()["conflicts"][0]["manager"] == GITOPS
    world.load(8)
    world.wait_turns(4)
    assert [move.after for move in world.moves()] == [6, 6]
    assert world.replicas() == 3
    world.change(replicas={"min": 1, "max": 18})  # a changed spec releases it
    world.wait_replicas(8)
    assert world.violations(operator) == []


def _apply_as_gitops(world: harness.World, replicas: int) -> None:
    manifest = manifests.deployment("web", replicas)
    manifest["metadata"]["namespace"] = world.namespace
    arguments = ("--server-side", "--force-conflicts", f"--field-manager={GITOPS}", "-f", "-")
    world.bed.kubectl("apply", *arguments, input=json.dumps(manifest))


def test_person_when_they_scale_by_hand_then_it_is_no_fight_at_once(
    operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    world.bed.kubectl("scale", "deployment/web", "--replicas=7", f"-n{world.namespace}")
    wait_until(world.moves, "the operator to take its target back")
    world.wait_settled(2)
    assert [(move.before, move.after) for move in world.moves()] == [(7, 2)]
    assert world.condition(CONFLICT)["status"] == "False"
    assert truth.only_allowed(world.writes()) == []
