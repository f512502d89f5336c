"""A cluster that is read and never written: `charon run --dry-run`.

Reads: another `ports.Cluster`. Gives: `DryRunCluster`, which remembers the writes it was asked for
and says they were done. Never: lets a write through.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charon_operator import ports
from charon_operator.model.workload import Absent, Key, Target, Workload
from charon_operator.ports import WriteOutcome, WriteResult

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Scaled:
    """Replicas that would have been written, on which version of the target."""

    target: Target
    replicas: int
    resource_version: str


@dataclass(frozen=True, slots=True)
class StatusPatched:
    """A status that would have been written."""

    app: Key
    uid: str
    status: Mapping[str, Any]


class DryRunCluster:
    """Lets reads through and keeps writes, newest last, the oldest forgotten beyond 10,000.

    Args:
        cluster: where reads go.
    """

    def __init__(self, cluster: ports.Cluster) -> None:
        self._cluster = cluster
        self.writes: deque[Scaled | StatusPatched | ports.Event] = deque(maxlen=_REMEMBERED)

    async def workload(self, target: Target) -> Workload | Absent | None:
        """Read a target afresh."""
        return await self._cluster.workload(target)

    async def set_replicas(
        self, target: Target, replicas: int, resource_version: str
    ) -> WriteResult:
        """Remember a scaling."""
        return self._remember(Scaled(target, replicas, resource_version))

    async def patch_status(self, app: Key, uid: str, status: Mapping[str, Any]) -> WriteResult:
        """Remember a status."""
        return self._remember(StatusPatched(app, uid, status))

    async def post_event(self, event: ports.Event) -> WriteResult:
        """Remember an event."""
        return self._remember(event)

    def _remember(self, write: Scaled | StatusPatched | ports.Event) -> WriteResult:
        self.writes.append(write)
        return WriteResult(WriteOutcome.WRITTEN)
