"""Bad input: what variants of the third knob may be."""

from tests.model.bad_input import APP, LESS, MORE, Body, Row, app, both, drop, placed, put, variant

_SIZE = "spec.resources"
_PLACEMENT, _VARIANTS = "spec.placement", "spec.placement.variants"
_FP16 = f"{_VARIANTS}.0"
_WITHIN_ONE = 'must be a number from "0" to "1"'
_ABOVE_0 = "must be a decimal number above 0"
_PERCENT = 'must be a percentage between "0" and "100", both excluded'

_A100 = {"container": "app", "gpus": 1, "product": "A100", "runtimeClassName": "nvidia"}
_CPU = {"container": "app", "gpus": 0}


def _sharing(template: Body | None) -> list[Body]:
    """Two variants of one Deployment: one of an A100, and one of that template."""
    target = {"kind": "Deployment", "name": "c"}
    other = {} if template is None else {"template": template}
    return [
        variant("a100", scaleTargetRef=target, template=_A100),
        variant("other", scaleTargetRef=target, **other),
    ]


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
        "two variants of one workload, one of them with a template",
        put(_VARIANTS, _sharing(None)),
        "no two variants may have the same scaleTargetRef unless each has a template",
        _PLACEMENT,
    ),
    placed("two variants of one workload by templates", put(_VARIANTS, _sharing(_CPU)), None, None),
    *(
        placed(
            f"two variants of one workload by {name} alone",
            put(_VARIANTS, _sharing({**_A100, name: value})),
            None,
            None,
        )
        for name, value in (("gpus", 2), ("product", "L4"), ("runtimeClassName", ""))
    ),
    placed(
        "two variants of one workload and one template",
        put(_VARIANTS, _sharing(_A100)),
        "may have the same template: change gpus",
        _PLACEMENT,
    ),
    placed(
        "two variants of one workload and one template, what is empty left out once",
        both(
            put(_VARIANTS, _sharing({"container": "app", "gpus": 0})),
            put(
                f"{_FP16}.template",
                {"container": "app", "gpus": 0, "product": "", "runtimeClassName": ""},
            ),
        ),
        "may have the same template: change gpus",
        _PLACEMENT,
    ),
    placed(
        "two variants of one workload and two containers",
        put(_VARIANTS, _sharing({**_CPU, "container": "side"})),
        "must name the same container",
        _PLACEMENT,
    ),
    placed(
        "8 variants of one Deployment with the longest texts",
        put(
            _VARIANTS,
            [
                variant(
                    f"{i}".rjust(63, "v"),
                    scaleTargetRef={"kind": "Deployment", "name": "c" * 253},
                    template={
                        "container": "c" * 63,
                        "gpus": 1,
                        "product": f"{i}".rjust(63, "p"),
                        "runtimeClassName": "n" * 253,
                    },
                )
                for i in range(8)
            ],
        ),
        None,
        None,
    ),
    placed("a variant alone with a template", put(f"{_FP16}.template", _A100), None, None),
    placed(
        "a variant of a StatefulSet with a template",
        both(put(f"{_FP16}.scaleTargetRef.kind", "StatefulSet"), put(f"{_FP16}.template", _A100)),
        "template goes with a scaleTargetRef of kind Deployment only",
        f"{_VARIANTS}[fp16]",
    ),
    *(
        placed(
            f"a template whose {name} is {value!r}",
            put(f"{_FP16}.template", {**_A100, name: value}),
            refused,
            f"{_VARIANTS}[fp16].template.{name}",
        )
        for name, value, refused in (
            ("gpus", -1, "should be greater than or equal to 0"),
            ("gpus", 65, "should be less than or equal to 64"),
            ("gpus", "1", "must be of type integer"),
            ("container", "", "should match"),
            ("container", "App", "should match"),
            ("container", "c" * 64, "may not be more than 63"),
            ("product", "NVIDIA A100", "should match"),
            ("product", "p" * 64, "may not be more than 63"),
            ("runtimeClassName", "NVIDIA", "should match"),
            ("runtimeClassName", "n" * 254, "may not be more than 253"),
        )
    ),
    *(
        placed(
            f"a template without {name}",
            put(f"{_FP16}.template", {key: _A100[key] for key in _A100 if key != name}),
            f"{name}: Required",
            f"{_VARIANTS}[fp16].template.{name}",
        )
        for name in ("container", "gpus")
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
