"""The causes behind one message of the scheduler, "Insufficient nvidia.com/gpu", told apart."""

from typing import Any

import pytest

from charon_operator.names import GrantReason, Shortage
from tests.gpu_bed import TAINT, affinity, template
from tests.placement.manifests import Variant
from tests.placement.stage import App, Ground

pytestmark = pytest.mark.testbed


def wanting(ground: Ground, name: str, **asked: Any) -> App:
    """An app that has no pods and wants one, of GPUs of a product of its own."""
    product = asked.pop("product", f"{ground.product}-{name}")
    gpus = asked.pop("gpus", 1)
    return ground.app(name, Variant("gpu", template(gpus, product=product, **asked)), load=100)


def test_each_cause_is_named_and_passes_when_it_is_mended(ground: Ground) -> None:
    def node(name: str, gpus: int, **more: Any) -> str:
        return ground.node(gpus, product=f"{ground.product}-{name}", **more)

    halves = [node("fragmented", 2) for _ in range(2)]
    guests = [ground.occupy(half, 1) for half in halves]
    busy = node("busy", 2)
    guests.append(ground.occupy(busy, 2))
    node("small", 4)
    cordoned = node("cordoned", 2)
    ground.bed.kubectl("cordon", cordoned)
    tainted = node("tainted", 2, taints=[TAINT])
    apps = {
        Shortage.FRAGMENTED: wanting(ground, "fragmented", gpus=2),
        Shortage.BUSY_NOW: wanting(ground, "busy"),
        Shortage.CAN_NEVER_FIT: wanting(ground, "small", gpus=8),
        Shortage.NODES_NOT_READY: wanting(ground, "cordoned"),
        Shortage.TAINTS: wanting(ground, "tainted"),
        Shortage.NO_SUCH_PRODUCT: wanting(ground, "absent"),
    }
    said = {reason: app.wait_feasible("False", reason) for reason, app in apps.items()}
    assert "2 nvidia.com/gpu free on 2 node(s), a pod asks for 2" in said[Shortage.FRAGMENTED]
    assert "a pod asks for 8 nvidia.com/gpu, the largest of 1 has 4" in said[Shortage.CAN_NEVER_FIT]
    assert "nvidia.com/gpu=present:NoSchedule" in said[Shortage.TAINTS]
    # Nothing is asked for that would only wait.
    assert not any(app.pods() or app.asked() != {"gpu": 0} for app in apps.values())

    for guest in guests[1:]:
        ground.vacate(guest)
    ground.bed.kubectl("uncordon", cordoned)
    ground.bed.kubectl("taint", "node", tainted, f"{TAINT['key']}:{TAINT['effect']}-")
    node("absent", 1)
    node("small", 8)
    for app in apps.values():
        app.wait_ready(gpu=1)
        app.wait_feasible("True", GrantReason.ENOUGH)


def test_b11_contradiction_is_named_and_tolerating_everything_is_the_templates_affair(
    ground: Ground,
) -> None:
    ground.node(2, taints=[TAINT, {"key": "team", "value": "a", "effect": "NoExecute"}])
    is_both = (
        {"key": "nvidia.com/gpu.product", "operator": "In", "values": [ground.product]},
        {"key": "nvidia.com/gpu.product", "operator": "NotIn", "values": [ground.product]},
    )
    contradicts = wanting(ground, "never", product=(), affinity=affinity(*is_both))
    anything = [{"operator": "Exists"}]
    goes = wanting(ground, "anywhere", product=ground.product, tolerations=anything)
    assert "none of" in contradicts.wait_feasible("False", Shortage.NO_SUCH_PRODUCT)
    goes.wait_ready(gpu=1)
    goes.wait_feasible("True", GrantReason.ENOUGH)
    assert contradicts.asked() == {"gpu": 0}
