"""A dry run reads and never writes."""

from collections.abc import Mapping
from typing import Any

from charon_operator import ports
from charon_operator.clients import dryrun
from charon_operator.model.form import Form, FormWrite
from charon_operator.model.sizes import Size, SizedPod, Sizes
from charon_operator.model.workload import Absent, Key, Target, Workload
from charon_operator.ports import WriteOutcome, WriteResult

WEB = Target("Deployment", "ns", "web")
APP = Key("ns", "one")
POD = SizedPod("web-1", "u", "7", running=True, ready=True, asked=Size(100))
FORM = FormWrite(Form(container="app", gpus=1), 3, True, ("cpu", 2), "7")


class ReadOnly:
    """A fake cluster that fails the test when it is written to."""

    async def workload(self, target: Target) -> Workload | Absent | None:
        return Absent(target, "read", "through")

    async def set_replicas(self, target: Target, replicas: int, version: str) -> WriteResult:
        raise AssertionError

    async def set_form(self, target: Target, write: FormWrite) -> WriteResult:
        raise AssertionError

    async def pods(self, target: Target, container: str) -> Sizes | None:
        return Sizes(Size(100), (POD,), container)

    async def resize_pod(
        self, target: Target, pod: SizedPod, container: str, size: Size
    ) -> WriteResult:
        raise AssertionError

    async def patch_status(self, app: Key, uid: str, status: Mapping[str, Any]) -> WriteResult:
        raise AssertionError

    async def post_event(self, event: ports.Event) -> WriteResult:
        raise AssertionError


async def test_reads_go_through() -> None:
    cluster: ports.Cluster = dryrun.DryRunCluster(ReadOnly())
    assert await cluster.workload(WEB) == Absent(WEB, "read", "through")
    assert await cluster.pods(WEB, "app") == Sizes(Size(100), (POD,), "app")


async def test_writes_are_answered_written_and_go_nowhere() -> None:
    cluster: ports.Cluster = dryrun.DryRunCluster(ReadOnly())
    results = [
        await cluster.set_replicas(WEB, 3, "7"),
        await cluster.set_form(WEB, FORM),
        await cluster.resize_pod(WEB, POD, "app", Size(200)),
        await cluster.patch_status(APP, "u", {"a": 1}),
        await cluster.post_event(ports.Event(APP, "u", "Scaled", "text")),
    ]
    assert results == [WriteResult(WriteOutcome.WRITTEN)] * 5
