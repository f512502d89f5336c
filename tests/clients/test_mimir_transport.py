"""How Mimir is asked: tenant, credentials, redirects, retries."""

import base64
import json
import os
import urllib.parse
from pathlib import Path

import httpx
import pytest

from charon_operator import settings
from charon_operator.clients import mimir
from charon_operator.ports import FailureKind, QueryFailure, Series, Vector

GOOD = (
    b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}}'
)
SEVEN = Vector((Series({}, 2.0, 1.0),))
CANARY = "canary-7f3e"


async def ask(client: mimir.MimirClient, tenant: str = "t", timeout_s: float = 5.0) -> object:
    """One query; what came of it."""
    return await client.query(tenant, "up + 1", time_s=12.3456, timeout_s=timeout_s)


def _recorded(seen: list[httpx.Request]) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(GOOD))

    return httpx.MockTransport(answer)


async def test_a_query_when_sent_then_a_form_with_tenant_time_and_timeout() -> None:
    seen: list[httpx.Request] = []
    config = settings.Mimir(url="http://mimir:8080/prometheus/")
    async with mimir.MimirClient(config, _recorded(seen)) as client:
        assert await ask(client, "team-a") == SEVEN
    request = seen[0]
    assert str(request.url) == "http://mimir:8080/prometheus/api/v1/query"
    assert request.method == "POST"
    assert request.headers.get_list("X-Scope-OrgID") == ["team-a"]
    assert request.headers["Accept-Encoding"] == "identity"
    assert "Authorization" not in request.headers
    form = urllib.parse.parse_qs(request.content.decode())
    assert form == {"query": ["up + 1"], "time": ["12.346"], "timeout": ["5.000"]}


@pytest.mark.parametrize(
    "tenant", ["", "a|b", "../", "a\r\nX-Evil: 1", "a\n", "é", "a" * 151, "a b", "a/b"]
)
async def test_a_tenant_when_it_is_not_one_then_nothing_is_sent(tenant: str) -> None:
    seen: list[httpx.Request] = []
    async with mimir.MimirClient(settings.Mimir(), _recorded(seen)) as client:
        found = await ask(client, tenant)
    assert isinstance(found, QueryFailure)
    assert found.kind is FailureKind.UNAVAILABLE
    assert seen == []


async def test_a_token_when_its_file_changes_then_the_new_one_is_sent(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    seen: list[httpx.Request] = []
    config = settings.Mimir(bearer_token_file=token)
    async with mimir.MimirClient(config, _recorded(seen)) as client:
        await ask(client)
        changed = tmp_path / "next"
        changed.write_text("second")
        os.replace(changed, token)  # as a mounted Secret changes
        await ask(client)
        token.unlink()
        found = await ask(client)
    assert [one.headers["Authorization"] for one in seen] == ["Bearer first", "Bearer second"]
    assert isinstance(found, QueryFailure)
    assert found.kind is FailureKind.UNAVAILABLE


@pytest.mark.parametrize("content", [b"", b" \n", b"a\nb", b"a\x00b", "é".encode(), b"a\r\nX: y"])
async def test_a_token_when_it_cannot_stand_in_a_header_then_nothing_is_sent(
    tmp_path: Path, content: bytes
) -> None:
    token = tmp_path / "token"
    token.write_bytes(content)
    seen: list[httpx.Request] = []
    config = settings.Mimir(bearer_token_file=token)
    async with mimir.MimirClient(config, _recorded(seen)) as client:
        found = await ask(client)
    assert isinstance(found, QueryFailure)
    assert found.kind is FailureKind.UNAVAILABLE
    assert seen == []


async def test_a_password_when_configured_then_basic_authentication(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret")
    seen: list[httpx.Request] = []
    config = settings.Mimir(username="me", password_file=password)
    async with mimir.MimirClient(config, _recorded(seen)) as client:
        await ask(client)
    wanted = base64.b64encode(b"me:s3cret").decode()
    assert seen[0].headers["Authorization"] == f"Basic {wanted}"


@pytest.mark.parametrize("basic", [False, True])
async def test_a_secret_when_the_store_echoes_it_then_it_is_not_in_words(
    tmp_path: Path, basic: bool
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)

    def echo(request: httpx.Request) -> httpx.Response:
        words = f"{CANARY} {request.headers['Authorization']} {'x' * 1000}"
        body = {"status": "error", "errorType": "bad_data", "error": words}
        return httpx.Response(400, stream=httpx.ByteStream(json.dumps(body).encode()))

    config = (
        settings.Mimir(username="me", password_file=secret)
        if basic
        else settings.Mimir(bearer_token_file=secret)
    )
    async with mimir.MimirClient(config, httpx.MockTransport(echo)) as client:
        found = await ask(client)
    assert isinstance(found, QueryFailure)
    assert CANARY not in found.detail
    assert base64.b64encode(f"me:{CANARY}".encode()).decode() not in found.detail
    assert CANARY not in repr(client.__dict__)
    assert len(found.detail) <= 256


async def test_a_redirect_when_given_then_nobody_else_is_asked(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(CANARY)
    hosts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(
            307,
            headers={"Location": "http://169.254.169.254/latest"},
            stream=httpx.ByteStream(b""),
        )

    config = settings.Mimir(url="http://mimir", bearer_token_file=token)
    async with mimir.MimirClient(config, httpx.MockTransport(answer)) as client:
        found = await ask(client)
    assert found == QueryFailure(FailureKind.UNAVAILABLE, "HTTP 307")
    assert hosts == ["mimir"]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (httpx.ConnectError("refused"), 2),
        (httpx.ReadError("reset"), 2),
        (httpx.RemoteProtocolError("gone"), 2),
        (httpx.UnsupportedProtocol("no"), 1),
        (httpx.ReadTimeout("slow"), 1),
    ],
    ids=lambda one: str(one),
)
async def test_a_connection_when_it_breaks_before_an_answer_then_asked_once_more(
    error: Exception, tries: int
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise error

    async with mimir.MimirClient(settings.Mimir(), httpx.MockTransport(answer)) as client:
        found = await ask(client)
    assert isinstance(found, QueryFailure)
    late = isinstance(error, httpx.TimeoutException)
    assert found.kind is (FailureKind.TIMEOUT if late else FailureKind.UNAVAILABLE)
    assert len(asked) == tries


async def test_a_connection_when_it_breaks_once_then_the_second_answer_counts() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 1:
            raise httpx.RemoteProtocolError("the server closed an idle connection")
        return httpx.Response(200, stream=httpx.ByteStream(GOOD))

    async with mimir.MimirClient(settings.Mimir(), httpx.MockTransport(answer)) as client:
        assert await ask(client) == SEVEN


@pytest.mark.parametrize("surrogate", ["\ud800"])
async def test_a_query_when_it_is_not_unicode_then_rejected(surrogate: str) -> None:
    async with mimir.MimirClient(settings.Mimir(), _recorded([])) as client:
        found = await client.query("t", surrogate, time_s=1.0, timeout_s=1.0)
    assert isinstance(found, QueryFailure)
    assert found.kind is FailureKind.REJECTED
