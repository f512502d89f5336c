"""The pods of a target, through the API server: read in pages, resized one by one.

Reads: a Deployment or StatefulSet and the pods that its selector finds. Gives: `Sizes`, and the
call that resizes a pod. Never: a pod of somebody else's, a list cut short.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from charon_operator import names
from charon_operator.clients import kube_wire
from charon_operator.clients.kube_wire import Answer, Call
from charon_operator.model import body, pod
from charon_operator.model.parts import items, part
from charon_operator.model.pod import Wanted
from charon_operator.model.sizes import SizedPod, Sizes

# A pod is seldom longer than 30 kB, and a longer answer than 8 MiB is none.
_PAGE = 250
REMEDY = "set knobs.resources.enabled=true in the chart's values"


class Get(Protocol):
    """Reads a path of the API."""

    def __call__(self, path: str, **query: str) -> Awaitable[Answer]:
        """The answer to a GET."""


async def read(get: Get, workload_path: str, namespace: str, wanted: Wanted) -> Sizes | None:
    """Sizes of a target's pods; None when the API server does not answer, or has no such target."""
    found = await get(workload_path)
    if not found.ok:
        return None
    selector = body.pod_selector(found.body)
    pods: list[Mapping[str, Any]] = []
    following = ""
    while True:
        more = {"continue": following} if following else {}
        query = {"labelSelector": selector, "limit": str(_PAGE), **more}
        page = await get(_path(namespace), **query)
        if page.says(403):
            problem = f"the operator may not read pods in namespace {namespace}: {REMEDY}"
            template = pod.sizes(found.body, (), wanted)
            return Sizes(template.template, problem=template.problem or problem)
        if not page.ok:
            return None
        pods += items(page.body, "items")
        following = str(part(page.body, "metadata").get("continue") or "")
        if not following:
            return pod.sizes(found.body, pods, wanted)


def resize(namespace: str, resized: SizedPod, patch: Mapping[str, Any]) -> Call:
    """The call that patches a pod's size, under our own name as the field manager."""
    path = f"{_path(namespace)}/{quote(resized.name)}/resize"
    query = {"fieldManager": names.FIELD_MANAGER}
    return Call("PATCH", path, patch, kube_wire.STRATEGIC, kube_wire.METADATA, query)


def _path(namespace: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace)}/{names.PODS}"
