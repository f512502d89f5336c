"""The snapshot follows lists and events, however late, doubled or out of order they come."""

import asyncio
import copy
import threading
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.loop.snapshot import Kind, Snapshot
from charon_operator.model import body
from charon_operator.model.app import ChargedApp
from charon_operator.model.facts import Broken
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.workload import Absent, Key, Target, Workload
from tests.loop import cluster_bodies as make

WEB = Target("Deployment", "ns", "web")


@pytest.fixture
def store() -> Snapshot:
    return Snapshot(make.SetClock())


def relist(store: Snapshot, kind: Kind, *bodies: dict[str, Any], namespace: str = "") -> None:
    store.relisted(kind, store.listed(kind, bodies), namespace)


def replicas(store: Snapshot) -> int | None:
    found = store.workload(WEB)
    return found.replicas if isinstance(found, Workload) else None


def floor(store: Snapshot) -> int | None:
    found = store.workload(WEB)
    assert isinstance(found, Workload)
    return found.min_available


def test_a_target_is_unknown_before_its_kind_is_listed_and_absent_after(store: Snapshot) -> None:
    assert store.workload(WEB) is None
    relist(store, Kind.DEPLOYMENTS)
    found = store.workload(WEB)
    assert isinstance(found, Absent)
    assert found.detail == (
        "Deployment ns/web does not exist: create it, or correct scaleTargetRef"
    )


def test_a_list_of_one_namespace_says_nothing_of_another(store: Snapshot) -> None:
    relist(store, Kind.DEPLOYMENTS, namespace="other")
    assert store.workload(WEB) is None


def test_what_a_list_does_not_name_has_vanished(store: Snapshot) -> None:
    relist(store, Kind.APPS, make.app("a"), make.app("b"), make.app("c", "far"))
    relist(store, Kind.APPS, make.app("b"), namespace="ns")
    assert [str(app.key) for app in store.apps()] == ["far/c", "ns/b"]


def test_an_older_event_does_not_overwrite_a_newer_one(store: Snapshot) -> None:
    old, new = make.deployment(replicas=3), make.deployment(replicas=5)
    for event in (new, old, copy.deepcopy(old)):
        store.put(Kind.DEPLOYMENTS, event)
    assert replicas(store) == 5


def test_a_list_overwrites_whatever_its_versions(store: Snapshot) -> None:
    restored, lost = make.deployment(replicas=3), make.deployment(replicas=5)
    store.put(Kind.DEPLOYMENTS, lost)
    relist(store, Kind.DEPLOYMENTS, restored)
    assert replicas(store) == 3


def test_a_late_event_does_not_bring_back_what_was_deleted(store: Snapshot) -> None:
    late, last = make.deployment(), make.deployment()
    store.drop(Kind.DEPLOYMENTS, last)
    store.put(Kind.DEPLOYMENTS, late)
    assert replicas(store) is None


def test_a_target_made_anew_survives_the_end_of_the_one_before(store: Snapshot) -> None:
    store.put(Kind.DEPLOYMENTS, make.deployment(replicas=3))
    store.put(Kind.DEPLOYMENTS, make.deployment(replicas=7, uid="new"))
    store.drop(Kind.DEPLOYMENTS, make.deployment(replicas=3))
    assert replicas(store) == 7


@given(st.data())
def test_events_in_any_order_end_in_the_same_state(data: st.DataObject) -> None:
    events = [("put", make.deployment(replicas=n)) for n in range(1, 6)]
    if data.draw(st.booleans()):
        events.append(("drop", make.deployment(replicas=9)))
    shuffled = data.draw(st.permutations(events * 2))
    store = Snapshot(make.SetClock())
    relist(store, Kind.DEPLOYMENTS)
    for what, event in shuffled:
        getattr(store, what)(Kind.DEPLOYMENTS, event)
    assert replicas(store) == (None if events[-1][0] == "drop" else 5)


def test_a_spec_that_cannot_be_used_is_broken_and_others_are_not(store: Snapshot) -> None:
    wrong = make.app("wrong")
    wrong["spec"]["replicas"] = {"min": 5, "max": 2}
    relist(store, Kind.APPS, wrong, make.app("right"))
    right, broken = store.apps()
    assert isinstance(right, ChargedApp)
    assert isinstance(broken, Broken)
    assert (broken.field, broken.message) == (
        "spec.replicas",
        "min must not be greater than max",
    )


@pytest.mark.parametrize(
    "nonsense",
    [{"metadata": {"name": "x"}, "spec": 3}, {"metadata": {"name": "x"}, "spec": []}, {}],
    ids=["a number", "a list", "nothing"],
)
def test_a_body_no_schema_has_seen_is_broken(store: Snapshot, nonsense: dict[str, Any]) -> None:
    store.put(Kind.APPS, nonsense)
    assert isinstance(store.apps()[0], Broken)


def test_a_status_alone_leaves_the_app_as_it_was_read(store: Snapshot) -> None:
    store.put(Kind.APPS, make.app())
    first, version = store.apps()[0], store.version
    store.put(Kind.APPS, make.app(status={"lastDecision": {"to": 3}}))
    assert store.apps()[0] is first
    assert store.status(Key("ns", "one")) == {"lastDecision": {"to": 3}}
    assert store.version == version


def test_a_new_generation_and_a_deletion_are_read_anew(store: Snapshot) -> None:
    store.put(Kind.APPS, make.app())
    store.put(Kind.APPS, make.app(target="api", generation=2))
    changed = store.apps()[0]
    assert isinstance(changed, ChargedApp)
    assert changed.target.name == "api"
    store.put(Kind.APPS, make.app(generation=2, deletionTimestamp="2026-11-02T00:00:00Z"))
    leaving = store.apps()[0]
    assert isinstance(leaving, ChargedApp)
    assert leaving.deleting


def test_a_policy_is_read_or_broken_or_none(store: Snapshot) -> None:
    good = {"metadata": make.meta("good"), "spec": {"periodSeconds": 5}}
    bad = {"metadata": make.meta("bad"), "spec": {"periodSeconds": 0}}
    relist(store, Kind.POLICIES, good, bad)
    assert isinstance(store.policy(Key("ns", "good")), ControlPolicy)
    assert isinstance(store.policy(Key("ns", "bad")), Broken)
    assert store.policy(Key("ns", "none")) is None


def test_a_floor_comes_and_goes_with_its_budget(store: Snapshot) -> None:
    store.put(Kind.DEPLOYMENTS, make.deployment())
    assert floor(store) is None
    store.put(Kind.BUDGETS, make.budget(2))
    assert floor(store) == 2
    store.put(Kind.BUDGETS, make.budget("50%"))
    assert floor(store) is None


def test_a_fresh_read_is_taken_unless_the_watch_is_ahead(store: Snapshot) -> None:
    first, second, third = (make.deployment(replicas=n) for n in (1, 2, 3))
    store.put(Kind.DEPLOYMENTS, first)
    store.put(Kind.BUDGETS, make.budget(1))
    store.put_workload(body.workload(third, "Deployment"))
    assert replicas(store) == 3
    store.put_workload(body.workload(second, "Deployment"))
    assert replicas(store) == 3
    assert floor(store) == 1


def test_a_fresh_read_of_what_is_gone_is_taken(store: Snapshot) -> None:
    relist(store, Kind.DEPLOYMENTS, make.deployment())
    store.put_workload(Absent(WEB, "TargetNotFound", ""))
    assert isinstance(store.workload(WEB), Absent)


def test_a_target_that_may_not_be_read_now_is_not_forgotten(store: Snapshot) -> None:
    relist(store, Kind.DEPLOYMENTS, make.deployment(replicas=2))
    store.put_workload(Absent(WEB, "TargetNotAllowed", ""))
    assert replicas(store) == 2


def test_rivals_are_who_else_moves_the_target(store: Snapshot) -> None:
    for name, more in {
        "one": {},
        "two": {},
        "looking": {"mode": "Advisory"},
        "publishing": {"actuation": "Metric"},
        "elsewhere": {"target": "api"},
        "leaving": {"deletionTimestamp": "2026-11-02T00:00:00Z"},
    }.items():
        store.put(Kind.APPS, make.app(name, **more))
    store.put(Kind.HPAS, make.hpa())
    store.put(Kind.SCALED_OBJECTS, make.hpa("web-so"))
    one = next(app for app in store.apps() if app.key.name == "one")
    assert isinstance(one, ChargedApp)
    assert [(rival.kind, rival.name) for rival in store.rivals(one)] == [
        ("ChargedApp", "two"),
        ("HorizontalPodAutoscaler", "web-hpa"),
        ("ScaledObject", "web-so"),
    ]


def test_a_rival_that_turns_away_is_none_any_more(store: Snapshot) -> None:
    store.put(Kind.APPS, make.app())
    store.put(Kind.HPAS, make.hpa())
    store.put(Kind.HPAS, make.hpa(target="api"))
    store.put(Kind.APPS, make.app("two"))
    store.put(Kind.APPS, make.app("two", mode="Advisory", generation=2))
    one = store.apps()[0]
    assert isinstance(one, ChargedApp)
    assert store.rivals(one) == ()


def test_synced_means_every_expected_kind_was_listed(store: Snapshot) -> None:
    assert not store.synced
    store.expect([(Kind.APPS, "a"), (Kind.APPS, "b")])
    relist(store, Kind.APPS, namespace="a")
    assert not store.synced
    relist(store, Kind.APPS, namespace="b")
    assert store.synced


def test_silence_is_of_what_is_watched_and_ends_with_whatever_is_heard() -> None:
    clock = make.SetClock()
    store = Snapshot(clock)
    store.expect([(Kind.DEPLOYMENTS, ""), (Kind.HPAS, "")])
    for kind in (Kind.DEPLOYMENTS, Kind.SCALED_OBJECTS):
        relist(store, kind)
    clock.monotonic += 77.0
    assert store.silent_s() == {Kind.DEPLOYMENTS: 77.0}
    store.put(Kind.DEPLOYMENTS, make.deployment())
    store.heard(Kind.HPAS)
    assert store.silent_s() == {Kind.DEPLOYMENTS: 0.0, Kind.HPAS: 0.0}


def test_labels_of_a_namespace_are_empty_when_they_may_not_be_read(store: Snapshot) -> None:
    assert store.namespace_labels("ns") == {}
    store.put(Kind.NAMESPACES, {"metadata": {"name": "ns", "labels": {"team": "a"}}})
    assert store.namespace_labels("ns") == {"team": "a"}


async def test_an_app_seen_in_another_thread_wakes_the_loop(store: Snapshot) -> None:
    changed = asyncio.Event()
    end = store.wake(asyncio.get_running_loop(), changed)
    threading.Thread(target=store.put, args=(Kind.APPS, make.app())).start()
    await asyncio.wait_for(changed.wait(), 10)
    changed.clear()
    store.put(Kind.DEPLOYMENTS, make.deployment())
    store.put(Kind.APPS, make.app(status={"x": 1}))
    await asyncio.sleep(0)
    assert not changed.is_set()
    end()
    store.put(Kind.APPS, make.app("two"))
    await asyncio.sleep(0)
    assert not changed.is_set()


def test_a_loop_that_has_ended_is_not_woken(store: Snapshot) -> None:
    loop = asyncio.new_event_loop()
    store.wake(loop, asyncio.Event())
    loop.close()
    store.put(Kind.APPS, make.app())
    assert len(store.apps()) == 1


def test_an_app_and_its_target_take_less_than_10_kb(store: Snapshot) -> None:
    # Status, managed fields and annotations as long as they are in a cluster that is used.
    fields = [{"manager": "kubectl", "fieldsV1": {"f:spec": {f"f:x{n}": {} for n in range(50)}}}]
    status = {
        "conditions": [
            {"type": t, "status": "True", "reason": "Fine", "message": "m" * 100}
            for t in ("Ready", "MetricsHealthy", "ObjectivesMet", "Actuating", "OwnershipConflict")
        ],
        "lastDecision": {"decisionId": "0123456789abcdef", "message": "m" * 200, "from": 1},
    }
    apps = 300
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for n in range(apps):
            one = make.app(f"app-{n}", target=f"web-{n}", status=copy.deepcopy(status))
            store.put(Kind.APPS, one)
            target = make.deployment(f"web-{n}", managedFields=copy.deepcopy(fields))
            store.put(Kind.DEPLOYMENTS, target)
        del one, target
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown / apps < 10_000
