"""A dry run reads and never writes."""

from collections.abc import Mapping
from typing import Any

from charon_operator import ports
from charon_operator.clients import dryrun
from charon_operator.model.workload import Absent, Key, Target, Workload
from charon_operator.ports import WriteOutcome, WriteResult

WEB = Target("Deployment", "ns", "web")
APP = Key("ns", "one")


class ReadOnly:
    """A fake cluster that fails the test when it is written to."""

    async def workload(self, target: Target) -> Workload | Absent | None:
        return Absent(target, "read", "through")

    async def set_replicas(self, target: Target, replicas: int, version: str) -> WriteResult:
        raise AssertionError

    async def patch_status(self, app: Key, uid: str, status: Mapping[str, Any]) -> WriteResult:
        raise AssertionError

    async def post_event(self, event: ports.Event) -> WriteResult:
        raise AssertionError


async def test_reads_go_through() -> None:
    assert await dryrun.DryRunCluster(ReadOnly()).workload(WEB) == Absent(WEB, "read", "through")


async def test_writes_are_kept_in_order_and_answered_written() -> None:
    cluster: ports.Cluster = dryrun.DryRunCluster(ReadOnly())
    event = ports.Event(APP, "u", "Scaled", "text")
    results = [
        await cluster.set_replicas(WEB, 3, "7"),
        await cluster.patch_status(APP, "u", {"a": 1}),
        await cluster.post_event(event),
    ]
    assert [result.outcome for result in results] == [WriteOutcome.WRITTEN] * 3
    assert isinstance(cluster, dryrun.DryRunCluster)
    assert list(cluster.writes) == [
        dryrun.Scaled(WEB, 3, "7"),
        dryrun.StatusPatched(APP, "u", {"a": 1}),
        event,
    ]


async def test_a_long_dry_run_forgets_its_oldest_writes() -> None:
    cluster = dryrun.DryRunCluster(ReadOnly())
    for replicas in range(10_001):
        await cluster.set_replicas(WEB, replicas, "7")
    assert cluster.writes[0] == dryrun.Scaled(WEB, 1, "7")
