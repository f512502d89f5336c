"""The stream example as an app of two variants on a real node, exchanged one for the other.

Reads: the example on a bed. Gives: `Variants`, a knob of `tests.benchmarks.knobs`. Never: a GPU;
its variants are two Deployments of the same consumer, which really start, register and serve.
"""

import json
from typing import Any

import pykube
import yaml

from charon_operator import names
from tests.node.stream import NAMESPACE, Stream

_NAMES = ("consumer", "consumer-other")
# What an app with one target says in the place of `placement`.
_ONE_TARGET = ("scaleTargetRef", "replicas", "capacityPerReplica", "resources")
_QUEUED = 'sum(frames_queued{app=~"consumer.*"})'


class Variants:
    """Which of two variants serves; done when a pod of it is ready."""

    name, values = "Placement", (0, 1)

    def __init__(self, stream: Stream) -> None:
        self._api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(stream.bed.kubeconfig)))
        self._capacity = _app(stream)["spec"]["capacityPerReplica"]
        _lay(stream, self.bounds(0))

    def bounds(self, value: int) -> dict[str, Any]:
        return {
            "placement": {
                "minDwellSeconds": 0,
                "variants": [
                    {
                        "name": name,
                        "scaleTargetRef": {"kind": names.DEPLOYMENT, "name": name},
                        "capacityPerReplica": self._capacity,
                        "costPerReplica": "1",
                        "replicas": {"min": int(place == value), "max": int(place == value)},
                    }
                    for place, name in enumerate(_NAMES)
                ],
            }
        }

    def done(self, value: int) -> bool:
        return any(map(ready, self._pods(value)))

    def settled(self, value: int) -> bool:
        return self.done(value) and not self._pods(1 - value)

    def _pods(self, value: int) -> list[dict[str, Any]]:
        return pods(self._api, f"app={_NAMES[value]}")


def pods(api: pykube.HTTPClient, selector: str) -> list[dict[str, Any]]:
    """The example's pods of a label selector, as the API has them."""
    wanted = {"labelSelector": selector}
    answer = api.get(version="v1", namespace=NAMESPACE, url="pods", params=wanted)
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def ready(pod: dict[str, Any]) -> bool:
    """Whether a pod serves and is to stay."""
    found = {c["type"]: c["status"] for c in pod["status"].get("conditions") or ()}
    return found.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def _app(stream: Stream) -> dict[str, Any]:
    return stream.get(names.CHARGED_APPS, "stream")


def _lay(stream: Stream, placement: dict[str, Any]) -> None:
    """Makes the other variant, and an app of two variants out of the one of one target."""
    other = stream.get("deployment", _NAMES[0])
    labels = {"app": _NAMES[1]}
    other["metadata"] = {"name": _NAMES[1], "namespace": NAMESPACE}
    other["spec"] |= {"replicas": 0, "selector": {"matchLabels": labels}}
    other["spec"]["template"]["metadata"]["labels"] = labels
    stream.bed.apply(
        yaml.safe_dump({name: part for name, part in other.items() if name != "status"})
    )
    indicators = [
        # Whichever of them runs; a new pod is ready before it is scraped.
        {**one, "query": _QUEUED, "coverage": "None"} if one["name"] == "queued" else one
        for one in _app(stream)["spec"]["indicators"]
    ]
    change = {**dict.fromkeys(_ONE_TARGET), "indicators": indicators, **placement}
    app = ("chargedapp", "stream", f"--namespace={NAMESPACE}")
    stream.bed.kubectl("patch", *app, "--type=merge", "-p", json.dumps({"spec": change}))
