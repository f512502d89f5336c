"""The world's app of two variants, and the node whose GPUs one of them needs.

The node is a fake one with NVIDIA's labels, of a product of its own, so that nobody else's pods
come to it; scheduler and inventory are real. The peak of the load asks for more than both variants
may have, so that what is wanted cannot be had for a while.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from charon_operator import names, testbed
from charon_operator.testbed import fakenodes
from tests import gpu_bed
from tests.exporter import Exporter
from tests.operator import running
from tests.ship.dashboards import bodies
from tests.ship.dashboards.waves import wave

NAME = "placed"
_GPUS = 2
# Variant: GPUs a pod, what one serves a second, what it costs, how many there may be.
_VARIANTS = {"fp16": (1, 100, 8, 4), "cpu": (0, 20, 4, 2)}
_INDICATORS = {"queued": "frames", "arrivals": "frames/s"}


@contextlib.contextmanager
def node(bed: testbed.Testbed, namespace: str) -> Iterator[None]:
    """A node with GPUs of the namespace's own product, until the context ends."""
    made = testbed.gpu_node(f"gpu-{namespace}", _product(namespace), _GPUS)
    bed.kubectl("create", "-f", "-", input=json.dumps(fakenodes.objects([made])))
    try:
        bed.kubectl("wait", "--for=condition=Ready", f"node/{made.name}", "--timeout=30s")
        yield
    finally:
        bed.kubectl("delete", "node", made.name, "--wait=false")


def objects(namespace: str) -> Iterator[dict[str, Any]]:
    """Its Deployments, policy and app, without a namespace.

    Args:
        namespace: whose node they want.
    """
    for variant, (gpus, *_) in _VARIANTS.items():
        target, labels = running.deployment(0), {"variant": variant}
        template = gpu_bed.template(gpus, product=_product(namespace) if gpus else ())
        target["metadata"]["name"] = variant
        target["spec"]["selector"]["matchLabels"] = labels
        target["spec"]["template"] = {"metadata": {"labels": labels}, **template}
        yield target
    policy, app = running.policy(), running.app(**_spec())
    # One of scaleTargetRef and placement, and replicas are each variant's own.
    for other in ("scaleTargetRef", "replicas"):
        del app["spec"][other]
    parameters = {"drainSeconds": "10", "startSeconds": "0", "headroom": "0"}
    policy["spec"]["controller"] = {"type": "Queueing", "parameters": parameters}
    for one in (policy, app):
        one["metadata"]["name"] = NAME
        yield one


def load(exporter: Exporter, namespace: str) -> None:
    """What it is asked to serve."""
    labels = {"namespace": namespace, "app": NAME}
    exporter.set("queued", labels, wave(100.0, 60.0))
    exporter.set("arrivals", labels, wave(180.0, 150.0))


def _product(namespace: str) -> str:
    return f"A100-{namespace}"


def _spec() -> dict[str, Any]:
    return {
        **bodies.stream(NAME, _INDICATORS, of="$name"),
        "placement": {
            "minDwellSeconds": 5,
            "pendingDeadlineSeconds": 10,
            "variants": [_variant(name, *told) for name, told in _VARIANTS.items()],
        },
    }


def _variant(name: str, _: int, capacity: int, cost: int, most: int) -> Mapping[str, Any]:
    return {
        "name": name,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": names.DEPLOYMENT, "name": name},
        "capacityPerReplica": {"value": str(capacity), "unit": "frames/s"},
        "costPerReplica": str(cost),
        "quality": "1",
        "replicas": {"min": 0, "max": most},
    }
