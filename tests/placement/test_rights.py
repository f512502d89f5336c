"""Placement gives nobody a right by the operator's hand (X13): on the chart with placement on."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from charon_operator.testbed import operator
from tests.gpu_bed import GPU, template
from tests.placement import manifests
from tests.placement.manifests import Variant, Wish
from tests.placement.stage import App, Ground
from tests.ship.conftest import client_of
from tests.testbed_fixtures import wait_may

pytestmark = pytest.mark.testbed
OPERATOR = f"system:serviceaccount:{operator.NAMESPACE}:{operator.ACCOUNT}"
USER = "half-owner"
# May write apps, and scale the first variant only.
RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: half}
rules:
- {apiGroups: [charon.dev], resources: [chargedapps], verbs: ["*"]}
- {apiGroups: [apps], resources: [deployments/scale], resourceNames: [one], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: half}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: half}
subjects: [{kind: User, name: half-owner, apiGroup: rbac.authorization.k8s.io}]
"""


@pytest.fixture
def app(ground: Ground) -> App:
    """Two workloads that no app names yet."""
    made = ground.prepare("owned", *(Variant(name, template(1)) for name in ("one", "two")))
    ground.bed.kubectl("apply", "-n", made.namespace, "-f", "-", input=RIGHTS)
    wait_may(ground.bed, USER, "create", "chargedapps", namespace=made.namespace)
    scale = ("patch", "deployments/one", "--subresource=scale")
    wait_may(ground.bed, USER, *scale, namespace=made.namespace)
    return made


def created(ground: Ground, app: App, *names: str) -> str:
    variants = tuple(app.variants[name] for name in names)
    body = manifests.charged_app(app.name, variants, Wish())
    make = ("create", "--dry-run=server", "-n", app.namespace, f"--as={USER}", "-f", "-")
    return ground.bed.kubectl(*make, input=yaml.safe_dump(body), check=False)


def test_who_may_not_scale_every_variant_may_not_have_it_scaled(ground: Ground, app: App) -> None:
    assert "created" in created(ground, app, "one")
    told = created(ground, app, "one", "two")
    assert f"{USER} may not scale" in told
    assert "two" in told
    assert "ask for the right to patch deployments/scale" in told


@pytest.fixture
def unbound(ground: Ground) -> Iterator[httpx.Client]:
    """The operator's token after somebody gave its account all rights: the fence stays."""
    account = f"--serviceaccount={operator.NAMESPACE}:{operator.ACCOUNT}"
    role = ("clusterrolebinding", "placement-mistake")
    ground.bed.kubectl("create", *role, "--clusterrole=cluster-admin", account)
    wait_may(ground.bed, OPERATOR, "*", "*")
    with client_of(ground.bed, operator.NAMESPACE, operator.ACCOUNT) as client:
        yield client
    ground.bed.kubectl("delete", *role)
    wait_may(ground.bed, OPERATOR, "*", "*", may=False)


def patched(client: httpx.Client, path: str, spec: dict[str, Any]) -> httpx.Response:
    headers = {"Content-Type": "application/strategic-merge-patch+json"}
    return client.patch(path, content=json.dumps({"spec": spec}), headers=headers)


EIGHT = {GPU: "8"}
TEMPLATES: dict[str, dict[str, Any]] = {
    "another product": {"nodeSelector": {"nvidia.com/gpu.product": "H100"}},
    "a control-plane node": {"nodeSelector": {"node-role.kubernetes.io/control-plane": ""}},
    "a node by name": {"nodeName": "plain"},
    "tolerating everything": {"tolerations": [{"operator": "Exists"}]},
    "another runtime": {"runtimeClassName": "nvidia"},
    "another priority": {"priorityClassName": "system-node-critical"},
    "more GPUs": {
        "containers": [{"name": "app", "resources": {"limits": EIGHT, "requests": EIGHT}}]
    },
}


def test_x13_fence_leaves_no_template_and_no_node_to_the_operator(
    ground: Ground, app: App, unbound: httpx.Client
) -> None:
    path = f"/apis/apps/v1/namespaces/{app.namespace}/deployments/one"
    before = unbound.get(path).json()["spec"]
    for what, pod in TEMPLATES.items():
        refused = patched(unbound, path, {"template": {"spec": pod}})
        assert refused.status_code == 403, what
        assert "the charon operator may scale and report, and nothing else" in refused.text, what
    node = patched(unbound, "/api/v1/nodes/plain", {"unschedulable": True})
    assert (node.status_code, "nothing else" in node.text) == (403, True)
    assert unbound.get(path).json()["spec"] == before
