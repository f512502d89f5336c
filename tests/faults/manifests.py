"""The objects of a fault test: a workload, a policy that follows the load, an app.

Reads: nothing. Gives: manifests. Never: a namespace; the world they are applied to has one.
"""

from typing import Any

from charon_operator import names

PERIOD_S = 1
COOLDOWN_S = 3
# A load of 10 is one replica.
SET_POINT = 10
MAX_AGE_S = 5
METRIC = "faults_load"


def deployment(name: str, replicas: int) -> dict[str, Any]:
    """A workload of small pods; kwok makes them ready at once."""
    container = {
        "name": "app",
        "image": "app",
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }


def policy(**spec: Any) -> dict[str, Any]:
    """A policy that follows the load at once, up by any step, down after the cooldown."""
    free = {"type": "Pods", "value": 1000, "periodSeconds": 1}
    rules = {"stabilizationWindowSeconds": 0, "policies": [free]}
    whole = {
        "periodSeconds": PERIOD_S,
        "controller": {
            "type": "Ratio",
            "parameters": {"metricType": "AverageValue", "tolerance": "0"},
        },
        "behavior": {"scaleUp": rules, "scaleDown": rules},
        "lowering": {"cooldownSeconds": COOLDOWN_S, "maxPerHour": 3600},
        **spec,
    }
    return _resource(names.CONTROL_POLICY, "fast", whole)


def charged_app(name: str, target: str = "web", **spec: Any) -> dict[str, Any]:
    """An Active app that holds the target at one replica for each 10 of load."""
    query = f'sum({METRIC}{{app="$target"}})'
    objective = {
        "name": "served",
        "threshold": {"indicator": "load", "op": "LessThanOrEqual", "value": "100000"},
        "setPoint": str(SET_POINT),
        "target": "95",
        "windowSeconds": 60,
    }
    whole = {
        "mode": "Active",
        "policyRef": {"name": "fast"},
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "indicators": [{"name": "load", "query": query, "maxSampleAgeSeconds": MAX_AGE_S}],
        "objectives": [objective],
        "replicas": {"min": 1, "max": 20},
        **spec,
    }
    return _resource(names.CHARGED_APP, name, whole)


def hpa(target: str, least: int) -> dict[str, Any]:
    """A HorizontalPodAutoscaler that sees no metric, and so keeps its minimum."""
    usage = {"type": "Utilization", "averageUtilization": 50}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": names.HPA,
        "metadata": {"name": f"{target}-hpa"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": names.DEPLOYMENT, "name": target},
            "minReplicas": least,
            "maxReplicas": 15,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": usage}}],
        },
    }


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
