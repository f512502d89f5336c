"""Pods that are lost (F27), or that nothing can take (F26)."""

import json

import pytest

from charon_operator import names
from charon_operator.names import GrantReason
from tests.gpu_bed import template
from tests.placement.manifests import Variant
from tests.placement.stage import App, Ground
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed


def app_of(ground: Ground, load: float) -> App:
    """An app of one GPU variant, at what its load needs."""
    return ground.app("ptycho", Variant("gpu", template(product=ground.product)), load=load)


def lose(ground: Ground, app: App, node: str) -> None:
    """Its kubelet is gone: kwok lets go of it, and it and its pods are told to be not ready."""
    not_ready = [{"type": "Ready", "status": "False", "reason": "NodeStatusUnknown"}]
    body = json.dumps({"status": {"conditions": not_ready}})
    patch = ("--subresource=status", "--type=strategic", f"--patch={body}")
    ground.bed.kubectl("label", "node", node, f"{names.LABEL_FAKE_NODE}-")
    ground.bed.kubectl("patch", "node", node, *patch)
    pods = on_node(app, node)
    ground.bed.kubectl("patch", "pods", *pods, "-n", app.namespace, *patch)


def on_node(app: App, node: str) -> list[str]:
    """Names of an app's pods that are on a node."""
    return [pod.name for pod in app.pods() if pod.spec.get("nodeName") == node]


def drain(ground: Ground, app: App, node: str) -> None:
    """No new pods for the node, and those it has are ended; their controller makes others."""
    ground.bed.kubectl("cordon", node)
    ground.bed.kubectl("delete", "pods", *on_node(app, node), "-n", app.namespace, "--wait=false")


def test_f27_lost_pods_lower_nothing(ground: Ground) -> None:
    lost = ground.node(2)
    ground.node(2)
    app = app_of(ground, load=400)
    app.wait_ready(gpu=4)
    lose(ground, app, lost)
    wait_until(lambda: app.ready() == {"gpu": 2}, "the pods of the lost node not to be ready")
    app.wait_turns(5)
    assert app.asked() == {"gpu": 4}
    assert [one["gpu"] for one in app.history()] == sorted(one["gpu"] for one in app.history())


def test_f27_drained_node_is_made_up_for_where_there_is_room(ground: Ground) -> None:
    drained = ground.node(2)
    ground.node(4)
    app = app_of(ground, load=300)
    app.wait_ready(gpu=3)
    assert on_node(app, drained), "the scheduler spreads pods over both nodes"
    drain(ground, app, drained)
    app.wait_turns(3)
    app.wait_ready(gpu=3)
    app.wait_feasible("True", GrantReason.ENOUGH)
    assert not on_node(app, drained)
    assert [one["gpu"] for one in app.history()] == sorted(one["gpu"] for one in app.history())


def test_f26_drained_pods_that_nothing_takes_do_not_wait_for_ever(ground: Ground) -> None:
    drained = ground.node(2)
    ground.node(1)
    app = app_of(ground, load=300)
    app.wait_ready(gpu=3)
    drain(ground, app, drained)
    wait_until(app.waiting, "pods that find no node")
    app.wait_feasible("False")
    wait_until(lambda: not app.waiting(), "no pod to wait for a node", 40)
    assert app.ready() == {"gpu": 1}
    ground.bed.kubectl("uncordon", drained)
    app.wait_ready(gpu=3)
    app.wait_feasible("True", GrantReason.ENOUGH)
