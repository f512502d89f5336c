"""Resizing pods on the real API server: opt-in, and of a pod nothing but its containers' sizes.

Whatever rights the operator's account has, the fence leaves it no other field of a pod, and no
field of a Deployment (tests of that are in test_fence_testbed).
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from charon_operator import testbed
from tests.ship import chart
from tests.ship.admission import FENCED, OPERATOR, deployment, leaves, other, patch
from tests.ship.conftest import client_of
from tests.testbed_fixtures import wait_may, wait_until

pytestmark = pytest.mark.testbed
Body = dict[str, Any]
ENABLED = "knobs.resources.enabled=true"
KINDS = (
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
SIZE = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
LARGER = {"requests": {"cpu": "250m", "memory": "48Mi"}, "limits": {"cpu": "500m"}}
ALL_RIGHTS = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "resize-mistake"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "cluster-admin",
    },
    "subjects": [{"kind": "ServiceAccount", "name": chart.RELEASE, "namespace": chart.NAMESPACE}],
}


class Pod:
    """A pod, and what the operator's own token may do to it.

    No scheduler takes it: of a pod that runs, the API server asks that its kubelet tells sizes.
    """

    def __init__(self, bed: testbed.Testbed, client: httpx.Client, space: str) -> None:
        self._bed, self._client, self._space = bed, client, space
        body = deployment()
        body["spec"]["replicas"] = 1
        body["spec"]["template"]["spec"]["schedulerName"] = "nobody"
        body["spec"]["template"]["spec"]["containers"][0]["resources"] = SIZE
        bed.kubectl("create", "-n", space, "-f", "-", input=json.dumps(body))
        names = wait_until(
            lambda: bed.kubectl("get", "pods", "-n", space, "-o", "name").split(), "its pod"
        )
        self.path = f"/api/v1/namespaces/{space}/{names[0].replace('pod/', 'pods/')}"

    def body(self) -> Body:
        name = self.path.rpartition("/")[2]
        text = self._bed.kubectl("get", "pod", name, "-n", self._space, "-o", "json")
        return dict(json.loads(text))

    def size(self) -> Body:
        return dict(self.body()["spec"]["containers"][0]["resources"])

    def patched(self, body: Body, subresource: str = "/resize") -> httpx.Response:
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        return self._client.patch(
            f"{self.path}{subresource}", content=json.dumps(body), headers=headers
        )

    def resized(self, resources: Body, **container: Any) -> httpx.Response:
        one = {"name": "app", "resources": resources, **container}
        return self.patched({"spec": {"containers": [one]}})


def chosen(*values: str) -> str:
    wanted = [one for one in chart.documents(*values) if one["kind"] in KINDS]
    return yaml.safe_dump_all(wanted)


def installed(bed: testbed.Testbed, *values: str) -> Iterator[str]:
    """The chart without its operator; what it may do is in force."""
    bed.kubectl("create", "namespace", chart.NAMESPACE)
    bed.apply(chosen(*values))
    wait_may(bed, OPERATOR, "patch", "--subresource=scale", "statefulsets")
    probe = ("create", "--dry-run=server", "-n", chart.NAMESPACE, "configmap", "probe")
    all_rights = (f"--as={OPERATOR}", "--as-group=system:masters")
    wait_until(
        lambda: FENCED in bed.kubectl(*probe, *all_rights, check=False), "the fence to be in force"
    )
    yield chosen(*values)
    bed.kubectl("delete", "--wait=false", "-f", "-", input=chosen(*values))
    bed.kubectl("delete", "namespace", chart.NAMESPACE, "--timeout=60s")


@pytest.fixture
def plain(ship_bed: testbed.Testbed) -> Iterator[str]:
    yield from installed(ship_bed)


@pytest.fixture
def resizing(ship_bed: testbed.Testbed) -> Iterator[str]:
    yield from installed(ship_bed, "--set", ENABLED)


@pytest.fixture
def all_rights(ship_bed: testbed.Testbed) -> Iterator[None]:
    """Somebody gives the operator's account all rights there are: the fence stays."""
    ship_bed.apply(json.dumps(ALL_RIGHTS))
    wait_may(ship_bed, OPERATOR, "*", "*")
    yield
    ship_bed.kubectl("delete", "clusterrolebinding", "resize-mistake")
    wait_may(ship_bed, OPERATOR, "*", "*", may=False)


@pytest.fixture
def client(ship_bed: testbed.Testbed) -> Iterator[httpx.Client]:
    with client_of(ship_bed, chart.NAMESPACE, chart.RELEASE) as made:
        yield made


def test_resize_without_the_value_is_no_right(
    plain: str, ship_bed: testbed.Testbed, client: httpx.Client, space: str
) -> None:
    pod = Pod(ship_bed, client, space)
    refused = pod.resized(LARGER)
    assert refused.status_code == 403
    assert 'cannot patch resource "pods/resize"' in refused.json()["message"]
    assert client.get(f"/api/v1/namespaces/{space}/pods").status_code == 403


def test_resize_without_the_value_is_fenced_even_with_all_rights(
    plain: str, all_rights: None, ship_bed: testbed.Testbed, client: httpx.Client, space: str
) -> None:
    pod = Pod(ship_bed, client, space)
    refused = pod.resized(LARGER)
    assert refused.status_code == 403
    assert FENCED in refused.text
    assert pod.size() == SIZE


def test_resize_with_the_value_changes_cpu_and_memory(
    resizing: str, ship_bed: testbed.Testbed, client: httpx.Client, space: str
) -> None:
    pod = Pod(ship_bed, client, space)
    done = pod.resized(LARGER)
    assert done.status_code == 200, done.text
    assert pod.size() == {
        "requests": {"cpu": "250m", "memory": "48Mi"},
        "limits": {"cpu": "500m", "memory": "64Mi"},
    }
    assert client.get(f"/api/v1/namespaces/{space}/pods").status_code == 200


def test_fence_leaves_no_other_field_of_a_pod(
    resizing: str, all_rights: None, ship_bed: testbed.Testbed, client: httpx.Client, space: str
) -> None:
    pod = Pod(ship_bed, client, space)
    before = pod.body()
    shared = client.get("/openapi/v3/api/v1").json()["components"]["schemas"]
    fenced = 0
    for leaf, schema in leaves(shared["io.k8s.api.core.v1.Pod"], shared):
        body: Any = other(schema)
        for name in reversed(leaf):
            body = {name: body}
        for subresource in ("", "/status", "/resize", "/ephemeralcontainers"):
            headers = {"Content-Type": "application/merge-patch+json"}
            answer = client.patch(
                f"{pod.path}{subresource}", content=json.dumps(body), headers=headers
            )
            # By a resize the server itself takes over nothing but sizes: 200, and nothing changed.
            allowed = (200,) if subresource == "/resize" else ()
            assert answer.status_code in (400, 403, 409, 422, 500, *allowed), (leaf, answer.text)
            if answer.status_code == 403:
                assert FENCED in answer.text, (leaf, answer.text)
                fenced += 1
    assert fenced > 100
    after = pod.body()
    for changed in (before, after):
        for kept in ("generation", "managedFields", "resourceVersion"):
            changed["metadata"].pop(kept, None)
    assert before["spec"] == after["spec"]
    assert before["metadata"] == after["metadata"]


NOT_SIZES: dict[str, tuple[Body, Body]] = {
    "a restart policy of sizes": (
        LARGER,
        {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]},
    ),
    "a resource of another kind": ({"limits": {"ephemeral-storage": "1Gi"}}, {}),
    "a device": ({"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}, {}),
}


@pytest.mark.parametrize(("resources", "container"), NOT_SIZES.values(), ids=NOT_SIZES.keys())
def test_resize_of_anything_but_cpu_and_memory_is_refused(
    resizing: str,
    all_rights: None,
    ship_bed: testbed.Testbed,
    client: httpx.Client,
    space: str,
    resources: Body,
    container: Body,
) -> None:
    pod = Pod(ship_bed, client, space)
    refused = pod.resized(resources, **container)
    assert refused.status_code in (403, 422), refused.text
    assert pod.size() == SIZE


def test_fence_leaves_pods_of_system_namespaces_and_the_operators_own(
    resizing: str, all_rights: None, ship_bed: testbed.Testbed, client: httpx.Client
) -> None:
    own = {"app.kubernetes.io/instance": chart.RELEASE}
    for space, labels in (("kube-system", {"a": "b"}), (chart.NAMESPACE, own)):
        container = {"name": "app", "image": "x", "resources": SIZE}
        spec = {"containers": [container], "schedulerName": "nobody"}
        meta = {"name": "dns", "namespace": space, "labels": labels}
        ship_bed.kubectl("wait", "--for=create", "serviceaccount/default", "-n", space)
        ship_bed.apply(
            json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        )
        body = {"spec": {"containers": [{"name": "app", "resources": LARGER}]}}
        path = f"/api/v1/namespaces/{space}/pods/dns/resize"
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        refused = client.patch(path, content=json.dumps(body), headers=headers)
        ship_bed.kubectl("delete", "pod", "dns", "-n", space, "--wait=false")
        assert refused.status_code == 403, refused.text
        assert FENCED in refused.text


def test_deployment_is_no_more_open_than_without_the_value(
    resizing: str, all_rights: None, ship_bed: testbed.Testbed, client: httpx.Client, space: str
) -> None:
    Pod(ship_bed, client, space)
    path = f"/apis/apps/v1/namespaces/{space}/deployments/consumer"
    larger = [{"name": "app", "image": "x", "resources": LARGER}]
    refused = patch(client, path, {"spec": {"template": {"spec": {"containers": larger}}}})
    assert (refused.status_code, FENCED in refused.text) == (403, True)
