"""What is read of a container's size: from its template, its pods, and the kubelet's words."""

from typing import Any

import pytest

from charon_operator.model import pod as pods
from charon_operator.model.pod import Wanted
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes, Span
from tests.model import pod_bodies as make

APP = Wanted("app")
MI = 2**20
GPU = {"limits": {"cpu": "1", "nvidia.com/gpu": "1"}}
PENDING, UNDER_WAY = "PodResizePending", "PodResizeInProgress"


def read(*bodies: dict[str, Any], of: dict[str, Any] | None = None, **wanted: Any) -> Sizes:
    return pods.sizes(of or make.workload(), bodies, Wanted(wanted.pop("name", "app"), **wanted))


def one(body: dict[str, Any]) -> SizedPod:
    (found,) = read(body).pods
    return found


def test_pod_when_nothing_is_under_way_then_runs_with_what_its_spec_asks() -> None:
    found = one(make.pod())
    assert found.asked == found.actual == Size(200, 128 * MI)
    assert (found.cpu, found.memory) == (Span(100, 200), Span(64 * MI, 128 * MI))
    assert (found.running, found.ready, found.restarts) == (True, True, 1)
    assert (found.resizing, found.since_s, found.refusal) == (Resizing.SETTLED, None, "")
    assert (found.uid, found.resource_version) == ("uid-web-1", "7")


def test_container_when_there_are_several_then_the_named_one_is_read() -> None:
    proxy = make.container("proxy", resources={"requests": {"cpu": "10m"}})
    body = make.pod("web-1", make.container(), proxy)
    sizes = read(body, of=make.workload(make.container(), proxy), name="proxy")
    assert sizes.template == Size(10, None)
    assert sizes.pods[0].asked == Size(10, None)
    assert sizes.pods[0].cpu == Span(10, None)


PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "absent": (make.workload(make.container("web")), "app is not in the pod: name one of web"),
    "init": (
        make.workload(make.container("web"), initContainers=[{"name": "app"}]),
        "app is an init container: name one of web",
    ),
    "sidecar": (
        make.workload(
            make.container("web"), initContainers=[{"name": "app", "restartPolicy": "Always"}]
        ),
        "app is an init container",
    ),
    "BestEffort": (
        make.workload(make.container(resources={})),
        "set requests or limits in the pod template",
    ),
    "nothing but zero": (
        make.workload(make.container(resources={"requests": {"cpu": "0"}})),
        "asks for neither CPU nor memory",
    ),
    "no containers": ({"spec": {"template": {}}}, "app is not in the pod"),
    "GPU": (make.workload(make.container(resources=GPU)), "asks for nvidia.com/gpu"),
    "GPU of a neighbour": (
        make.workload(make.container(), make.container("gpu", resources=GPU)),
        "set safety.resize_gpu_pods where",
    ),
    "device by a claim": (
        make.workload(make.container(resources={**GPU, "limits": {"cpu": "1"}, "claims": [{}]})),
        "asks for a resource claim",
    ),
}


@pytest.mark.parametrize(("workload", "words"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_container_when_it_cannot_be_sized_then_says_why_and_what_to_do(
    workload: dict[str, Any], words: str
) -> None:
    assert words in read(of=workload).problem
    spec = workload["spec"]["template"].get("spec", {})
    held = make.pod()
    held["spec"] = spec
    assert words in one(held).refusal


def test_gpu_pod_when_the_administrator_allows_it_then_is_sized() -> None:
    body = make.pod("web-1", make.container(resources=GPU))
    sizes = read(body, of=make.workload(make.container(resources=GPU)), gpu_pods=True)
    assert (sizes.problem, sizes.pods[0].refusal) == ("", "")
    assert sizes.template == Size(1000, None)


def test_pods_when_going_over_or_of_others_then_are_left_out() -> None:
    going = make.pod("web-2")
    going["metadata"]["deletionTimestamp"] = "2026-11-01T00:00:00Z"
    orphan = make.pod("web-6")
    del orphan["metadata"]["ownerReferences"]
    others = [
        going,
        make.pod("web-3", status={"phase": "Succeeded"}),
        make.pod("web-4", status={"phase": "Failed"}),
        make.pod("other-5", of="other"),
        orphan,
    ]
    assert [found.name for found in read(*others, make.pod("web-1")).pods] == ["web-1"]


def test_pod_of_a_stateful_set_is_known_by_its_owners_uid() -> None:
    body = make.pod()
    owner = {"kind": "StatefulSet", "name": "web", "uid": "uid-web", "controller": True}
    body["metadata"]["ownerReferences"] = [owner]
    assert len(read(body).pods) == 1
    body["metadata"]["ownerReferences"] = [{**owner, "uid": "uid-of-a-namesake"}]
    assert read(body).pods == ()


SAID: dict[str, tuple[list[dict[str, Any]], Resizing]] = {
    "deferred": ([make.condition(PENDING, "Deferred")], Resizing.DEFERRED),
    "infeasible": ([make.condition(PENDING, "Infeasible")], Resizing.INFEASIBLE),
    "a word of a later version": ([make.condition(PENDING, "Postponed")], Resizing.DEFERRED),
    "an older request deferred": ([make.condition(PENDING, "Deferred", 1)], Resizing.SETTLED),
    "a kubelet without numbers": ([make.condition(PENDING, "Deferred", 0)], Resizing.DEFERRED),
    "in progress": ([make.condition(UNDER_WAY)], Resizing.IN_PROGRESS),
    "error": ([make.condition(UNDER_WAY, "Error")], Resizing.FAILED),
    "an older error": ([make.condition(UNDER_WAY, "Error", 1)], Resizing.IN_PROGRESS),
    "the newest waits for the one before": (
        [make.condition(UNDER_WAY, observed=1), make.condition(PENDING, "Deferred")],
        Resizing.DEFERRED,
    ),
    "over": ([{**make.condition(PENDING, "Deferred"), "status": "False"}], Resizing.SETTLED),
}


@pytest.mark.parametrize(("conditions", "resizing"), SAID.values(), ids=SAID.keys())
def test_kubelet_when_it_speaks_of_a_resize_then_only_the_newest_counts(
    conditions: list[dict[str, Any]], resizing: Resizing
) -> None:
    found = one(make.pod(status={"conditions": conditions}))
    assert found.resizing is resizing
    assert (found.since_s == 1793491200.0) is (resizing is not Resizing.SETTLED)


def test_kubelet_when_it_says_why_then_its_words_are_kept() -> None:
    said = make.condition(PENDING, "Infeasible", message="Node didn't have enough capacity: cpu")
    found = one(make.pod(status={"conditions": [said]}))
    assert found.detail == "Node didn't have enough capacity: cpu"


@pytest.mark.parametrize(
    ("runs", "observed", "resizing"),
    [
        ({"limits": {"cpu": "100m", "memory": "128Mi"}}, 2, Resizing.IN_PROGRESS),
        ({"limits": {"cpu": "199m", "memory": "128Mi"}}, 2, Resizing.SETTLED),
        ({"limits": {"cpu": "200m", "memory": "128Mi"}}, 1, Resizing.IN_PROGRESS),
        ({}, 0, Resizing.SETTLED),
    ],
    ids=["another size runs", "rounded by a cgroup", "not seen yet", "a kubelet that says nothing"],
)
def test_resize_when_no_condition_speaks_of_it_then_the_sizes_do(
    runs: dict[str, Any], observed: int, resizing: Resizing
) -> None:
    told = {"name": "app", "resources": runs}
    status = {"containerStatuses": [told], "observedGeneration": observed}
    found = one(make.pod(status=status))
    assert found.resizing is resizing
    assert (found.actual is None) is (runs == {})


def test_policy_of_restarts_is_read_by_resource() -> None:
    policy = [
        {"resourceName": "cpu", "restartPolicy": "NotRequired"},
        {"resourceName": "memory", "restartPolicy": "RestartContainer"},
    ]
    found = one(make.pod("web-1", make.container(resizePolicy=policy)))
    assert (found.restarts_on_cpu, found.restarts_on_memory) == (False, True)


def test_form_is_the_templates_so_that_it_does_not_drift() -> None:
    small = {"requests": {"cpu": "3m", "memory": "64Mi"}, "limits": {"cpu": "10m"}}
    found = one(make.pod("web-1", make.container(resources=small)))
    assert found.asked == Size(10, 64 * MI)
    assert found.cpu == Span(100, 200)
    # A pod with no memory limit is of another form than its template.
    assert found.memory == Span(64 * MI, None)


@pytest.mark.parametrize("junk", [None, 1, "x", [], [1], {"a": 1}])
def test_bodies_when_they_are_nothing_like_pods_then_nothing_is_read(junk: Any) -> None:
    assert read(of={"spec": junk}).template == Size()
    assert one({**make.pod(), "spec": junk, "status": junk}).asked == Size()
