"""A Deployment's form, changed on the real API server, and what a server's answers mean."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from charon_operator import names, testbed
from charon_operator.clients import kube
from charon_operator.model import form
from charon_operator.model.form import Form, FormWrite
from charon_operator.model.workload import Target
from charon_operator.ports import WriteOutcome, WriteResult
from tests.clients.fake_api import Fake
from tests.testbed_fixtures import wait_until

T = TypeVar("T")
Body = dict[str, Any]
WEB = Target("Deployment", "ns", "web")
A100 = Form(container="app", gpus=2, product="A100", runtime_class_name="nvidia")
CPU = Form(container="app", gpus=0)
WRITE = FormWrite(A100, 3, True, ("cpu", 12), "7")


async def test_it_is_one_strategic_patch_under_our_name(
    fake: Fake, client: kube.KubeClient
) -> None:
    assert await client.set_form(WEB, WRITE) == WriteResult(WriteOutcome.WRITTEN, "7")
    (request,) = fake.requests
    path = "/apis/apps/v1/namespaces/ns/deployments/web"
    assert (request.method, request.path) == ("PATCH", path)
    assert request.content_type == "application/strategic-merge-patch+json"
    assert request.query["fieldManager"] == "charon-operator"


async def test_without_the_right_the_value_that_gives_it_is_named(
    fake: Fake, client: kube.KubeClient
) -> None:
    fake.always(403, {"message": 'User "x" cannot patch resource "deployments"'})
    result = await client.set_form(WEB, WRITE)
    assert result.outcome is WriteOutcome.REFUSED
    told = "set knobs.placement.templates=true in the chart's values: User"
    assert result.detail.startswith(told)


async def test_what_the_fence_refuses_is_in_its_own_words(
    fake: Fake, client: kube.KubeClient
) -> None:
    fake.always(403, {"message": "the charon operator changes nothing of a pod template"})
    result = await client.set_form(WEB, WRITE)
    assert (result.outcome, result.detail[:4]) == (WriteOutcome.REFUSED, "the ")


async def test_beyond_the_deadline_of_writes_nothing_is_sent(
    fake: Fake, client: kube.KubeClient
) -> None:
    client.fence = lambda: 0.0
    assert (await client.set_form(WEB, WRITE)).outcome is WriteOutcome.REFUSED
    assert fake.requests == []


async def test_without_a_known_version_nothing_is_sent(fake: Fake, client: kube.KubeClient) -> None:
    result = await client.set_form(WEB, replace(WRITE, resource_version=""))
    assert (result.outcome, fake.requests) == (WriteOutcome.CONFLICT, [])


# A real API server.


class Deployment:
    """A Deployment of no pods, and changes of its form by our own client."""

    def __init__(self, bed: testbed.Testbed, namespace: str, **pods: Any) -> None:
        self._bed = bed
        self.target = Target("Deployment", namespace, "web")
        labels = {"app": "web"}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [CONTAINER, SIDECAR], **pods},
        }
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        meta = {"name": "web", "namespace": namespace, "annotations": {"note": "kept"}}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
        bed.apply(json.dumps(body))
        seen = "--for=jsonpath={.status.observedGeneration}=1"
        bed.kubectl("wait", seen, "deployment/web", "-n", namespace, "--timeout=30s")

    def body(self) -> Body:
        read = ("get", "deployment", "web", "-n", self.target.namespace, "-o", "json")
        return dict(json.loads(self._bed.kubectl(*read)))

    def pods(self) -> Body:
        return dict(self.body()["spec"]["template"]["spec"])

    def change(self, to: Form, replicas: int = 0, surges: bool = True) -> WriteResult:
        """By the newest version; a controller's status moves it, so perhaps not at once."""
        for _ in range(20):
            version = self.body()["metadata"]["resourceVersion"]
            result = self.change_on(version, to, replicas, surges)
            if result.outcome is not WriteOutcome.CONFLICT:
                break
        return result

    def change_on(
        self, version: str, to: Form, replicas: int = 0, surges: bool = True
    ) -> WriteResult:
        write = FormWrite(to, replicas, surges, ("cpu", 12), version)
        return use(self._bed, lambda client: client.set_form(self.target, write))


CONTAINER: Body = {
    "name": "app",
    "image": "x",
    "env": [{"name": "A", "value": "b"}],
    "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
}
SIDECAR: Body = {"name": "side", "image": "y"}


def use(bed: testbed.Testbed, work: Callable[[kube.KubeClient], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with await kube.connect(bed.kubeconfig) as client:
            return await work(client)

    return asyncio.run(connected())


@pytest.mark.testbed
def test_a_form_comes_and_goes_and_leaves_no_trace_but_the_way_back(
    bed: testbed.Testbed, namespace: str
) -> None:
    made = Deployment(bed, namespace)
    before = made.pods()

    assert made.change(A100).outcome is WriteOutcome.WRITTEN
    pods = made.pods()
    assert form.shape(made.body()).is_in(A100)
    assert pods["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "nvidia.com/gpu": "2"},
        "limits": {"memory": "64Mi", "nvidia.com/gpu": "2"},
    }
    assert (pods["runtimeClassName"], pods["nodeSelector"]) == (
        "nvidia",
        {"nvidia.com/gpu.product": "A100"},
    )
    assert (pods["containers"][0]["env"], pods["containers"][1]) == (
        before["containers"][0]["env"],
        before["containers"][1],
    )

    assert made.change(CPU).outcome is WriteOutcome.WRITTEN
    assert made.pods() == before
    body = made.body()
    assert (
        body["metadata"]["annotations"] | {"note": "kept", names.CAME_FROM: "cpu=12"}
        == (body["metadata"]["annotations"])
    )
    assert form.shape(body).came_from == ("cpu", 12)


@pytest.mark.testbed
def test_a_node_selector_of_the_users_own_stays(bed: testbed.Testbed, namespace: str) -> None:
    made = Deployment(bed, namespace, nodeSelector={"disk": "fast"})
    assert made.change(CPU).outcome is WriteOutcome.WRITTEN
    assert made.pods()["nodeSelector"] == {"disk": "fast"}
    assert made.change(A100).outcome is WriteOutcome.WRITTEN
    assert made.pods()["nodeSelector"] == {"disk": "fast", "nvidia.com/gpu.product": "A100"}
    assert made.change(CPU).outcome is WriteOutcome.WRITTEN
    assert made.pods()["nodeSelector"] == {"disk": "fast"}


@pytest.mark.testbed
def test_replicas_and_the_strategy_change_in_the_same_write(
    bed: testbed.Testbed, namespace: str
) -> None:
    made = Deployment(bed, namespace)
    before = made.body()
    assert before["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == "25%"
    result = made.change(A100, replicas=2, surges=False)
    assert result.outcome is WriteOutcome.WRITTEN
    after = made.body()
    assert after["spec"]["replicas"] == 2
    assert after["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    }
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1


@pytest.mark.testbed
def test_the_same_once_more_is_seen_to_be_no_write(bed: testbed.Testbed, namespace: str) -> None:
    made = Deployment(bed, namespace)
    assert made.change(A100, surges=False).outcome is WriteOutcome.WRITTEN
    generation = made.body()["metadata"]["generation"]
    bed.kubectl(
        *("wait", f"--for=jsonpath={{.status.observedGeneration}}={generation}"),
        *("deployment/web", "-n", namespace, "--timeout=30s"),
    )

    def same() -> bool:
        version = made.body()["metadata"]["resourceVersion"]
        result = made.change_on(version, A100, surges=False)
        return (result.outcome, result.resource_version) == (WriteOutcome.WRITTEN, version)

    wait_until(same, "an answer with the version that was there")
    assert made.body()["metadata"]["generation"] == generation


@pytest.mark.testbed
def test_another_version_conflicts_and_nothing_is_written(
    bed: testbed.Testbed, namespace: str
) -> None:
    made = Deployment(bed, namespace)
    before = made.body()
    bed.kubectl("label", "deployment/web", "-n", namespace, "moved=on")
    result = made.change_on(before["metadata"]["resourceVersion"], A100)
    assert result.outcome is WriteOutcome.CONFLICT
    assert made.body()["spec"] == before["spec"]


@pytest.mark.testbed
@pytest.mark.parametrize(
    ("strategy", "to", "surges", "words"),
    [
        ("Recreate", A100, False, "may not be specified when strategy"),
        ("RollingUpdate", Form(container="nosuch", gpus=1), True, "image: Required value"),
    ],
    ids=["all pods at once", "a container that is not there"],
)
def test_what_would_not_be_valid_is_refused_in_the_servers_words(
    bed: testbed.Testbed, namespace: str, strategy: str, to: Form, surges: bool, words: str
) -> None:
    made = Deployment(bed, namespace)
    patched = json.dumps({"spec": {"strategy": {"type": strategy, "rollingUpdate": None}}})
    bed.kubectl("patch", "deployment/web", "-n", namespace, "--type=merge", "-p", patched)
    before = made.body()["spec"]
    result = made.change(to, surges=surges)
    assert (result.outcome, words in result.detail) == (WriteOutcome.REFUSED, True), result
    assert made.body()["spec"] == before
