"""What a variant may be (B8): a workload that is there, of the user's own, of either kind."""

from dataclasses import replace

import pytest

from charon_operator import names
from charon_operator.names import ConditionType, GrantReason, Reason
from charon_operator.testbed import operator
from tests.gpu_bed import template
from tests.placement import manifests
from tests.placement.manifests import Variant, Wish
from tests.placement.stage import App, Ground

pytestmark = pytest.mark.testbed
READY = ConditionType.READY


def gpu(ground: Ground, name: str = "gpu", **more: object) -> Variant:
    return replace(Variant(name, template(product=ground.product)), **more)


def test_a_stateful_set_is_a_variant_as_well(ground: Ground) -> None:
    ground.node(4)
    slow = gpu(ground, "slow", capacity=50, cost=3, kind=names.STATEFUL_SET, replicas=1)
    app = ground.app("sets", slow, gpu(ground, capacity=200, cost=4), load=50)
    app.wait_ready(slow=1, gpu=0)
    app.load(300)
    app.wait_ready(slow=0, gpu=2)
    app.wait_feasible("True", GrantReason.ENOUGH)


def test_a_variant_that_is_not_there_is_named_and_nothing_moves(ground: Ground) -> None:
    ground.node(4)
    app = ground.prepare("lacking", gpu(ground, replicas=1))
    absent = gpu(ground, "absent", cost=9)
    app.load(300)
    whole = (*app.variants.values(), absent)
    app.apply(manifests.policy(), manifests.charged_app(app.name, whole, Wish()))
    said = app.wait_condition(READY, "False", Reason.TARGET_NOT_FOUND)["message"]
    assert said.startswith("spec.placement.variants[absent]: ")
    assert "create it, or correct scaleTargetRef" in said
    assert app.asked() == {"gpu": 1}
    # And once it is there all goes its way.
    app.apply(absent.workload)
    app.wait_condition(READY, "True")
    app.wait_ready(gpu=3)


@pytest.mark.parametrize(
    ("space", "target", "said"),
    [
        (operator.NAMESPACE, operator.ACCOUNT, "does not scale itself"),
        ("kube-system", "dns", "may not be scaled"),
    ],
    ids=["the operator's own", "of a system namespace"],
)
def test_what_is_not_to_be_scaled_is_no_variant(
    ground: Ground, space: str, target: str, said: str
) -> None:
    variants = (gpu(ground, target), gpu(ground))
    app = App(ground.stage, "greedy", space, variants, Wish())
    app.begin()
    try:
        found = app.wait_condition(READY, "False", Reason.TARGET_NOT_ALLOWED)
        assert said in found["message"]
        assert f"spec.placement.variants[{target}]" in found["message"]
    finally:
        where = ("-n", space, "--ignore-not-found")
        ground.bed.kubectl("delete", names.CHARGED_APPS, app.name, *where)
        ground.bed.kubectl("delete", names.CONTROL_POLICIES, "fast", *where)


def test_two_apps_of_one_workload_are_told_apart_by_age(ground: Ground) -> None:
    ground.node(4)
    app = ground.app("elder", gpu(ground), load=200)
    app.wait_ready(gpu=2)
    variants = (gpu(ground), gpu(ground, "own"))
    younger = App(ground.stage, "younger", app.namespace, variants, Wish())
    younger.apply(variants[1].workload)
    younger.load(400)
    younger.begin()
    found = younger.wait_condition(ConditionType.OWNERSHIP_CONFLICT, "True")
    assert found["reason"] == Reason.CHARGED_APP_OWNS_TARGET
    younger.wait_turns(3)
    assert younger.asked() == {"gpu": 2, "own": 0}
