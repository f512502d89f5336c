"""A cluster that is read and never written: `charon run --dry-run`.

Reads: another `ports.Cluster`. Gives: `DryRunCluster`, which says of every write that it was done.
Never: lets a write through.
"""

from collections.abc import Mapping
from typing import Any

from charon_operator import ports
from charon_operator.model.form import FormWrite
from charon_operator.model.sizes import Size, SizedPod, Sizes
from charon_operator.model.workload import Absent, Key, Target, Workload
from charon_operator.ports import WriteOutcome, WriteResult

_DONE = WriteResult(WriteOutcome.WRITTEN)


class DryRunCluster:
    """Lets reads through, and nothing else.

    Args:
        cluster: where reads go.
    """

    def __init__(self, cluster: ports.Cluster) -> None:
        self._cluster = cluster

    async def workload(self, target: Target) -> Workload | Absent | None:
        """Read a target afresh."""
        return await self._cluster.workload(target)

    async def set_replicas(
        self, target: Target, replicas: int, resource_version: str
    ) -> WriteResult:
        """Say that a scaling was done."""
        return _DONE

    async def set_form(self, target: Target, write: FormWrite) -> WriteResult:
        """Say that a form was changed."""
        return _DONE

    async def pods(self, target: Target, container: str) -> Sizes | None:
        """Read the sizes of a target's pods afresh."""
        return await self._cluster.pods(target, container)

    async def resize_pod(
        self, target: Target, pod: SizedPod, container: str, size: Size
    ) -> WriteResult:
        """Say that a resize was asked for."""
        return _DONE

    async def patch_status(self, app: Key, uid: str, status: Mapping[str, Any]) -> WriteResult:
        """Say that a status was written."""
        return _DONE

    async def post_event(self, event: ports.Event) -> WriteResult:
        """Say that an event was posted."""
        return _DONE
