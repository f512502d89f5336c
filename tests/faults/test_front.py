"""The fault proxies break what they are told to, and nothing else (tiny backends, no cluster)."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.faults import actions, apifault, metricfault

PATH = "/apis/apps/v1/namespaces/stream/deployments/web"
EVENTS = [{"type": "ADDED", "object": {"metadata": {"name": name}}} for name in "abc"]
Answer = Callable[[str, str], Awaitable[tuple[int, bytes]]]


class Backend:
    """A fake API server and Mimir: keeps what it was asked, streams three events to a watch."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.url = ""
        self.more = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, request.headers.get("Authorization", "")))
        if "watch" in request.query:
            return await self._watch(request)
        if "query" in request.path:
            return web.json_response(vector())
        return web.json_response({"n": len(self.asked)})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for event in EVENTS:
            await response.write(json.dumps(event).encode() + b"\n")
        await self.more.wait()
        return response


def vector() -> dict[str, Any]:
    series = {"metric": {"app": "a"}, "value": [time.time(), "7"]}
    return {"status": "success", "data": {"resultType": "vector", "result": [series]}}


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    made = Backend()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = site.name
    yield made
    made.more.set()
    await runner.cleanup()


@pytest.fixture
async def api(backend: Backend) -> AsyncIterator[apifault.ApiFault]:
    with apifault.ApiFault(backend.url) as proxy:
        yield proxy


@pytest.fixture
async def metrics(backend: Backend) -> AsyncIterator[metricfault.MetricFault]:
    with metricfault.MetricFault(backend.url) as proxy:
        yield proxy


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": "Bearer t0", "X-Scope-OrgID": "one"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield session


ABOUT = {
    "core-list": ("GET", "/api/v1/pods", {}, ("list", "pods", "", "", "")),
    "namespaced-list": ("GET", "/api/v1/namespaces/a/pods", {}, ("list", "pods", "", "a", "")),
    "namespace": ("GET", "/api/v1/namespaces/a", {}, ("get", "namespaces", "", "", "a")),
    "namespace-status": (
        "PATCH",
        "/api/v1/namespaces/a/status",
        {},
        ("patch", "namespaces", "status", "", "a"),
    ),
    "scale": ("PATCH", PATH + "/scale", {}, ("patch", "deployments", "scale", "stream", "web")),
    "watch": (
        "GET",
        "/apis/charon.dev/v1alpha1/chargedapps",
        {"watch": "true"},
        ("watch", "chargedapps", "", "", ""),
    ),
    "create": ("POST", "/api/v1/namespaces/a/events", {}, ("create", "events", "", "a", "")),
    "delete-all": (
        "DELETE",
        "/api/v1/namespaces/a/pods",
        {},
        ("deletecollection", "pods", "", "a", ""),
    ),
    "discovery": ("GET", "/apis", {}, ("get", "", "", "", "")),
    "version": ("GET", "/version", {}, ("get", "", "", "", "")),
}


@pytest.mark.parametrize(("method", "path", "query", "expected"), ABOUT.values(), ids=list(ABOUT))
def test_about_when_path_is_parsed_then_it_names_the_object(
    method: str, path: str, query: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert apifault.about(method, path, query) == apifault.Asked(*expected)


async def test_proxy_when_there_are_no_rules_then_it_forwards_token_and_body(
    api: apifault.ApiFault, backend: Backend, client: aiohttp.ClientSession
) -> None:
    async with client.patch(api.url + PATH, data=b"{}") as answer:
        assert await answer.json() == {"n": 1}
    assert backend.asked == [("PATCH", PATH, "Bearer t0")]
    assert [s.asked.verb for s in api.seen] == ["patch"]


async def test_rule_when_it_names_the_second_patch_then_only_that_one_is_hit(
    api: apifault.ApiFault, backend: Backend, client: aiohttp.ClientSession
) -> None:
    rule = apifault.Rule(
        do=apifault.refusal(429, 3), verbs=("patch",), resource="deployments", first=2, times=1
    )
    codes = []
    with api.broken(rule):
        for _ in range(3):
            async with client.patch(api.url + PATH, data=b"{}") as answer:
                codes.append((answer.status, answer.headers.get("Retry-After")))
        async with client.get(api.url + PATH) as answer:
            assert answer.status == 200
    assert codes == [(200, None), (429, "3"), (200, None)]
    assert (rule.hits, len(backend.asked)) == (1, 3)


LOSSES = {
    "reset": (actions.Reset(), 0),
    "answer lost": (actions.LoseAnswer(), 1),
    "before": (actions.Before(lambda: None), 0),
    "after": (actions.After(lambda: None), 1),
    "half": (actions.Half(), 1),
}


@pytest.mark.parametrize(("action", "applied"), LOSSES.values(), ids=list(LOSSES))
async def test_loss_when_the_answer_is_lost_then_the_backend_was_asked_so_often(
    action: actions.Action,
    applied: int,
    api: apifault.ApiFault,
    backend: Backend,
    client: aiohttp.ClientSession,
) -> None:
    lost = pytest.raises((aiohttp.ClientError, ConnectionError))
    with api.broken(apifault.Rule(do=action)), lost:
        await _patch(client, api.url + PATH)
    assert len(backend.asked) == applied


LIES = {"lie": (actions.Lie(apifault.refusal(500)), 500, 1), "twice": (actions.Twice(), 200, 2)}


@pytest.mark.parametrize(("action", "told", "applied"), LIES.values(), ids=list(LIES))
async def test_lie_when_a_write_was_applied_then_the_client_is_told(
    action: actions.Action,
    told: int,
    applied: int,
    api: apifault.ApiFault,
    backend: Backend,
    client: aiohttp.ClientSession,
) -> None:
    with api.broken(apifault.Rule(do=action)):
        async with client.patch(api.url + PATH, data=b"{}") as answer:
            assert answer.status == told
    assert len(backend.asked) == applied


async def test_silence_when_the_rule_goes_then_the_connection_breaks(
    api: apifault.ApiFault, backend: Backend, client: aiohttp.ClientSession
) -> None:
    rule = apifault.Rule(do=actions.Silence())
    api.add(rule)
    asking = asyncio.create_task(_patch(client, api.url + PATH))
    await _until(lambda: rule.hits == 1)
    assert not asking.done()
    api.remove(rule)
    with pytest.raises(aiohttp.ClientError):
        await asking
    assert backend.asked == []


async def test_refusing_when_it_ends_then_the_same_port_answers_again(
    api: apifault.ApiFault, client: aiohttp.ClientSession
) -> None:
    assert await _status(client, api.url) == 200
    with api.refusing(), pytest.raises(aiohttp.ClientConnectionError):
        await _status(client, api.url)
    assert await _status(client, api.url) == 200


async def test_backend_when_it_is_away_then_the_client_sees_a_broken_connection(
    client: aiohttp.ClientSession,
) -> None:
    with apifault.ApiFault("http://127.0.0.1:1") as proxy, pytest.raises(aiohttp.ClientError):
        await _status(client, proxy.url)


async def test_watch_when_ended_then_the_lines_are_whole_and_the_stream_ends(
    api: apifault.ApiFault, client: aiohttp.ClientSession
) -> None:
    async with client.get(api.url + "/api/v1/pods?watch=1") as answer:
        lines = [await answer.content.readline() for _ in EVENTS]
        assert [json.loads(line) for line in lines] == EVENTS
        assert api.fail_watches(504, "pods") == 1
        error = json.loads(await answer.content.readline())
        assert (error["type"], error["object"]["code"]) == ("ERROR", 504)
        assert await answer.content.read() == b""
    await _until(lambda: api.open_watches() == 0)


EDITS = {
    "drop the second": (apifault.Edit.DROP, None, 2, "ac"),
    "drop by name": (apifault.Edit.DROP, "a", None, "bc"),
    "duplicate": (apifault.Edit.DUPLICATE, "b", None, "abbc"),
    "hold": (apifault.Edit.HOLD, "a", None, "bca"),
}


@pytest.mark.parametrize(("how", "name", "nth", "expected"), EDITS.values(), ids=list(EDITS))
async def test_edit_when_events_pass_then_the_client_sees(
    how: apifault.Edit,
    name: str | None,
    nth: int | None,
    expected: str,
    api: apifault.ApiFault,
    client: aiohttp.ClientSession,
) -> None:
    rule = apifault.Rule(do=apifault.EditEvents(how, name=name, nth=nth), resource="pods")
    api.add(rule)
    seen = ""
    async with client.get(api.url + "/api/v1/pods?watch=1") as answer:
        while len(seen) < len(expected):
            event = json.loads(await answer.content.readline())
            seen += event["object"]["metadata"]["name"]
            if how is apifault.Edit.HOLD and len(seen) == 2:
                api.remove(rule)
    assert seen == expected


async def test_mutate_when_objects_pass_then_answers_and_events_are_changed(
    api: apifault.ApiFault, client: aiohttp.ClientSession
) -> None:
    rule = apifault.Rule(do=apifault.Mutate(lambda body: body.update(planted=True)))
    with api.broken(rule):
        async with client.get(api.url + "/api/v1/pods") as answer:
            assert (await answer.json())["planted"]
        async with client.get(api.url + "/api/v1/pods?watch=1") as answer:
            assert json.loads(await answer.content.readline())["object"]["planted"]


async def test_watch_error_when_a_watch_opens_then_its_only_line_says_so(
    api: apifault.ApiFault, client: aiohttp.ClientSession
) -> None:
    rule = apifault.Rule(do=apifault.WatchError(410), verbs=("watch",))
    with api.broken(rule):
        async with client.get(api.url + "/api/v1/pods?watch=1") as answer:
            event = json.loads(await answer.read())
    assert event["object"]["reason"] == "Expired"


async def test_stale_when_a_list_was_recorded_then_it_is_served_again(
    api: apifault.ApiFault, client: aiohttp.ClientSession
) -> None:
    record = apifault.Record()
    with api.broken(apifault.Rule(do=record, verbs=("list",))):
        async with client.get(api.url + "/api/v1/pods") as answer:
            then = await answer.read()
    with api.broken(apifault.Rule(do=apifault.Stale(record.kept), verbs=("list",))):
        async with client.get(api.url + "/api/v1/pods") as answer:
            assert await answer.read() == then
    async with client.get(api.url + "/api/v1/pods") as answer:
        assert await answer.read() != then


CHANGES = {
    "NaN": (metricfault.value("NaN"), '"NaN"'),
    "a number": (metricfault.value(7), "7"),
    "null": (metricfault.value(None), "null"),
    "twins": (metricfault.doubled(), '"twin"'),
    "scalar": (metricfault.data("scalar", [1, "7"]), '"scalar"'),
    "warning": (metricfault.warned("half"), '"warnings"'),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=list(CHANGES))
async def test_rewrite_when_an_answer_passes_then_it_is_changed(
    change: metricfault.Rewrite,
    expected: str,
    metrics: metricfault.MetricFault,
    client: aiohttp.ClientSession,
) -> None:
    rule = metricfault.Rule(do=change, contains="up", tenant="one")
    with metrics.broken(rule):
        async with client.post(metrics.url + "/api/v1/query", data={"query": "up"}) as answer:
            assert expected in await answer.text()
        async with client.post(metrics.url + "/api/v1/query", data={"query": "x"}) as answer:
            assert await answer.json() != {}
    assert (rule.hits, metrics.bare, metrics.seen[0].asked.expression) == (1, 0, "up")


async def test_shifted_when_samples_are_old_then_only_times_move(
    metrics: metricfault.MetricFault, client: aiohttp.ClientSession
) -> None:
    with metrics.broken(metricfault.Rule(do=metricfault.shifted(-3600))):
        async with client.get(metrics.url + "/api/v1/query?query=up") as answer:
            at, value = (await answer.json())["data"]["result"][0]["value"]
    assert at < time.time() - 3000
    assert value == "7"


async def test_bomb_when_unpacked_then_it_is_large(
    metrics: metricfault.MetricFault,
) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as raw:
        with metrics.broken(metricfault.Rule(do=metricfault.gzip_bomb(4))):
            async with raw.get(metrics.url + "/query") as answer:
                packed = await answer.read()
        with metrics.broken(metricfault.Rule(do=metricfault.huge(2))):
            async with raw.get(metrics.url + "/query") as answer:
                assert len(await answer.read()) == 2 * 2**20
    assert len(packed) < 2**16 < len(gzip.decompress(packed)) == 4 * 2**20
    assert metrics.bare == 2


async def _status(client: aiohttp.ClientSession, url: str) -> int:
    async with client.get(url) as answer:
        return answer.status


async def _patch(client: aiohttp.ClientSession, url: str) -> bytes:
    # Not a GET: a client may ask that again by itself.
    async with client.patch(url, data=b"{}") as answer:
        return await answer.read()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)
