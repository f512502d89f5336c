"""Bad input for two judges: the API server with the CRDs, and our own parsing.

The rows are in `bad_rows`. Each changes one good resource. `refused` is what the API server must
say (None: it accepts); `field` is what `parse` must name in its SpecError (None: it must survive).
Ids are those of the project's table of bad input, then a sentence.
"""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

from charon_operator import names

Body = dict[str, Any]
Change = Callable[[Body], None]

APP: Body = {
    "apiVersion": names.API_VERSION,
    "kind": names.CHARGED_APP,
    "metadata": {"name": "good"},
    "spec": {
        "policyRef": {"name": "stream"},
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "consumer"},
        "capacityPerReplica": {"value": "64", "unit": "frames/s"},
        "indicators": [{"name": "queued", "query": "sum(frames_queued)", "unit": "frames"}],
        "bindings": {"backlog": "queued"},
        "objectives": [
            {
                "name": "freshness",
                "threshold": {"indicator": "queued", "op": "LessThanOrEqual", "value": "600"},
                "setPoint": "200",
                "target": "95",
            }
        ],
        "replicas": {"min": 1, "max": 37},
        "resources": {
            "container": "app",
            "mode": "InPlace",
            "cpu": {"min": "250m", "max": "4"},
            "curve": [{"cpu": "100m", "capacity": "6.5"}, {"cpu": "1", "capacity": "66"}],
            "memory": {"min": "512Mi", "max": "4Gi", "usage": "queued", "lowering": "Never"},
            "giveBackSeconds": 60,
        },
        "holds": [{"name": "night", "direction": "Down", "until": "2030-01-01T06:00:00Z"}],
    },
}


def variant(name: str, **changed: Any) -> Body:
    """One variant of a placement."""
    return {
        "name": name,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"c-{name}"},
        "capacityPerReplica": {"value": "640", "unit": "frames/s"},
        "costPerReplica": "8",
        "quality": "0.97",
        "replicas": {"min": 0, "max": 4},
        **changed,
    }


_ONE_TARGET = ("scaleTargetRef", "capacityPerReplica", "replicas", "resources")
PLACED: Body = {
    **APP,
    "spec": {
        **{name: value for name, value in APP["spec"].items() if name not in _ONE_TARGET},
        "placement": {
            "priority": 10,
            "minQuality": "0.95",
            "savingPercent": "15",
            "minDwellSeconds": 300,
            "pendingDeadlineSeconds": 120,
            "variants": [variant("fp16"), variant("fp32", quality="1"), variant("cpu")],
        },
    },
}
POLICY: Body = {
    "apiVersion": names.API_VERSION,
    "kind": names.CONTROL_POLICY,
    "metadata": {"name": "good"},
    "spec": {
        "periodSeconds": 5,
        "controller": {"type": "Queueing", "parameters": {"drainSeconds": "10"}},
        "behavior": {
            "scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]},
            "scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Min"},
        },
        "lowering": {"cooldownSeconds": 60, "maxPerHour": 20},
        "fallback": {"afterSeconds": 60, "strategy": "AtLeast", "replicas": 4},
        "knobs": {
            "order": ["Resources", "Replicas"],
            "prices": {"replica": "0.1", "core": "1"},
        },
    },
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One bad (or just allowed) resource; see the module."""

    id: str
    good: Body
    change: Change
    refused: str | None
    field: str | None

    @property
    def body(self) -> Body:
        body = copy.deepcopy(self.good)
        self.change(body)
        return body


def put(path: str, value: Any) -> Change:
    """Sets what a path as `spec.replicas.max` or `spec.objectives.0.target` names."""

    def change(body: Body) -> None:
        here, last = _walk(body, path)
        here[last] = value

    return change


def drop(path: str) -> Change:
    def change(body: Body) -> None:
        here, last = _walk(body, path)
        del here[last]

    return change


def both(*changes: Change) -> Change:
    def change(body: Body) -> None:
        for one in changes:
            one(body)

    return change


def _walk(body: Body, path: str) -> tuple[Any, Any]:
    here: Any = body
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        here = here[step]
    return here, last


def app(id: str, change: Change, refused: str | None, field: str | None) -> Row:
    return Row(id, APP, change, refused, field)


def placed(id: str, change: Change, refused: str | None, field: str | None) -> Row:
    return Row(id, PLACED, change, refused, field)


def policy(id: str, change: Change, refused: str | None, field: str | None) -> Row:
    return Row(id, POLICY, change, refused, field)


def named(name: str) -> Body:
    """An indicator."""
    return {"name": name, "query": "up"}


def objective(**changed: Any) -> Body:
    return {**APP["spec"]["objectives"][0], **changed}


# What the API server says of a wrong type and of a number out of bounds.
TYPED_INT = "must be of type integer"
TYPED_TEXT = "must be of type string"
LESS = "should be less than or equal to 1000"
MORE = "should be greater than or equal to 1"
