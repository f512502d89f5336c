"""A small world in memory for the fleet: fakes, because a unit test must decide what is refused.

The snapshot, the turn, the journal and the writer are the real ones; cluster, metric store, clock
and leader are fakes whose answers a test sets. The same paths run on a real API server in
tests/operator.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from charon_operator import settings
from charon_operator.loop.fleet import Fleet
from charon_operator.loop.snapshot import Kind, Snapshot
from charon_operator.model import body as bodies
from charon_operator.model.form import FormWrite
from charon_operator.model.reading import Attainment, Missing, MissingReason, Reading, Sampled
from charon_operator.model.sizes import Size, SizedPod, Sizes
from charon_operator.model.workload import Absent, Key, Target, Workload
from charon_operator.observe import batch, gather
from charon_operator.ports import Event, WriteOutcome, WriteResult
from tests.loop import cluster_bodies

OK = WriteResult(WriteOutcome.WRITTEN)
PERIOD_S = 5


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def wall_s(self) -> float:
        return 1764000000.0 + self.now_s

    def monotonic_s(self) -> float:
        return self.now_s


class Leader:
    """A leader that a test deposes."""

    identity = "me"

    def __init__(self) -> None:
        self.leading = True
        self.term: int | None = 1


class Keeper:
    """A journal in memory."""

    keeps = True
    wants_start = False

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows += rows

    def kind(self, kind: str) -> list[Mapping[str, Any]]:
        return [row for row in self.rows if row["kind"] == kind]


class Store:
    """A metric store without a store: every app reads what `values` says, fresh.

    Attributes:
        indicators: by which names.
    """

    def __init__(self, clock: Clock) -> None:
        self.counters = batch.Counters()
        self.indicators: tuple[str, ...] = ("load",)
        self.values: dict[str, float | None] = {}
        self.asked: list[list[str]] = []
        self.hang: asyncio.Event | None = None
        self.good_ratio: float | None = None
        self.attaining: asyncio.Event | None = None
        self._clock = clock

    async def readings(
        self, asks: Sequence[gather.Ask], now_s: float, timeout_s: float
    ) -> Mapping[Key, Mapping[str, Sampled]]:
        self.asked.append([ask.queries.key.name for ask in asks])
        if self.hang is not None:
            await self.hang.wait()
        return {
            ask.queries.key: {name: self._reading(ask, now_s) for name in self.indicators}
            for ask in asks
        }

    async def attainments(
        self, asks: Sequence[gather.Ask], now_s: float, timeout_s: float, fresh_s: float
    ) -> Mapping[Key, Mapping[str, Attainment]]:
        good_ratio = self.good_ratio
        if self.attaining is not None:
            await self.attaining.wait()
        if good_ratio is None:
            return {}
        found = {"share": Attainment(good_ratio, 1.0, now_s, now_s + fresh_s)}
        return {ask.queries.key: found for ask in asks}

    def _reading(self, ask: gather.Ask, now_s: float) -> Sampled:
        value = self.values.get(ask.queries.key.name, 200.0)
        if value is None:
            return Missing(MissingReason.NO_DATA, "nothing")
        return Reading(value, now_s - 0.5)


class Cluster:
    """An API server in memory: versions, conflicts, and whatever a test wants refused."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.bodies: dict[Target, dict[str, Any]] = {}
        self.log: list[tuple[str, Any]] = []
        self.events: list[Event] = []
        self.on_scale: Callable[[Target], WriteResult | None] = lambda _: None
        self.on_form: Callable[[Target], WriteResult | None] = lambda _: None
        # Whether the informer tells of a change of form at once.
        self.shows = True
        self.on_status: Callable[[Key], WriteResult | None] = lambda _: None
        self.on_pods: Callable[[Target], bool] = lambda _: True
        self.on_resize: Callable[[SizedPod], WriteResult | None] = lambda _: None
        self.sizes: dict[Target, Sizes] = {}
        self.hang: dict[str, asyncio.Event] = {}
        self.statuses: dict[Key, dict[str, Any]] = {}

    def scaled(self) -> list[tuple[str, int]]:
        return [what for kind, what in self.log if kind == "scale"]

    def reshaped(self) -> list[FormWrite]:
        return [what[1] for kind, what in self.log if kind == "form"]

    def resized(self) -> list[tuple[str, Size]]:
        return [what for kind, what in self.log if kind == "resize"]

    def put(self, body: dict[str, Any], *, seen: bool = True) -> None:
        target = Target(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])
        self.bodies[target] = body
        if seen:
            self._snapshot.put(Kind.DEPLOYMENTS, body)

    async def workload(self, target: Target) -> Workload | Absent | None:
        self.log.append(("get", target.name))
        return bodies.workload(self.bodies[target], target.kind)

    async def set_replicas(
        self, target: Target, replicas: int, resource_version: str
    ) -> WriteResult:
        if target.name in self.hang:
            await self.hang[target.name].wait()
        found = self.on_scale(target)
        self.log.append(("scale", (target.name, replicas)))
        if found is not None:
            return found
        body = self.bodies[target]
        if body["metadata"]["resourceVersion"] != resource_version:
            return WriteResult(WriteOutcome.CONFLICT)
        uid, generation = body["metadata"]["uid"], body["metadata"]["generation"] + 1
        known = {"uid": uid, "generation": generation}
        meta = cluster_bodies.meta(target.name, target.namespace, **known)
        written = {**body, "metadata": meta, "spec": {**body["spec"], "replicas": replicas}}
        self.put(written)
        # The pods are ready at once, which is one more version.
        counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), replicas)
        status = {**body["status"], **counts, "observedGeneration": generation}
        again = cluster_bodies.meta(target.name, target.namespace, **known)
        self.put({**written, "metadata": again, "status": status})
        return WriteResult(WriteOutcome.WRITTEN, meta["resourceVersion"])

    async def set_form(self, target: Target, write: FormWrite) -> WriteResult:
        found = self.on_form(target)
        self.log.append(("form", (target.name, write)))
        if found is not None:
            return found
        body = self.bodies[target]
        if body["metadata"]["resourceVersion"] != write.resource_version:
            return WriteResult(WriteOutcome.CONFLICT)
        written = cluster_bodies.reshaped(body, write)
        self.put(written, seen=self.shows)
        return WriteResult(WriteOutcome.WRITTEN, written["metadata"]["resourceVersion"])

    async def pods(self, target: Target, container: str) -> Sizes | None:
        self.log.append(("pods", target.name))
        if not self.on_pods(target):
            return None
        return self.sizes.get(target, Sizes(Size(), problem="there is no such container"))

    async def resize_pod(
        self, target: Target, pod: SizedPod, container: str, size: Size
    ) -> WriteResult:
        found = self.on_resize(pod)
        self.log.append(("resize", (pod.name, size)))
        if found is not None:
            return found
        sizes = self.sizes[target]
        versions = {one.name: one.resource_version for one in sizes.pods}
        if versions.get(pod.name) != pod.resource_version:
            return WriteResult(WriteOutcome.CONFLICT)
        version = f"{pod.resource_version}+"
        done = replace(pod, asked=size, actual=size, resource_version=version)
        self.put_pods(target, *(done if one.name == pod.name else one for one in sizes.pods))
        return WriteResult(WriteOutcome.WRITTEN, version)

    def put_pods(self, target: Target, *pods: SizedPod) -> None:
        template = self.sizes[target].template if target in self.sizes else pods[0].asked
        self.sizes[target] = Sizes(template, pods)

    async def patch_status(self, app: Key, uid: str, status: Mapping[str, Any]) -> WriteResult:
        found = self.on_status(app)
        self.log.append(("status", (app.name, dict(status))))
        if found is None:
            merged = {**self.statuses.get(app, {}), **status}
            self.statuses[app] = {name: value for name, value in merged.items() if value}
        return found or OK

    async def post_event(self, event: Event) -> WriteResult:
        self.events.append(event)
        return OK


class World:
    """A fleet over fakes; `step` is one turn of everything after some seconds.

    Args:
        count: apps `app-0`, `app-1`, …, each with a Deployment of its name and 2 replicas.
    """

    def __init__(self, count: int = 1, **configured: Any) -> None:
        self.clock, self.leader, self.journal = Clock(), Leader(), Keeper()
        self.configured = settings.Settings(**configured)
        self.snapshot = Snapshot(self.clock, places=self.configured.placement.enabled)
        self.store, self.cluster = Store(self.clock), Cluster(self.snapshot)
        self.snapshot.expect([])
        for kind in Kind:
            self.snapshot.relisted(kind, ())
        self.snapshot.put(Kind.POLICIES, policy())
        for number in range(count):
            self.cluster.put(cluster_bodies.deployment(f"app-{number}", replicas=2))
            self.put_app(f"app-{number}")
        self.fleet = Fleet(
            self.snapshot,
            self.store,  # type: ignore[arg-type]
            self.cluster,
            self.journal,
            self.clock,
            leader=self.leader,
            configured=self.configured,
        )

    def put_app(self, name: str, generation: int = 1, **spec: Any) -> None:
        self.snapshot.put(Kind.APPS, app(name, generation, **spec))

    def drop_app(self, name: str) -> None:
        self.snapshot.drop(Kind.APPS, app(name, 1))

    async def step(self, after_s: float = PERIOD_S) -> None:
        self.clock.now_s += after_s
        await self.fleet.turn_once()

    async def look(self, after_s: float = 2.0) -> None:
        """What happens between turns after some seconds."""
        self.clock.now_s += after_s
        await self.fleet.look_once()

    async def observed(self) -> None:
        """The first full period, in which nothing is written."""
        await self.step(0)
        await self.step(PERIOD_S / 2)
        self.cluster.log.clear()

    def status(self, name: str = "app-0") -> dict[str, Any]:
        return self.cluster.statuses.get(Key("ns", name), {})

    def condition(self, kind: str, name: str = "app-0") -> tuple[str, str]:
        found = {item["type"]: item for item in self.status(name)["conditions"]}[kind]
        return found["status"], found["reason"]

    def show_status(self, name: str, status: Mapping[str, Any]) -> None:
        """What the informer shows of an app."""
        body = app(name, 1)
        self.snapshot.put(Kind.APPS, {**body, "status": status})


def app(name: str, generation: int = 1, **spec: Any) -> dict[str, Any]:
    load = {"name": "load", "query": f'sum(load{{app="{name}"}})'}
    threshold = {"indicator": "load", "op": "LessThanOrEqual", "value": "100"}
    content = {
        "mode": "Active",
        "policyRef": {"name": "p"},
        "scaleTargetRef": {"kind": "Deployment", "name": name},
        "indicators": [load],
        "objectives": [{"name": "share", "threshold": threshold, "target": "90"}],
        "replicas": {"min": 1, "max": 20},
        **spec,
    }
    return {"metadata": cluster_bodies.meta(name, generation=generation), "spec": content}


def policy(period_s: int = PERIOD_S, name: str = "p") -> dict[str, Any]:
    free = {"type": "Pods", "value": 1000, "periodSeconds": 1}
    rules = {"stabilizationWindowSeconds": 0, "policies": [free]}
    content = {
        "periodSeconds": period_s,
        "controller": {"type": "Ratio"},
        "behavior": {"scaleUp": rules, "scaleDown": rules},
        "lowering": {"cooldownSeconds": 0, "maxPerHour": 3600},
    }
    return {"metadata": cluster_bodies.meta(name), "spec": content}


def refused(detail: str = "admission says no") -> WriteResult:
    return WriteResult(WriteOutcome.REFUSED, detail=detail)
