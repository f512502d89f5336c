"""Changing the form of a Deployment on the real API server: opt-in, and of it nothing but the form.

What is tried is a change of form that is let through, with one field more. Without the value no
field of a Deployment can be changed (`test_fence_testbed`).
"""

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from charon_operator import names, testbed
from charon_operator.actuate import forms
from charon_operator.clients import kube
from charon_operator.model import form
from charon_operator.model.form import Form, FormWrite
from charon_operator.model.workload import Target
from charon_operator.ports import WriteOutcome, WriteResult
from tests.ship import chart
from tests.ship.admission import FENCED, OPERATOR, Body, deployment, leaves, other
from tests.ship.conftest import client_of
from tests.ship.test_resize_rights_testbed import installed
from tests.testbed_fixtures import wait_may, wait_until

pytestmark = pytest.mark.testbed
PLACED = ("--set", "knobs.placement.enabled=true")
TEMPLATES = (*PLACED, "--set", "knobs.placement.templates=true")
A100 = Form(container="app", gpus=2, product="A100", runtime_class_name="nvidia")
CPU = Form(container="app", gpus=0)
PATH = "/apis/apps/v1/namespaces/{}/deployments/{}"
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
# The fence's own words of each thing that it looks at.
DEPLOYMENT, ANNOTATION = "changes nothing of a Deployment but", "sets no annotation of a Deployment"
STRATEGY, TEMPLATE = "changes nothing of a strategy but", "changes nothing of a pod template but"
CONTAINER = "changes nothing of a container but its nvidia.com/gpu"


def workload(name: str = "consumer") -> Body:
    """A Deployment with something of its own wherever a form says something."""
    body = deployment(name)
    body["metadata"]["annotations"] = {"note": "kept"}
    pods = body["spec"]["template"]["spec"]
    pods["nodeSelector"] = {"disk": "fast"}
    pods["containers"][0] |= {
        "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
        "env": [{"name": "A", "value": "b"}],
    }
    pods["containers"] += [{"name": "side", "image": "registry.k8s.io/pause:3.10"}]
    pods["initContainers"] = [{"name": "init", "image": "registry.k8s.io/pause:3.10"}]
    pods["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    pods["resourceClaims"] = [{"name": "device", "resourceClaimName": "device"}]
    # None of its pods is scheduled.
    pods["schedulerName"] = "nobody"
    return body


def change(to: Form = A100, replicas: int = 3, surges: bool = True) -> Body:
    """A change of form that is let through, on any version."""
    write = FormWrite(to, replicas, surges, ("cpu", 12), "")
    body: Body = copy.deepcopy(dict(forms.patch(write)))
    del body["metadata"]["resourceVersion"]
    return body


def merged(one: Any, more: Any) -> Any:
    """Both patches as one; items of a list by their name."""
    if isinstance(one, dict) and isinstance(more, dict):
        both = {key: merged(one[key], more[key]) for key in one.keys() & more.keys()}
        return {**one, **more, **both}
    if isinstance(one, list) and isinstance(more, list):
        ours, theirs = ({item.get("name"): item for item in items} for items in (one, more))
        return list(merged(ours, theirs).values())
    return more


def asked(client: httpx.Client, path: str, body: Body, **query: str) -> httpx.Response:
    return client.patch(path, content=json.dumps(body), headers=STRATEGIC, params=query)


@pytest.fixture(scope="module")
def operator(ship_bed: testbed.Testbed) -> Iterator[httpx.Client]:
    """The operator's own token, with the rights of the chart and templates on."""
    for _ in installed(ship_bed, *TEMPLATES):
        wait_may(ship_bed, OPERATOR, "patch", "deployments")
        with client_of(ship_bed, chart.NAMESPACE, chart.RELEASE) as client:
            yield client


@pytest.fixture
def path(operator: httpx.Client, ship_bed: testbed.Testbed, space: str) -> str:
    ship_bed.kubectl("create", "-n", space, "-f", "-", input=json.dumps(workload()))
    return PATH.format(space, "consumer")


def test_a_form_comes_and_goes(operator: httpx.Client, path: str) -> None:
    before = operator.get(path).json()
    for to, surges in ((A100, True), (CPU, True), (A100, False), (CPU, False)):
        done = asked(operator, path, change(to, replicas=0, surges=surges))
        assert done.status_code == 200, done.text
    after = operator.get(path).json()
    assert after["spec"]["template"] == before["spec"]["template"]
    assert after["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert after["spec"]["replicas"] == 0
    annotations = after["metadata"]["annotations"]
    assert (annotations["note"], annotations[names.CAME_FROM]) == ("kept", "cpu=12")


def test_our_own_client_may_change_a_form_and_nothing_in_closed_namespaces(
    operator: httpx.Client, ship_bed: testbed.Testbed, space: str, path: str, tmp_path: Path
) -> None:
    account = (chart.NAMESPACE, chart.RELEASE)
    kubeconfig = ship_bed.service_account_kubeconfig(*account, tmp_path / "kubeconfig")

    async def changed(namespace: str) -> WriteResult:
        target = Target("Deployment", namespace, "consumer")
        version = operator.get(PATH.format(namespace, "consumer")).json()["metadata"]
        write = FormWrite(A100, 1, False, ("cpu", 2), version["resourceVersion"])
        async with await kube.connect(kubeconfig) as client:
            return await client.set_form(target, write)

    def outcome(namespace: str) -> WriteResult:
        # A controller's status moves the version, so perhaps not at once.
        for _ in range(20):
            result = asyncio.run(changed(namespace))
            if result.outcome is not WriteOutcome.CONFLICT:
                break
        return result

    assert outcome(space).outcome is WriteOutcome.WRITTEN
    assert form.shape(operator.get(path).json()).is_in(A100)
    body = json.dumps(workload())
    ship_bed.kubectl("create", "-n", "kube-system", "-f", "-", input=body)
    try:
        refused = outcome("kube-system")
    finally:
        ship_bed.kubectl("delete", "deployment", "consumer", "-n", "kube-system", "--wait=false")
    assert refused.outcome is WriteOutcome.REFUSED
    assert "reshapes nothing in kube-system" in refused.detail


def test_a_deployment_that_is_large_can_be_looked_through(
    operator: httpx.Client, ship_bed: testbed.Testbed, space: str
) -> None:
    body = workload("large")
    said = [{"name": f"V{index}", "value": "x" * 100} for index in range(100)]
    more = [{"name": f"c{index}", "image": "x", "env": said} for index in range(30)]
    body["spec"]["template"]["spec"]["containers"] += more
    body["metadata"]["annotations"] |= {f"note-{index}": "x" * 1000 for index in range(50)}
    ship_bed.kubectl("create", "-n", space, "-f", "-", input=json.dumps(body))
    done = asked(operator, PATH.format(space, "large"), change())
    assert done.status_code == 200, done.text


PARTS: dict[str, Body] = {
    "the replicas": {"replicas": 7},
    "the strategy": {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}},
    "the product": {"template": {"spec": {"nodeSelector": {"nvidia.com/gpu.product": "L4"}}}},
    "the runtime class": {"template": {"spec": {"runtimeClassName": "nvidia"}}},
    "the GPUs": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "side",
                        "resources": {
                            "limits": {"nvidia.com/gpu": "1"},
                            "requests": {"nvidia.com/gpu": "1"},
                        },
                    }
                ]
            }
        }
    },
}


@pytest.mark.parametrize("spec", PARTS.values(), ids=PARTS.keys())
def test_each_part_of_a_form_may_change_alone(
    operator: httpx.Client, path: str, spec: Body
) -> None:
    way_back = {"annotations": {names.CAME_FROM: "a100=1"}}
    done = asked(operator, path, {"metadata": way_back, "spec": spec})
    assert done.status_code == 200, done.text


def kept(body: Body) -> Body:
    """What a write has changed, without what the server itself keeps book of."""
    book = ("generation", "managedFields", "resourceVersion")
    meta = {key: value for key, value in body["metadata"].items() if key not in book}
    return {"metadata": meta, "spec": body["spec"]}


def test_every_other_field_of_a_deployment_is_refused(operator: httpx.Client, path: str) -> None:
    # The controller writes it into the annotations, which are compared below.
    wait_until(lambda: REVISION in operator.get(path).json()["metadata"]["annotations"], REVISION)
    alone = kept(asked(operator, path, change(), dryRun="All").json())
    shared = operator.get("/openapi/v3/apis/apps/v1").json()["components"]["schemas"]
    fenced = 0
    for leaf, schema in leaves(shared["io.k8s.api.apps.v1.Deployment"], shared):
        if leaf in OURS:
            continue
        more: Any = other(schema)
        for name in reversed(leaf):
            more = {name: more}
        answer = asked(operator, path, merged(change(), more), dryRun="All")
        # A change that is not valid is refused before any policy is asked; others may be ignored.
        if answer.status_code == 200:
            assert kept(answer.json()) == alone, leaf
            continue
        assert answer.status_code in (400, 403, 409, 422, 500), (leaf, answer.text)
        if answer.status_code == 403:
            assert FENCED in answer.text, (leaf, answer.text)
            fenced += 1
    assert fenced > 30


OURS = (("spec", "replicas"), ("spec", "template", "spec", "runtimeClassName"))
REVISION = "deployment.kubernetes.io/revision"
MORE: dict[str, tuple[Body, str]] = {
    "a label": ({"metadata": {"labels": {"x": "y"}}}, DEPLOYMENT),
    "an annotation": ({"metadata": {"annotations": {"x": "y"}}}, ANNOTATION),
    "an annotation of no text": ({"metadata": {"annotations": {"x": ""}}}, ANNOTATION),
    "an annotation gone": ({"metadata": {"annotations": {"note": None}}}, ANNOTATION),
    "all annotations gone": ({"metadata": {"annotations": None}}, DEPLOYMENT),
    "no way back": ({"metadata": {"annotations": {names.CAME_FROM: None}}}, ANNOTATION),
    "a way back of other words": (
        {"metadata": {"annotations": {names.CAME_FROM: "a100=3; rm"}}},
        ANNOTATION,
    ),
    "a way back that is endless": (
        {"metadata": {"annotations": {names.CAME_FROM: f"{'a' * 64}=3"}}},
        ANNOTATION,
    ),
    "a finalizer": ({"metadata": {"finalizers": ["x.y/z"]}}, DEPLOYMENT),
    "an owner": (
        {
            "metadata": {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "00000000-0000"}
                ]
            }
        },
        DEPLOYMENT,
    ),
    "rollouts paused": ({"spec": {"paused": True}}, DEPLOYMENT),
    "a deadline": ({"spec": {"progressDeadlineSeconds": 7}}, DEPLOYMENT),
    "fewer revisions": ({"spec": {"revisionHistoryLimit": 0}}, DEPLOYMENT),
    "pods that must be ready for long": ({"spec": {"minReadySeconds": 7}}, DEPLOYMENT),
    "another surge": ({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 7}}}}, STRATEGY),
    "more pods away": (
        {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}}},
        STRATEGY,
    ),
    "all pods at once": (
        {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}},
        STRATEGY,
    ),
    "a label of pods": (
        {"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}},
        TEMPLATE,
    ),
    "an annotation of pods": (
        {"spec": {"template": {"metadata": {"annotations": {"x": "y"}}}}},
        TEMPLATE,
    ),
}
PODS: dict[str, tuple[Body, str]] = {
    "another node": ({"nodeName": "x"}, TEMPLATE),
    "another key of the node selector": ({"nodeSelector": {"x": "y"}}, TEMPLATE),
    "another value of the node selector": ({"nodeSelector": {"disk": "slow"}}, TEMPLATE),
    "a key of the node selector gone": ({"nodeSelector": {"disk": None}}, TEMPLATE),
    "the host's network": ({"hostNetwork": True}, TEMPLATE),
    "another account": ({"serviceAccountName": "x"}, TEMPLATE),
    "another scheduler": ({"schedulerName": "x"}, TEMPLATE),
    "a priority class": ({"priorityClassName": "x"}, TEMPLATE),
    "a toleration": ({"tolerations": [{"operator": "Exists"}]}, TEMPLATE),
    "an affinity": ({"affinity": {"nodeAffinity": {}}}, TEMPLATE),
    "a volume": ({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, TEMPLATE),
    "a security context": ({"securityContext": {"runAsUser": 0}}, TEMPLATE),
    "another grace period": ({"terminationGracePeriodSeconds": 7}, TEMPLATE),
    "no grace period of its own": ({"terminationGracePeriodSeconds": None}, TEMPLATE),
    "an init container's image": ({"initContainers": [{"name": "init", "image": "x"}]}, TEMPLATE),
    "no init container": (
        {"initContainers": [{"name": "init", "$patch": "delete"}]},
        TEMPLATE,
    ),
    "a container more": ({"containers": [{"name": "x", "image": "x"}]}, CONTAINER),
    "a container less": ({"containers": [{"name": "side", "$patch": "delete"}]}, CONTAINER),
}
CONTAINERS: dict[str, Body] = {
    "image": {"image": "x"},
    "command": {"command": ["sh"]},
    "arguments": {"args": ["x"]},
    "variable": {"env": [{"name": "A", "value": "c"}]},
    "variables gone": {"env": None},
    "variables from elsewhere": {"envFrom": [{"secretRef": {"name": "x"}}]},
    "security context": {"securityContext": {"privileged": True}},
    "probe": {"livenessProbe": {"exec": {"command": ["x"]}}},
    "port": {"ports": [{"containerPort": 7}]},
    "mount": {"volumeMounts": [{"name": "scratch", "mountPath": "/x"}]},
    "pull policy": {"imagePullPolicy": "Always"},
    "work directory": {"workingDir": "/x"},
    "resize policy": {
        "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    },
    "request of CPU": {"resources": {"requests": {"cpu": "7"}}},
    "request gone": {"resources": {"requests": {"cpu": None}}},
    "limit of memory": {"resources": {"limits": {"memory": "7Gi"}}},
    "limit gone": {"resources": {"limits": {"memory": None}}},
    "limit of CPU that was none": {"resources": {"limits": {"cpu": "7"}}},
    "another device": {
        "resources": {"limits": {"amd.com/gpu": "1"}, "requests": {"amd.com/gpu": "1"}}
    },
    "claim": {"resources": {"claims": [{"name": "device"}]}},
}


def with_pods(spec: Body) -> Body:
    return {"spec": {"template": {"spec": spec}}}


DENIED = {
    **MORE,
    **{name: (with_pods(spec), words) for name, (spec, words) in PODS.items()},
    **{
        f"a container's {name}": (with_pods({"containers": [{"name": "app", **more}]}), CONTAINER)
        for name, more in CONTAINERS.items()
    },
}


@pytest.mark.parametrize(("more", "words"), DENIED.values(), ids=DENIED.keys())
def test_a_form_and_anything_more_is_refused(
    operator: httpx.Client, path: str, more: Body, words: str
) -> None:
    body = merged(change(), more)
    refused = asked(operator, path, body, dryRun="All")
    assert (refused.status_code, words in refused.text) == (403, True), refused.text
    assert asked(operator, path, change(), dryRun="All").status_code == 200


@pytest.mark.parametrize("replicas", [-1, 1001, 2**31 - 1])
def test_replicas_are_capped_all_the_same(operator: httpx.Client, path: str, replicas: int) -> None:
    refused = asked(operator, path, change(replicas=replicas))
    assert refused.status_code in (403, 422), refused.text
    assert refused.status_code == 422 or "scales to between 0 and 1000" in refused.text
    assert operator.get(path).json()["spec"]["replicas"] == 2


def test_system_namespaces_and_the_operator_itself_stay_closed(
    operator: httpx.Client, ship_bed: testbed.Testbed
) -> None:
    for space, name in (("kube-system", "dns"), (chart.NAMESPACE, chart.RELEASE)):
        ship_bed.kubectl("apply", "-n", space, "-f", "-", input=json.dumps(workload(name)))
        try:
            refused = asked(operator, PATH.format(space, name), change())
            assert (refused.status_code, FENCED in refused.text) == (403, True), refused.text
        finally:
            ship_bed.kubectl("delete", "deployment", name, "-n", space, "--wait=false")


def test_nothing_but_a_patch_of_a_deployment_is_a_right(
    operator: httpx.Client, ship_bed: testbed.Testbed, space: str, path: str
) -> None:
    body = deployment("db", "StatefulSet")
    ship_bed.kubectl("create", "-n", space, "-f", "-", input=json.dumps(body))
    refused = [
        asked(operator, PATH.format(space, "db").replace("deployments", "statefulsets"), change()),
        asked(operator, f"{path}/status", {"status": {"replicas": 7}}),
        operator.put(path, json=operator.get(path).json()),
        operator.delete(path),
        operator.post(path.rpartition("/")[0], json=workload("new")),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
