"""Kopf is set up as an informer that cannot write, cannot be blinded and never gives up."""

import asyncio
import itertools
from collections.abc import Sized
from typing import Any

import kopf
import pytest

from charon_operator.clients import kube_access
from charon_operator.handlers import informer, life, session, watched
from charon_operator.loop.snapshot import Kind, Snapshot
from charon_operator.model.workload import Absent, Target
from tests.loop import cluster_bodies as make


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("posting.enabled", False),
        ("peering.standalone", True),
        ("scanning.disabled", True),
        ("watching.inactivity_timeout", 70),
        ("watching.server_timeout", 600),
        ("watching.client_timeout", 660),
        ("watching.connect_timeout", 10),
        ("watching.reconnect_backoff", 1.0),
        ("watching.chunk_size", 20),
        ("watching.initial_streaming", False),
        ("networking.request_timeout", 20),
        ("networking.connect_timeout", 5),
        ("networking.enforce_retry_after", False),
        ("networking.trust_env", False),
        ("queueing.error_delays", [1, 1, 2, 3, 5, 8, 13, 21, 30]),
        ("queueing.worker_limit", None),
        ("queueing.idle_timeout", 1.0),
        ("process.ultimate_exiting_timeout", 25),
    ],
)
def test_setting_is(path: str, value: object) -> None:
    part, name = path.split(".")
    found = getattr(getattr(informer.settings(), part), name)
    assert found == value


@pytest.mark.parametrize(
    "name", ["server_timeout", "client_timeout", "connect_timeout", "chunk_size"]
)
def test_what_goes_into_an_address_is_a_whole_number(name: str) -> None:
    assert isinstance(getattr(informer.settings().watching, name), int)


def test_back_offs_never_end_and_begin_anew() -> None:
    backoffs = informer.settings().networking.error_backoffs
    assert isinstance(backoffs, informer.JitteredForever)
    assert not isinstance(backoffs, Sized)
    for _ in range(2):
        first = list(itertools.islice(backoffs, 1000))
        assert first[0] <= 1.0
        assert all(0.5 <= one <= 15.0 for one in first)
        assert min(first[10:]) >= 7.5


def test_no_comparison_is_stored_anywhere() -> None:
    storage = informer.settings().persistence.diffbase_storage
    assert storage.build(body=kopf.Body({"spec": {"x": 1}})) == {}
    assert storage.fetch(body=kopf.Body({})) is None


@pytest.fixture
def store() -> Snapshot:
    return Snapshot(make.SetClock())


def handlers_of(store: Snapshot, kinds: list[Kind]) -> kopf.OperatorRegistry:
    access = kube_access.Access.__new__(kube_access.Access)
    login = session.Login(access, session.Lists(store))
    return informer.registry(kinds, store, login, life.Deadline(asyncio.Event()))


def test_there_are_event_handlers_and_a_login_and_nothing_else(store: Snapshot) -> None:
    registry = handlers_of(store, list(Kind))
    watching = registry._watching.get_all_handlers()
    assert sorted(str(handler.id) for handler in watching) == sorted(Kind)
    for other in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert other.get_all_handlers() == []
    assert [str(h.id) for h in registry._activities.get_all_handlers()] == [
        "login",
        "end",
    ]


def test_each_kind_is_watched_at_its_own_api(store: Snapshot) -> None:
    registry = handlers_of(store, list(Kind))
    found = {str(handler.id): handler.selector for handler in registry._watching.get_all_handlers()}
    for kind, resource in watched.RESOURCES.items():
        selector = found[kind]
        assert selector is not None
        assert (selector.group, selector.version, selector.plural) == (
            resource.group,
            resource.version,
            kind,
        )


async def fire(store: Snapshot, kind: Kind, event: dict[str, Any]) -> None:
    [handler] = handlers_of(store, [kind])._watching.get_all_handlers()
    await handler.fn(event=event, body={}, patch={})  # type: ignore[call-arg]


async def test_events_reach_the_snapshot(store: Snapshot) -> None:
    web = Target("Deployment", "ns", "web")
    store.relisted(Kind.DEPLOYMENTS, ())
    for kind_of_event in (None, "ADDED", "MODIFIED"):
        body = make.deployment()
        await fire(store, Kind.DEPLOYMENTS, {"type": kind_of_event, "object": body})
        assert not isinstance(store.workload(web), Absent)
    await fire(store, Kind.DEPLOYMENTS, {"type": "DELETED", "object": make.deployment()})
    assert isinstance(store.workload(web), Absent)


@pytest.mark.parametrize("body", [None, 3, [], {"metadata": 5}, {"metadata": {"labels": 3}}])
async def test_an_object_made_of_anything_does_not_raise(store: Snapshot, body: Any) -> None:
    for kind in Kind:
        await fire(store, kind, {"type": "MODIFIED", "object": body})
