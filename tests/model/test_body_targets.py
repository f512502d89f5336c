"""What is read out of the bodies of targets, budgets, rivals and intents."""

from typing import Any

import pytest

from charon_operator.model import body
from charon_operator.model.decision import PendingAction
from charon_operator.model.workload import Rollout
from tests.loop import cluster_bodies as make

DONE = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}


@pytest.mark.parametrize(
    ("status", "rollout"),
    [
        pytest.param({}, Rollout.SETTLED, id="no condition yet"),
        pytest.param({"conditions": [DONE]}, Rollout.SETTLED, id="rolled out"),
        pytest.param(
            {"conditions": [{**DONE, "reason": "ReplicaSetUpdated"}]},
            Rollout.IN_FLIGHT,
            id="pods of the new template are not all available",
        ),
        pytest.param(
            {"conditions": [{**DONE, "reason": "DeploymentPaused"}]},
            Rollout.SETTLED,
            id="a paused deployment rolls nothing",
        ),
        pytest.param({"updatedReplicas": 2}, Rollout.IN_FLIGHT, id="old pods are still there"),
        pytest.param({"observedGeneration": 0}, Rollout.IN_FLIGHT, id="spec not yet observed"),
        pytest.param(
            {"conditions": [{**DONE, "status": "False", "reason": "ProgressDeadlineExceeded"}]},
            Rollout.STUCK,
            id="progress deadline exceeded",
        ),
    ],
)
def test_rollout_of_a_deployment(status: dict[str, Any], rollout: Rollout) -> None:
    assert body.workload(make.deployment(status=status), "Deployment").rollout is rollout


@pytest.mark.parametrize(
    ("spec", "status", "rollout"),
    [
        ({}, {"currentRevision": "a", "updateRevision": "a"}, Rollout.SETTLED),
        ({}, {"currentRevision": "a", "updateRevision": "b"}, Rollout.IN_FLIGHT),
        (
            {"updateStrategy": {"type": "OnDelete"}},
            {"currentRevision": "a", "updateRevision": "b"},
            Rollout.SETTLED,
        ),
        (
            {"updateStrategy": {"rollingUpdate": {"partition": 2}}},
            {"currentRevision": "a", "updateRevision": "b", "updatedReplicas": 1},
            Rollout.SETTLED,
        ),
    ],
    ids=["same revision", "rolling", "old pods wait to be deleted", "rolled down to the partition"],
)
def test_rollout_of_a_stateful_set(
    spec: dict[str, Any], status: dict[str, Any], rollout: Rollout
) -> None:
    found = make.deployment(status={"updatedReplicas": 0, **status})
    found["spec"].update(spec)
    assert body.workload(found, "StatefulSet").rollout is rollout


def test_a_failure_to_create_pods_is_told_in_the_controllers_words() -> None:
    failed = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: few"}
    found = body.workload(make.deployment(status={"conditions": [failed]}), "Deployment")
    assert found.replica_failure == "exceeded quota: few"


def test_only_the_controlling_owner_is_named() -> None:
    owners = [
        {"kind": "Team", "name": "a"},
        {"kind": "Rollouts", "name": "b", "controller": True},
    ]
    found = body.workload(make.deployment(ownerReferences=owners), "Deployment")
    assert found.controlled_by == "Rollouts b"


def managed(manager: str, *, time: str | None = None, replicas: bool = True) -> dict[str, Any]:
    fields = {"f:spec": {"f:replicas": {}} if replicas else {"f:paused": {}}}
    return {"manager": manager, "fieldsV1": fields} | ({"time": time} if time else {})


@pytest.mark.parametrize(
    ("entries", "manager"),
    [
        ([], ""),
        ([managed("kubectl", replicas=False)], ""),
        ([managed("charon-operator")], "charon-operator"),
        (
            [
                managed("argo", time="2026-11-02T00:00:00Z"),
                managed("a", time="2026-11-01T00:00:00Z"),
            ],
            "argo",
        ),
    ],
    ids=["none", "other fields only", "a scale write carries no time", "the latest of two"],
)
def test_last_scaler_is_who_owns_replicas(entries: list[dict[str, Any]], manager: str) -> None:
    found = body.workload(make.deployment(managedFields=entries), "Deployment")
    assert found.last_scaler == manager


def test_replicas_left_out_mean_one() -> None:
    found = make.deployment()
    del found["spec"]["replicas"]
    assert body.workload(found, "Deployment").replicas == 1


@pytest.mark.parametrize(
    ("budget", "covered"),
    [
        (make.budget(2), 2),
        (make.budget("50%"), None),
        (make.budget(2, selector={"matchLabels": {"app": "other"}}), None),
        (make.budget(2, selector={}), 2),
        (
            make.budget(
                2,
                selector={
                    "matchExpressions": [
                        {"key": "app", "operator": "In", "values": ["web", "api"]},
                        {"key": "canary", "operator": "DoesNotExist"},
                    ]
                },
            ),
            2,
        ),
        (
            make.budget(
                2, selector={"matchExpressions": [{"key": "app", "operator": "Sometimes"}]}
            ),
            None,
        ),
    ],
    ids=["integer", "percentage", "other pods", "all pods", "expressions", "unknown operator"],
)
def test_floor_is_an_integer_of_a_budget_that_covers_the_pods(
    budget: dict[str, Any], covered: int | None
) -> None:
    found = body.budget(budget)
    pods = body.pod_labels(make.deployment())
    assert body.floor([found] if found else [], pods) == covered


def test_the_highest_floor_counts() -> None:
    budgets = [body.budget(make.budget(floor)) for floor in (2, 5, 3)]
    pods = body.pod_labels(make.deployment())
    assert body.floor([b for b in budgets if b], pods) == 5


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "Deployment ns/web"),
        ({"name": "web"}, "Deployment ns/web"),
        ({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}, "StatefulSet ns/db"),
        ({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web"}, None),
        ({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web"}, None),
    ],
    ids=["hpa", "scaled object's default", "stateful set", "another group", "another kind"],
)
def test_a_rival_is_known_by_what_it_scales(reference: dict[str, Any], target: str | None) -> None:
    found = body.scaled_by(
        {"metadata": make.meta("r"), "spec": {"scaleTargetRef": reference}}, "ScaledObject"
    )
    assert (str(found[0]) if found else None) == target


NOW_S = 1_800_000_000.0
INTENT = {"id": "d1", "knob": "replicas", "from": 2, "to": 5, "time": "2027-01-15T07:59:00Z"}


def test_an_intent_is_read_back() -> None:
    found = body.pending({"pendingAction": INTENT}, NOW_S)
    assert found == PendingAction("d1", "replicas", 2, 5, NOW_S - 60)


@pytest.mark.parametrize(
    "time", ["2099-01-01T00:00:00Z", "yesterday", None, 12], ids=["future", "words", "none", "int"]
)
def test_an_intent_whose_time_cannot_be_believed_is_of_now(time: object) -> None:
    found = body.pending({"pendingAction": {**INTENT, "time": time}}, NOW_S)
    assert found is not None
    assert found.time_s == NOW_S


@pytest.mark.parametrize(
    "forged",
    [
        {"id": ""},
        {"id": 3},
        {"knob": None},
        {"from": "2"},
        {"to": -1},
        {"to": True},
        {"to": 10**9},
        {"from": None},
    ],
    ids=str,
)
def test_an_intent_that_cannot_be_read_is_none(forged: dict[str, Any]) -> None:
    assert body.pending({"pendingAction": {**INTENT, **forged}}, NOW_S) is None


@pytest.mark.parametrize("status", [{}, {"pendingAction": None}, {"pendingAction": "x"}], ids=str)
def test_no_intent_is_none(status: dict[str, Any]) -> None:
    assert body.pending(status, NOW_S) is None
