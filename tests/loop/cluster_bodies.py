"""Bodies as the API server gives them, for tests of what is read out of them."""

import itertools
from collections.abc import Mapping
from typing import Any

Body = dict[str, Any]
_versions = itertools.count(1000)


class SetClock:
    """A clock that stands where the test puts it."""

    def __init__(self, wall_s: float = 1_800_000_000.0, monotonic_s: float = 50.0) -> None:
        self.wall, self.monotonic = wall_s, monotonic_s

    def wall_s(self) -> float:
        return self.wall

    def monotonic_s(self) -> float:
        return self.monotonic


def version() -> str:
    """A resourceVersion above all before it."""
    return str(next(_versions))


def meta(name: str, namespace: str = "ns", **more: Any) -> Body:
    found = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{namespace}-{name}",
        "resourceVersion": version(),
        "generation": 1,
        "creationTimestamp": "2026-11-01T00:00:00Z",
    }
    return {**found, **more}


def deployment(
    name: str = "web",
    namespace: str = "ns",
    *,
    replicas: int = 3,
    pods: Mapping[str, str] | None = None,
    status: Mapping[str, Any] | None = None,
    **more: Any,
) -> Body:
    counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), replicas)
    return {
        "kind": "Deployment",
        "metadata": meta(name, namespace, **more),
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"labels": dict(pods or {"app": name})}},
        },
        "status": {"observedGeneration": 1, **counts, **(status or {})},
    }


def app(
    name: str = "one",
    namespace: str = "ns",
    *,
    target: str = "web",
    mode: str = "Active",
    actuation: str = "Scale",
    status: Mapping[str, Any] | None = None,
    **more: Any,
) -> Body:
    return {
        "kind": "ChargedApp",
        "metadata": meta(name, namespace, **more),
        "spec": {
            "mode": mode,
            "policyRef": {"name": "stream"},
            "scaleTargetRef": {"kind": "Deployment", "name": target},
            "indicators": [{"name": "queued", "query": "queued"}],
            "objectives": [
                {
                    "name": "freshness",
                    "threshold": {"indicator": "queued", "op": "LessThanOrEqual", "value": "600"},
                    "target": "95",
                }
            ],
            "replicas": {"min": 1, "max": 37, "actuation": actuation},
        },
        "status": dict(status or {}),
    }


def hpa(name: str = "web-hpa", target: str = "web", kind: str = "Deployment") -> Body:
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": target}
    return {"metadata": meta(name), "spec": {"scaleTargetRef": reference}}


def budget(floor: int | str, name: str = "keep", selector: Any = None) -> Body:
    labels = {"matchLabels": {"app": "web"}} if selector is None else selector
    return {"metadata": meta(name), "spec": {"minAvailable": floor, "selector": labels}}
