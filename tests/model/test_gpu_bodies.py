"""What is read out of pod templates, pods and nodes, and what is said of those that cannot be."""

from typing import Any

import pytest

from charon_operator.errors import SpecError
from charon_operator.model import amount, gpu
from charon_operator.model.gpu import Standing, Taint
from charon_operator.model.workload import Target

MI = 1 << 20


def container(name: str = "app", *, always: bool = False, **amounts: str) -> dict[str, Any]:
    """A container with limits only; a GPU is `gpu` for short."""
    limits = {"nvidia.com/gpu" if k == "gpu" else k: text for k, text in amounts.items()}
    found: dict[str, Any] = {"name": name, "resources": {"limits": limits}}
    return {**found, "restartPolicy": "Always"} if always else found


def need(**spec: Any) -> gpu.Need:
    return gpu.need({"spec": {"containers": [container()], **spec}}, "spec.template")


@pytest.mark.parametrize(
    ("spec", "requests"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param(
            {"containers": [container(cpu="500m", memory="1Gi", gpu="1")]},
            {"cpu": 500, "memory": 1024 * MI, "nvidia.com/gpu": 1},
            id="limits stand for requests",
        ),
        pytest.param(
            {"containers": [{"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "4"}}}]},
            {"cpu": 1000},
            id="requests come before limits",
        ),
        pytest.param(
            {"containers": [container(gpu="1"), container(**{"nvidia.com/mig-1g.5gb": "2"})]},
            {"nvidia.com/gpu": 1, "nvidia.com/mig-1g.5gb": 2},
            id="containers add up, a GPU and slices of one are two things",
        ),
        pytest.param(
            {"containers": [container(**{"nvidia.com/gpu.shared": "1"}, cpu="0")]},
            {"nvidia.com/gpu.shared": 1},
            id="a share; 0 is no request",
        ),
        pytest.param(
            {"initContainers": [container(cpu="2")], "containers": [container(cpu="1")]},
            {"cpu": 2000},
            id="what starts before counts where it is larger",
        ),
        pytest.param(
            {
                "initContainers": [container(cpu="1", always=True), container(cpu="2")],
                "containers": [container(cpu="1500m")],
            },
            {"cpu": 3000},
            id="a sidecar runs beside what starts after it",
        ),
        pytest.param(
            {"overhead": {"cpu": "250m"}, "containers": [container(cpu="1")]},
            {"cpu": 1250},
            id="overhead of the runtime",
        ),
        pytest.param(
            {"resources": {"requests": {"cpu": "3"}}, "containers": [container(cpu="1", gpu="1")]},
            {"cpu": 3000, "nvidia.com/gpu": 1},
            id="what the pod as a whole requests",
        ),
    ],
)
def test_requests_of_a_pod(spec: dict[str, Any], requests: dict[str, int]) -> None:
    assert dict(need(**spec).requests) == {**requests, "pods": 1}


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [*terms]}}
    return {"affinity": {"nodeAffinity": required}}


def expressions(*given: tuple[str, str, list[str]], part: str = "matchExpressions") -> Any:
    return {part: [{"key": k, "operator": o, "values": v} for k, o, v in given]}


LABELS = {"zone": "a", "nvidia.com/gpu.memory": "40960", "tier": "x"}
MEMORY = "nvidia.com/gpu.memory"


@pytest.mark.parametrize(
    ("spec", "admits"),
    [
        ({}, True),
        ({"nodeSelector": {"zone": "a"}}, True),
        ({"nodeSelector": {"zone": "a", "tier": "y"}}, False),
        (affinity(expressions(("zone", "In", ["a", "b"]))), True),
        (affinity(expressions(("zone", "NotIn", ["a"]))), False),
        (affinity(expressions(("gone", "NotIn", ["a"]))), True),
        (affinity(expressions(("zone", "Exists", []), ("gone", "DoesNotExist", []))), True),
        (affinity(expressions((MEMORY, "Gt", ["20000"]))), True),
        (affinity(expressions((MEMORY, "Gt", ["40960"]))), False),
        (affinity(expressions((MEMORY, "Lt", ["50000"]))), True),
        (affinity(expressions(("zone", "Gt", ["1"]))), False),
        (affinity(expressions(("gone", "Lt", ["1"]))), False),
        (affinity(expressions(("zone", "In", ["z"])), expressions(("tier", "In", ["x"]))), True),
        (affinity({}), False),
        (affinity({}) | {"nodeSelector": {"zone": "a"}}, False),
        (affinity(expressions(("zone", "In", ["a"]))) | {"nodeSelector": {"tier": "y"}}, False),
        (affinity(expressions(("metadata.name", "In", ["n"]), part="matchFields")), True),
        (affinity(expressions(("metadata.name", "In", ["m"]), part="matchFields")), False),
    ],
)
def test_nodes_that_a_pod_selects(spec: dict[str, Any], admits: bool) -> None:
    labels = gpu.node({"metadata": {"name": "n", "labels": LABELS}}).labels
    assert need(**spec).admits(labels) is admits


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "operator": "Equal", "value": "w"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_taints_are_tolerated_as_the_scheduler_has_it(
    toleration: dict[str, Any], tolerates: bool
) -> None:
    taint = Taint(key="k", value="v", effect="NoSchedule")
    mild = Taint(key="z", effect="PreferNoSchedule")
    found = need(tolerations=[toleration]).repelled_by((mild, taint))
    assert found == (None if tolerates else taint)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ({}, "spec.template.spec: is required"),
        ({"spec": {}}, "spec.template.spec.containers: is required"),
        (
            {"spec": {"containers": [container(gpu="0.5")]}},
            "spec.template.spec.containers[app].resources.limits: nvidia.com/gpu must be a whole",
        ),
        (
            {"spec": {"containers": [container(memory="much")]}},
            "containers[app].resources.limits: memory must be a quantity, such as 500m or 2Gi",
        ),
        (
            {"spec": {"containers": [container(cpu="-1")]}},
            "containers[app].resources.limits: cpu must be a quantity",
        ),
        (
            {"spec": {"containers": [], "tolerations": [{"operator": "Near"}]}},
            "spec.template.spec.tolerations[0].operator: must be one of 'Equal' or 'Exists'",
        ),
        (
            {"spec": {"containers": [], **affinity(expressions(("a", "Like", ["b"])))}},
            "matchExpressions[0].operator: must be one of 'In', 'NotIn'",
        ),
        (
            {"spec": {"containers": [], "resourceClaims": [{"name": "gpu"}]}},
            "spec.template.spec.resourceClaims: devices asked for by claim cannot be counted",
        ),
    ],
)
def test_a_template_that_cannot_be_counted_is_told_with_its_field(
    template: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SpecError) as raised:
        gpu.need(template, "spec.template")
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("runtime", "asked", "sees_all"),
    [("nvidia", {}, True), ("nvidia", {"gpu": "1"}, False), ("", {}, False), ("kata", {}, False)],
)
def test_a_variant_for_cpus_under_the_nvidia_runtime_sees_every_gpu(
    runtime: str, asked: dict[str, str], sees_all: bool
) -> None:
    found = need(runtimeClassName=runtime or None, containers=[container(**asked)])
    assert found.sees_all_gpus is sees_all


@pytest.mark.parametrize(
    ("label", "product"),
    [
        ("NVIDIA-A100-SXM4-40GB", "NVIDIA-A100-SXM4-40GB"),
        ("Tesla-T4-SHARED", "Tesla-T4"),
        ("A100-SXM4-40GB-MIG-1g.5gb", "A100-SXM4-40GB"),
        ("A100-SXM4-40GB-MIG-1g.5gb-SHARED", "A100-SXM4-40GB"),
        ("A100-MIG-1g.5gb.me+me", "A100"),
        ("", ""),
    ],
)
def test_a_product_is_what_it_was_before_it_was_shared_or_sliced(label: str, product: str) -> None:
    assert gpu.product(label) == product


def made(kind: str, name: str, **labels: str) -> dict[str, Any]:
    owners = [{"kind": kind, "name": name, "controller": True}] if kind else []
    return {"uid": "u", "namespace": "ns", "labels": labels, "ownerReferences": owners}


@pytest.mark.parametrize(
    ("metadata", "target"),
    [
        (
            made("ReplicaSet", "web-fp16-5d8f", **{"pod-template-hash": "5d8f"}),
            Target("Deployment", "ns", "web-fp16"),
        ),
        (made("StatefulSet", "db"), Target("StatefulSet", "ns", "db")),
        (made("ReplicaSet", "by-hand"), None),
        (made("Job", "once-5d8f", **{"pod-template-hash": "5d8f"}), None),
        (made("", ""), None),
    ],
)
def test_a_pod_is_known_by_what_made_it(metadata: dict[str, Any], target: Target | None) -> None:
    found = gpu.pod({"metadata": metadata, "spec": {"containers": [container()]}})
    assert (found.uid, found.target) == ("u", target)


@pytest.mark.parametrize(
    ("spec", "phase", "standing"),
    [
        ({"nodeName": "n"}, "Running", Standing.BOUND),
        ({"nodeName": "n"}, "Succeeded", Standing.OVER),
        ({"nodeName": "n"}, "Failed", Standing.OVER),
        ({}, "Pending", Standing.PENDING),
        ({"schedulingGates": [{"name": "kueue"}]}, "Pending", Standing.GATED),
    ],
)
def test_standing_of_a_pod(spec: dict[str, Any], phase: str, standing: Standing) -> None:
    found = gpu.pod({"spec": {"containers": [], **spec}, "status": {"phase": phase}})
    assert found.standing is standing


@pytest.mark.parametrize(
    ("status", "spec", "ready"),
    [
        ("True", {}, True),
        ("False", {}, False),
        ("Unknown", {}, False),
        ("True", {"unschedulable": True}, False),
    ],
)
def test_a_node_is_ready_when_it_says_so_and_is_not_cordoned(
    status: str, spec: dict[str, Any], ready: bool
) -> None:
    found = gpu.node(
        {
            "metadata": {"name": "n", "labels": {"nvidia.com/gpu.product": "T4-SHARED"}},
            "spec": {**spec, "taints": [{"key": "k", "effect": "NoExecute"}]},
            "status": {
                "conditions": [{"type": "Ready", "status": status}],
                "allocatable": {"cpu": "3800m", "memory": "2Mi", "nvidia.com/gpu.shared": "8"},
            },
        }
    )
    assert found.ready is ready
    assert found.allocatable == {"cpu": 3800, "memory": 2 * MI, "nvidia.com/gpu.shared": 8}
    assert (found.product, str(found.taints[0])) == ("T4", "k:NoExecute")


@pytest.mark.parametrize(
    ("resource", "extended"),
    [
        ("nvidia.com/gpu", True),
        ("amd.com/gpu", True),
        ("cpu", False),
        ("hugepages-2Mi", False),
        ("kubernetes.io/thing", False),
        ("node.kubernetes.io/thing", False),
        ("notkubernetes.io/thing", True),
    ],
)
def test_devices_are_told_from_what_is_kubernetes_own(resource: str, extended: bool) -> None:
    assert gpu.is_extended(resource) is extended


@pytest.mark.parametrize(
    ("text", "millicores", "whole_bytes"),
    [
        ("250m", 250, 1),
        ("4", 4000, 4),
        (2, 2000, 2),
        ("1Ki", 1024_000, 1024),
        ("1.5k", 1_500_000, 1500),
        ("1e3", 1_000_000, 1000),
        ("1E", None, 10**18),
        ("-1", None, None),
        ("", None, None),
        ("1mi", None, None),
        (None, None, None),
        (True, None, None),
    ],
)
def test_quantities_as_the_api_server_writes_them(
    text: object, millicores: int | None, whole_bytes: int | None
) -> None:
    assert (amount.millicores(text), amount.whole_bytes(text)) == (millicores, whole_bytes)
