"""Nodes that an autoscaler is to bring: the test plays it, once it sees a pod that waits."""

import pytest

from charon_operator.names import GrantReason, Reason
from tests.gpu_bed import template
from tests.placement.manifests import Variant
from tests.placement.stage import Ground
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed

ASKED = "wait for a node that an autoscaler is to bring"


def test_pods_wait_for_their_node_or_are_given_up_and_asked_for_again(ground: Ground) -> None:
    """No node of either product is there. One is brought; the other never comes."""
    brought = ground.app(
        "brought", Variant("gpu", template(product=ground.product)), load=200,
        newNodes="Autoscaler", pendingDeadlineSeconds=600,
    )  # fmt: skip
    vain = ground.app(
        "vain", Variant("gpu", template(product=f"{ground.product}-none")), load=100,
        newNodes="Autoscaler",
    )  # fmt: skip
    wait_until(lambda: len(brought.waiting()) == 2, "two pods that wait for a node", 45)
    said = brought.wait_feasible("False", Reason.WAITING_FOR_NODES)
    assert f"2 pod(s) of gpu {ASKED}, " in said
    assert "gpu: NoSuchProduct" in said
    brought.wait_told(gpu={"asked": 2, "ready": 0, "waiting": 2, "goal": 2})

    ground.node(2)
    brought.wait_ready(gpu=2)
    brought.wait_feasible("True", GrantReason.ENOUGH)
    assert [one["gpu"] for one in brought.history()] == [0, 2], "asked for once"

    said = vain.wait_feasible("False", Reason.ROLLED_BACK, timeout_s=60)
    assert "gpu 1 did not come about: 1 pod(s) of gpu had no node for 10 s; tried again" in said
    wait_until(lambda: vain.history()[:4] == [{"gpu": n} for n in (0, 1, 0, 1)],
               "a pod to be given up, and asked for again", 60)  # fmt: skip
    assert brought.ready() == {"gpu": 2}
