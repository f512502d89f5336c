"""Bodies of pods and of what made them, for tests of what is read out of them."""

import json
from typing import Any

from charon_operator import testbed

Body = dict[str, Any]
HASH = "5d4f8"


def container(name: str = "app", **more: Any) -> Body:
    resources = {
        "requests": {"cpu": "100m", "memory": "64Mi"},
        "limits": {"cpu": "200m", "memory": "128Mi"},
    }
    return {"name": name, "resources": resources, **more}


def workload(*containers: Body, name: str = "web", **spec: Any) -> Body:
    template = {"spec": {"containers": list(containers or [container()]), **spec}}
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}"}
    selector = {"matchLabels": {"app": name}}
    return {"metadata": meta, "spec": {"selector": selector, "template": template}}


def pod(
    name: str = "web-1",
    *containers: Body,
    of: str = "web",
    status: Body | None = None,
    **spec: Any,
) -> Body:
    held = list(containers or [container()])
    owner = {"kind": "ReplicaSet", "name": f"{of}-{HASH}", "uid": "uid-rs", "controller": True}
    told = [{"name": one["name"], "restartCount": 1, "resources": one["resources"]} for one in held]
    return {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": f"uid-{name}",
            "resourceVersion": "7",
            "generation": 2,
            "labels": {"app": of, "pod-template-hash": HASH},
            "ownerReferences": [owner],
        },
        "spec": {"containers": held, **spec},
        "status": {
            "phase": "Running",
            "observedGeneration": 2,
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": told,
            **(status or {}),
        },
    }


def kubelet_says(bed: testbed.Testbed, namespace: str) -> None:
    """Says of pods that they run with what they ask for, as a kubelet does and kwok does not."""
    found = json.loads(bed.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    for one in found:
        sizes = {held["name"]: held["resources"] for held in one["spec"]["containers"]}
        told = [
            {**status, "resources": sizes[status["name"]]}
            for status in one["status"]["containerStatuses"]
        ]
        where = ("patch", "pod", one["metadata"]["name"], "-n", namespace, "--subresource=status")
        patch = {"status": {"containerStatuses": told}}
        bed.kubectl(*where, "--type=merge", "-p", json.dumps(patch))


def condition(kind: str, reason: str = "", observed: int = 2, message: str = "") -> Body:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "observedGeneration": observed,
        "lastTransitionTime": "2026-11-01T00:00:00Z",
    }
