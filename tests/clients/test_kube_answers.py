"""What becomes of whatever a server answers: an outcome in time, never an exception.

The server is a fake: the real one cannot be made to answer like this.
"""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import test_utils, web
from kubernetes.aio.client import configuration

from charon_operator import ports
from charon_operator.clients import kube, kube_access
from charon_operator.model.workload import Absent, Key, Target
from charon_operator.ports import NoLease, WriteOutcome
from tests.clients.fake_api import TOKEN, Fake

WEB = Target("Deployment", "ns", "web")
APP = Key("ns", "one")


async def scale(client: kube.KubeClient) -> ports.WriteResult:
    return await client.set_replicas(WEB, 3, "5")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, WriteOutcome.WRITTEN),
        (201, WriteOutcome.WRITTEN),
        (400, WriteOutcome.REFUSED),
        (401, WriteOutcome.REFUSED),
        (403, WriteOutcome.REFUSED),
        (404, WriteOutcome.GONE),
        (408, WriteOutcome.UNREACHABLE),
        (409, WriteOutcome.CONFLICT),
        (413, WriteOutcome.REFUSED),
        (422, WriteOutcome.REFUSED),
        (429, WriteOutcome.UNREACHABLE),
        (500, WriteOutcome.UNREACHABLE),
        (503, WriteOutcome.UNREACHABLE),
        (504, WriteOutcome.UNREACHABLE),
    ],
)
async def test_outcome_of_a_write_by_status(
    fake: Fake, client: kube.KubeClient, status: int, outcome: WriteOutcome
) -> None:
    fake.always(status)
    result = await scale(client)
    assert result.outcome is outcome


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>sign in</html>"),
        (404, "404 page not found"),
        (200, '{"meta'),
        (403, "no"),
        (200, "[" * 19_000),
    ],
    ids=["a login page", "a proxy's 404", "half JSON", "a proxy's 403", "nested deep"],
)
async def test_words_that_are_not_the_api_servers_mean_unreachable(
    fake: Fake, client: kube.KubeClient, status: int, body: str
) -> None:
    fake.always(status, body)
    assert (await scale(client)).outcome is WriteOutcome.UNREACHABLE
    assert await client.workload(WEB) is None


async def test_an_answer_that_is_too_long_is_none(fake: Fake, client: kube.KubeClient) -> None:
    fake.always(200, json.dumps({"x": "y" * 30_000}))
    result = await scale(client)
    assert (result.outcome, result.detail) == (
        WriteOutcome.UNREACHABLE,
        "the answer is too long",
    )


async def test_an_answer_cut_short_is_none(fake: Fake, client: kube.KubeClient) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"metadata":')
        assert request.transport is not None
        request.transport.abort()
        return response

    fake.say = cut
    assert (await scale(client)).outcome is WriteOutcome.UNREACHABLE


async def test_a_redirect_is_not_followed_and_gets_no_credentials(
    fake: Fake, client: kube.KubeClient
) -> None:
    fake.always(302, Location="/elsewhere")
    result = await scale(client)
    assert result.outcome is WriteOutcome.UNREACHABLE
    assert "must not redirect" in result.detail
    assert [request.path for request in fake.requests] == [
        "/apis/apps/v1/namespaces/ns/deployments/web/scale"
    ]


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    port = test_utils.unused_port()
    settled = configuration.Configuration(host=f"http://127.0.0.1:{port}")
    async with kube.KubeClient(kube_access.Access(settled)) as client:
        assert (await scale(client)).outcome is WriteOutcome.UNREACHABLE
        assert await client.workload(WEB) is None
        assert await client.lease("ns", "x").read(1) is NoLease.UNREACHABLE


async def test_silence_ends_at_the_deadline(fake: Fake, client: kube.KubeClient) -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    fake.say = silent
    client.fence = lambda: 0.05
    result = await scale(client)
    assert (result.outcome, result.detail) == (
        WriteOutcome.UNREACHABLE,
        "no answer within 0.1 s",
    )


async def test_no_write_begins_outside_the_fence(fake: Fake, client: kube.KubeClient) -> None:
    client.fence = lambda: 0.0
    results = [
        await scale(client),
        await client.patch_status(APP, "u", {}),
        await client.post_event(ports.Event(APP, "u", "Scaled", "text")),
    ]
    assert fake.requests == []
    assert WriteOutcome.WRITTEN not in [result.outcome for result in results]


@pytest.mark.parametrize("asked", ["60", "9999999", None, "Wed, 21 Oct 2015 07:28:00 GMT"], ids=str)
async def test_after_429_nothing_is_sent_until_the_time_asked_for(
    fake: Fake, client: kube.KubeClient, asked: str | None
) -> None:
    fake.always(429, **({"Retry-After": asked} if asked else {}))
    await scale(client)
    client.fence = lambda: 0.05
    fake.always(200)
    result = await scale(client)
    assert result.outcome is WriteOutcome.UNREACHABLE
    assert "asked to wait" in result.detail
    assert len(fake.requests) == 1


async def test_a_pause_shorter_than_the_deadline_is_waited_out(
    fake: Fake, client: kube.KubeClient
) -> None:
    fake.always(429, **{"Retry-After": "1"})
    await scale(client)
    fake.always(200)
    assert (await scale(client)).outcome is WriteOutcome.WRITTEN


async def test_a_pause_does_not_stop_the_lease(fake: Fake, client: kube.KubeClient) -> None:
    fake.always(429, **{"Retry-After": "60"})
    await scale(client)
    fake.always(404)
    assert await client.lease("ns", "x").read(1) is NoLease.ABSENT


async def test_a_write_without_a_known_version_is_not_sent(
    fake: Fake, client: kube.KubeClient
) -> None:
    result = await client.set_replicas(WEB, 3, "")
    assert result.outcome is WriteOutcome.CONFLICT
    assert fake.requests == []


@pytest.mark.parametrize(("status", "reason"), [(404, "TargetNotFound"), (403, "TargetNotAllowed")])
async def test_a_target_that_cannot_be_read_says_why(
    fake: Fake, client: kube.KubeClient, status: int, reason: str
) -> None:
    fake.always(status, {"details": {"name": WEB.name}})
    found = await client.workload(WEB)
    assert isinstance(found, Absent)
    assert found.reason == reason
    assert str(WEB) in found.detail


async def test_a_target_is_not_gone_because_a_path_is_not_found(
    fake: Fake, client: kube.KubeClient
) -> None:
    fake.always(404, {"message": "the server could not find the requested resource"})
    assert await client.workload(WEB) is None


async def test_an_object_of_another_kind_is_no_target(fake: Fake, client: kube.KubeClient) -> None:
    fake.always(200, {"kind": "Status"})
    assert await client.workload(WEB) is None


async def test_details_are_short_and_hold_no_token(fake: Fake, client: kube.KubeClient) -> None:
    fake.always(403, {"message": "m" * 5000})
    result = await scale(client)
    assert len(result.detail) == 256
    assert TOKEN not in result.detail


async def test_a_status_is_written_on_the_version_last_seen(
    fake: Fake, client: kube.KubeClient
) -> None:
    bodies: list[Any] = []

    async def say(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json() if request.can_read_body else None)
        return web.json_response({"metadata": {"uid": "u", "resourceVersion": "7"}})

    fake.say = say
    await client.patch_status(APP, "u", {"a": 1})
    await client.patch_status(APP, "u", {"a": 2})
    assert [request.method for request in fake.requests] == ["GET", "PATCH", "PATCH"]
    assert bodies[1:] == [
        {"metadata": {"resourceVersion": "7"}, "status": {"a": 1}},
        {"metadata": {"resourceVersion": "7"}, "status": {"a": 2}},
    ]


async def test_versions_of_statuses_not_written_for_long_are_forgotten(
    fake: Fake, client: kube.KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def say(request: web.Request) -> web.StreamResponse:
        return web.json_response({"metadata": {"uid": "u", "resourceVersion": "7"}})

    fake.say = say
    monkeypatch.setattr(kube, "_VERSIONS_KEPT", 2)
    for name in ("kept", "gone", "kept", "new"):
        await client.patch_status(Key("ns", name), "u", {})
    assert sorted(key.name for key in client._versions) == ["kept", "new"]


async def test_a_status_conflict_is_tried_thrice_on_what_is_read(
    fake: Fake, client: kube.KubeClient
) -> None:
    async def say(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"metadata": {"uid": "u", "resourceVersion": "7"}})
        return web.json_response({"message": "conflict"}, status=409)

    fake.say = say
    result = await client.patch_status(APP, "u", {})
    assert result.outcome is WriteOutcome.CONFLICT
    assert [request.method for request in fake.requests] == ["GET", "PATCH"] * 3
