"""One Lease of coordination.k8s.io, as `ports.LeasePort`.

Reads: the Lease. Gives: `KubeLease`. Never: an update but of the very version that was read; labels
and annotations of others stay.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from charon_operator import names
from charon_operator.clients import kube_wire
from charon_operator.clients.kube_wire import Answer, Call
from charon_operator.ports import LeaseRecord, NoLease, WriteOutcome, WriteResult

_RESOURCE = "leases"
_LANE = "lease"


class KubeLease:
    """Reads and writes one Lease; `wire` is how calls are sent."""

    def __init__(self, wire: kube_wire.Wire, namespace: str, name: str) -> None:
        self._wire = wire
        self._folder = f"/apis/{names.COORDINATION}/v1/namespaces/{quote(namespace)}/{_RESOURCE}"
        self._name = name
        self._meta: Mapping[str, Any] = {}

    async def read(self, timeout_s: float) -> LeaseRecord | NoLease:
        """Read the Lease."""
        answer = await self._wire.send(Call("GET", self._path, lane=_LANE), timeout_s)
        if answer.says(404):
            return NoLease.ABSENT
        return self._record(answer.body) if answer.ok else NoLease.UNREACHABLE

    async def create(self, record: LeaseRecord, timeout_s: float) -> WriteResult:
        """Create it; CONFLICT when it is there already."""
        body = self._body({"name": self._name}, record)
        return await self._write(Call("POST", self._folder, body, lane=_LANE), timeout_s)

    async def update(self, record: LeaseRecord, timeout_s: float) -> WriteResult:
        """Replace that very version of it."""
        if not record.resource_version:
            return WriteResult(WriteOutcome.CONFLICT, detail="the Lease's version is not known")
        kept = {k: self._meta[k] for k in ("labels", "annotations") if k in self._meta}
        meta = {"name": self._name, "resourceVersion": record.resource_version, **kept}
        call = Call("PUT", self._path, self._body(meta, record), lane=_LANE)
        return await self._write(call, timeout_s)

    @property
    def _path(self) -> str:
        return f"{self._folder}/{quote(self._name)}"

    async def _write(self, call: Call, timeout_s: float) -> WriteResult:
        answer = await self._wire.send(call, timeout_s)
        self._keep(answer)
        return answer.result

    def _keep(self, answer: Answer) -> None:
        meta = answer.body.get("metadata")
        if answer.ok and isinstance(meta, Mapping):
            self._meta = meta

    def _body(self, meta: Mapping[str, Any], record: LeaseRecord) -> Mapping[str, Any]:
        spec = {
            "holderIdentity": record.holder,
            "leaseDurationSeconds": record.duration_s,
            "acquireTime": record.acquired or None,
            "renewTime": record.renewed or None,
            "leaseTransitions": record.transitions,
        }
        kind = {"apiVersion": f"{names.COORDINATION}/v1", "kind": "Lease"}
        return {**kind, "metadata": meta, "spec": spec}

    def _record(self, body: Mapping[str, Any]) -> LeaseRecord:
        meta, found = body.get("metadata") or {}, body.get("spec") or {}
        self._meta = meta
        return LeaseRecord(
            holder=str(found.get("holderIdentity") or ""),
            duration_s=int(found.get("leaseDurationSeconds") or 0),
            acquired=str(found.get("acquireTime") or ""),
            renewed=str(found.get("renewTime") or ""),
            transitions=int(found.get("leaseTransitions") or 0),
            resource_version=str(meta.get("resourceVersion") or ""),
        )
