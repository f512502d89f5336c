"""The plant lives through whatever its watch meets: refusals, and ends in mid-stream."""

import asyncio
import json
import socket
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from charon_operator import names
from charon_operator.errors import TestbedError
from charon_operator.ports import PlantOutput
from charon_operator.testbed import plant_exporter

LABELS = {"app": "consumer", names.LABEL_PLANT_DRIVEN: "true"}
DEPLOYMENT = {
    "metadata": {"name": "consumer"},
    "spec": {
        "selector": {"matchLabels": {"app": "consumer"}},
        "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "app"}]}},
    },
}
POD = {
    "metadata": {"name": "late", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"nodeName": "node-0", "containers": [{"name": "app"}]},
}


class Idle:
    """A plant that does nothing; the watch is what is judged."""

    def step(self, now_s: float, pods: Any) -> PlantOutput:
        return PlantOutput()


class Troubled:
    """An API server that answers every list and watch differently; a fake because a real one
    cannot be made to break a stream in the middle of a line."""

    def __init__(self) -> None:
        self.lists = [self._refused, self._listed]
        self.watches = [self._broken, self._gone, self._followed]

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/apis/apps/v1/namespaces/n/deployments/consumer", self._deployment)
        app.router.add_get("/api/v1/namespaces/n/pods", self._pods)
        return app

    async def _deployment(self, _: web.Request) -> web.Response:
        return web.json_response(DEPLOYMENT)

    async def _pods(self, request: web.Request) -> web.StreamResponse:
        answers = self.watches if "watch" in request.query else self.lists
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answer(request)

    async def _refused(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "code": 500}, status=500)

    async def _listed(self, _: web.Request) -> web.Response:
        return web.json_response({"items": [], "metadata": {"resourceVersion": "1"}})

    async def _gone(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "code": 410}, status=410)

    async def _broken(self, request: web.Request) -> web.StreamResponse:
        stream = await _begun(request)
        await stream.write(b'{"type": "ADDED", ')
        assert request.transport is not None
        request.transport.close()
        return stream

    async def _followed(self, request: web.Request) -> web.StreamResponse:
        stream = await _begun(request)
        await stream.write(json.dumps({"type": "ADDED", "object": POD}).encode() + b"\n")
        await stream.write_eof()
        return stream


async def _begun(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse()
    stream.enable_chunked_encoding()
    await stream.prepare(request)
    return stream


def exporter(api: Any, **more: Any) -> plant_exporter.PlantExporter:
    return plant_exporter.PlantExporter(Idle(), api, namespace="n", deployment="consumer", **more)


async def test_watch_when_lists_are_refused_and_streams_break_then_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plant_exporter, "_RETRY_S", 0.01)
    stop = asyncio.Event()

    def observe(now_s: float, output: PlantOutput, pods: Any) -> None:
        if [pod.name for pod in pods] == ["late"]:
            stop.set()

    runner = web.AppRunner(Troubled().app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    configuration = client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    async with client.ApiClient(configuration) as api:
        await asyncio.wait_for(exporter(api, observer=observe).run(stop), 30)
    await runner.cleanup()


async def test_plant_when_nobody_listens_then_says_so() -> None:
    with socket.socket() as taken:
        # Bound and not listening: whoever connects is refused.
        taken.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with client.ApiClient(client.Configuration(host=host)) as api:
            with pytest.raises(TestbedError, match="the API server cannot be asked"):
                await exporter(api).run(asyncio.Event())
