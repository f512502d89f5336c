"""PodDisruptionBudgets over pods of a variant, as the informer reads them of a real API server."""

from typing import Any

import pytest

from charon_operator.names import GrantReason, LimitName
from tests.gpu_bed import template
from tests.placement.manifests import Variant
from tests.placement.stage import Ground
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed


def budget(variant: str, least: int) -> dict[str, Any]:
    """Keeps so many pods of a variant available."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "keep"},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"variant": variant}}},
    }


def test_what_a_budget_keeps_of_a_variant_stays_and_is_named_until_the_budget_goes(
    ground: Ground,
) -> None:
    ground.node(4)
    on_one = template(product=ground.product)
    slow = Variant("slow", on_one, capacity=50, cost=3, replicas=3)
    app = ground.prepare("kept", slow, Variant("fast", on_one))
    app.load(150)
    app.apply(budget("slow", 2))
    app.wait_ready(slow=3, fast=0)
    app.begin()
    # Two of fast would be cheapest.
    app.wait_ready(slow=2, fast=1)
    said = "a PodDisruptionBudget keeps 2 of slow available"
    # Once the dwell is over, nothing else keeps them.
    wait_until(lambda: said in app.said_last(), "the budget to be named")
    assert LimitName.DISRUPTION_BUDGET in app.status()["lastDecision"]["limitedBy"]
    app.wait_feasible("True", GrantReason.ENOUGH)
    app.wait_told(
        slow={"asked": 2, "ready": 2, "waiting": 0, "goal": 2},
        fast={"asked": 1, "ready": 1, "waiting": 0, "goal": 1},
    )
    moved = app.history()
    app.wait_turns(5)
    assert app.history() == moved
    ground.bed.kubectl("delete", "poddisruptionbudget", "keep", "-n", app.namespace)
    app.wait_ready(slow=0, fast=2)
