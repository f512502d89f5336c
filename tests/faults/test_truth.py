"""Each invariant is told to be broken when it is, and not when it is not (made-up records)."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults import audit, truth
from tests.faults.audit import Write
from tests.faults.watcher import CHARGED_APPS, DEPLOYMENTS, Sight

LEASE = "charon-operator"


def scale(at_s: float, replicas: int, **other: Any) -> Write:
    made = Write(
        asked_s=at_s,
        answered_s=at_s + 0.01,
        user="operator",
        verb="patch",
        resource="deployments",
        subresource="scale",
        namespace="work",
        name="web",
        code=200,
        credential="A",
        sent={"spec": {"replicas": replicas}},
    )
    return dataclasses.replace(made, **other)


def lease(at_s: float, holder: str, **other: Any) -> Write:
    return scale(
        at_s,
        0,
        verb="update",
        resource="leases",
        subresource="",
        name=LEASE,
        sent={"spec": {"holderIdentity": holder}},
        **other,
    )


def status(at_s: float) -> Write:
    return scale(at_s, 0, resource="chargedapps", subresource="status", sent={"status": {}})


def deployment(at_s: float, replicas: int, version: str = "1", *, gone: bool = False) -> Sight:
    meta = {"namespace": "work", "name": "web", "uid": "d", "resourceVersion": version}
    return Sight(at_s, DEPLOYMENTS, gone, {"metadata": meta, "spec": {"replicas": replicas}})


def app(at_s: float, generation: int = 1, observed: int = 1, **spec: Any) -> Sight:
    meta = {
        "namespace": "work",
        "name": "app",
        "uid": "a",
        "resourceVersion": str(at_s),
        "generation": generation,
    }
    whole = {
        "mode": "Active",
        "scaleTargetRef": {"name": "web"},
        "replicas": {"min": 1, "max": 9},
        **spec,
    }
    body = {"metadata": meta, "spec": whole, "status": {"observedGeneration": observed}}
    return Sight(at_s, CHARGED_APPS, False, body)


def deleting(at_s: float, *, gone: bool) -> Sight:
    base = app(at_s)
    meta = {**base.body["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    return dataclasses.replace(base, body={**base.body, "metadata": meta}, gone=gone)


START = [deployment(0, 4), app(0)]
Judge = Callable[[], truth.Violations]

BROKEN: dict[str, tuple[str, Judge]] = {
    "above the bounds": ("I1", lambda: truth.bounds_are_kept([scale(1, 10)], START)),
    "below the bounds": ("I1", lambda: truth.bounds_are_kept([scale(1, 0)], START)),
    "bounds narrowed long ago": (
        "I1",
        lambda: truth.bounds_are_kept(
            [scale(9, 8)], [*START, app(2, replicas={"min": 1, "max": 5})]
        ),
    ),
    "lowered too soon": (
        "I2",
        lambda: truth.cooldowns_are_kept(truth.moves([scale(1, 6), scale(3, 5)], START), 5),
    ),
    "the same step twice": (
        "I2",
        lambda: truth.no_step_is_repeated(
            truth.moves([scale(1, 6), scale(1.5, 6)], [*START, deployment(1.2, 4, "9")]), 1
        ),
    ),
    "lowered while blind": (
        "I3",
        lambda: truth.no_blind_lowering(truth.moves([scale(5, 3)], START), [(2, 8)], 1),
    ),
    "lowering with a missing indicator": (
        "I3",
        lambda: truth.no_lowering_on_missing(
            [{"decision": {"acts": True, "current": 4, "final": 3}, "missing": {"queued": "Stale"}}]
        ),
    ),
    "a change the journal does not know": (
        "journal",
        lambda: truth.explained(
            truth.moves([scale(1, 6)], START), [{"from": 4, "to": 7, "time": 1.0}]
        ),
    ),
    "written without the Lease": ("I4", lambda: truth.one_writer([scale(1, 5)], LEASE, 3)),
    "written after it ran out": (
        "I4",
        lambda: truth.one_writer([lease(0, "a"), scale(4, 5)], LEASE, 3),
    ),
    "written by the one before": (
        "I4",
        lambda: truth.one_writer(
            [lease(0, "a"), lease(1, "b", credential="B"), scale(2, 5)], LEASE, 3
        ),
    ),
    "deleted a pod": (
        "I5",
        lambda: truth.only_allowed([scale(1, 5, verb="delete", resource="pods", subresource="")]),
    ),
    "wrote more than replicas": (
        "I5",
        lambda: truth.only_allowed([scale(1, 5, sent={"spec": {"replicas": 5, "x": 1}})]),
    ),
    "lacks a right": ("I5", lambda: truth.none_forbidden([scale(1, 5, code=403)])),
    "in another namespace": (
        "I6",
        lambda: truth.own_namespace([scale(1, 5, namespace="other")], START),
    ),
    "for an Advisory app": (
        "I6",
        lambda: truth.own_namespace([scale(1, 5)], [deployment(0, 4), app(0, mode="Advisory")]),
    ),
    "never at rest": ("I7", lambda: truth.is_stable([scale(5, 5)], 2, 60)),
    "status at every turn": (
        "I7",
        lambda: truth.is_stable([status(at) for at in range(9)], 0, 30),
    ),
    "a generation unseen": (
        "I8",
        lambda: truth.specs_are_seen([app(0), app(1, generation=2)], 2, 60),
    ),
    "a generation seen late": (
        "I8",
        lambda: truth.specs_are_seen(
            [app(0), app(1, generation=2), app(9, generation=2, observed=2)], 2, 60
        ),
    ),
    "an app that stays": (
        "I12",
        lambda: truth.deletions_end([deleting(0, gone=False)], 30, 60),
    ),
    "a namespace that stays": ("I12", lambda: truth.namespace_ends([], "work", 30)),
}

KEPT: dict[str, Judge] = {
    "within the bounds": lambda: truth.bounds_are_kept([scale(1, 9)], START),
    "bounds narrowed this moment": lambda: truth.bounds_are_kept(
        [scale(2.3, 8)], [*START, app(2, replicas={"min": 1, "max": 5})]
    ),
    "lowered after the cooldown": lambda: truth.cooldowns_are_kept(
        truth.moves([scale(1, 6), scale(7, 5)], START), 5
    ),
    "raised at once": lambda: truth.cooldowns_are_kept(
        truth.moves([scale(1, 6), scale(2, 8)], START), 5
    ),
    "written twice, moved once": lambda: truth.no_step_is_repeated(
        truth.moves([scale(1, 6), scale(1.5, 6)], [*START, deployment(1.02, 6, "9")]), 1
    ),
    "raised while blind": lambda: truth.no_blind_lowering(
        truth.moves([scale(5, 6)], START), [(2, 8)], 1
    ),
    "advice is no act": lambda: truth.no_lowering_on_missing(
        [{"decision": {"acts": False, "current": 4, "final": 3}, "missing": {"queued": "Stale"}}]
    ),
    "a change the journal explains": lambda: truth.explained(
        truth.moves([scale(1, 6)], START), [{"from": 4, "to": 6, "time": 0.9}]
    ),
    "written by the holder": lambda: truth.one_writer(
        [lease(0, "a"), lease(2, "a"), scale(4, 5), lease(5, "b", credential="B")], LEASE, 3
    ),
    "conflicting lease write": lambda: truth.one_writer(
        [lease(0, "a"), lease(1, "b", credential="B", code=409), scale(2, 5)], LEASE, 3
    ),
    "scale, status, lease": lambda: truth.only_allowed([scale(1, 5), status(1), lease(1, "a")]),
    "its own namespace": lambda: truth.own_namespace([scale(1, 5)], START),
    "one status a minute": lambda: truth.is_stable([status(9)], 0, 30),
    "seen in time": lambda: truth.specs_are_seen(
        [app(0), app(1, generation=2), app(2, generation=2, observed=2)], 2, 60
    ),
    "replaced before it was due": lambda: truth.specs_are_seen(
        [app(0), app(1, generation=2), app(2, 3), app(3, 3, 3)], 2, 60
    ),
    "gone at once": lambda: truth.deletions_end(
        [deleting(0, gone=False), deleting(1, gone=True)], 30, 60
    ),
}


@pytest.mark.parametrize(("number", "judge"), BROKEN.values(), ids=list(BROKEN))
def test_invariant_when_broken_then_it_is_named(number: str, judge: Judge) -> None:
    found = judge()
    assert found
    assert all(text.startswith(number + ": ") for text in found)


@pytest.mark.parametrize("judge", KEPT.values(), ids=list(KEPT))
def test_invariant_when_kept_then_nothing_is_said(judge: Judge) -> None:
    assert judge() == []


def test_namespace_when_finalized_in_time_then_nothing_is_said() -> None:
    asked = scale(
        1, 0, verb="delete", resource="namespaces", subresource="", namespace="", name="work"
    )
    ended = dataclasses.replace(asked, verb="update", subresource="finalize", answered_s=9.0)
    assert truth.namespace_ends([asked, ended], "work", 30) == []
    assert truth.namespace_ends([asked, ended], "work", 5)


def test_moves_when_a_write_changes_nothing_then_it_is_no_move() -> None:
    found = truth.moves([scale(1, 4), scale(2, 6), scale(3, 6), scale(4, 2, code=409)], START)
    assert [(move.before, move.after) for move in found] == [(4, 6)]


def test_log_when_read_from_now_then_only_later_writes_count(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(json.dumps(event(verb="create")) + "\n")
    log = audit.Log.from_now(path)
    with path.open("a") as file:
        file.write(json.dumps(event(verb="patch")) + "\n")
        file.write(json.dumps(event(verb="list")) + "\n")
        file.write(json.dumps(event(verb="patch"))[:50])  # a line being written
    (write,) = log.writes(user="system:serviceaccount:s:o", namespace="work")
    assert (write.verb, write.replicas, write.applied) == ("patch", 7, True)
    assert (write.credential, write.answered_s - write.asked_s) == ("JTI=1", 0.5)
    assert str(write).endswith("patch deployments/scale work/web replicas=7 -> 200")
    assert log.writes(user="somebody") == []


def event(verb: str) -> dict[str, Any]:
    return {
        "verb": verb,
        "stage": "ResponseComplete",
        "user": {
            "username": "system:serviceaccount:s:o",
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"]},
        },
        "objectRef": {
            "resource": "deployments",
            "subresource": "scale",
            "namespace": "work",
            "name": "web",
        },
        "responseStatus": {"code": 200},
        "requestObject": {"spec": {"replicas": 7}},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "stageTimestamp": "2026-01-01T00:00:00.500000Z",
    }
