"""Bad input: what variants of the third knob may be."""

from tests.model.bad_input import APP, LESS, MORE, Row, app, both, drop, placed, put, variant

_SIZE = "spec.resources"
_PLACEMENT, _VARIANTS = "spec.placement", "spec.placement.variants"
_FP16 = f"{_VARIANTS}.0"
_WITHIN_ONE = 'must be a number from "0" to "1"'
_ABOVE_0 = "must be a decimal number above 0"
_PERCENT = 'must be a percentage between "0" and "100", both excluded'

ROWS: list[Row] = [
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
        LESS,
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
    placed("a priority of 0", put(f"{_PLACEMENT}.priority", 0), MORE, f"{_PLACEMENT}.priority"),
    placed(
        "a priority of 1001", put(f"{_PLACEMENT}.priority", 1001), LESS, f"{_PLACEMENT}.priority"
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
        "new nodes that an autoscaler brings",
        put(f"{_PLACEMENT}.newNodes", "Autoscaler"),
        None,
        None,
    ),
    placed("no new nodes", put(f"{_PLACEMENT}.newNodes", "None"), None, None),
    *(
        placed(
            f"new nodes by {value!r}",
            put(f"{_PLACEMENT}.newNodes", value),
            "Unsupported value",
            f"{_PLACEMENT}.newNodes",
        )
        for value in ("Karpenter", "autoscaler", "")
    ),
    placed(
        "a variant elsewhere",
        put(f"{_FP16}.scaleTargetRef.namespace", "kube-system"),
        "unknown field",
        None,
    ),
]
