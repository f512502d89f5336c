"""A node that is full: neither a deadlocked change of variants nor pods that wait for ever."""

import itertools
import json

import pytest

from charon_operator.names import GrantReason, Reason, Shortage
from tests.gpu_bed import template
from tests.placement import manifests
from tests.placement.manifests import SET_POINT, Variant
from tests.placement.stage import App, Ground
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed
# No two pods of the variant on one node.
ALONE = {
    "requiredDuringSchedulingIgnoredDuringExecution": [
        {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"variant": "gpu"}},
        }
    ]
}


def test_swap_where_no_gpu_is_free_breaks_before_it_makes(ground: Ground) -> None:
    """Upstream's change of model: fp32 to fp16 once the queue passes 6000, and back."""
    ground.node(2)
    on_one = template(product=ground.product)
    fp32 = Variant("fp32", on_one, capacity=100, cost=4, most=2, replicas=2)
    fp16 = Variant("fp16", on_one, capacity=150, cost=6, most=2, quality="0.97")
    app = ground.app("ptycho", fp32, fp16, load=200)
    app.wait_ready(fp32=2, fp16=0)
    app.wait_feasible("True", GrantReason.ENOUGH)
    # 100 more are wanted for what is above 6000: two of fp32 cannot, two of fp16 can.
    app.load(200, queued=SET_POINT + 100)
    app.wait_ready(fp32=0, fp16=2)
    app.load(200)
    # In the middle of the way back its next life goes on from what is there.
    wait_until(lambda: app.asked()["fp16"] == 1, "the first step back")
    ground.stage.kill()
    ground.stage.start()
    app.wait_ready(fp32=2, fp16=0)
    history = app.history()
    # One replica at a time, and never more than there are GPUs.
    assert max(sum(one.values()) for one in history[1:]) == 2
    for before, after in itertools.pairwise(history[1:]):
        assert sum(abs(after[name] - before[name]) for name in after) == 1, history
    assert not app.waiting()
    app.wait_feasible("True", GrantReason.ENOUGH)


def test_gpu_that_somebody_grabs_on_the_way_is_not_waited_for(ground: Ground) -> None:
    node = ground.node(2)
    app = ground.app("late", Variant("gpu", template(product=ground.product)), load=100)
    app.wait_ready(gpu=1)
    scheduler = ground.bed.process("kube-scheduler")
    scheduler.stop()
    try:
        app.load(200)
        wait_until(app.waiting, "a pod that no scheduler comes to")
        guest = ground.occupy(node, 1)
    finally:
        scheduler.start()
    app.wait_ready(gpu=1)
    app.wait_feasible("False", Shortage.BUSY_NOW)
    assert not app.waiting()
    ground.vacate(guest)
    app.wait_ready(gpu=2)
    app.wait_feasible("True", GrantReason.ENOUGH)


def admit(app: App) -> None:
    """Somebody lets its pods in."""
    body = json.dumps({"spec": {"schedulingGates": None}})
    for name in app.waiting():
        app.stage.bed.kubectl("patch", "pod", name, "-n", app.namespace, f"--patch={body}")


@pytest.mark.timeout(300)
def test_pods_that_find_no_place_are_rolled_back_and_tried_again(ground: Ground) -> None:
    """What the inventory cannot see: a rule between pods, and a quota.

    Pods that wait to be admitted have not failed, however long it takes.
    """
    ground.node(5)
    gate = [{"name": "example.com/queue"}]
    held_back = Variant("gpu", template(product=ground.product, schedulingGates=gate))
    gated = ground.app("gated", held_back, load=100)
    gated.wait_asked(gpu=1)
    apart = template(product=ground.product)
    apart["spec"]["affinity"]["podAntiAffinity"] = ALONE
    alone = ground.app("alone", Variant("gpu", apart), load=100)
    refused = ground.prepare("refused", Variant("gpu", template(product=ground.product)))
    refused.apply(manifests.quota(1))
    refused.load(100)
    refused.begin()
    for app in (alone, refused):
        app.wait_ready(gpu=1)
        app.load(200)
    for app in (alone, refused):
        app.wait_feasible("False", Reason.ROLLED_BACK, 60)
        app.wait_ready(gpu=1)
        assert "tried again 20 s after" in app.messages(Reason.ROLLED_BACK)[0]
    assert "exceeded quota" in refused.messages(Reason.ROLLED_BACK)[0]
    # Both get what they want at a later try, which comes by itself.
    ground.node(1)
    refused.apply(manifests.quota(2))
    for app in (alone, refused):
        app.wait_ready(gpu=2, timeout_s=100)
        app.wait_feasible("True", GrantReason.ENOUGH)
        asked = [one["gpu"] for one in app.history()]
        assert asked[-3:] == [2, 1, 2], "given up, and asked for again"
        assert max(asked) == 2
    # It has waited all the time.
    assert (gated.asked(), len(gated.waiting())) == ({"gpu": 1}, 1)
    assert Reason.ROLLED_BACK not in [one["reason"] for one in gated.status()["conditions"]]
    admit(gated)
    gated.wait_ready(gpu=1)
    gated.wait_feasible("True", GrantReason.ENOUGH)
