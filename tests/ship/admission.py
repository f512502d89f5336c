"""What tests of the two admission policies share: users, what they apply, changes to be tried."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import yaml

from charon_operator import testbed
from tests.model import bad_input
from tests.ship import chart

Body = dict[str, Any]
OPERATOR = f"system:serviceaccount:{chart.NAMESPACE}:{chart.RELEASE}"
# The fence's own words: a refusal without them came from something else.
FENCED = "the charon operator"

USERS = """
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
metadata: {name: scale-all}
rules:
- {apiGroups: [apps], resources: [deployments/scale], verbs: [patch]}
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


def bindings(**roles: list[str]) -> str:
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


OUTSIDER = bindings(outsider=["apps"])


def in_force(bed: testbed.Testbed) -> bool:
    """Whether both refuse: the API server takes up a new policy some time after it is stored."""
    bed.kubectl("apply", "-n", chart.NAMESPACE, "-f", "-", input=f"{USERS}---\n{OUTSIDER}")
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


def app(kind: str = "Deployment", target: str = "consumer", **spec: Any) -> str:
    body = copy.deepcopy(bad_input.APP)
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": target}
    sizes = {**body["spec"]["resources"], "mode": "Off"}
    body["spec"] = {**body["spec"], "scaleTargetRef": reference, "resources": sizes, **spec}
    return json.dumps(body)


def apply_as(bed: testbed.Testbed, user: str, space: str, body: str) -> str:
    verb = "replace" if exists(bed, space) else "create"
    return bed.kubectl(verb, "-n", space, f"--as={user}", "-f", "-", input=body, check=False)


def exists(bed: testbed.Testbed, space: str) -> bool:
    return bool(bed.kubectl("get", "capp", "good", "-n", space, "--ignore-not-found", "-o", "name"))


def patch(client: httpx.Client, path: str, body: Body) -> httpx.Response:
    headers = {"Content-Type": "application/merge-patch+json"}
    return client.patch(path, content=json.dumps(body), headers=headers)


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
