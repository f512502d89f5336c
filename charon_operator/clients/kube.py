"""The cluster, through the API server: targets read, replicas, forms, statuses and events written.

Reads: one target at a time (what is watched comes from the informer). Gives: `KubeClient`, which
implements `ports.Cluster`, and Leases. Never: a write without a precondition, beyond its deadline
or outside the fence; an exception for a server's answer.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from charon_operator import names, ports
from charon_operator.actuate import forms, resize
from charon_operator.clients import kube_access, kube_lease, kube_pods, kube_wire
from charon_operator.clients.kube_wire import Answer, Call
from charon_operator.model import body
from charon_operator.model.form import FormWrite
from charon_operator.model.pod import Wanted
from charon_operator.model.sizes import Size, SizedPod, Sizes
from charon_operator.model.workload import Absent, Key, Target, Workload
from charon_operator.ports import WriteOutcome, WriteResult

_PLURALS: Mapping[str, str] = {
    names.DEPLOYMENT: names.DEPLOYMENTS,
    names.STATEFUL_SET: names.STATEFUL_SETS,
}
_NOTE_BYTES = 1024
_STATUS_ATTEMPTS = 3
_VERSIONS_KEPT = 20_000
_MANAGER: Mapping[str, str] = {"fieldManager": names.FIELD_MANAGER}
_FORM_REMEDY = "set knobs.placement.templates=true in the chart's values"
_VERSION_UNKNOWN = WriteResult(WriteOutcome.CONFLICT, detail="the target's version is not known")


class KubeClient:
    """A client of one event loop.

    Args:
        access: where and as whom.
        timeout_s: deadline of every call.
        max_body_bytes: of an answer; an object in etcd has at most 1.5 MiB.
        instance: who posts events, as a pod's name.
        resize_gpu_pods: pods with devices may be resized too.

    Attributes:
        fence: seconds for which writes are allowed still (`Leader.remaining_s`); no write begins
            without, and none lasts longer.
    """

    def __init__(
        self,
        access: kube_access.Access,
        *,
        timeout_s: float = 10.0,
        max_body_bytes: int = 8 * 2**20,
        instance: str = names.FIELD_MANAGER,
        resize_gpu_pods: bool = False,
    ) -> None:
        self.access = access
        self.wire = kube_wire.Wire(access, max_body_bytes)
        self.fence: Callable[[], float] = lambda: math.inf
        self._timeout_s = timeout_s
        self._instance = instance
        self._resize_gpu_pods = resize_gpu_pods
        self._versions: dict[Key, tuple[str, str]] = {}

    async def get(self, path: str, **query: str) -> Answer:
        """Read a path of the API, as `/apis/apps/v1/namespaces/x/deployments`."""
        return await self.wire.send(Call("GET", path, query=query), self._timeout_s)

    async def workload(self, target: Target) -> Workload | Absent | None:
        """Read a target and the floor its budgets set; None when the API server does not answer."""
        budgets_at = f"/apis/{names.POLICY}/v1/namespaces/{quote(target.namespace)}/{names.PDBS}"
        found, budgets = await asyncio.gather(self.get(_path(target)), self.get(budgets_at))
        if found.says(404) and _names(found, target):
            detail = f"{target} does not exist: create it, or correct scaleTargetRef"
            return Absent(target, names.Reason.TARGET_NOT_FOUND, detail)
        if found.says(403):
            detail = f"the operator may not read {target}: {found.detail}"
            return Absent(target, names.Reason.TARGET_NOT_ALLOWED, detail)
        # Without the right to read budgets there is none to heed; without an answer nobody knows.
        if not found.ok or not (budgets.ok or budgets.says(403) or budgets.says(404)):
            return None
        return _with_floor(found.body, budgets.body, target)

    async def set_replicas(
        self, target: Target, replicas: int, resource_version: str
    ) -> WriteResult:
        """Write `spec.replicas` by the scale subresource, on that very version of the target."""
        if not resource_version:
            return _VERSION_UNKNOWN
        patch = {
            "metadata": {"resourceVersion": resource_version},
            "spec": {"replicas": replicas},
        }
        call = Call("PATCH", f"{_path(target)}/scale", patch, kube_wire.MERGE, query=_MANAGER)
        return await self._write(call)

    async def set_form(self, target: Target, write: FormWrite) -> WriteResult:
        """Change form and replicas of a Deployment in one patch, on the version decided on."""
        if not write.resource_version:
            return _VERSION_UNKNOWN
        path, patch = _path(target), forms.patch(write)
        call = Call("PATCH", path, patch, kube_wire.STRATEGIC, kube_wire.METADATA, _MANAGER)
        return _with_remedy(await self._write(call), _FORM_REMEDY)

    async def pods(self, target: Target, container: str) -> Sizes | None:
        """Read the sizes of a target's pods afresh; None when the API server does not answer."""
        wanted = Wanted(container, self._resize_gpu_pods)
        return await kube_pods.read(self.get, _path(target), target.namespace, wanted)

    async def resize_pod(
        self, target: Target, pod: SizedPod, container: str, size: Size
    ) -> WriteResult:
        """Ask a container of that very pod to take a size, on the version that was read."""
        patch = resize.patch(pod, container, size)
        if isinstance(patch, resize.Refused):
            return WriteResult(WriteOutcome.REFUSED, detail=patch.detail)
        result = await self._write(kube_pods.resize(target.namespace, pod, patch))
        return _with_remedy(result, kube_pods.REMEDY)

    async def patch_status(self, app: Key, uid: str, status: Mapping[str, Any]) -> WriteResult:
        """Merge-patch the status of that very ChargedApp; GONE if another one has its name now.

        The status subresource ignores a uid in the patch, so the precondition is the version, which
        no other object has had. Ours is the last write there most of the time: the version is
        remembered, and read only when it is not known or has moved on.
        """
        result = WriteResult(WriteOutcome.CONFLICT)
        for _ in range(_STATUS_ATTEMPTS):
            known = self._versions.get(app)
            if known is None or known[0] != uid:
                read = await self._read_version(app, uid)
                if read.outcome is not WriteOutcome.WRITTEN:
                    return read
                known = uid, read.resource_version
            result = await self._patch_version(app, known[1], status)
            if result.outcome is not WriteOutcome.CONFLICT:
                break
        if result.outcome is WriteOutcome.WRITTEN:
            self._remember(app, uid, result.resource_version)
        return result

    async def post_event(self, event: ports.Event) -> WriteResult:
        """Post an Event on a ChargedApp."""
        path = f"/apis/{names.EVENTS}/v1/namespaces/{quote(event.app.namespace)}/events"
        call = Call("POST", path, self._event(event), accept=kube_wire.METADATA)
        return await self._write(call)

    def lease(self, namespace: str, name: str) -> kube_lease.KubeLease:
        """A Lease, for `loop.leader.Leader`."""
        return kube_lease.KubeLease(self.wire, namespace, name)

    async def close(self) -> None:
        """Close the connections."""
        await self.wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _remember(self, app: Key, uid: str, version: str) -> None:
        # Nobody tells of apps that are gone: those not written for the longest time are forgotten.
        self._versions[app] = uid, version
        if len(self._versions) > _VERSIONS_KEPT:
            del self._versions[next(iter(self._versions))]

    async def _read_version(self, app: Key, uid: str) -> WriteResult:
        call = Call("GET", _app_path(app), accept=kube_wire.METADATA)
        answer = await self.wire.send(call, min(self._timeout_s, self.fence()))
        if answer.ok and body.uid(answer.body) != uid:
            return WriteResult(WriteOutcome.GONE, detail="it was deleted and made anew")
        return answer.result

    async def _patch_version(
        self, app: Key, version: str, status: Mapping[str, Any]
    ) -> WriteResult:
        self._versions.pop(app, None)
        patch = {"metadata": {"resourceVersion": version}, "status": status}
        path = f"{_app_path(app)}/status"
        call = Call("PATCH", path, patch, kube_wire.MERGE, kube_wire.METADATA, _MANAGER)
        return await self._write(call)

    async def _write(self, call: Call) -> WriteResult:
        time_left_s = self.fence()
        if time_left_s <= 0:
            return WriteResult(WriteOutcome.REFUSED, detail="this process does not lead")
        return (await self.wire.send(call, min(self._timeout_s, time_left_s))).result

    def _event(self, event: ports.Event) -> Mapping[str, Any]:
        return {
            "metadata": {"generateName": f"{event.app.name[:200]}-"},
            "eventTime": body.micro_time(time.time()),
            "reportingController": names.FIELD_MANAGER,
            "reportingInstance": self._instance[:128],
            "action": event.reason,
            "reason": event.reason,
            "type": "Warning" if event.warning else "Normal",
            "note": _note(event.message),
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": names.CHARGED_APP,
                "namespace": event.app.namespace,
                "name": event.app.name,
                "uid": event.app_uid,
            },
        }


async def connect(
    kubeconfig: Path | None = None, context: str | None = None, **options: Any
) -> KubeClient:
    """Log in and make a client; nothing is sent yet.

    Args:
        kubeconfig: None means the pod's ServiceAccount, or else what kubectl would use.
        context: of the kubeconfig; None means its current one.
        options: of `KubeClient`.

    Raises:
        ConfigurationError: there is no way to log in; the text says what to do.
    """
    return KubeClient(await kube_access.find(kubeconfig, context), **options)


def _app_path(app: Key) -> str:
    namespace, name = quote(app.namespace), quote(app.name)
    return f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.CHARGED_APPS}/{name}"


def _path(target: Target) -> str:
    plural, namespace, name = _PLURALS[target.kind], quote(target.namespace), quote(target.name)
    return f"/apis/{names.APPS}/v1/namespaces/{namespace}/{plural}/{name}"


def _with_remedy(result: WriteResult, remedy: str) -> WriteResult:
    """The same, with what to do where it is the right that is missing."""
    if result.outcome is WriteOutcome.REFUSED and "cannot patch resource" in result.detail:
        return replace(result, detail=f"{remedy}: {result.detail}")
    return result


def _note(message: str) -> str:
    """As much of it as an Event may hold; the API server counts bytes."""
    return message.encode(errors="replace")[:_NOTE_BYTES].decode(errors="ignore")


def _names(answer: Answer, target: Target) -> bool:
    """Whether a refusal is about that very object, not about a path or an API as a whole."""
    details = answer.body.get("details")
    return isinstance(details, Mapping) and details.get("name") == target.name


def _with_floor(
    found: Mapping[str, Any], budgets: Mapping[str, Any], target: Target
) -> Workload | None:
    if found.get("kind") != target.kind:
        return None
    items = budgets.get("items")
    read = [body.budget(item) for item in items if isinstance(item, dict)] if items else []
    floor = body.floor([known for known in read if known is not None], body.pod_labels(found))
    return body.workload(found, target.kind, min_available=floor)
