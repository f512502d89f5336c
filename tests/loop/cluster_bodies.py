"""Bodies as the API server gives them, for tests of what is read out of them."""

import itertools
from collections.abc import Mapping
from typing import Any

from charon_operator import names
from charon_operator.model.form import GPU, FormWrite, came_from_text

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


def reshaped(body: Body, write: FormWrite) -> Body:
    """A Deployment after a change of its form, which its controller has begun to roll out."""
    known, form = body["metadata"], write.form
    generation = known["generation"] + 1
    annotations = {names.CAME_FROM: came_from_text(write.came_from)}
    pods = {**body["spec"]["template"]["spec"], "runtimeClassName": form.runtime_class_name}
    pods["nodeSelector"] = {names.LABEL_GPU_PRODUCT: form.product} if form.product else {}
    amounts = {GPU: str(form.gpus)} if form.gpus else {}
    resources = {"limits": amounts, "requests": {"cpu": "100m", **amounts}}
    pods["containers"] = [{"name": form.container, "resources": resources}]
    spec = {**body["spec"], "replicas": write.replicas}
    spec["template"] = {**body["spec"]["template"], "spec": pods}
    if not write.surges:
        spec["strategy"] = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    more = {"uid": known["uid"], "generation": generation, "annotations": annotations}
    status = {**body["status"], "observedGeneration": generation, "updatedReplicas": 0}
    return {
        **body,
        "metadata": meta(known["name"], known["namespace"], **more),
        "spec": spec,
        "status": status,
    }


def again(body: Body, **counts: int) -> Body:
    """A newer version of it, whose controller has counted so many pods."""
    known = body["metadata"]
    kept = {name: known[name] for name in ("uid", "generation", "annotations")}
    newer = meta(known["name"], known["namespace"], **kept)
    return {**body, "metadata": newer, "status": {**body["status"], **counts}}


def rolled(body: Body) -> Body:
    """The same once all its pods are those of its template."""
    names_of = ("replicas", "readyReplicas", "updatedReplicas")
    return again(body, **dict.fromkeys(names_of, body["spec"]["replicas"]))
