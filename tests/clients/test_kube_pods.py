"""Pods of a target and their resizes: what a server's answers mean, and a real one's answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from aiohttp import web

from charon_operator import testbed
from charon_operator.clients import kube
from charon_operator.model.sizes import Size, SizedPod, Sizes, Span
from charon_operator.model.workload import Target
from charon_operator.ports import WriteOutcome, WriteResult
from tests.clients.fake_api import Fake
from tests.model import pod_bodies as make
from tests.testbed_fixtures import wait_until

T = TypeVar("T")
MI = 2**20
WEB = Target("Deployment", "ns", "web")
POD = SizedPod(
    "web-1",
    "uid-web-1",
    "7",
    running=True,
    ready=True,
    asked=Size(200, None),
    cpu=Span(100, 200),
)


def serving(fake: Fake, workload: Any, *pages: Any, status: int = 200) -> None:
    """Answers the target, then one page of pods after the other."""
    left = list(pages)

    async def say(request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/pods"):
            return web.json_response(workload)
        return web.json_response(left.pop(0), status=status)

    fake.say = say


async def test_pods_are_found_by_the_selector_of_their_target(
    fake: Fake, client: kube.KubeClient
) -> None:
    workload = make.workload()
    workload["spec"]["selector"]["matchExpressions"] = [
        {"key": "tier", "operator": "In", "values": ["b", "a"]},
        {"key": "track", "operator": "NotIn", "values": ["canary"]},
        {"key": "team", "operator": "Exists"},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    serving(fake, workload, {"items": [make.pod()]})
    found = await client.pods(WEB, "app")
    assert found is not None
    assert [pod.name for pod in found.pods] == ["web-1"]
    asked = fake.requests[1].query["labelSelector"]
    assert asked == "app=web,tier in (a,b),track notin (canary),team,!old"


async def test_pods_when_there_are_many_then_every_page_is_read(
    fake: Fake, client: kube.KubeClient
) -> None:
    first = {"metadata": {"continue": "token"}, "items": [make.pod("web-1")]}
    serving(fake, make.workload(), first, {"metadata": {}, "items": [make.pod("web-2")]})
    found = await client.pods(WEB, "app")
    assert found is not None
    assert len(found.pods) == 2
    assert [request.query.get("continue") for request in fake.requests[1:]] == [None, "token"]


async def test_pods_when_a_page_is_not_answered_then_nothing_is_known(
    fake: Fake, client: kube.KubeClient
) -> None:
    serving(fake, make.workload(), {"message": "expired"}, status=410)
    assert await client.pods(WEB, "app") is None
    fake.always(404)
    assert await client.pods(WEB, "app") is None


async def test_pods_when_they_may_not_be_read_then_the_remedy_is_the_problem(
    fake: Fake, client: kube.KubeClient
) -> None:
    serving(fake, make.workload(), {"message": "pods is forbidden"}, status=403)
    found = await client.pods(WEB, "app")
    assert found == Sizes(
        Size(200, 128 * MI),
        (),
        "the operator may not read pods in namespace ns: "
        "set knobs.resources.enabled=true in the chart's values",
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, WriteOutcome.WRITTEN),
        (403, WriteOutcome.REFUSED),
        (404, WriteOutcome.GONE),
        (409, WriteOutcome.CONFLICT),
        (422, WriteOutcome.REFUSED),
        (500, WriteOutcome.UNREACHABLE),
    ],
)
async def test_outcome_of_a_resize_is_with_the_servers_words(
    fake: Fake, client: kube.KubeClient, status: int, outcome: WriteOutcome
) -> None:
    fake.always(status)
    result = await client.resize_pod(WEB, POD, "app", Size(400, None))
    assert result.outcome is outcome
    assert result.detail == ("" if status == 200 else "because")
    (request,) = fake.requests
    assert (request.method, request.path) == ("PATCH", "/api/v1/namespaces/ns/pods/web-1/resize")
    assert request.query["fieldManager"] == "charon-operator"


async def test_resize_without_the_right_names_the_value_that_gives_it(
    fake: Fake, client: kube.KubeClient
) -> None:
    fake.always(403, {"message": 'User "x" cannot patch resource "pods/resize"'})
    result = await client.resize_pod(WEB, POD, "app", Size(400, None))
    assert result.outcome is WriteOutcome.REFUSED
    assert result.detail.startswith("set knobs.resources.enabled=true in the chart's values: User")


async def test_resize_beyond_the_deadline_of_writes_is_not_sent(
    fake: Fake, client: kube.KubeClient
) -> None:
    client.fence = lambda: 0.0
    result = await client.resize_pod(WEB, POD, "app", Size(400, None))
    assert (result.outcome, fake.requests) == (WriteOutcome.REFUSED, [])


async def test_resize_that_would_change_the_class_is_not_sent(
    fake: Fake, client: kube.KubeClient
) -> None:
    result = await client.resize_pod(WEB, POD, "app", Size(1, None))
    assert (result.outcome, fake.requests) == (WriteOutcome.REFUSED, [])
    assert "QoS class would change" in result.detail


# A real API server, with pods on a fake node.


@pytest.fixture
def deployed(bed: testbed.Testbed, namespace: str) -> Target:
    body = make.workload(make.container(image="x"))
    body["spec"] |= {"replicas": 2}
    body["spec"]["template"]["metadata"] = {"labels": {"app": "web"}}
    meta = {"name": "web", "namespace": namespace}
    bed.apply(json.dumps({**body, "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta}))
    bed.kubectl("wait", "--for=condition=Available", "deployment/web", "-n", namespace)
    make.kubelet_says(bed, namespace)
    return Target("Deployment", namespace, "web")


def use(bed: testbed.Testbed, work: Callable[[kube.KubeClient], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with await kube.connect(bed.kubeconfig) as client:
            return await work(client)

    return asyncio.run(connected())


def seen(bed: testbed.Testbed, target: Target) -> Sizes:
    found = use(bed, lambda client: client.pods(target, "app"))
    assert found is not None
    return found


def resized(bed: testbed.Testbed, target: Target, pod: SizedPod, size: Size) -> WriteResult:
    return use(bed, lambda client: client.resize_pod(target, pod, "app", size))


@pytest.mark.testbed
def test_real_pods_are_read_and_asked_for_a_size_by_their_own_form(
    bed: testbed.Testbed, deployed: Target
) -> None:
    found = seen(bed, deployed)
    assert (found.template, found.problem) == (Size(200, 128 * MI), "")
    assert [pod.running and pod.ready for pod in found.pods] == [True, True]

    def written() -> bool:
        # Until the fake node has said its last word, the pod moves on.
        pod = seen(bed, deployed).pods[0]
        return resized(bed, deployed, pod, Size(500, 256 * MI)).outcome is WriteOutcome.WRITTEN

    wait_until(written, "the resize to be taken")
    first, second = seen(bed, deployed).pods
    assert (first.asked, second.asked) == (Size(500, 256 * MI), Size(200, 128 * MI))
    assert first.cpu == Span(100, 200)
    shown = ("--show-managed-fields", "-o", "json")
    body = json.loads(bed.kubectl("get", "pod", first.name, "-n", deployed.namespace, *shown))
    assert body["spec"]["containers"][0]["resources"]["requests"] == {
        "cpu": "250m",
        "memory": "128Mi",
    }
    managers = {entry["manager"] for entry in body["metadata"]["managedFields"]}
    assert "charon-operator" in managers


@pytest.mark.testbed
def test_real_resize_of_another_version_or_pod_conflicts_and_writes_nothing(
    bed: testbed.Testbed, deployed: Target
) -> None:
    pod = seen(bed, deployed).pods[0]
    bed.kubectl("label", "pod", pod.name, "-n", deployed.namespace, "moved=on")
    assert resized(bed, deployed, pod, Size(500, None)).outcome is WriteOutcome.CONFLICT
    other = replace(pod, uid="00000000-0000-0000-0000-000000000000")
    assert resized(bed, deployed, other, Size(500, None)).outcome is WriteOutcome.CONFLICT
    assert seen(bed, deployed).pods[0].asked == Size(200, 128 * MI)


@pytest.mark.testbed
def test_real_resize_that_is_not_valid_is_refused_in_the_servers_words(
    bed: testbed.Testbed, deployed: Target
) -> None:
    def refused() -> str:
        pod = seen(bed, deployed).pods[0]
        unlike = replace(pod, cpu=Span(200, 200), memory=Span(MI, MI))
        result = resized(bed, deployed, unlike, Size(500, 256 * MI))
        return result.detail if result.outcome is WriteOutcome.REFUSED else ""

    assert "QOS" in wait_until(refused, "the resize to be refused").upper()
