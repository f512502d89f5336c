"""Which APIs are watched, and which of them this cluster and our rights allow right now.

Reads: lists of one item each, and discovery where a list is not found. Gives: `survey` -> for each
kind and namespace whether it can be watched. Never: takes a server in trouble for a missing API.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from charon_operator import names
from charon_operator.clients import kube
from charon_operator.loop.snapshot import Kind

Scope = tuple[Kind, str]
"""A kind in a namespace, or ("") in the whole cluster."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One API. Without a required one no app can be controlled."""

    group: str
    version: str
    required: bool
    namespaced: bool = True

    @property
    def root(self) -> str:
        """Path of the group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


RESOURCES: Mapping[Kind, Resource] = {
    Kind.APPS: Resource(names.GROUP, names.VERSION, required=True),
    Kind.POLICIES: Resource(names.GROUP, names.VERSION, required=True),
    Kind.DEPLOYMENTS: Resource(names.APPS, "v1", required=True),
    Kind.STATEFUL_SETS: Resource(names.APPS, "v1", required=True),
    Kind.HPAS: Resource(names.AUTOSCALING, "v2", required=False),
    Kind.SCALED_OBJECTS: Resource(names.KEDA, "v1alpha1", required=False),
    Kind.BUDGETS: Resource(names.POLICY, "v1", required=False),
    Kind.NAMESPACES: Resource("", "v1", required=False, namespaced=False),
}


class Standing(StrEnum):
    """Whether a kind can be watched."""

    ALLOWED = "Allowed"
    FORBIDDEN = "Forbidden"
    ABSENT = "Absent"  # the API server says so: there are no such objects
    UNKNOWN = "Unknown"  # no answer that can be relied on


Survey = Mapping[Scope, Standing]


def scopes(namespaces: Sequence[str]) -> list[Scope]:
    """Everything we would watch: in these namespaces, or (none given) in all.

    Who serves some namespaces has no right to list all of them: their labels are read one by one.
    """
    if not namespaces:
        return [(kind, "") for kind in RESOURCES]
    namespaced = [kind for kind, resource in RESOURCES.items() if resource.namespaced]
    return [(kind, namespace) for kind in namespaced for namespace in namespaces]


async def survey(client: kube.KubeClient, namespaces: Sequence[str]) -> Survey:
    """Ask what can be watched now."""
    wanted = scopes(namespaces)
    found = await asyncio.gather(*(_standing(client, scope) for scope in wanted))
    return dict(zip(wanted, found, strict=True))


def problems(found: Survey) -> list[str]:
    """What people must mend, a sentence each; an optional API that is absent is no problem."""
    return [
        _problem(scope, standing)
        for scope, standing in found.items()
        if standing is Standing.FORBIDDEN
        or (standing is Standing.ABSENT and RESOURCES[scope[0]].required)
    ]


def _problem(scope: Scope, standing: Standing) -> str:
    kind, namespace = scope
    group = RESOURCES[kind].group
    name = f"{kind}.{group}" if group else str(kind)
    where = f"in namespace {namespace}" if namespace else "in the cluster"
    if standing is Standing.ABSENT:
        return f"{name} is not served by this cluster: install the CRDs"
    return f"{name} may not be listed {where}: grant the operator get, list and watch"


async def _standing(client: kube.KubeClient, scope: Scope) -> Standing:
    kind, namespace = scope
    root = RESOURCES[kind].root
    inside = f"/namespaces/{namespace}" if namespace else ""
    answer = await client.get(f"{root}{inside}/{kind}", limit="1")
    if answer.ok:
        return Standing.ALLOWED
    if answer.says(403):
        return Standing.FORBIDDEN
    if answer.status == 404 and await _is_absent(client, kind):
        return Standing.ABSENT
    return Standing.UNKNOWN


async def _is_absent(client: kube.KubeClient, kind: Kind) -> bool:
    # A 404 alone may come from a proxy, or from a server that is still starting.
    groups = await client.get("/apis")
    if not groups.ok:
        return False
    resource = RESOURCES[kind]
    if resource.group not in [group.get("name") for group in groups.body.get("groups") or []]:
        return True
    version = await client.get(resource.root)
    served = [found.get("name") for found in version.body.get("resources") or []]
    return version.ok and kind not in served
