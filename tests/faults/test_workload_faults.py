"""Workloads in trouble of their own: rollouts under way or stuck, budgets above what is wanted."""

import json
import time
from typing import Any

import pytest

from charon_operator import names
from tests.faults import harness
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.faults]


def template(world: harness.World, *, version: str, ready: bool) -> None:
    """The user rolls out another version, whose pods get ready at once or never."""
    # Nobody plays a plant here: such pods stay as they were born.
    driven = None if ready else "true"
    labels = {"version": version, names.LABEL_PLANT_DRIVEN: driven}
    spec = {"progressDeadlineSeconds": 2, "template": {"metadata": {"labels": labels}}}
    world.bed.kubectl(
        *("patch", "deployment", "web", f"-n{world.namespace}", "--type=strategic"),
        f"--patch={json.dumps({'spec': spec})}",
    )


def progressing(world: harness.World) -> dict[str, Any]:
    """The Deployment's own word on its rollout."""
    asked = ("get", "deployment", "web", f"-n{world.namespace}", "-ojson")
    status = json.loads(world.bed.kubectl(*asked)).get("status", {})
    found = [item for item in status.get("conditions", []) if item["type"] == "Progressing"]
    return dict(found[0]) if found else {}


def limits(world: harness.World, operator: harness.Operator, since_s: float) -> set[str]:
    """Which limits changed a wish since a moment, by the journal."""
    turns = world.turns(operator, since_s)
    return {clamp["limit"] for turn in turns for clamp in turn["decision"].get("clamps", ())}


def test_f24_when_a_rollout_is_stuck_then_raised_and_not_lowered_until_it_is_over(
    operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    world.load(6)
    world.wait_settled(6)
    template(world, version="stuck", ready=False)
    wait_until(lambda: progressing(world).get("status") == "False", "the rollout to be stuck", 60)
    since_s = time.time()
    world.load(3)
    wait_until(lambda: names.LimitName.ROLLOUT in limits(world, operator, since_s), "the limit", 30)
    world.wait_turns(5)
    assert harness.first_move(world, since_s) is None
    world.load(8)
    assert harness.audited_move(world, since_s).after == 8
    world.load(3)
    template(world, version="good", ready=True)
    world.wait_settled(3, 60)
    assert [*world.violations(operator), *world.unseen(), *world.unexplained(operator)] == []


def test_f28_when_a_budget_is_above_what_is_wanted_then_it_is_the_floor(
    operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    world.load(6)
    world.wait_settled(6)
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"minAvailable": 4, "selector": {"matchLabels": {"app": "web"}}},
    }
    world.apply(budget)
    since_s = time.time()
    world.load(1)
    world.wait_settled(4)
    assert names.LimitName.DISRUPTION_BUDGET in limits(world, operator, since_s)
    world.bed.kubectl("delete", "poddisruptionbudget", "web", f"-n{world.namespace}")
    world.wait_settled(1)
    assert [*world.violations(operator), *world.unexplained(operator)] == []
