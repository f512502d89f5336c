"""The objects of a placement test: variants and their workloads, an app, its policy, other pods.

Reads: nothing. Gives: manifests. Never: a namespace; what applies them has one.

The app's law plans capacity: it wants what arrives, and in a second what has queued above 6000. So
a test says in units a second what is to be served.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from charon_operator import names
from tests import gpu_bed

# What is told of an app's load, by the role it plays for the law.
METRICS = {"arrivals": "placement_arrivals", "backlog": "placement_queued"}
SET_POINT = 6000
# Near it, as a queue that grows at once by more than what arrives counts as arrivals.
CALM = SET_POINT - 10
# The shortest that the API allows.
DEADLINE_S = 10
DWELL_S = 5
_MAX_AGE_S = 5


@dataclass(frozen=True)
class Variant:
    """One way to run an app, and the workload that does.

    Attributes:
        template: of its pods, as `gpu_bed.template` makes it.
        capacity: of a replica, units a second.
        least, most: replicas that the app allows.
        replicas: what its workload starts with.
    """

    name: str
    template: Mapping[str, Any]
    capacity: int = 100
    cost: int = 1
    quality: str = "1"
    least: int = 0
    most: int = 8
    replicas: int = 0
    kind: str = names.DEPLOYMENT

    @property
    def spec(self) -> dict[str, Any]:
        """As the app has it."""
        return {
            "name": self.name,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": self.kind, "name": self.name},
            "capacityPerReplica": {"value": str(self.capacity), "unit": "frames/s"},
            "costPerReplica": str(self.cost),
            "quality": self.quality,
            "replicas": {"min": self.least, "max": self.most},
        }

    @property
    def workload(self) -> dict[str, Any]:
        """Its Deployment or StatefulSet."""
        labels = {"variant": self.name}
        return {
            "apiVersion": "apps/v1",
            "kind": self.kind,
            "metadata": {"name": self.name},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, **self.template},
                **({"podManagementPolicy": "Parallel"} if self.kind == names.STATEFUL_SET else {}),
            },
        }


@dataclass(frozen=True)
class Wish:
    """How an app's placement differs from the default of these tests."""

    priority: int = 10
    quality: str = "0"
    extra: Mapping[str, Any] = field(default_factory=dict)


def charged_app(name: str, variants: tuple[Variant, ...], wish: Wish) -> dict[str, Any]:
    """An Active app of these variants, whose backlog must not pass 6000."""
    indicators = [
        {
            "name": role,
            "query": f'sum({metric}{{app=~"$target"}})',
            "maxSampleAgeSeconds": _MAX_AGE_S,
        }
        for role, metric in METRICS.items()
    ]
    objective = {
        "name": "freshness",
        "threshold": {"indicator": "backlog", "op": "LessThanOrEqual", "value": str(SET_POINT)},
        "target": "95",
        "windowSeconds": 60,
    }
    placement = {
        "priority": wish.priority,
        "minQuality": wish.quality,
        "savingPercent": "15",
        "minDwellSeconds": DWELL_S,
        "pendingDeadlineSeconds": DEADLINE_S,
        "variants": [one.spec for one in variants],
        **wish.extra,
    }
    spec = {
        "mode": "Active",
        "policyRef": {"name": "fast"},
        "indicators": indicators,
        "bindings": {role: role for role in METRICS},
        "objectives": [objective],
        "placement": placement,
    }
    return _resource(names.CHARGED_APP, name, spec)


def policy() -> dict[str, Any]:
    """A policy without head-room, that lowers as soon as it may."""
    parameters = {
        "drainSeconds": "1",
        "startSeconds": "0",
        "headroom": "0",
        "replacementPercent": "0",
    }
    spec = {
        "periodSeconds": 1,
        "controller": {"type": "Queueing", "parameters": parameters},
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        "lowering": {"cooldownSeconds": 1, "maxPerHour": 3600},
    }
    return _resource(names.CONTROL_POLICY, "fast", spec)


def pod(name: str, node: str, gpus: int) -> dict[str, Any]:
    """Somebody else's pod that is on a node without having asked the scheduler."""
    spec = {**gpu_bed.template(gpus, tolerates=True)["spec"], "nodeName": node}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def quota(gpus: int) -> dict[str, Any]:
    """So many GPUs for all pods of a namespace."""
    hard = {f"requests.{gpu_bed.GPU}": str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "gpus"},
        "spec": {"hard": hard},
    }


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
