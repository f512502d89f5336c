"""Bad input, one table for two judges: the API server with the CRDs, and our own parsing.

Each row changes one good resource. `refused` is what the API server must say (None: it accepts);
`field` is what `parse` must name in its SpecError (None: it must survive). Ids are those of the
project's table of bad input, then a sentence.
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


def _named(name: str) -> Body:
    return {"name": name, "query": "up"}


def _objective(**changed: Any) -> Body:
    return {**APP["spec"]["objectives"][0], **changed}


_MAX, _MIN = "spec.replicas.max", "spec.replicas.min"
_TARGET, _VALUE = "spec.objectives.0.target", "spec.objectives.0.threshold.value"
_AIM = "spec.objectives.0.setPoint"
_T, _V = "spec.objectives[freshness].target", "spec.objectives[freshness].threshold.value"
_A = "spec.objectives[freshness].setPoint"
_PERIOD = "spec.periodSeconds"
_SIZE, _POINTS = "spec.resources", "spec.resources.curve"
_PLACEMENT, _VARIANTS = "spec.placement", "spec.placement.variants"
_FP16 = f"{_VARIANTS}.0"
_WITHIN_ONE = 'must be a number from "0" to "1"'
_ABOVE_0 = "must be a decimal number above 0"
_CPU = 'must be CPU between "10m" and "256"'
_MEMORY = 'must be memory between "1Mi" and "16Ti"'
_RISING = "the points must rise in cpu and in capacity"
_PERCENT = 'must be a percentage between "0" and "100", both excluded'
_DECIMAL = "must be a decimal number in quotes"
_LESS = "should be less than or equal to 1000"
_MORE = "should be greater than or equal to 1"
_TYPED_INT = "must be of type integer"
_TYPED_TEXT = "must be of type string"

ROWS = [
    app("a good app", lambda body: None, None, None),
    policy("a good policy", lambda body: None, None, None),
    # B1: bounds
    app("B1 a maximum of 10^9", put(_MAX, 10**9), _LESS, _MAX),
    app("B1 a maximum of 2^31", put(_MAX, 2**31), _LESS, _MAX),
    app("B1 a maximum of 2^63", put(_MAX, 2**63), _TYPED_INT, _MAX),
    app("B1 a minimum of -1", put(_MIN, -1), _MORE, _MIN),
    app("B1 a minimum of 0", put(_MIN, 0), _MORE, _MIN),
    app(
        "B1 a minimum above the maximum", put(_MIN, 38), "min must not be greater", "spec.replicas"
    ),
    app("B1 no maximum", drop(_MAX), "spec.replicas.max: Required", _MAX),
    app(
        "B1 no bounds at all", drop("spec.replicas"), "replicas is needed with scaleTarget", "spec"
    ),
    policy(
        "B1 a fallback of 10^9",
        put("spec.fallback.replicas", 10**9),
        _LESS,
        "spec.fallback.replicas",
    ),
    # B2: the period
    *(
        policy(f"B2 a period of {text!r}", put(_PERIOD, text), _TYPED_INT, _PERIOD)
        for text in (
            "1ms",
            "0s",
            "-5s",
            "9999999h",
            "1.5.2s",
            " 15s",
            "１５s",
            "15",
            "1_000",
            "１０",
        )
    ),
    policy("B2 a period of 0", put(_PERIOD, 0), _MORE, _PERIOD),
    policy("B2 a period of -5", put(_PERIOD, -5), _MORE, _PERIOD),
    policy("B2 a period above an hour", put(_PERIOD, 3601), "less than or equal to 3600", _PERIOD),
    policy("B2 a period of 1.5", put(_PERIOD, 1.5), _TYPED_INT, _PERIOD),
    # B3: numbers in text
    *(
        app(f"B3 a target of {text!r}", put(_TARGET, text), _PERCENT, _T)
        for text in (
            "NaN",
            "Infinity",
            "1e1",
            "-0",
            "0",
            "0.0",
            "100",
            "100.1",
            "-5",
            "95%",
            "９５",
            "1_0",
            "",
        )
    ),
    app("B3 a target of 1e400", put(_TARGET, "1e400"), _PERCENT, _T),
    app("B3 a target that is no text", put(_TARGET, 95), _TYPED_TEXT, _T),
    *(
        app(f"B3 a threshold of {text!r}", put(_VALUE, text), _DECIMAL, _V)
        for text in ("NaN", "Infinity", "1e3", "600 frames", "１", "0x10", "1_0.5", "٣")
    ),
    app("B3 a threshold of 1e400", put(_VALUE, "1e400"), _DECIMAL, _V),
    app("B3 a threshold that is no text", put(_VALUE, 600), _TYPED_TEXT, _V),
    app("B3 a target without quotes", put(_TARGET, 95.5), _TYPED_TEXT, _T),
    app("B3 a threshold without quotes", put(_VALUE, 600.5), _TYPED_TEXT, _V),
    app("B3 a threshold of 30 digits", put(_VALUE, "9" * 30), "may not be more than 20", _V),
    app(
        "B3 a capacity of 0",
        put("spec.capacityPerReplica.value", "0.00"),
        "must be a decimal number above 0",
        "spec.capacityPerReplica.value",
    ),
    app(
        "B3 a negative capacity",
        put("spec.capacityPerReplica.value", "-64"),
        "must be a decimal number above 0",
        "spec.capacityPerReplica.value",
    ),
    app("B3 a set point of -0", both(put(_AIM, "-0")), None, None),
    # B4: types, nothing, forgery
    app("B4 true for a count", put(_MAX, True), _TYPED_INT, _MAX),
    policy("B4 true for a period", put(_PERIOD, True), _TYPED_INT, _PERIOD),
    app("B4 null for a maximum", put(_MAX, None), "spec.replicas.max", _MAX),
    app(
        "B4 null for the indicators",
        put("spec.indicators", None),
        "spec.indicators",
        "spec.indicators",
    ),
    app("B4 an empty spec", put("spec", {}), "spec.policyRef: Required", "spec.policyRef"),
    app("B4 a spec of null", put("spec", None), "spec: Required", "spec.policyRef"),
    app("B4 no spec", drop("spec"), "spec: Required", "spec.policyRef"),
    app("B4 a spec that is text", put("spec", "fast, please"), "must be of type object", "spec"),
    app("B4 a spec that is a list", put("spec", [1]), "must be of type object", "spec"),
    policy("B4 an empty policy has defaults", put("spec", {}), None, None),
    app("B4 a null hold is none", put("spec.holds", None), None, "spec.holds"),
    app("B4 null for an optional capacity", put("spec.capacityPerReplica", None), None, None),
    app(
        "B4 a forged status",
        put("status", {"pendingAction": {"id": "x", "to": 10**6}, "replicas": "many"}),
        None,
        None,
    ),
    # B5: what is not a field
    app("B5 an unknown field", put("spec.turbo", "on"), "unknown field", None),
    app("B5 the wrong case", put("spec.Replicas", {"max": 5}), "unknown field", None),
    app(
        "B5 a mode in the wrong case", put("spec.mode", "active"), "Unsupported value", "spec.mode"
    ),
    app("B5 yes for a mode", put("spec.mode", True), "Unsupported value", "spec.mode"),
    app("B5 a count beyond doubles", put(_MAX, 2**53 + 1), _LESS, _MAX),
    # B6: sizes
    app(
        "B6 a query of 1 MiB",
        put("spec.indicators.0.query", "a" * 2**20),
        "may not be more than 4096",
        "spec.indicators[queued].query",
    ),
    app(
        "B6 an empty query",
        put("spec.indicators.0.query", ""),
        "at least 1 chars",
        "spec.indicators[queued].query",
    ),
    app(
        "B6 10 000 objectives",
        put("spec.objectives", [_objective(name=f"o{i}") for i in range(10_000)]),
        "must have at most 8 items",
        "spec.objectives",
    ),
    app("B6 no objectives", put("spec.objectives", []), "at least 1 item", "spec.objectives"),
    app(
        "B6 17 indicators",
        put("spec.indicators", [_named("queued"), *(_named(f"i{i}") for i in range(16))]),
        "must have at most 16 items",
        "spec.indicators",
    ),
    app(
        "B6 17 bindings",
        put("spec.bindings", {f"r{i}": "queued" for i in range(17)}),
        "must have at most 16 items",
        "spec.bindings",
    ),
    app(
        "B6 a role of 64 letters",
        put("spec.bindings", {"r" * 64: "queued"}),
        "at most 63 characters",
        f"spec.bindings.{'r' * 64}",
    ),
    app(
        "B6 a reason of 64 kB",
        put("spec.holds.0.reason", "x" * 65536),
        "may not be more than 1024",
        "spec.holds[night].reason",
    ),
    policy(
        "B6 a parameter of 64 kB",
        put("spec.controller.parameters.drainSeconds", "1" * 65536),
        "may not be more than 63",
        "spec.controller.parameters.drainSeconds",
    ),
    policy(
        "B6 33 parameters",
        put("spec.controller.parameters", {f"p{i}": "1" for i in range(33)}),
        "must have at most 32 items",
        "spec.controller.parameters",
    ),
    # B7: names
    app("B7 a name of 64 letters", put("metadata.name", "a" * 64), "at most 63 characters", None),
    app("B7 a name with dots and digits", put("metadata.name", "1.a-b.9"), None, None),
    app(
        "B7 a target's name of 254 letters",
        put("spec.scaleTargetRef.name", "a" * 254),
        "may not be more than 253",
        "spec.scaleTargetRef.name",
    ),
    app(
        "B7 a target's name with a slash",
        put("spec.scaleTargetRef.name", "../kube-system/dns"),
        "should match",
        "spec.scaleTargetRef.name",
    ),
    app(
        "B7 an item's name in capitals",
        put("spec.objectives.0.name", "Fresh"),
        "should match",
        "spec.objectives[Fresh].name",
    ),
    app(
        "B7 an item's name with a line feed",
        put("spec.objectives.0.name", "a\n"),
        "should match",
        "spec.objectives[a\n].name",
    ),
    # B8: targets
    *(
        app(
            f"B8 a target of kind {kind}",
            put("spec.scaleTargetRef.kind", kind),
            "Unsupported value",
            "spec.scaleTargetRef.kind",
        )
        for kind in ("DaemonSet", "Job", "ReplicaSet", "Rollout", "deployment", "")
    ),
    app("B8 a StatefulSet", put("spec.scaleTargetRef.kind", "StatefulSet"), None, None),
    app(
        "B8 another API",
        put("spec.scaleTargetRef.apiVersion", "argoproj.io/v1"),
        "Unsupported value",
        "spec.scaleTargetRef.apiVersion",
    ),
    app(
        "B8 a target elsewhere",
        put("spec.scaleTargetRef.namespace", "kube-system"),
        "unknown field",
        None,
    ),
    app(
        "B8 a policy elsewhere",
        put("spec.policyRef.namespace", "kube-system"),
        "unknown field",
        None,
    ),
    # B9: containers
    app("B9 no container", drop(f"{_SIZE}.container"), "container: Required", f"{_SIZE}.container"),
    app(
        "B9 a container of no such name",
        put(f"{_SIZE}.container", "App!"),
        "should match",
        f"{_SIZE}.container",
    ),
    app(
        "B9 a usage that is no indicator",
        put(f"{_SIZE}.memory.usage", "rss"),
        "resources.memory.usage must name one of the indicators",
        "spec",
    ),
    # B10: sizes
    *(
        app(f"B10 CPU of {text!r}", put(f"{_SIZE}.cpu.max", text), _CPU, f"{_SIZE}.cpu.max")
        for text in ("1Ei", "0.0000001", "-1", "1e9", "9m", "257", "0", "", "NaN", "1_0", "٣")
    ),
    app("B10 CPU that is no text", put(f"{_SIZE}.cpu.max", 4), _TYPED_TEXT, f"{_SIZE}.cpu.max"),
    *(
        app(
            f"B10 memory of {text!r}",
            put(f"{_SIZE}.memory.max", text),
            _MEMORY,
            f"{_SIZE}.memory.max",
        )
        for text in ("100m", "1Ei", "-1", "1e9", "1.5Gi", "1023Ki", "17Ti", "0", "", "4gb")
    ),
    app(
        "B10 a smallest CPU above the largest",
        put(f"{_SIZE}.cpu.min", "4001m"),
        "min must not be greater",
        f"{_SIZE}.cpu",
    ),
    app(
        "B10 a smallest memory above the largest",
        put(f"{_SIZE}.memory.min", "5G"),
        "min must not be greater",
        f"{_SIZE}.memory",
    ),
    app("B10 CPU in other units", put(f"{_SIZE}.cpu", {"min": "0.25", "max": "4000m"}), None, None),
    app("B10 CPU alone", drop(f"{_SIZE}.memory"), None, None),
    app("B10 memory alone", both(drop(f"{_SIZE}.cpu"), drop(_POINTS)), None, None),
    app(
        "B10 neither CPU nor memory",
        put(_SIZE, {"container": "app", "mode": "InPlace"}),
        "cpu or memory is needed with mode InPlace",
        _SIZE,
    ),
    app("B10 nothing but a container", put(_SIZE, {"container": "app"}), None, None),
    app(
        "B10 CPU without a curve", drop(_POINTS), "curve is needed with mode InPlace and cpu", _SIZE
    ),
    app(
        "B10 a curve of one point",
        put(_POINTS, [{"cpu": "1", "capacity": "66"}]),
        "at least 2 items",
        _POINTS,
    ),
    *(
        app(f"B10 a curve that {what}", put(f"{_POINTS}.1", point), _RISING, _SIZE)
        for what, point in {
            "falls in CPU": {"cpu": "50m", "capacity": "66"},
            "falls in capacity": {"cpu": "1", "capacity": "6"},
            "has a size twice": {"cpu": "0.1", "capacity": "66"},
            "gains nothing": {"cpu": "1", "capacity": "6.50"},
        }.items()
    ),
    app(
        "B10 a curve of 17 points",
        put(_POINTS, [{"cpu": f"{i}", "capacity": f"{i}"} for i in range(1, 18)]),
        "must have at most 16 items",
        _POINTS,
    ),
    app(
        "B10 a mode of old",
        put(f"{_SIZE}.mode", "Recreate"),
        "Unsupported value",
        f"{_SIZE}.mode",
    ),
    app(
        "B10 a deadline of 0",
        put(f"{_SIZE}.giveBackSeconds", 0),
        _MORE,
        f"{_SIZE}.giveBackSeconds",
    ),
    policy(
        "B10 one knob twice",
        put("spec.knobs.order", ["Resources", "Resources"]),
        "Duplicate value",
        "spec.knobs",
    ),
    policy(
        "B10 no such knob",
        put("spec.knobs.order", ["Luck"]),
        "Unsupported value",
        "spec.knobs.order[0]",
    ),
    policy("B10 one knob named", put("spec.knobs.order", ["Replicas"]), None, None),
    policy(
        "B10 a negative price",
        put("spec.knobs.prices.core", "-1"),
        "must be a decimal number of at least 0",
        "spec.knobs.prices.core",
    ),
    # Placement: one way to scale, and what every variant needs
    placed("placement of three variants", lambda body: None, None, None),
    placed(
        "placement of one variant with its defaults",
        put(
            _PLACEMENT,
            {
                "variants": [
                    {
                        "name": "only",
                        "scaleTargetRef": {"kind": "StatefulSet", "name": "c"},
                        "capacityPerReplica": {"value": "1"},
                        "costPerReplica": "0.5",
                        "replicas": {"max": 1},
                    }
                ]
            },
        ),
        None,
        None,
    ),
    placed(
        "placement and a target",
        put("spec.scaleTargetRef", APP["spec"]["scaleTargetRef"]),
        "exactly one of scaleTargetRef and placement",
        "spec",
    ),
    placed(
        "placement left out, and no target",
        drop(_PLACEMENT),
        "exactly one of scaleTargetRef and placement",
        "spec",
    ),
    app(
        "a target left out, and no placement",
        drop("spec.scaleTargetRef"),
        "exactly one of scaleTargetRef and placement",
        "spec",
    ),
    placed(
        "placement and bounds of replicas",
        put("spec.replicas", {"min": 1, "max": 3}),
        "each of its variants has bounds of its own",
        "spec",
    ),
    placed(
        "placement and a capacity",
        put("spec.capacityPerReplica", {"value": "64"}),
        "each of its variants has one of its own",
        "spec",
    ),
    placed(
        "placement and pods resized in place",
        put(_SIZE, APP["spec"]["resources"]),
        "resources.mode InPlace does not go with placement",
        "spec",
    ),
    placed(
        "placement and sizes that are left alone",
        put(_SIZE, {"container": "app", "mode": "Off"}),
        None,
        None,
    ),
    placed("placement of no variant", put(_VARIANTS, []), "at least 1 item", _VARIANTS),
    placed(
        "placement of 9 variants",
        put(_VARIANTS, [variant(f"v{i}") for i in range(9)]),
        "must have at most 8 items",
        _VARIANTS,
    ),
    placed(
        "placement of 8 variants with the longest names",
        put(
            _VARIANTS,
            [
                variant(
                    f"{i}".rjust(63, "v"),
                    scaleTargetRef={"kind": "StatefulSet", "name": f"{i}".rjust(253, "c")},
                )
                for i in range(8)
            ],
        ),
        None,
        None,
    ),
    placed(
        "two variants of one name",
        put(_VARIANTS, [variant("fp16"), variant("fp16", quality="1")]),
        "Duplicate value",
        _PLACEMENT,
    ),
    placed(
        "two variants of one workload",
        put(f"{_FP16}.scaleTargetRef.name", "c-cpu"),
        "no two variants may have the same scaleTargetRef",
        _PLACEMENT,
    ),
    placed(
        "two variants of one name in two kinds",
        put(f"{_FP16}.scaleTargetRef", {"kind": "StatefulSet", "name": "c-cpu"}),
        None,
        None,
    ),
    placed(
        "no variant that may run",
        both(*(put(f"{_VARIANTS}.{i}.replicas.max", 0) for i in range(3))),
        "at least one variant must allow a replica",
        _PLACEMENT,
    ),
    placed(
        "a variant's minimum above its maximum",
        put(f"{_FP16}.replicas.min", 5),
        "min must not be greater",
        f"{_VARIANTS}[fp16].replicas",
    ),
    placed(
        "a variant's minimum of -1",
        put(f"{_FP16}.replicas.min", -1),
        "should be greater than or equal to 0",
        f"{_VARIANTS}[fp16].replicas.min",
    ),
    placed(
        "a variant's maximum of 10^9",
        put(f"{_FP16}.replicas.max", 10**9),
        _LESS,
        f"{_VARIANTS}[fp16].replicas.max",
    ),
    *(
        placed(
            f"a variant without {name}",
            drop(f"{_FP16}.{name}"),
            f"{name}: Required",
            f"{_VARIANTS}[fp16].{name}",
        )
        for name in ("scaleTargetRef", "capacityPerReplica", "costPerReplica", "replicas")
    ),
    *(
        placed(
            f"a variant's cost of {text!r}",
            put(f"{_FP16}.costPerReplica", text),
            _ABOVE_0,
            f"{_VARIANTS}[fp16].costPerReplica",
        )
        for text in ("0", "-8", "1e2", "free", "")
    ),
    *(
        placed(
            f"a variant's quality of {text!r}",
            put(f"{_FP16}.quality", text),
            _WITHIN_ONE,
            f"{_VARIANTS}[fp16].quality",
        )
        for text in ("1.01", "-0.1", "97", "97%", "good")
    ),
    *(
        placed(
            f"a least quality of {text!r}",
            put(f"{_PLACEMENT}.minQuality", text),
            _WITHIN_ONE,
            f"{_PLACEMENT}.minQuality",
        )
        for text in ("1.01", "-1", "95", "")
    ),
    placed(
        "a least quality that no variant reaches",
        both(
            put(f"{_PLACEMENT}.minQuality", "0.98"),
            put(f"{_VARIANTS}.1.quality", "0.979"),
        ),
        "no variant that may run reaches minQuality",
        _PLACEMENT,
    ),
    placed(
        "a least quality that only a variant of no replicas reaches",
        both(put(f"{_PLACEMENT}.minQuality", "0.98"), put(f"{_VARIANTS}.1.replicas.max", 0)),
        "no variant that may run reaches minQuality",
        _PLACEMENT,
    ),
    placed(
        "a least quality that is just reached", put(f"{_PLACEMENT}.minQuality", "1.0"), None, None
    ),
    placed("a priority of 0", put(f"{_PLACEMENT}.priority", 0), _MORE, f"{_PLACEMENT}.priority"),
    placed(
        "a priority of 1001", put(f"{_PLACEMENT}.priority", 1001), _LESS, f"{_PLACEMENT}.priority"
    ),
    placed(
        "a saving of 100 percent",
        put(f"{_PLACEMENT}.savingPercent", "100"),
        _PERCENT,
        f"{_PLACEMENT}.savingPercent",
    ),
    placed(
        "a deadline for pending pods of 9 s",
        put(f"{_PLACEMENT}.pendingDeadlineSeconds", 9),
        "should be greater than or equal to 10",
        f"{_PLACEMENT}.pendingDeadlineSeconds",
    ),
    placed(
        "a variant elsewhere",
        put(f"{_FP16}.scaleTargetRef.namespace", "kube-system"),
        "unknown field",
        None,
    ),
    # B12, B13: queries are text to the schema; the operator bounds and parses them before it asks
    *(
        app(f"B12 a query with {what}", put("spec.indicators.0.query", text), None, None)
        for what, text in {
            "a way out": '"} or vector(0) #',
            "a backslash": "up\\",
            "a line feed": "up\n",
            "an emoji": "up 🚀",
            "right to left": "up \u202e",
            "a nested subquery": "max_over_time(up[30d:1s])",
        }.items()
    ),
    app("B13 a query that is no PromQL", put("spec.indicators.0.query", "sum("), None, None),
    # B14: a tenant is no field of a resource
    app("B14 a tenant", put("spec.indicators.0.tenant", "a|b"), "unknown field", None),
    # B16, B17: contradictions
    policy(
        "B16 gains are text to the schema",
        put("spec.controller", {"type": "PD", "parameters": {"kp": "1e12"}}),
        None,
        None,
    ),
    policy(
        "B16 a gain that is no text",
        put("spec.controller.parameters.kp", 5),
        _TYPED_TEXT,
        "spec.controller.parameters.kp",
    ),
    policy(
        "B16 a law with a path",
        put("spec.controller.type", "../x"),
        "should match",
        "spec.controller.type",
    ),
    app(
        "B17 two indicators of one name",
        put("spec.indicators", [_named("queued")] * 2),
        "Duplicate value",
        "spec",
    ),
    app(
        "B17 two objectives of one name",
        put("spec.objectives", [_objective()] * 2),
        "Duplicate value",
        "spec",
    ),
    app(
        "B17 50 objectives",
        put("spec.objectives", [_objective(name=f"o{i}") for i in range(50)]),
        "must have at most 8 items",
        "spec.objectives",
    ),
    app(
        "B17 a set point above",
        put(_AIM, "601"),
        "setPoint must not be above",
        "spec.objectives[freshness]",
    ),
    app(
        "B17 a set point below",
        put("spec.objectives.0.threshold.op", "GreaterThanOrEqual"),
        "setPoint must not be below",
        "spec.objectives[freshness]",
    ),
    app(
        "B17 a binding to nothing",
        put("spec.bindings.backlog", "nosuch"),
        "every binding must name one of the indicators",
        "spec",
    ),
    app(
        "B17 a threshold of nothing",
        put("spec.objectives.0.threshold.indicator", "nosuch"),
        "every threshold must name one of the indicators",
        "spec",
    ),
    policy(
        "B17 a floor without a number",
        drop("spec.fallback.replicas"),
        "replicas is needed with strategy AtLeast",
        "spec.fallback",
    ),
    policy(
        "B17 a rule that changes nothing",
        put("spec.behavior.scaleUp.policies", []),
        "at least 1 item",
        "spec.behavior.scaleUp.policies",
    ),
    # B21: holds fail safe, in the schema and after it
    app(
        "B21 a hold with junk for a direction",
        put("spec.holds.0.direction", "sideways"),
        "Unsupported value",
        None,
    ),
    app(
        "B21 a hold until junk",
        put("spec.holds.0.until", "soon"),
        "spec.holds[0].until",
        "spec.holds[night].until",
    ),
    app(
        "B21 a hold until no zone",
        put("spec.holds.0.until", "2030-01-01T06:00:00"),
        "spec.holds[0].until",
        "spec.holds[night].until",
    ),
    app(
        "B21 a hold until a number",
        put("spec.holds.0.until", 1893456000),
        "spec.holds[0].until",
        "spec.holds[night].until",
    ),
    app(
        "B21 a hold without a name",
        drop("spec.holds.0.name"),
        "name: Required",
        "spec.holds[0].name",
    ),
    app(
        "B21 two holds of one name",
        put("spec.holds", [{"name": "a"}, {"name": "a"}]),
        "Duplicate value",
        "spec",
    ),
    app("B21 a hold with a name alone", put("spec.holds", [{"name": "a"}]), None, None),
]
