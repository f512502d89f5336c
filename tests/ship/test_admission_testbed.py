"""The two admission policies on the real API server.

(a) the fence: what the operator's own ServiceAccount may change, with its own token, whatever
rights it has; (b) the authorizer: who may not scale a workload may not name it in a ChargedApp.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from charon_operator import names, testbed
from charon_operator.model.placement import MOST_VARIANTS
from tests.model import bad_input
from tests.ship import chart
from tests.ship.conftest import client_of
from tests.testbed_fixtures import wait_may, wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.usefixtures("policies")]
Body = dict[str, Any]
OPERATOR = f"system:serviceaccount:{chart.NAMESPACE}:{chart.RELEASE}"
# The fence's own words: a refusal without them came from something else.
FENCED = "the charon operator"

_USERS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: apps}
rules:
- {apiGroups: [charon.dev], resources: [chargedapps], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: scale-one}
rules:
- {apiGroups: [apps], resources: [deployments/scale], resourceNames: [consumer], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: scale-sets}
rules:
- {apiGroups: [apps], resources: [statefulsets/scale], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: resize}
rules:
- {apiGroups: [""], resources: [pods/resize], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: template}
rules:
- {apiGroups: [apps], resources: [deployments], verbs: [patch]}
"""


def _bindings(**roles: list[str]) -> str:
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
    api = "rbac.authorization.k8s.io"
    return yaml.safe_dump_all(
        {
            **kind,
            "metadata": {"name": f"{user}-{role}"},
            "roleRef": {"apiGroup": api, "kind": "Role", "name": role},
            "subjects": [{"kind": "User", "name": user, "apiGroup": api}],
        }
        for user, bound in roles.items()
        for role in bound
    )


_OUTSIDER = _bindings(outsider=["apps"])


@pytest.fixture(scope="module")
def policies(ship_bed: testbed.Testbed, crds: None) -> Iterator[None]:
    """The chart's account, rights and policies, without the operator itself."""
    ship_bed.kubectl("create", "namespace", chart.NAMESPACE)
    wanted = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    admission = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    documents = [d for d in chart.documents() if d["kind"] in (*wanted, *admission)]
    ship_bed.apply(yaml.safe_dump_all(documents))
    wait_until(lambda: _in_force(ship_bed), "both policies to be in force")
    wait_may(ship_bed, OPERATOR, "patch", "--subresource=scale", "statefulsets")
    yield
    ship_bed.kubectl("delete", "--wait=false", "-f", "-", input=yaml.safe_dump_all(documents))
    ship_bed.kubectl("delete", "namespace", chart.NAMESPACE, "--timeout=60s")


def _in_force(bed: testbed.Testbed) -> bool:
    """Whether both refuse: the API server takes up a new policy some time after it is stored."""
    bed.kubectl("apply", "-n", chart.NAMESPACE, "-f", "-", input=f"{_USERS}---\n{_OUTSIDER}")
    create = ("create", "--dry-run=server", "-n", chart.NAMESPACE)
    body = json.dumps(bad_input.APP)
    app_told = bed.kubectl(*create, "--as=outsider", "-f", "-", input=body, check=False)
    account = f"--as={OPERATOR}"
    all_rights = "--as-group=system:masters"
    other_told = bed.kubectl(*create, account, all_rights, "configmap", "probe", check=False)
    return "may not scale" in app_told and "nothing else" in other_told


def deployment(name: str = "consumer", kind: str = "Deployment") -> Body:
    labels = {"app": name}
    container = {"name": "app", "image": "registry.k8s.io/pause:3.10"}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }


@pytest.fixture
def workloads(ship_bed: testbed.Testbed, space: str) -> str:
    """A namespace with two Deployments, a StatefulSet, and users with different rights."""
    bodies = (deployment(), deployment("other"), deployment("db", "StatefulSet"))
    users = _bindings(
        outsider=["apps"],
        owner=["apps", "scale-one"],
        sets=["apps", "scale-sets"],
        resizer=["apps", "scale-one", "resize"],
        author=["apps", "scale-one", "template"],
    )
    everything = "---\n".join([_USERS, users, *(json.dumps(body) + "\n" for body in bodies)])
    ship_bed.kubectl("create", "-n", space, "-f", "-", input=everything)
    make, scale = ("create", "chargedapps"), ("patch", "--subresource=scale")
    for user in ("outsider", "owner", "sets", "resizer", "author"):
        wait_may(ship_bed, user, *make, namespace=space)
    for user in ("owner", "resizer", "author"):
        wait_may(ship_bed, user, *scale, "deployments/consumer", namespace=space)
    wait_may(ship_bed, "resizer", "patch", "--subresource=resize", "pods", namespace=space)
    wait_may(ship_bed, "author", "patch", "deployments", namespace=space)
    wait_may(ship_bed, "sets", *scale, "statefulsets", namespace=space)
    return space


def app(kind: str = "Deployment", target: str = "consumer", **spec: Any) -> str:
    body = copy.deepcopy(bad_input.APP)
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": target}
    sizes = {**body["spec"]["resources"], "mode": "Off"}
    body["spec"] = {**body["spec"], "scaleTargetRef": reference, "resources": sizes, **spec}
    return json.dumps(body)


# (b) the authorizer


def apply_as(bed: testbed.Testbed, user: str, space: str, body: str) -> str:
    verb = "replace" if exists(bed, space) else "create"
    return bed.kubectl(verb, "-n", space, f"--as={user}", "-f", "-", input=body, check=False)


def exists(bed: testbed.Testbed, space: str) -> bool:
    return bool(bed.kubectl("get", "capp", "good", "-n", space, "--ignore-not-found", "-o", "name"))


MAY_NOT = {
    "no right to scale anything": ("outsider", "Deployment", "consumer"),
    "a right to scale another Deployment": ("owner", "Deployment", "other"),
    "a right to scale Deployments, for a StatefulSet": ("owner", "StatefulSet", "consumer"),
    "a right to scale StatefulSets, for a Deployment": ("sets", "Deployment", "consumer"),
    "a target that is not there": ("outsider", "Deployment", "nosuch"),
}


@pytest.mark.parametrize(("user", "kind", "target"), MAY_NOT.values(), ids=MAY_NOT.keys())
def test_who_may_not_scale_a_target_may_not_name_it(
    ship_bed: testbed.Testbed, workloads: str, user: str, kind: str, target: str
) -> None:
    told = apply_as(ship_bed, user, workloads, app(kind, target))
    assert f"{user} may not scale {kind.lower()}s {target} in namespace {workloads}" in told
    assert f"ask for the right to patch {kind.lower()}s/scale" in told
    assert not exists(ship_bed, workloads)


@pytest.mark.parametrize(
    ("user", "kind", "target"),
    [("owner", "Deployment", "consumer"), ("sets", "StatefulSet", "db")],
    ids=["a Deployment by name", "any StatefulSet"],
)
def test_who_may_scale_a_target_may_name_it(
    ship_bed: testbed.Testbed, workloads: str, user: str, kind: str, target: str
) -> None:
    assert "created" in apply_as(ship_bed, user, workloads, app(kind, target))


CHANGES = {
    "retargeted": {"target": "other"},
    "switched to Active": {"mode": "Active"},
    "given another maximum": {"replicas": {"min": 1, "max": 1000}},
    "given another policy": {"policyRef": {"name": "bold"}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_app_is_not_changed_by_who_may_not_scale(
    ship_bed: testbed.Testbed, workloads: str, change: Body
) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, app())
    assert "may not scale" in apply_as(ship_bed, "outsider", workloads, app(**change))


def test_owner_retargets_only_to_what_they_may_scale(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, app())
    assert "replaced" in apply_as(ship_bed, "owner", workloads, app(mode="Active"))
    assert "may not scale" in apply_as(ship_bed, "owner", workloads, app(target="other"))


IN_PLACE = bad_input.APP["spec"]["resources"]


def test_who_may_scale_and_not_resize_may_not_have_it_resized(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    told = apply_as(ship_bed, "owner", workloads, app(resources=IN_PLACE))
    assert "owner may not resize pods of deployments consumer" in told
    assert "ask for the right to patch pods/resize there, or set mode: Off" in told
    assert not exists(ship_bed, workloads)


@pytest.mark.parametrize("user", ["resizer", "author"], ids=["pods/resize", "the template"])
def test_who_may_set_sizes_may_have_them_set(
    ship_bed: testbed.Testbed, workloads: str, user: str
) -> None:
    assert "created" in apply_as(ship_bed, user, workloads, app(resources=IN_PLACE))


def placed(*targets: tuple[str, str]) -> str:
    """An app with a variant a target, each of (kind, name)."""
    variants = [
        bad_input.variant(f"v{index}", scaleTargetRef={"kind": kind, "name": name})
        for index, (kind, name) in enumerate(targets)
    ]
    body = copy.deepcopy(bad_input.PLACED)
    body["spec"]["placement"] = {"variants": variants}
    return json.dumps(body)


MINE = ("Deployment", "consumer")
SETS = [("StatefulSet", f"db{index}") for index in range(MOST_VARIANTS)]


@pytest.mark.parametrize("place", range(MOST_VARIANTS))
def test_who_may_not_scale_every_variant_may_not_name_them(
    ship_bed: testbed.Testbed, workloads: str, place: int
) -> None:
    targets = [*SETS[:place], MINE, *SETS[place + 1 :]]
    told = apply_as(ship_bed, "sets", workloads, placed(*targets))
    field = f"spec.placement.variants[v{place}].scaleTargetRef"
    assert f"{field}: sets may not scale deployments consumer in namespace {workloads}" in told
    assert "ask for the right to patch deployments/scale there" in told
    assert not exists(ship_bed, workloads)


def test_who_may_scale_every_variant_may_name_as_many_as_there_may_be(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    assert "created" in apply_as(ship_bed, "sets", workloads, placed(*SETS))


def test_a_variant_is_not_added_by_who_may_not_scale_it(
    ship_bed: testbed.Testbed, workloads: str
) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, placed(MINE))
    told = apply_as(ship_bed, "owner", workloads, placed(MINE, ("Deployment", "other")))
    assert "owner may not scale deployments other" in told
    told = apply_as(ship_bed, "owner", workloads, app(target="other"))
    assert "spec.scaleTargetRef: owner may not scale deployments other" in told
    assert "replaced" in apply_as(ship_bed, "owner", workloads, app())


def test_labels_and_deletion_are_free(ship_bed: testbed.Testbed, workloads: str) -> None:
    assert "created" in apply_as(ship_bed, "owner", workloads, app())
    outsider = ("-n", workloads, "--as=outsider")
    assert "labeled" in ship_bed.kubectl("label", "capp", "good", "team=a", *outsider, check=False)
    assert "deleted" in ship_bed.kubectl("delete", "capp", "good", *outsider, check=False)


# (a) the fence


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


def patch(client: httpx.Client, path: str, body: Body) -> httpx.Response:
    headers = {"Content-Type": "application/merge-patch+json"}
    return client.patch(path, content=json.dumps(body), headers=headers)


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


def leaves(schema: Body, shared: Body, path: tuple[str, ...] = (), depth: int = 0) -> Iterator[Any]:
    """Every field of an OpenAPI schema, down to lists and maps."""
    if "allOf" in schema:
        schema = shared[schema["allOf"][0]["$ref"].rpartition("/")[2]]
    if "properties" in schema and depth < 12:
        for name, child in schema["properties"].items():
            yield from leaves(child, shared, (*path, name), depth + 1)
    else:
        yield path, schema


def other(schema: Body) -> Any:
    kind = schema.get("type")
    return {"integer": 7, "boolean": True, "array": [], "object": {"x": "y"}}.get(str(kind), "x")


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


def test_x18_others_are_not_affected(
    ship_bed: testbed.Testbed, admin: httpx.Client, space: str, tmp_path: Path
) -> None:
    made = admin.post(f"/apis/apps/v1/namespaces/{space}/deployments", json=deployment("free"))
    assert made.status_code == 201
    path = f"/apis/apps/v1/namespaces/{space}/deployments/free"
    assert patch(admin, path, {"spec": {"paused": True}}).status_code == 200
    assert patch(admin, f"{path}/scale", {"spec": {"replicas": 0}}).status_code == 200
    assert admin.delete(path).status_code == 200
