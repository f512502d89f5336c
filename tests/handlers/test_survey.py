"""What is not known is named, and only what can be done without is done without."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import test_utils, web

from charon_operator.clients import kube, kube_access
from charon_operator.handlers import labels, watched
from charon_operator.handlers.supervisor import InformerThread
from charon_operator.loop.snapshot import Kind, Snapshot
from tests.faults import apifault
from tests.loop import cluster_bodies as make

HOOK = "conversion webhook failed"
FORCED = {"metadata": {"name": "x", "labels": {"charon.dev/force-advisory": "yes"}}}


class Server:
    """A fake API server: every list is empty, but for paths that a test answers otherwise."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}

    async def handle(self, request: web.Request) -> web.Response:
        end = request.path.rpartition("/")[2]
        status, body = self.answers.get(end, (200, {"items": []}))
        return web.json_response(body, status=status)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def access(tmp_path: Path, server: Server) -> AsyncIterator[kube_access.Access]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    (tmp_path / "token").write_text("one")
    (tmp_path / "ca.crt").write_text("")
    made = kube_access.in_pod(tmp_path)
    async with test_utils.TestServer(app) as running:
        made._settled.host = str(running.make_url("/")).rstrip("/")
        made._settled.ssl_ca_cert = None
        yield made


@pytest.fixture
async def client(access: kube_access.Access) -> AsyncIterator[kube.KubeClient]:
    async with kube.KubeClient(access) as made:
        yield made


@pytest.fixture
def store() -> Snapshot:
    return Snapshot(make.SetClock())


async def first(informer: InformerThread, client: kube.KubeClient) -> watched.Survey | None:
    async with asyncio.timeout(20):
        return await informer._first_survey(client, asyncio.Event())


async def test_an_api_that_can_be_done_without_is_named_and_done_without(
    server: Server, store: Snapshot, access: kube_access.Access, client: kube.KubeClient
) -> None:
    server.answers["scaledobjects"] = 500, {"message": HOOK}
    informer = InformerThread(store, access, patience_s=0)
    found = await first(informer, client)
    assert found is not None
    informer._adopt(found)
    assert informer.problems == (
        "scaledobjects.keda.sh cannot be listed in the cluster: "
        f"mend what answers it, with: 500 {HOOK}",
    )
    assert informer.blocking == ()
    for kind in set(Kind) - {Kind.SCALED_OBJECTS}:
        store.relisted(kind, ())
    assert store.synced


def test_patience_begins_anew_whenever_more_is_unknown(
    store: Snapshot, access: kube_access.Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = make.SetClock()
    monkeypatch.setattr("charon_operator.handlers.supervisor.time.monotonic", now.monotonic_s)
    informer = InformerThread(store, access, patience_s=60)
    rounds = [
        (0.0, {Kind.BUDGETS}, False),
        (59.0, {Kind.BUDGETS, Kind.APPS}, False),
        (61.0, {Kind.BUDGETS}, False),
        (121.0, {Kind.BUDGETS}, True),
        (122.0, {Kind.BUDGETS}, True),
        (123.0, set[Kind](), True),
        (124.0, {Kind.BUDGETS}, False),
    ]
    for now.monotonic, unknown, enough in rounds:
        assert informer._suffices(unknown) is enough


@pytest.mark.parametrize("kind", [Kind.APPS, Kind.HPAS, Kind.NAMESPACES])
async def test_an_api_that_must_be_known_is_waited_for_and_named(
    server: Server,
    store: Snapshot,
    access: kube_access.Access,
    client: kube.KubeClient,
    kind: Kind,
) -> None:
    server.answers[kind] = 503, {"message": "away"}
    informer = InformerThread(store, access, patience_s=0)
    waiting = asyncio.create_task(first(informer, client))
    while not informer.problems:
        await asyncio.sleep(0)
    assert [problem.partition(" in the cluster")[0] for problem in informer.problems] == [
        f"{kind}.{group} cannot be listed" if group else f"{kind} cannot be listed"
        for group in [watched.RESOURCES[kind].group]
    ]
    assert bool(informer.blocking) is watched.RESOURCES[kind].required
    server.answers.clear()
    found = await waiting
    assert found is not None
    informer._adopt(found)
    assert informer.problems == ()


async def test_an_api_server_that_answers_nothing_is_one_problem(
    store: Snapshot, access: kube_access.Access, client: kube.KubeClient, server: Server
) -> None:
    server.answers = {kind: (503, {"message": "away"}) for kind in Kind}
    found = await watched.survey(client, ("x", "y"))
    assert list(watched.problems(found).values()) == ["the API server does not answer: 503 away"]


async def test_a_right_taken_from_a_required_kind_stands_in_the_way(
    server: Server, store: Snapshot, access: kube_access.Access, client: kube.KubeClient
) -> None:
    server.answers["chargedapps"] = 403, {"message": "no"}
    server.answers["poddisruptionbudgets"] = 403, {"message": "no"}
    informer = InformerThread(store, access)
    informer._adopt(await watched.survey(client, ()))
    assert len(informer.problems) == 2
    assert informer.blocking == (
        "chargedapps.charon.dev may not be listed in the cluster: "
        "grant the operator get, list and watch",
    )


async def test_nothing_is_synced_before_every_namespace_has_been_answered_for(
    server: Server, store: Snapshot, access: kube_access.Access, client: kube.KubeClient
) -> None:
    informer = InformerThread(store, access, namespaces=("x", "y"))
    informer._adopt(await watched.survey(client, ("x", "y")))
    for kind in set(Kind) - {Kind.NAMESPACES}:
        for namespace in ("x", "y"):
            store.relisted(kind, (), namespace)
    server.answers = {"x": (500, {"message": "away"}), "y": (404, {"message": "none"})}
    assert await labels.read(client, store, ("x", "y")) == (
        "namespace x cannot be read: the API server answers 500",
    )
    assert not store.synced
    server.answers["x"] = 200, FORCED
    assert await labels.read(client, store, ("x", "y")) == ()
    assert store.synced
    assert "charon.dev/force-advisory" in store.namespace_labels("x")


@pytest.mark.parametrize("code", [403, 404, 500])
async def test_a_kill_switch_that_can_be_read_no_more_stays_thrown(
    server: Server, store: Snapshot, client: kube.KubeClient, code: int
) -> None:
    server.answers["x"] = 200, FORCED
    await labels.read(client, store, ("x",))
    server.answers["x"] = code, json.loads(apifault.refusal(code).body)
    told = await labels.read(client, store, ("x",))
    assert bool(told) is (code != 404)
    assert "charon.dev/force-advisory" in store.namespace_labels("x")
