"""A control plane with GPU nodes of several kinds, an informer's floor on it, and pods that ask.

The scheduler, quota and controllers are real; nodes and what pods do are not.
"""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from charon_operator import names, testbed
from charon_operator.clients import kube_access
from charon_operator.decide.placement.inventory import Fit
from charon_operator.handlers import watched
from charon_operator.handlers.supervisor import InformerThread
from charon_operator.loop.floor import Floor
from charon_operator.model import gpu
from charon_operator.model.placing import Holding
from charon_operator.model.workload import Target
from tests.handlers.informers import SystemClock
from tests.testbed_fixtures import wait_until

GPU = "nvidia.com/gpu"
A100, H100, T4, A30 = "A100-SXM4-40GB", "H100-80GB-HBM3", "T4", "A30"
SLICE = "nvidia.com/mig-1g.5gb"
TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}
TOLERATES = {"key": GPU, "operator": "Exists"}
NODES = (
    testbed.Node(name="plain", pods=100),
    testbed.gpu_node("a100-0", A100, 4),
    testbed.gpu_node("a100-1", A100, 4),
    testbed.gpu_node("h100-0", H100, 8, taints=[TAINT]),
    testbed.gpu_node("t4-shared", T4, 2, shared_by=4),
    testbed.gpu_node("a30-single", A30, 1, mig="1g.6gb", slices=4),
    testbed.Node(
        name="a100-mixed",
        labels={names.LABEL_GPU_PRODUCT: A100, "nvidia.com/mig.strategy": "mixed"},
        extended={SLICE: "7"},
    ),
)


class Yard:
    """The bed's floor, as an informer keeps it, and Deployments whose pods ask for GPUs.

    Args:
        space: the namespace of the Deployments.
    """

    def __init__(self, bed: testbed.Testbed, floor: Floor, space: str) -> None:
        self.bed, self.floor, self.space = bed, floor, space

    def fit(self, template: Mapping[str, Any], wanted: int = 1) -> Fit:
        """What the inventory says of pods of a template."""
        need = gpu.need(template, "spec.template")
        with self.floor.inventory() as there:
            assert there is not None
            return there.stock().fit(need, wanted)

    def holding(self, name: str) -> Holding:
        with self.floor.inventory() as there:
            assert there is not None
            return there.holding(Target(names.DEPLOYMENT, self.space, name))

    def free(self) -> dict[str, dict[str, int]]:
        return free(self.floor)

    def deploy(self, name: str, template: Mapping[str, Any], replicas: int) -> None:
        labels = {"app": name}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.space},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, **template},
            },
        }
        self.bed.apply(json.dumps(body))

    def scale(self, name: str, replicas: int) -> None:
        self.bed.kubectl("scale", f"deployment/{name}", f"--replicas={replicas}", "-n", self.space)

    def bound(self, name: str, replicas: int, fits: int) -> Counter[str]:
        """Waits for the scheduler to have decided on each pod, and says how many each node has."""

        def decided() -> list[dict[str, Any]]:
            told = self.bed.kubectl("get", "pods", f"-lapp={name}", "-n", self.space, "-o", "json")
            pods: list[dict[str, Any]] = json.loads(told)["items"]
            waiting = [pod for pod in pods if _is_unschedulable(pod)]
            there = [pod for pod in pods if pod["spec"].get("nodeName")]
            done = (len(there), len(waiting)) == (fits, replicas - fits)
            return pods if done else []

        pods = wait_until(decided, f"{fits} of {replicas} pods of {name} to be bound", 60)
        nodes = [pod["spec"].get("nodeName") for pod in pods]
        return Counter(node for node in nodes if node)

    def seen(self, name: str, nodes: Counter[str], pending: int = 0) -> Holding:
        """Waits until the inventory has these pods."""

        def shown() -> Holding | None:
            found = self.holding(name)
            same = Counter(found.nodes) == nodes and found.pending == pending
            return found if same else None

        return wait_until(shown, f"{name} on {nodes}, {pending} pending")


def template(
    gpus: int = 1,
    *,
    product: str | tuple[str, ...] = (),
    resource: str = GPU,
    cpu: str = "100m",
    tolerates: bool = False,
    **spec: Any,
) -> dict[str, Any]:
    """A pod template, but for its labels; without a product any will do."""
    requests = {"cpu": cpu, **({resource: str(gpus)} if gpus else {})}
    limits = {resource: str(gpus)} if gpus else {}
    container = {"name": "app", "image": "x", "resources": {"requests": requests, "limits": limits}}
    products = [product] if isinstance(product, str) else list(product)
    found: dict[str, Any] = {"containers": [container], **spec}
    if products:
        asked = {"key": names.LABEL_GPU_PRODUCT, "operator": "In", "values": products}
        found["affinity"] = affinity(asked)
    if tolerates:
        found["tolerations"] = [TOLERATES]
    return {"spec": found}


def affinity(*expressions: Mapping[str, Any]) -> dict[str, Any]:
    """Node affinity that must be met, in one term."""
    terms = [{"matchExpressions": list(expressions)}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"nodeAffinity": required}


def free(floor: Floor) -> dict[str, dict[str, int]]:
    """What is free by node, nothing while nothing is known."""
    with floor.inventory() as there:
        return there.stock().free if there else {}


@contextmanager
def watching(kubeconfig: Path) -> Iterator[tuple[Floor, InformerThread]]:
    """A floor, and the informer that feeds it."""
    floor = Floor(SystemClock())
    access = asyncio.run(kube_access.find(kubeconfig))
    informer = InformerThread(floor, access, kinds=watched.FLOOR, survey_every_s=1.0)
    informer.start()
    try:
        yield floor, informer
    finally:
        assert informer.stop(timeout_s=15)


@pytest.fixture(scope="session")
def gpu_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testbed.Testbed]:
    """A testbed of these nodes, without metrics."""
    folder = tmp_path_factory.mktemp("gpus")
    asked = testbed.Config(folder=folder, nodes=NODES, with_metrics=False)
    with testbed.start(asked) as running:
        yield running


@pytest.fixture(scope="module")
def gpu_floor(gpu_bed: testbed.Testbed) -> Iterator[Floor]:
    """A floor that is fed from the bed for all tests of a module."""
    with watching(gpu_bed.kubeconfig) as (floor, _):
        yield floor


@pytest.fixture
def yard(gpu_bed: testbed.Testbed, gpu_floor: Floor) -> Iterator[Yard]:
    """A namespace of the test, on nodes that are empty when it begins."""
    space = f"gpus-{secrets.token_hex(4)}"
    gpu_bed.kubectl("create", "namespace", space)
    gpu_bed.kubectl("wait", "--for=create", "serviceaccount/default", "-n", space, "--timeout=30s")
    wait_until(lambda: _is_empty(gpu_floor), "empty nodes")
    yield Yard(gpu_bed, gpu_floor, space)
    gpu_bed.kubectl("delete", "namespace", space, "--wait=false")


def _is_empty(floor: Floor) -> bool:
    with floor.inventory() as there:
        if there is None:
            return False
        stock = there.stock()
    tainted = {name for name, node in stock.nodes.items() if node.taints or not node.ready}
    allocatable = {name: node.allocatable for name, node in stock.nodes.items()}
    return tainted == {"h100-0"} and stock.free == allocatable


def _is_unschedulable(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(one.get("reason") == "Unschedulable" for one in conditions)
