"""The world's app whose pods are resized, and what a kubelet would say of them.

The testbed's nodes are fake: nobody there resizes a pod or says what one has. A thread says it of
this app's pods: each has what it was asked to take as long as the node has room for it; a larger
size is deferred, so that the operator gives it back and asks for pods instead.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import yaml

from charon_operator import names, testbed
from charon_operator.model import amount
from tests.exporter import Exporter
from tests.operator import running
from tests.ship.conftest import client_of
from tests.ship.dashboards import bodies
from tests.ship.dashboards.waves import gapped, wave
from tests.testbed_fixtures import wait_may

NAME = "sized"
# Room for one pod: less than the peak of the load asks for.
_ROOM_M = 500
_LOOK_S = 0.5
_PENDING = "PodResizePending"
_INDICATORS = {"queued": "frames", "arrivals": "frames/s", "used": "bytes", "delay": "s"}
_MIB = 2.0**20
_RIGHTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: kubelet}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: kubelet}
rules:
- {apiGroups: [""], resources: [pods], verbs: [list]}
- {apiGroups: [""], resources: [pods/status], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: kubelet}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: kubelet}
subjects: [{kind: ServiceAccount, name: kubelet}]
"""


def objects() -> list[dict[str, Any]]:
    """Its Deployment, policy and app, without a namespace."""
    target, policy, app = running.deployment(2), running.policy(), running.app(**_spec())
    for one in (target, policy, app):
        one["metadata"]["name"] = NAME
    labels = {"app": NAME}
    target["spec"]["selector"]["matchLabels"] = labels
    target["spec"]["template"]["metadata"]["labels"] = labels
    size = {"cpu": "200m", "memory": "128Mi"}
    (container,) = target["spec"]["template"]["spec"]["containers"]
    container["resources"] = {"requests": size, "limits": size}
    policy["spec"]["controller"] = {"type": "Queueing"}
    return [target, policy, app]


def load(exporter: Exporter, namespace: str) -> None:
    """What it is asked to serve, and what its largest pod uses."""
    labels = {"namespace": namespace, "app": NAME}
    exporter.set("queued", labels, wave(100.0, 60.0))
    exporter.set("arrivals", labels, wave(60.0, 40.0))
    exporter.set("used", labels, wave(150 * _MIB, 80 * _MIB))
    exporter.set("delay", labels, gapped(wave(0.3, 0.1), 0.15))


@contextlib.contextmanager
def kubelet(bed: testbed.Testbed, namespace: str) -> Iterator[None]:
    """Speaks for the app's pods until the context ends."""
    rights = list(yaml.safe_load_all(_RIGHTS))
    rights[-1]["subjects"][0]["namespace"] = namespace
    for one in rights:
        one["metadata"]["namespace"] = namespace
    bed.apply(yaml.safe_dump_all(rights))
    user = f"system:serviceaccount:{namespace}:kubelet"
    wait_may(bed, user, "patch", "--subresource=status", "pods", namespace=namespace)
    over = threading.Event()
    with client_of(bed, namespace, "kubelet") as client:
        thread = threading.Thread(target=_speak, args=(client, namespace, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _speak(client: httpx.Client, namespace: str, over: threading.Event) -> None:
    path = f"/api/v1/namespaces/{namespace}/{names.PODS}"
    headers = {"Content-Type": "application/merge-patch+json"}
    while not over.wait(_LOOK_S):
        # What fails now, as the pod moved on meanwhile, is said at the next look.
        with contextlib.suppress(httpx.HTTPError):
            found = client.get(path, params={"labelSelector": f"app={NAME}"}).json()
            for pod in found.get("items", ()):
                said = _said(pod)
                if said:
                    name = pod["metadata"]["name"]
                    client.patch(f"{path}/{name}/status", json=said, headers=headers)


def _said(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The status that follows from what a pod is asked to take; empty where nothing is new."""
    status = pod["status"]
    if status.get("phase") != "Running" or not status.get("containerStatuses"):
        return {}
    asked = pod["spec"]["containers"][0]["resources"]
    (told,) = status["containerStatuses"]
    fits = (amount.millicores(asked["limits"]["cpu"]) or 0) <= _ROOM_M
    has = asked if fits else told.get("resources", asked)
    others = [one for one in status["conditions"] if one["type"] != _PENDING]
    waits = len(others) < len(status["conditions"])
    if has == told.get("resources") and waits is not fits:
        return {}
    return {
        "metadata": {"resourceVersion": pod["metadata"]["resourceVersion"]},
        "status": {
            "containerStatuses": [{**told, "resources": has}],
            "conditions": others if fits else [*others, _deferred()],
        },
    }


def _deferred() -> dict[str, Any]:
    return {
        "type": _PENDING,
        "status": "True",
        "reason": "Deferred",
        "message": "Node didn't have enough resource: cpu",
        "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _spec() -> dict[str, Any]:
    return {
        **bodies.stream(NAME, _INDICATORS),
        "scaleTargetRef": {"kind": "Deployment", "name": NAME},
        "replicas": {"min": 2, "max": 4},
        "resources": {
            "container": "app",
            "mode": "InPlace",
            "cpu": {"min": "100m", "max": "1"},
            "curve": [{"cpu": "100m", "capacity": "10"}, {"cpu": "1", "capacity": "100"}],
            "memory": {"min": "64Mi", "max": "512Mi", "usage": "used", "lowering": "Allowed"},
            "giveBackSeconds": 5,
        },
    }
