"""Nouns for the tests of this room: one app, its policy, its target."""

from typing import Any

from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import PendingAction
from charon_operator.model.facts import AppFacts
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.reading import Reading
from charon_operator.model.workload import Target, Workload

NAMESPACE = "workload"


def app(name: str = "ptycho", generation: int = 1, **spec: Any) -> ChargedApp:
    body = {
        "metadata": {
            "namespace": NAMESPACE,
            "name": name,
            "uid": f"uid-{name}",
            "generation": generation,
            "creationTimestamp": "2026-11-24T09:00:00Z",
        },
        "spec": {
            "mode": "Active",
            "policyRef": {"name": "stream"},
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "capacityPerReplica": {"value": "64", "unit": "frames/s"},
            "indicators": [{"name": "queued", "query": "sum(queued)", "maxSampleAgeSeconds": 15}],
            "objectives": [
                {
                    "name": "freshness",
                    "threshold": {
                        "indicator": "queued",
                        "op": "LessThanOrEqual",
                        "value": "600",
                    },
                    "setPoint": "200",
                    "target": "95",
                }
            ],
            "replicas": {"min": 1, "max": 37},
            **spec,
        },
    }
    return ChargedApp.parse(body)


def policy(period_s: int = 5, **spec: Any) -> ControlPolicy:
    body = {
        "metadata": {"namespace": NAMESPACE, "name": "stream", "uid": "uid-p", "generation": 1},
        "spec": {
            "periodSeconds": period_s,
            "controller": {"type": "Ratio"},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            "lowering": {"cooldownSeconds": 5},
            **spec,
        },
    }
    return ControlPolicy.parse(body)


def workload(replicas: int = 2, name: str = "ptycho", **changes: Any) -> Workload:
    fields: dict[str, Any] = {
        "uid": f"uid-d-{name}",
        "resource_version": "10",
        "generation": 1,
        "observed_generation": 1,
        "replicas": replicas,
        "current": replicas,
        "ready": replicas,
        "updated": replicas,
        **changes,
    }
    return Workload(target=Target("Deployment", NAMESPACE, name), **fields)


def pending() -> PendingAction:
    return PendingAction("abc", "replicas", 2, 5, 1764000000.123456)


def facts(queued: float, now_s: float, replicas: int = 2, **changes: Any) -> AppFacts:
    given: dict[str, Any] = {
        "app": app(),
        "policy": policy(),
        "workload": workload(replicas),
        "readings": {"queued": Reading(queued, now_s - 0.5)},
        **changes,
    }
    return AppFacts(**given)
