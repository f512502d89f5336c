"""Lists that pass through Kopf's session reach the snapshot whole, page by page."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import test_utils, web

from charon_operator.clients import kube_access
from charon_operator.handlers import informer, session
from charon_operator.loop.snapshot import Kind, Snapshot
from tests.loop import cluster_bodies as make


@pytest.fixture
def store() -> Snapshot:
    return Snapshot(make.SetClock())


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/apis/apps/v1/deployments", (Kind.DEPLOYMENTS, "")),
        ("/apis/apps/v1/namespaces/ns/deployments", (Kind.DEPLOYMENTS, "ns")),
        ("/apis/charon.dev/v1alpha1/namespaces/ns/chargedapps", (Kind.APPS, "ns")),
        ("/api/v1/namespaces", (Kind.NAMESPACES, "")),
        ("/apis/apps/v1/namespaces/ns/deployments/web", None),
        ("/apis/apps/v1/namespaces/ns/deployments/web/scale", None),
        ("/apis/apps/v1", None),
        ("/apis/apps/v1/daemonsets", None),
        ("/k8s/c-1/apis/apps/v1/deployments", None),
    ],
)
def test_scope_of_a_path(store: Snapshot, path: str, scope: object) -> None:
    assert session.Lists(store).scope(path) == scope


def test_scope_of_a_path_behind_a_prefix(store: Snapshot) -> None:
    lists = session.Lists(store, "/k8s/c-1/")
    assert lists.scope("/k8s/c-1/apis/apps/v1/deployments") == (Kind.DEPLOYMENTS, "")


def page(*names: str, more: str = "") -> dict[str, Any]:
    return {"metadata": {"continue": more}, "items": [make.app(name) for name in names]}


def names(store: Snapshot) -> list[str]:
    return [app.key.name for app in store.apps()]


def test_what_is_on_no_page_has_vanished_after_the_last(store: Snapshot) -> None:
    lists, scope = session.Lists(store), (Kind.APPS, "")
    lists.take(scope, page("a", "b", "c"), first=True)
    lists.take(scope, page("a", more="x"), first=True)
    assert names(store) == ["a", "b", "c"]
    lists.take(scope, page("c", "d"), first=False)
    assert names(store) == ["a", "c", "d"]


def test_a_list_broken_off_says_nothing_of_what_is_gone(store: Snapshot) -> None:
    lists, scope = session.Lists(store), (Kind.APPS, "")
    lists.take(scope, page("a", "b"), first=True)
    lists.take(scope, page("a", more="x"), first=True)
    lists.take(scope, page("a", "c"), first=True)
    assert names(store) == ["a", "c"]


class Server:
    """A fake API server that answers a list with whatever it is given."""

    def __init__(self) -> None:
        self.body: bytes = b""
        self.status = 200
        self.seen: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append(request.headers.get("Authorization", ""))
        return web.Response(body=self.body, status=self.status, content_type="application/json")


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    fake, app = Server(), web.Application()
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    async with test_utils.TestServer(app) as running:
        yield fake, str(running.make_url("/"))


@pytest.fixture
def access(
    tmp_path: Path, server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch
) -> kube_access.Access:
    (tmp_path / "token").write_text("one")
    (tmp_path / "ca.crt").write_text("")
    made = kube_access.in_pod(tmp_path)
    made._settled.host = server[1]
    made._settled.ssl_ca_cert = None
    return made


async def test_kopf_gets_an_empty_page_and_the_snapshot_the_objects(
    store: Snapshot, server: tuple[Server, str], access: kube_access.Access
) -> None:
    fake, url = server
    fake.body = json.dumps({"kind": "ChargedAppList", **page("a", "b")}).encode()
    login = session.Login(access, session.Lists(store))
    info = await login.log_in()
    async with info.aiohttp_session.get(f"{url}apis/charon.dev/v1alpha1/chargedapps") as answer:
        body = await answer.json()
    assert (body["kind"], body["items"]) == ("ChargedAppList", [])
    assert names(store) == ["a", "b"]
    await login.close()


@pytest.mark.parametrize(("path", "heard"), [("chargedapps", True), ("controlpolicies", False)])
async def test_a_granted_watch_is_heard_and_a_refused_one_is_not(
    store: Snapshot,
    server: tuple[Server, str],
    access: kube_access.Access,
    path: str,
    heard: bool,
) -> None:
    fake, url = server
    fake.status = 200 if heard else 503
    store.expect([(Kind.APPS, ""), (Kind.POLICIES, "")])
    login = session.Login(access, session.Lists(store))
    info = await login.log_in()
    address = f"{url}apis/charon.dev/v1alpha1/{path}?watch=true"
    async with info.aiohttp_session.get(address):
        assert set(store.silent_s()) == ({Kind.APPS} if heard else set())
    await login.close()


async def test_a_page_too_long_for_the_pod_is_a_broken_connection_to_kopf(
    store: Snapshot,
    server: tuple[Server, str],
    access: kube_access.Access,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    largest = informer.settings().watching.chunk_size * 3 * 2**19
    # Of a pod of 512 MiB, the page's bytes and eight times as much for what is in them.
    assert largest < session._MAX_LIST_BYTES <= 40 * 2**20
    monkeypatch.setattr(session, "_MAX_LIST_BYTES", 100)
    fake, url = server
    fake.body = json.dumps(page("a")).encode()
    login = session.Login(access, session.Lists(store))
    info = await login.log_in()
    async with info.aiohttp_session.get(f"{url}apis/charon.dev/v1alpha1/chargedapps") as answer:
        with pytest.raises(aiohttp.ClientPayloadError, match="too long"):
            await answer.json()
    assert names(store) == []
    await login.close()


async def test_other_answers_reach_kopf_as_they_are(
    store: Snapshot, server: tuple[Server, str], access: kube_access.Access
) -> None:
    fake, url = server
    fake.body = b'{"items": [1]}'
    login = session.Login(access, session.Lists(store))
    info = await login.log_in()
    async with info.aiohttp_session.get(f"{url}apis/apps/v1") as answer:
        assert await answer.json() == {"items": [1]}
    await login.close()


@pytest.mark.parametrize(
    "body",
    [b"<html>", b'{"items": [', b"[]", b'{"items": 3}', b"null", b"[" * 100_000],
    ids=lambda body: repr(body[:20]),
)
async def test_an_answer_that_is_no_list_is_a_broken_connection_to_kopf(
    store: Snapshot, server: tuple[Server, str], access: kube_access.Access, body: bytes
) -> None:
    fake, url = server
    fake.body = body
    store.listed(Kind.APPS, [make.app("a")])
    login = session.Login(access, session.Lists(store))
    info = await login.log_in()
    async with info.aiohttp_session.get(f"{url}apis/charon.dev/v1alpha1/chargedapps") as answer:
        with pytest.raises(aiohttp.ClientPayloadError, match="the answer to a list is none"):
            await answer.json()
    assert names(store) == ["a"]
    await login.close()


async def test_a_session_sends_the_token_of_now(
    store: Snapshot, server: tuple[Server, str], access: kube_access.Access, tmp_path: Path
) -> None:
    fake, url = server
    fake.body = b"{}"
    login = session.Login(access, session.Lists(store))
    info = await login.log_in()
    for token in ("one", "another"):
        (tmp_path / "token").write_text(token)
        async with info.aiohttp_session.get(f"{url}version") as answer:
            await answer.read()
    assert fake.seen == ["Bearer one", "Bearer another"]
    await login.close()
    assert info.aiohttp_session.closed


async def test_a_missing_token_is_waited_for(
    store: Snapshot,
    access: kube_access.Access,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "token").unlink()

    async def sleep(_: float) -> None:
        if "Cannot log in" in caplog.text:
            (tmp_path / "token").write_text("late")

    monkeypatch.setattr("charon_operator.handlers.session.asyncio.sleep", sleep)
    login = session.Login(access, session.Lists(store))
    await login.log_in()
    assert "Cannot log in to the API server yet" in caplog.text
    await login.close()


async def test_logins_in_a_row_wait_longer_and_longer(
    store: Snapshot, access: kube_access.Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("charon_operator.handlers.session.asyncio.sleep", sleep)
    login = session.Login(access, session.Lists(store))
    for _ in range(7):
        await login.log_in()
    assert waited == [0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    await login.close()
