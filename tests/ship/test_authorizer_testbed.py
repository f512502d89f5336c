"""The admission policy on the real API server that asks whom a target belongs to.

Who may not scale a workload may not name it in a ChargedApp; who may not resize its pods may not
have them resized, nor its template changed who may only scale it.
"""

import copy
import json

import pytest

from charon_operator import testbed
from charon_operator.model.placement import MOST_VARIANTS
from tests.model import bad_input
from tests.ship.admission import Body, app, apply_as, exists

pytestmark = [pytest.mark.testbed, pytest.mark.usefixtures("policies")]

MAY_NOT = {
    "no right to scale anything": ("outsider", "Deployment", "consumer"),
    "a right to scale another Deployment": ("owner", "Deployment", "other"),
    "a right to scale Deployments, for a StatefulSet": ("owner", "StatefulSet", "consumer"),
    "a right to scale StatefulSets, for a Deployment": ("sets", "Deployment", "consumer"),
    "a target that is not there": ("outsider", "Deployment", "nosuch"),
}


@pytest.mark.parametrize(("user", "kind", "target"), MAY_NOT.values(), ids=MAY_NOT.keys())
def test_who_may_not_scale_a_target_may_not_name_it(
    ship_bed: testbed.Testbed, workloads: str, user: str, kind: str, target: str
) -> None:
    told = apply_as(ship_bed, user, workloads, app(kind, target))
    assert f"{user} may not scale {kind.lower()}s {target} in namespace {workloads}" in told
    assert f"ask for the right to patch {kind.lower()}s/scale" in told
    assert not exists(ship_bed, workloads)


@pytest.mark.parametrize(
    ("user", "kind", "target"),
    [("owner", "Deployment", "consumer"), ("sets", "StatefulSet", "db")],
    ids=["a Deployment by name", "any StatefulSet"],
)
def test_who_may_scale_a_target_may_name_it(
    ship_bed: testbed.Testbed, workloads: str, user: str, kind: str, target: str
) -> None:
    assert "created" in apply_as(ship_bed, user, workloads, app(kind, target))


CHANGES = {
    "retargeted": {"target": "other"},
    "switched to Active": {"mode": "Active"},
    "given another maximum": {"replicas": {"min": 1, "max": 1000}},
    "given another policy": {"policyRef": {"name": "bold"}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_app_is_not_changed_by_who_may_not_scale(
    ship_bed: testbed.Testbed, workloads: str, change: Body
) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, app())
    assert "may not scale" in apply_as(ship_bed, "outsider", workloads, app(**change))


def test_owner_retargets_only_to_what_they_may_scale(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, app())
    assert "replaced" in apply_as(ship_bed, "owner", workloads, app(mode="Active"))
    assert "may not scale" in apply_as(ship_bed, "owner", workloads, app(target="other"))


IN_PLACE = bad_input.APP["spec"]["resources"]


def test_who_may_scale_and_not_resize_may_not_have_it_resized(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    told = apply_as(ship_bed, "owner", workloads, app(resources=IN_PLACE))
    assert "owner may not resize pods of deployments consumer" in told
    assert "ask for the right to patch pods/resize there, or set mode: Off" in told
    assert not exists(ship_bed, workloads)


@pytest.mark.parametrize("user", ["resizer", "author"], ids=["pods/resize", "the template"])
def test_who_may_set_sizes_may_have_them_set(
    ship_bed: testbed.Testbed, workloads: str, user: str
) -> None:
    assert "created" in apply_as(ship_bed, user, workloads, app(resources=IN_PLACE))


def placed(*targets: tuple[str, str]) -> str:
    """An app with a variant a target, each of (kind, name)."""
    variants = [
        bad_input.variant(f"v{index}", scaleTargetRef={"kind": kind, "name": name})
        for index, (kind, name) in enumerate(targets)
    ]
    body = copy.deepcopy(bad_input.PLACED)
    body["spec"]["placement"] = {"variants": variants}
    return json.dumps(body)


MINE = ("Deployment", "consumer")
SETS = [("StatefulSet", f"db{index}") for index in range(MOST_VARIANTS)]


@pytest.mark.parametrize("place", range(MOST_VARIANTS))
def test_who_may_not_scale_every_variant_may_not_name_them(
    ship_bed: testbed.Testbed, workloads: str, place: int
) -> None:
    targets = [*SETS[:place], MINE, *SETS[place + 1 :]]
    told = apply_as(ship_bed, "sets", workloads, placed(*targets))
    field = f"spec.placement.variants[v{place}].scaleTargetRef"
    assert f"{field}: sets may not scale deployments consumer in namespace {workloads}" in told
    assert "ask for the right to patch deployments/scale there" in told
    assert not exists(ship_bed, workloads)


def test_who_may_scale_every_variant_may_name_as_many_as_there_may_be(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    assert "created" in apply_as(ship_bed, "sets", workloads, placed(*SETS))


def test_a_variant_is_not_added_by_who_may_not_scale_it(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, placed(MINE))
    told = apply_as(ship_bed, "owner", workloads, placed(MINE, ("Deployment", "other")))
    assert "owner may not scale deployments other" in told
    told = apply_as(ship_bed, "owner", workloads, app(target="other"))
    assert "spec.scaleTargetRef: owner may not scale deployments other" in told
    assert "replaced" in apply_as(ship_bed, "owner", workloads, app())


def sharing(*named: str, target: tuple[str, str] = MINE) -> str:
    """An app with variants that share a workload by templates."""
    kind, name = target
    variants = [
        bad_input.variant(
            one,
            scaleTargetRef={"kind": kind, "name": name},
            template={"container": "app", "gpus": gpus},
        )
        for gpus, one in enumerate(named)
    ]
    body = copy.deepcopy(bad_input.PLACED)
    body["spec"]["placement"] = {"variants": variants}
    return json.dumps(body)


EIGHT = [f"v{index}" for index in range(MOST_VARIANTS)]


def test_who_may_only_scale_may_not_have_the_template_changed(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    told = apply_as(ship_bed, "owner", workloads, sharing("a100", "cpu"))
    field = "spec.placement.variants[a100].template"
    assert f"{field}: owner may not change deployments consumer in namespace {workloads}" in told
    assert "ask for the right to patch deployments there, or leave template out" in told
    assert not exists(ship_bed, workloads)


@pytest.mark.parametrize("place", [0, 3, MOST_VARIANTS - 1])
def test_who_may_only_scale_may_not_have_one_template_of_many_changed(
    ship_bed: testbed.Testbed, workloads: str, place: int
) -> None:
    body = json.loads(placed(*[("Deployment", f"d{index}") for index in range(MOST_VARIANTS)]))
    variants = body["spec"]["placement"]["variants"]
    variants[place]["template"] = {"container": "app", "gpus": 1}
    told = apply_as(ship_bed, "scaler", workloads, json.dumps(body))
    assert f"variants[v{place}].template: scaler may not change deployments d{place}" in told


@pytest.mark.parametrize("named", [EIGHT[:1], EIGHT], ids=["one", "as many as there may be"])
def test_who_may_change_the_deployment_may_have_its_template_changed(
    ship_bed: testbed.Testbed, workloads: str, named: list[str]
) -> None:
    assert "created" in apply_as(ship_bed, "author", workloads, sharing(*named))


def test_a_template_is_not_added_by_who_may_only_scale(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, placed(MINE))
    told = apply_as(ship_bed, "owner", workloads, sharing("v0"))
    assert "owner may not change deployments consumer" in told
    assert "replaced" in apply_as(ship_bed, "author", workloads, sharing("v0"))


def test_labels_and_deletion_are_free(ship_bed: testbed.Testbed, workloads: str) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, app())
    outsider = ("-n", workloads, "--as=outsider")
    assert "labeled" in ship_bed.kubectl("label", "capp", "good", "team=a", *outsider, check=False)
    assert "deleted" in ship_bed.kubectl("delete", "capp", "good", *outsider, check=False)
