"""The admission policy on the real API server that fences the operator in.

What the operator's own ServiceAccount may change, with its own token, whatever rights it has.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from charon_operator import names, testbed
from tests.model import bad_input
from tests.ship import chart
from tests.ship.admission import (
    FENCED,
    OPERATOR,
    app,
    apply_as,
    deployment,
    leaves,
    other,
    patch,
)
from tests.ship.conftest import client_of
from tests.testbed_fixtures import wait_may

pytestmark = [pytest.mark.testbed, pytest.mark.usefixtures("policies")]


@pytest.fixture(scope="module")
def operator(ship_bed: testbed.Testbed, policies: None) -> Iterator[httpx.Client]:
    """The operator's own token, with the rights of the chart."""
    with client_of(ship_bed, chart.NAMESPACE, chart.RELEASE) as client:
        yield client


@pytest.fixture
def unbound(ship_bed: testbed.Testbed, operator: httpx.Client) -> Iterator[httpx.Client]:
    """The same token after somebody gave its account all rights there are: the fence stays."""
    account = f"{chart.NAMESPACE}:{chart.RELEASE}"
    ship_bed.kubectl(
        "create",
        "clusterrolebinding",
        "mistake",
        "--clusterrole=cluster-admin",
        f"--serviceaccount={account}",
    )
    wait_may(ship_bed, OPERATOR, "*", "*")
    yield operator
    ship_bed.kubectl("delete", "clusterrolebinding", "mistake")
    wait_may(ship_bed, OPERATOR, "*", "*", may=False)


def targets(space: str) -> tuple[str, str]:
    apps = f"/apis/apps/v1/namespaces/{space}"
    return f"{apps}/deployments/consumer", f"{apps}/statefulsets/db"


def test_operator_scales_both_kinds(operator: httpx.Client, workloads: str) -> None:
    for path in targets(workloads):
        assert patch(operator, f"{path}/scale", {"spec": {"replicas": 5}}).status_code == 200
        assert operator.get(path).json()["spec"]["replicas"] == 5


def test_operator_reports(
    operator: httpx.Client, ship_bed: testbed.Testbed, workloads: str
) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, app())
    status = f"/apis/{names.API_VERSION}/namespaces/{workloads}/chargedapps/good/status"
    assert patch(operator, status, {"status": {"observedGeneration": 1}}).status_code == 200
    lease = {"metadata": {"name": chart.RELEASE}}
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{chart.NAMESPACE}/leases"
    made = operator.post(leases, json=lease)
    assert made.status_code == 201, made.text
    assert operator.put(f"{leases}/{chart.RELEASE}", json=made.json()).status_code == 200
    elsewhere = leases.replace(chart.NAMESPACE, workloads)
    assert operator.post(elsewhere, json=lease).status_code == 403


@pytest.mark.parametrize("replicas", [0, -1, 1001, 2**31 - 1])
def test_fence_caps_the_replicas(operator: httpx.Client, workloads: str, replicas: int) -> None:
    for path in targets(workloads):
        refused = patch(operator, f"{path}/scale", {"spec": {"replicas": replicas}})
        assert refused.status_code in (403, 422), refused.text
        assert operator.get(path).json()["spec"]["replicas"] == 2


def test_fence_closes_system_namespaces_and_the_operator_itself(
    unbound: httpx.Client, ship_bed: testbed.Testbed
) -> None:
    for space, name in (("kube-system", "dns"), (chart.NAMESPACE, chart.RELEASE)):
        ship_bed.kubectl("apply", "-n", space, "-f", "-", input=json.dumps(deployment(name)))
        path = f"/apis/apps/v1/namespaces/{space}/deployments/{name}"
        try:
            refused = patch(unbound, f"{path}/scale", {"spec": {"replicas": 3}})
            assert refused.status_code == 403, refused.text
            assert FENCED in refused.text
        finally:
            ship_bed.kubectl("delete", "deployment", name, "-n", space, "--wait=false")


def test_fence_refuses_a_change_of_any_field_of_a_deployment(
    unbound: httpx.Client, workloads: str
) -> None:
    shared = unbound.get("/openapi/v3/apis/apps/v1").json()["components"]["schemas"]
    path, _ = targets(workloads)
    tried = 0
    for leaf, schema in leaves(shared["io.k8s.api.apps.v1.Deployment"], shared):
        body: Any = other(schema)
        for name in reversed(leaf):
            body = {name: body}
        for address in (path, f"{path}/status"):
            answer = patch(unbound, address, body)
            # A change that is not valid is refused before any policy is asked.
            assert answer.status_code in (400, 403, 409, 422, 500), (leaf, answer.text)
            if answer.status_code == 403:
                assert FENCED in answer.text, (leaf, answer.text)
                tried += 1
    assert tried > 100


NOTHING_ELSE = {
    "make a Deployment": ("POST", "/apis/apps/v1/namespaces/{0}/deployments", deployment("new")),
    "delete a Deployment": ("DELETE", "/apis/apps/v1/namespaces/{0}/deployments/consumer", None),
    "delete them all": ("DELETE", "/apis/apps/v1/namespaces/{0}/deployments", None),
    "make a secret": ("POST", "/api/v1/namespaces/{0}/secrets", {"metadata": {"name": "x"}}),
    "make a ChargedApp": (
        "POST",
        "/apis/charon.dev/v1alpha1/namespaces/{0}/chargedapps",
        bad_input.APP,
    ),
    "make a namespace": ("POST", "/api/v1/namespaces", {"metadata": {"name": "fence-x"}}),
    "make a token": (
        "POST",
        "/api/v1/namespaces/{0}/serviceaccounts/default/token",
        {"spec": {"audiences": []}},
    ),
    "give itself rights": (
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {
            "metadata": {"name": "x"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
        },
    ),
}


@pytest.mark.parametrize(("method", "path", "body"), NOTHING_ELSE.values(), ids=NOTHING_ELSE.keys())
def test_fence_refuses_all_else_even_with_all_rights(
    unbound: httpx.Client,
    ship_bed: testbed.Testbed,
    workloads: str,
    method: str,
    path: str,
    body: Any,
) -> None:
    ship_bed.kubectl("wait", "--for=create", "serviceaccount/default", "-n", workloads)
    answer = unbound.request(method, path.format(workloads), json=body)
    assert answer.status_code == 403, answer.text
    assert "may scale and report, and nothing else" in answer.text


def test_without_the_fence_rights_alone_still_refuse(
    operator: httpx.Client, workloads: str
) -> None:
    path, _ = targets(workloads)
    assert patch(operator, path, {"spec": {"paused": True}}).status_code == 403
    assert operator.get(f"/api/v1/namespaces/{workloads}/secrets").status_code == 403


def test_x18_others_are_not_affected(admin: httpx.Client, space: str) -> None:
    made = admin.post(f"/apis/apps/v1/namespaces/{space}/deployments", json=deployment("free"))
    assert made.status_code == 201
    path = f"/apis/apps/v1/namespaces/{space}/deployments/free"
    assert patch(admin, path, {"spec": {"paused": True}}).status_code == 200
    assert patch(admin, f"{path}/scale", {"spec": {"replicas": 0}}).status_code == 200
    assert admin.delete(path).status_code == 200
