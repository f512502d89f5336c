"""The client against a real API server: preconditions, field manager, Events, Leases."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from charon_operator import names, ports, testbed
from charon_operator.clients import kube
from charon_operator.model.workload import Absent, Key, Target, Workload
from charon_operator.ports import WriteOutcome

pytestmark = pytest.mark.testbed
T = TypeVar("T")


@pytest.fixture
def target(bed: testbed.Testbed, namespace: str) -> Target:
    # No pods: nothing but the test moves the version, once the controller has seen it.
    bed.kubectl("create", "deployment", "web", "--image=x", "--replicas=0", "-n", namespace)
    seen = "jsonpath={.status.observedGeneration}=1"
    bed.kubectl("wait", f"--for={seen}", "deployment/web", "-n", namespace, "--timeout=30s")
    return Target("Deployment", namespace, "web")


def use(bed: testbed.Testbed, work: Callable[[kube.KubeClient], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with await kube.connect(bed.kubeconfig) as client:
            return await work(client)

    return asyncio.run(connected())


async def settled(client: kube.KubeClient, target: Target) -> Workload:
    found = await client.workload(target)
    assert isinstance(found, Workload)
    return found


async def scaled(client: kube.KubeClient, target: Target, replicas: int) -> WriteOutcome:
    """Scales by the newest version; a controller's status moves it, so perhaps not at once."""
    for _ in range(20):
        found = await settled(client, target)
        result = await client.set_replicas(target, replicas, found.resource_version)
        if result.outcome is not WriteOutcome.CONFLICT:
            break
    return result.outcome


def status_of(bed: testbed.Testbed, key: Key) -> Any:
    text = bed.kubectl("get", names.CHARGED_APPS, key.name, "-n", key.namespace, "-o", "json")
    return json.loads(text)


def test_a_scaling_on_a_stale_version_conflicts_and_writes_nothing(
    bed: testbed.Testbed, target: Target
) -> None:
    async def work(client: kube.KubeClient) -> None:
        before = await settled(client, target)
        label = ["label", "deployment/web", "-n", target.namespace, "moved=on"]
        await asyncio.to_thread(bed.kubectl, *label)
        result = await client.set_replicas(target, 3, before.resource_version)
        assert result.outcome is WriteOutcome.CONFLICT
        assert (await settled(client, target)).replicas == 0

    use(bed, work)


def test_a_scaling_keeps_our_name_as_that_of_the_manager(
    bed: testbed.Testbed, target: Target
) -> None:
    async def work(client: kube.KubeClient) -> None:
        assert await scaled(client, target, 2) is WriteOutcome.WRITTEN
        after = await settled(client, target)
        assert (after.replicas, after.last_scaler) == (2, names.FIELD_MANAGER)
        await asyncio.to_thread(
            bed.kubectl, "scale", "deployment/web", "-n", target.namespace, "--replicas=1"
        )
        assert (await settled(client, target)).last_scaler == "kubectl"

    use(bed, work)


def test_a_target_that_is_gone_is_absent_and_its_write_gone(
    bed: testbed.Testbed, target: Target
) -> None:
    bed.kubectl("delete", "deployment", "web", "-n", target.namespace)

    async def work(client: kube.KubeClient) -> None:
        assert isinstance(await client.workload(target), Absent)
        result = await client.set_replicas(target, 1, "1")
        assert result.outcome is WriteOutcome.GONE

    use(bed, work)


def test_a_stateful_set_is_read_and_scaled(bed: testbed.Testbed, namespace: str) -> None:
    pod = {
        "metadata": {"labels": {"app": "db"}},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    spec = {"selector": {"matchLabels": {"app": "db"}}, "serviceName": "db", "template": pod}
    meta = {"name": "db", "namespace": namespace}
    body = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec}
    bed.apply(json.dumps(body))

    async def work(client: kube.KubeClient) -> None:
        target = Target("StatefulSet", namespace, "db")
        assert await scaled(client, target, 2) is WriteOutcome.WRITTEN
        assert (await settled(client, target)).replicas == 2

    use(bed, work)


def test_the_floor_of_a_budget_is_read_with_its_target(
    bed: testbed.Testbed, target: Target
) -> None:
    bed.kubectl(
        *("create", "pdb", "keep", "-n", target.namespace),
        *("--selector=app=web", "--min-available=2"),
    )

    async def work(client: kube.KubeClient) -> None:
        assert (await settled(client, target)).min_available == 2

    use(bed, work)


APP = {
    "apiVersion": names.API_VERSION,
    "kind": names.CHARGED_APP,
    "spec": {
        "policyRef": {"name": "stream"},
        "scaleTargetRef": {"kind": "Deployment", "name": "web"},
        "indicators": [{"name": "queued", "query": "queued"}],
        "objectives": [
            {
                "name": "freshness",
                "threshold": {"indicator": "queued", "op": "LessThanOrEqual", "value": "600"},
                "target": "95",
            }
        ],
        "replicas": {"min": 1, "max": 9},
    },
}


@pytest.fixture
def app(charged_bed: testbed.Testbed, namespace: str) -> tuple[Key, str]:
    meta = {"name": "one", "namespace": namespace}
    charged_bed.apply(json.dumps({**APP, "metadata": meta}))
    key = Key(namespace, "one")
    return key, status_of(charged_bed, key)["metadata"]["uid"]


def test_a_status_is_merged_and_survives_a_change_of_spec(
    bed: testbed.Testbed, app: tuple[Key, str]
) -> None:
    key, uid = app

    async def work(client: kube.KubeClient) -> None:
        first = await client.patch_status(key, uid, {"observedGeneration": 1})
        assert first.outcome is WriteOutcome.WRITTEN
        await asyncio.to_thread(
            bed.kubectl,
            *("patch", names.CHARGED_APPS, "one", "-n", key.namespace, "--type=merge"),
            *("-p", '{"spec": {"replicas": {"max": 8}}}'),
        )
        second = await client.patch_status(key, uid, {"replicas": {"current": 3, "desired": 3}})
        assert second.outcome is WriteOutcome.WRITTEN

    use(bed, work)
    status = status_of(bed, key)["status"]
    assert (status["observedGeneration"], status["replicas"]["current"]) == (1, 3)


def test_a_status_does_not_reach_another_app_of_the_same_name(
    bed: testbed.Testbed, app: tuple[Key, str]
) -> None:
    key, uid = app

    async def work(client: kube.KubeClient) -> None:
        await client.patch_status(key, uid, {"observedGeneration": 1})
        await asyncio.to_thread(bed.kubectl, "delete", "capp", "one", "-n", key.namespace)
        gone = await client.patch_status(key, uid, {"observedGeneration": 1})
        assert gone.outcome is WriteOutcome.GONE
        meta = {"name": "one", "namespace": key.namespace}
        await asyncio.to_thread(bed.apply, json.dumps({**APP, "metadata": meta}))
        other = await client.patch_status(key, uid, {"observedGeneration": 1})
        assert other.outcome is WriteOutcome.GONE

    use(bed, work)
    assert "observedGeneration" not in status_of(bed, key).get("status", {})


def test_an_event_is_seen_on_its_app(bed: testbed.Testbed, app: tuple[Key, str]) -> None:
    key, uid = app
    event = ports.Event(key, uid, "Scaled", "from 1 to 3", warning=True)
    result = use(bed, lambda client: client.post_event(event))
    assert result.outcome is WriteOutcome.WRITTEN
    shown = json.loads(
        bed.kubectl("get", "events.events.k8s.io", "-n", key.namespace, "-o", "json")
    )
    ours = [e for e in shown["items"] if e["reportingController"] == names.FIELD_MANAGER]
    assert [(e["type"], e["reason"], e["note"], e["regarding"]["uid"]) for e in ours] == [
        ("Warning", "Scaled", "from 1 to 3", uid)
    ]


def test_an_event_whose_words_are_too_long_is_cut_between_characters(
    bed: testbed.Testbed, app: tuple[Key, str]
) -> None:
    key, uid = app
    event = ports.Event(key, uid, "Scaled", "x" + "é" * 1000)
    assert use(bed, lambda client: client.post_event(event)).outcome is WriteOutcome.WRITTEN
    shown = json.loads(
        bed.kubectl("get", "events.events.k8s.io", "-n", key.namespace, "-o", "json")
    )
    assert [e["note"] for e in shown["items"] if e["regarding"]["uid"] == uid] == ["x" + "é" * 511]


def test_a_lease_is_written_only_on_the_version_that_was_read(
    bed: testbed.Testbed, namespace: str
) -> None:
    record = ports.LeaseRecord(
        "me", 15, "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z", 0
    )

    async def work(client: kube.KubeClient) -> None:
        lease = client.lease(namespace, "leader")
        assert await lease.read(5) is ports.NoLease.ABSENT
        created = await lease.create(record, 5)
        assert created.outcome is WriteOutcome.WRITTEN
        assert (await lease.create(record, 5)).outcome is WriteOutcome.CONFLICT
        annotate = ["annotate", "lease/leader", "-n", namespace, "kept=yes"]
        await asyncio.to_thread(bed.kubectl, *annotate)
        stale = ports.LeaseRecord("me", 15, "", "", 1, created.resource_version)
        assert (await lease.update(stale, 5)).outcome is WriteOutcome.CONFLICT
        found = await lease.read(5)
        assert isinstance(found, ports.LeaseRecord)
        assert (found.holder, found.renewed) == ("me", record.renewed)
        taken = ports.LeaseRecord("you", 15, "", record.renewed, 1, found.resource_version)
        assert (await lease.update(taken, 5)).outcome is WriteOutcome.WRITTEN

    use(bed, work)
    lease = json.loads(bed.kubectl("get", "lease", "leader", "-n", namespace, "-o", "json"))
    assert lease["spec"]["holderIdentity"] == "you"
    assert lease["metadata"]["annotations"] == {"kept": "yes"}
