"""What it costs: the cheapest mix of variants that keeps the least quality, once it is calm."""

import time

import pytest

from charon_operator.names import ConditionType, GrantReason, Reason
from tests.gpu_bed import template
from tests.placement.manifests import Variant
from tests.placement.stage import Ground

pytestmark = pytest.mark.testbed


def test_cheaper_mix_of_enough_quality_is_moved_to_without_a_gap(ground: Ground) -> None:
    ground.node(8)
    on_one = template(product=ground.product)
    fp32 = Variant("fp32", on_one, capacity=100, cost=4, replicas=3)
    fp16 = Variant("fp16", on_one, capacity=150, cost=4, quality="0.97")
    int8 = Variant("int8", on_one, capacity=600, cost=4, quality="0.8")
    cpu = Variant("cpu", template(0), capacity=10, cost=1)
    app = ground.prepare("ptycho", fp32, fp16, int8, cpu, quality="0.95")
    app.wait_ready(fp32=3, fp16=0, int8=0, cpu=0)
    began_s = time.time()
    app.load(300)
    app.begin()
    app.wait_ready(fp32=0, fp16=2, int8=0, cpu=0)
    app.wait_feasible("True", GrantReason.ENOUGH)
    # New pods first: what is demanded was served all the while.
    assert min(app.served(began_s)) >= 300

    app.load(20)
    app.wait_ready(fp32=0, fp16=0, int8=0, cpu=2)
    assert all(one["int8"] == 0 for one in app.history())


def test_metrics_when_gone_then_no_variant_is_lowered(ground: Ground) -> None:
    ground.node(4)
    one = Variant("gpu", template(product=ground.product))
    app = ground.app("dark", one, load=300)
    app.wait_ready(gpu=3)
    app.go_dark()
    app.wait_condition(ConditionType.METRICS_HEALTHY, "False", Reason.MISSING)
    app.wait_turns(5)
    assert app.asked() == {"gpu": 3}
    app.load(100)
    app.wait_ready(gpu=1)
