"""Plays a plant on a target's real pods: drives their status, ends them, serves their metrics.

Reads: the pods of one Deployment that carry the plant's label, by one watch. Gives: pod statuses,
final deletions, `/metrics` for the agent. Never: a model of its own; it is handed a `ports.Plant`.
"""

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from aiohttp import web
from kubernetes.aio import client

from charon_operator import names
from charon_operator.errors import TestbedError
from charon_operator.model.app import timestamp
from charon_operator.ports import Plant, PlantOutput, PlantPod, PodState

_TICK_S: Final = 0.25
_WATCH_S: Final = 240
_RETRY_S: Final = 1.0
_PARALLEL: Final = 8
# Stamps of the API server are whole seconds: a pod seen that soon was created when it was seen.
_STAMP_S: Final = 2.0
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_MANAGER: Final = "charon-plant"
# What a request or a watch meets when the API server is away, restarts or refuses: tried again.
PASSING: Final = (client.ApiException, aiohttp.ClientError, OSError, TimeoutError)

# Called after every step: the time, the output, the pods (terminating ones included).
Observer = Callable[[float, PlantOutput, Sequence[PlantPod]], None]


@dataclasses.dataclass(slots=True)
class _Seen:
    """A pod as last seen; times are seconds since 1970."""

    body: Mapping[str, Any]
    created_s: float
    ends_s: float | None = None
    told: PodState | None = None
    ended: bool = False


class PlantExporter:
    """One plant on one Deployment.

    Args:
        plant: the model.
        api: a connected `kubernetes.aio` ApiClient.
        namespace: of the Deployment.
        deployment: its name; its pods need the label `plant.charon.dev/driven: "true"`.
        port: of `/metrics` on loopback; 0 takes a free one.
        speed: plant seconds a second.
        observer: sees every step.
    """

    def __init__(
        self,
        plant: Plant,
        api: Any,
        *,
        namespace: str,
        deployment: str,
        port: int = 0,
        speed: float = 1.0,
        observer: Observer | None = None,
    ) -> None:
        self._plant = plant
        self._core = client.CoreV1Api(api)
        self._apps = client.AppsV1Api(api)
        self._namespace = namespace
        self._deployment = deployment
        self._port = port
        self._speed = speed
        self._observer = observer
        self._pods: dict[str, _Seen] = {}
        self._output = PlantOutput()
        self._origin_s = time.time()
        self._last_s = 0.0
        self._listed = asyncio.Event()
        self._room = asyncio.Semaphore(_PARALLEL)
        self._jobs: set[asyncio.Task[None]] = set()
        self._busy: set[str] = set()
        self.address = ""
        self.requests = 0

    async def run(self, stop: asyncio.Event, started: asyncio.Event | None = None) -> None:
        """Play until `stop`; `started` is set when `/metrics` answers and the pods are known.

        Raises:
            TestbedError: the API server does not answer, there is no such Deployment, or its pods
                do not carry the label.
        """
        selector = await self._selector()
        runner = await self._serve()
        watcher = asyncio.create_task(self._watch(selector))
        try:
            await asyncio.wait({watcher, _task(self._listed.wait())}, return_when="FIRST_COMPLETED")
            if started is not None:
                started.set()
            while not stop.is_set() and not watcher.done():
                self._advance()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _TICK_S)
            if watcher.done():
                watcher.result()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, *self._jobs, return_exceptions=True)
            await runner.cleanup()

    async def _selector(self) -> str:
        try:
            found = await self._apps.read_namespaced_deployment(self._deployment, self._namespace)
        except client.ApiException as error:
            raise TestbedError(
                f"Deployment {self._namespace}/{self._deployment}: {error.status} {error.reason}; "
                "apply it first"
            ) from None
        except PASSING as error:
            raise TestbedError(f"the API server cannot be asked: {error}") from None
        template = found.spec.template.metadata
        labels = dict((template and template.labels) or {})
        if labels.get(names.LABEL_PLANT_DRIVEN) != "true":
            raise TestbedError(
                f"Deployment {self._namespace}/{self._deployment}: its pod template needs the "
                f'label {names.LABEL_PLANT_DRIVEN}: "true", or something else drives its pods'
            )
        wanted = {**(found.spec.selector.match_labels or {}), names.LABEL_PLANT_DRIVEN: "true"}
        return ",".join(f"{name}={value}" for name, value in sorted(wanted.items()))

    async def _watch(self, selector: str) -> None:
        """List, then follow, for ever; what goes wrong on the way is tried again."""
        while True:
            try:
                version = await self._list(selector)
                await self._follow(selector, version)
            except (*PASSING, ValueError):
                await asyncio.sleep(_RETRY_S)

    async def _list(self, selector: str) -> str:
        answer = await self._ask(label_selector=selector)
        body = json.loads(await answer.read())
        there = {item["metadata"]["name"]: item for item in body["items"]}
        for name in [name for name in self._pods if name not in there]:
            del self._pods[name]
        for item in there.values():
            self._see(item)
        self._listed.set()
        return str(body["metadata"]["resourceVersion"])

    async def _follow(self, selector: str, version: str) -> None:
        answer = await self._ask(
            label_selector=selector,
            watch=True,
            resource_version=version,
            timeout_seconds=_WATCH_S,
            _request_timeout=_WATCH_S + 30,
        )
        try:
            while line := await answer.content.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] == "DELETED":
                    self._pods.pop(event["object"]["metadata"]["name"], None)
                else:
                    self._see(event["object"])
        finally:
            answer.close()

    async def _ask(self, **asked: Any) -> Any:
        """The raw answer of a list or a watch; the client checks no status of a raw one."""
        self.requests += 1
        answer = await self._core.list_namespaced_pod_without_preload_content(
            self._namespace, **asked
        )
        if answer.status != HTTPStatus.OK:
            answer.close()
            raise client.ApiException(status=answer.status, reason=answer.reason)
        return answer

    def _see(self, body: Mapping[str, Any]) -> None:
        meta, now_s = body["metadata"], time.time()
        seen = self._pods.get(meta["name"])
        if seen is None:
            stamp_s = timestamp(meta.get("creationTimestamp"))
            created_s = now_s if now_s - stamp_s < _STAMP_S else stamp_s
            seen = self._pods[meta["name"]] = _Seen(body, created_s)
        seen.body = body
        if meta.get("deletionTimestamp") and seen.ends_s is None:
            seen.ends_s = now_s + float(meta.get("deletionGracePeriodSeconds") or 0) / self._speed

    def _advance(self) -> None:
        """One step of the plant with the pods as they are, and what follows from it."""
        now_s = max(self._last_s, time.time())
        self._last_s = now_s
        pods = self._plant_pods()
        self._output = self._plant.step(self._plant_s(now_s), pods)
        if self._observer is not None:
            self._observer(now_s, self._output, pods)
        for name, state in self._output.pods.items():
            seen = self._pods.get(name)
            if seen is not None and seen.told != state and seen.ends_s is None:
                self._begin(name, self._tell(name, seen, state))
        for name, seen in self._pods.items():
            if seen.ends_s is not None and not seen.ended and self._is_over(name, seen, now_s):
                self._begin(name, self._end(name, seen))

    def _is_over(self, name: str, seen: _Seen, now_s: float) -> bool:
        """Whether a terminating pod's time is up, or nothing runs in it that could use the time."""
        state = self._output.pods.get(name)
        return (seen.ends_s or 0.0) <= now_s or (state is not None and not state.alive)

    def _plant_s(self, time_s: float) -> float:
        return self._origin_s + (time_s - self._origin_s) * self._speed

    def _plant_pods(self) -> list[PlantPod]:
        return [
            PlantPod(name, self._plant_s(seen.created_s), seen.ends_s is not None, _limit(seen))
            for name, seen in self._pods.items()
            if seen.body["spec"].get("nodeName")
        ]

    def _begin(self, name: str, job: Any) -> None:
        """Run a request beside the plant, one at a time for each pod."""
        if name in self._busy:
            job.close()
            return
        self._busy.add(name)
        task = asyncio.create_task(self._limited(name, job))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _limited(self, name: str, job: Any) -> None:
        try:
            async with self._room:
                self.requests += 1
                await job
        except PASSING:
            await asyncio.sleep(_RETRY_S)  # the next step finds the same and tries again
        finally:
            self._busy.discard(name)

    async def _tell(self, name: str, seen: _Seen, state: PodState) -> None:
        try:
            await self._core.patch_namespaced_pod_status(
                name,
                self._namespace,
                _status(seen.body, state),
                field_manager=_MANAGER,
                _content_type=_STRATEGIC,
            )
        except client.ApiException as error:
            if error.status != 404:
                raise
        seen.told = state

    async def _end(self, name: str, seen: _Seen) -> None:
        try:
            await self._core.delete_namespaced_pod(name, self._namespace, grace_period_seconds=0)
        except client.ApiException as error:
            if error.status != 404:
                raise
        seen.ended = True

    async def _serve(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/metrics", self._page)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise TestbedError(f"port {self._port}: {error.strerror}; choose another") from None
        host, port = runner.addresses[0][:2]
        self.address = f"{host}:{port}"
        return runner

    async def _page(self, _: web.Request) -> web.Response:
        common = f'namespace="{self._namespace}",app="{self._deployment}"'
        return web.Response(text=page(self._output, common), content_type="text/plain")


def page(output: PlantOutput, common: str) -> str:
    """The plant's samples in Prometheus' text format; `common` are labels every sample gets."""
    lines: list[str] = []
    for name in dict.fromkeys(name for name, _, _ in output.metrics):
        lines.append(f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}")
        for other, labels, value in output.metrics:
            if other == name:
                own = "".join(f',{label}="{text}"' for label, text in labels.items())
                lines.append(f"{name}{{{common}{own}}} {value!r}")
    return "\n".join(lines) + "\n"


def _status(body: Mapping[str, Any], state: PodState) -> dict[str, Any]:
    """The status a kubelet would report, as a strategic merge patch."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ready = "True" if state.ready else "False"
    conditions = [
        {"type": kind, "status": value, "lastTransitionTime": stamp}
        for kind, value in (
            ("Initialized", "True"),
            ("ContainersReady", ready),
            ("Ready", ready),
        )
    ]
    containers = [
        {
            "name": container["name"],
            "image": container.get("image", ""),
            "imageID": "",
            "ready": state.ready,
            "started": True,
            "restartCount": state.restarts,
            "state": {"running": {"startedAt": stamp}},
        }
        for container in body["spec"]["containers"]
    ]
    return {
        "status": {
            "phase": "Running",
            "startTime": body["metadata"].get("creationTimestamp"),
            "conditions": conditions,
            "containerStatuses": containers,
        }
    }


def _limit(seen: _Seen) -> float | None:
    """CPU limit of the first container, in cores; None without one."""
    resources = seen.body["spec"]["containers"][0].get("resources") or {}
    text = str((resources.get("limits") or {}).get("cpu", ""))
    if not text:
        return None
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _task(awaitable: Any) -> asyncio.Task[Any]:
    return asyncio.ensure_future(awaitable)
