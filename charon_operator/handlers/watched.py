"""Which APIs are watched, and which of them this cluster and our rights allow right now.

Reads: lists of one item each, and discovery where a list is not found. Gives: `survey` -> for each
kind and namespace whether it can be watched, and what was said. Never: takes a server in trouble
for a missing API.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from charon_operator import names
from charon_operator.clients import kube
from charon_operator.loop.store import Kind, Scope

_GRANT = "grant the operator get, list and watch"
_GRANT_PLACEMENT = f"{_GRANT} (helm: knobs.placement.enabled=true), or set placement.enabled false"


@dataclass(frozen=True, slots=True)
class Resource:
    """One API.

    Attributes:
        required: without it no app can be controlled.
        awaited: nothing is begun while nobody knows whether there are such objects.
        remedy: what to do where it may not be listed.
    """

    group: str
    version: str
    required: bool
    namespaced: bool = True
    awaited: bool = True
    remedy: str = _GRANT

    @property
    def root(self) -> str:
        """Path of the group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


# Not to know is unsafe of an HPA (two would write) and of a namespace (its label stops all writes).
# It is safe of a ScaledObject, as KEDA moves replicas by an HPA of its own, which is seen, and of a
# budget, as it is read again before every write, which fails with that read.
RESOURCES: Mapping[Kind, Resource] = {
    Kind.APPS: Resource(names.GROUP, names.VERSION, required=True),
    Kind.POLICIES: Resource(names.GROUP, names.VERSION, required=True),
    Kind.DEPLOYMENTS: Resource(names.APPS, "v1", required=True),
    Kind.STATEFUL_SETS: Resource(names.APPS, "v1", required=True),
    Kind.HPAS: Resource(names.AUTOSCALING, "v2", required=False),
    Kind.SCALED_OBJECTS: Resource(names.KEDA, "v1alpha1", required=False, awaited=False),
    Kind.BUDGETS: Resource(names.POLICY, "v1", required=False, awaited=False),
    Kind.NAMESPACES: Resource("", "v1", required=False, namespaced=False),
    Kind.NODES: Resource("", "v1", required=False, namespaced=False, remedy=_GRANT_PLACEMENT),
    Kind.PODS: Resource("", "v1", required=False, remedy=_GRANT_PLACEMENT),
}
# Nodes, and what occupies them, of the whole cluster whichever namespaces are served.
FLOOR = (Kind.NODES, Kind.PODS)
FLEET = tuple(kind for kind in RESOURCES if kind not in FLOOR)


class Standing(StrEnum):
    """Whether a kind can be watched."""

    ALLOWED = "Allowed"
    FORBIDDEN = "Forbidden"
    ABSENT = "Absent"  # the API server says so: there are no such objects
    UNKNOWN = "Unknown"  # no answer that can be relied on


class Finding(NamedTuple):
    """A standing, and what was answered when that is nothing to rely on."""

    standing: Standing
    said: str = ""


Survey = Mapping[Scope, Finding]


def scopes(namespaces: Sequence[str], kinds: Sequence[Kind] = FLEET) -> list[Scope]:
    """Everything we would watch: in these namespaces, or (none given) in all.

    Who serves some namespaces has no right to list all of them: their labels are read one by one.
    """
    if not namespaces:
        return [(kind, "") for kind in kinds]
    namespaced = [kind for kind in kinds if RESOURCES[kind].namespaced]
    return [(kind, namespace) for kind in namespaced for namespace in namespaces]


async def survey(
    client: kube.KubeClient, namespaces: Sequence[str], kinds: Sequence[Kind] = FLEET
) -> Survey:
    """Ask what can be watched now."""
    wanted = scopes(namespaces, kinds)
    found = await asyncio.gather(*(_finding(client, scope) for scope in wanted))
    return dict(zip(wanted, found, strict=True))


def unknown(found: Survey) -> frozenset[Kind]:
    """The kinds that nobody knows of."""
    return frozenset(kind for (kind, _), one in found.items() if one.standing is Standing.UNKNOWN)


def problems(found: Survey) -> Mapping[Scope, str]:
    """What people must mend, a sentence each; an optional API that is absent is no problem."""
    if all(one.standing is Standing.UNKNOWN for one in found.values()):
        scope, one = next(iter(found.items()))
        return {scope: f"the API server does not answer: {one.said}"}
    return {
        scope: _problem(scope, one)
        for scope, one in found.items()
        if one.standing in (Standing.FORBIDDEN, Standing.UNKNOWN)
        or (one.standing is Standing.ABSENT and RESOURCES[scope[0]].required)
    }


def _problem(scope: Scope, one: Finding) -> str:
    kind, namespace = scope
    resource = RESOURCES[kind]
    name = f"{kind}.{resource.group}" if resource.group else str(kind)
    where = f"in namespace {namespace}" if namespace else "in the cluster"
    if one.standing is Standing.ABSENT:
        return f"{name} is not served by this cluster: install the CRDs"
    if one.standing is Standing.UNKNOWN:
        return f"{name} cannot be listed {where}: mend what answers it, with: {one.said}"
    return f"{name} may not be listed {where}: {resource.remedy}"


async def _finding(client: kube.KubeClient, scope: Scope) -> Finding:
    kind, namespace = scope
    root = RESOURCES[kind].root
    inside = f"/namespaces/{namespace}" if namespace else ""
    answer = await client.get(f"{root}{inside}/{kind}", limit="1")
    if answer.ok:
        return Finding(Standing.ALLOWED)
    if answer.says(403):
        return Finding(Standing.FORBIDDEN)
    if answer.status == 404 and await _is_absent(client, kind):
        return Finding(Standing.ABSENT)
    return Finding(Standing.UNKNOWN, f"{answer.status or ''} {answer.detail}".strip())


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
