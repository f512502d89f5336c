"""F32: resizes of pods on a real node: granted, put off, impossible; never a restart."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from charon_operator import names, testbed
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes
from charon_operator.model.workload import Target
from charon_operator.ports import WriteOutcome
from charon_operator.testbed import images
from tests.clients.test_kube_pods import resized, seen
from tests.model import pod_bodies as make
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.node]
MI = 2**20


@pytest.fixture
def place(real_bed: testbed.Testbed) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    real_bed.kubectl("create", "namespace", name)
    real_bed.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name)
    yield name
    real_bed.kubectl("delete", "namespace", name, "--wait=false")


def run(bed: testbed.Testbed, space: str, name: str, cpu: str) -> Target:
    """A Deployment of one pod that asks for so much CPU and sleeps."""
    sleeping = make.container(
        image=bed.load(images.busybox()),
        command=["sleep", "3600"],
        resources={"requests": {"cpu": cpu, "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
    )
    body = make.workload(
        sleeping,
        name=name,
        nodeSelector={names.LABEL_REAL_NODE: "true"},
        terminationGracePeriodSeconds=0,
    )
    body["spec"]["template"]["metadata"] = {"labels": {"app": name}}
    head = {"apiVersion": "apps/v1", "kind": "Deployment"}
    bed.apply(json.dumps({**body, **head, "metadata": {"name": name, "namespace": space}}))
    bed.kubectl(
        "wait", "--for=condition=Available", f"deployment/{name}", "-n", space, "--timeout=90s"
    )
    return Target("Deployment", space, name)


def asked(bed: testbed.Testbed, target: Target, cpu_m: int) -> None:
    """Asks for a size, on the newest version of the pod; a kubelet's word moves it."""

    def taken() -> bool:
        (pod,) = seen(bed, target).pods
        return resized(bed, target, pod, Size(cpu_m)).outcome is WriteOutcome.WRITTEN

    wait_until(taken, f"{cpu_m}m to be taken")


def become(
    bed: testbed.Testbed, target: Target, what: str, holds: Callable[[SizedPod], Any]
) -> SizedPod:
    def found() -> SizedPod | None:
        (pod,) = seen(bed, target).pods
        return pod if holds(pod) else None

    pod = wait_until(found, what, timeout_s=60)
    assert pod is not None
    return pod


def allocatable_m(bed: testbed.Testbed) -> int:
    """Millicores of the real node that nobody asks for."""
    [node] = json.loads(
        bed.kubectl("get", "nodes", "-l", f"{names.LABEL_REAL_NODE}=true", "-o", "json")
    )["items"]
    cpu = node["status"]["allocatable"]["cpu"]
    return int(cpu[:-1]) if cpu.endswith("m") else 1000 * int(cpu)


def test_pod_when_it_is_resized_then_runs_with_that_size_without_a_restart(
    real_bed: testbed.Testbed, place: str
) -> None:
    target = run(real_bed, place, "web", "100m")
    sizes = seen(real_bed, target)
    assert isinstance(sizes, Sizes)
    assert (sizes.template, sizes.problem) == (Size(100, 64 * MI), "")
    assert sizes.pods[0].resizing is Resizing.SETTLED
    asked(real_bed, target, 250)
    pod = become(
        *(real_bed, target, "the size to be taken"),
        lambda pod: pod.resizing is Resizing.SETTLED and pod.asked.cpu_m == 250,
    )
    assert (pod.actual, pod.restarts) == (Size(250, 64 * MI), 0)


def test_pod_when_its_node_is_too_small_then_it_is_infeasible_and_can_be_given_back(
    real_bed: testbed.Testbed, place: str
) -> None:
    target = run(real_bed, place, "web", "100m")
    asked(real_bed, target, allocatable_m(real_bed) + 1000)
    pod = become(
        *(real_bed, target, "the node to refuse it"),
        lambda pod: pod.resizing is Resizing.INFEASIBLE,
    )
    assert pod.detail
    assert pod.since_s is not None
    assert pod.actual == Size(100, 64 * MI)
    asked(real_bed, target, 100)
    pod = become(
        *(real_bed, target, "it to be settled again"),
        lambda pod: pod.resizing is Resizing.SETTLED,
    )
    assert (pod.asked, pod.restarts) == (Size(100, 64 * MI), 0)


def test_pod_when_others_fill_its_node_then_it_is_deferred_until_there_is_room(
    real_bed: testbed.Testbed, place: str
) -> None:
    target = run(real_bed, place, "web", "100m")
    most_m = allocatable_m(real_bed)
    run(real_bed, place, "other", f"{most_m // 2}m")
    wanted_m = most_m * 3 // 4
    asked(real_bed, target, wanted_m)
    pod = become(
        *(real_bed, target, "it to be put off"), lambda pod: pod.resizing is Resizing.DEFERRED
    )
    assert (pod.actual, pod.restarts) == (Size(100, 64 * MI), 0)
    real_bed.kubectl("delete", "deployment", "other", "-n", place)
    pod = become(
        *(real_bed, target, "it to have its turn"),
        lambda pod: pod.resizing is Resizing.SETTLED and pod.asked.cpu_m == wanted_m,
    )
    assert pod.restarts == 0
