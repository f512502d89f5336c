"""Variants that share a Deployment are told apart by the form that its pod template is in."""

from typing import Any

import pytest

from charon_operator.model import form, gpu
from charon_operator.model.app import ChargedApp
from charon_operator.model.placing import Holding, VariantFacts
from charon_operator.model.workload import Absent, Workload
from charon_operator.observe import forms
from tests.decide import stage
from tests.record import samples

CLASS = "nvidia"
HELD = Holding(("a", "b"), 1)


def template(gpus: int, product: str = "", runtime: str = "") -> dict[str, Any]:
    return {"container": "app", "gpus": gpus, "product": product, "runtimeClassName": runtime}


def app(*others: dict[str, Any]) -> ChargedApp:
    """Two forms of one Deployment, and whatever else."""
    ways = {"a100": template(1, "A100", CLASS), "t4": template(2, "T4", CLASS), "cpu": template(0)}
    shared = (stage.variant(n, "100", "1", template=t, of="web") for n, t in ways.items())
    return stage.app(*shared, *others)


def deployment(gpus: int, product: str = "", runtime: str = "", **pods: Any) -> dict[str, Any]:
    """As the API server gives it."""
    devices = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    containers = [{"name": "app", "resources": {"limits": {"cpu": "2", **devices}}}]
    spec = {"containers": containers, **pods}
    if product:
        spec["nodeSelector"] = {"disk": "fast", "nvidia.com/gpu.product": product}
    if runtime:
        spec["runtimeClassName"] = runtime
    return {"spec": {"template": {"spec": spec}}}


def known(body: dict[str, Any], **changes: Any) -> VariantFacts:
    need = gpu.need(body["spec"]["template"], "spec.template")
    workload = samples.workload(3, "web", last_scaler="somebody")
    facts = {"need": need, "holding": HELD, "shape": form.shape(body), **changes}
    return VariantFacts(facts.pop("workload", workload), **facts)


def told(found: VariantFacts, chosen: ChargedApp | None = None) -> dict[str, VariantFacts]:
    placement = (chosen or app()).spec.placement
    assert placement is not None
    variants = placement.variants
    return forms.told_apart(variants, {one.name: found for one in variants})


def replicas(found: VariantFacts) -> int:
    assert isinstance(found.workload, Workload)
    return found.workload.replicas


def test_the_live_form_has_the_pods_and_no_other_has_any() -> None:
    there = known(deployment(1, "A100", CLASS))
    apart = told(there)
    assert apart["a100"] == there
    for name in ("t4", "cpu"):
        other = apart[name]
        assert isinstance(other.workload, Workload)
        counts = (other.workload.replicas, other.workload.current, other.workload.ready)
        assert (counts, other.workload.updated, other.holding) == ((0, 0, 0), 0, Holding())
        assert other.workload.resource_version == "10"
        assert (other.shape, other.problem) == (there.shape, "")


@pytest.mark.parametrize("live", ["a100", "t4", "cpu"])
@pytest.mark.parametrize("other", ["a100", "t4", "cpu"])
def test_what_pods_of_a_form_would_need_is_what_they_need_once_they_are_in_it(
    live: str, other: str
) -> None:
    bodies = {
        "a100": deployment(1, "A100", CLASS),
        "t4": deployment(2, "T4", CLASS),
        "cpu": deployment(0),
    }
    bodies["cpu"]["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
    there, wanted = told(known(bodies[live]))[other].need, known(bodies[other]).need
    assert there is not None
    assert wanted is not None
    assert (there.requests, there.runtime_class) == (wanted.requests, wanted.runtime_class)
    assert [set(term) for term in there.terms] == [set(term) for term in wanted.terms]


def test_a_product_is_selected_in_every_alternative_of_an_affinity() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [z]}]} for z in "ab"]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    body = deployment(1, "A100", CLASS, affinity={"nodeAffinity": required})
    need = told(known(body))["t4"].need
    assert need is not None
    products = [[r.values for r in term if r.key.endswith("product")] for term in need.terms]
    assert products == [[frozenset(["T4"])]] * 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            deployment(4, "A100", CLASS),
            "app asks for 4 nvidia.com/gpu, nvidia.com/gpu.product A100",
        ),
        (deployment(1, "", CLASS), "product not selected, runtimeClassName nvidia"),
        (deployment(1, "A100"), "runtimeClassName not set"),
        ({"spec": {"template": {"spec": {"containers": [{"name": "web"}]}}}}, "no container app"),
    ],
)
def test_a_deployment_in_no_form_is_a_problem_with_a_remedy(body: Any, words: str) -> None:
    apart = told(known(body))
    for one in apart.values():
        assert one.problem.startswith("Deployment workload/web is in the form of none of its")
        assert words in one.problem
        assert one.problem.endswith("give its pod template the form of a100 or t4 or cpu")
    assert [replicas(one) for one in apart.values()] == [3, 0, 0]


@pytest.mark.parametrize("where", ["containers", "initContainers"])
def test_gpus_of_another_container_are_a_problem(where: str) -> None:
    body = deployment(1, "A100", CLASS)
    devices = {"limits": {"nvidia.com/gpu": "2"}}
    body["spec"]["template"]["spec"].setdefault(where, []).append(
        {"name": "side", "resources": devices}
    )
    problem = told(known(body))["a100"].problem
    assert problem == (
        "another container of Deployment workload/web than app asks for nvidia.com/gpu: "
        "leave that to app"
    )


def test_what_is_not_known_of_the_deployment_is_not_known_of_any_form() -> None:
    stale = told(known(deployment(1, "A100", CLASS), shape=None))
    assert {one.workload for one in stale.values()} == {None}
    gone = Absent(samples.workload(name="web").target, "TargetNotFound", "gone")
    absent = told(known(deployment(1), workload=gone))
    assert {one.workload for one in absent.values()} == {gone}
    assert {one.shape for one in absent.values()} == {None}


def test_variants_without_a_template_are_as_they_were() -> None:
    chosen = app(stage.FP32)
    there = known(deployment(1, "A100", CLASS))
    apart = told(there, chosen)
    assert apart["fp32"].shape is None
    assert (replicas(apart["fp32"]), apart["fp32"].holding) == (3, HELD)
    assert list(apart) == ["a100", "t4", "cpu", "fp32"]
