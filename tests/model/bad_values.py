"""Bad input: bounds, periods, numbers in text, types, fields that are none."""

from tests.model.bad_input import (
    LESS,
    MORE,
    TYPED_INT,
    TYPED_TEXT,
    Row,
    app,
    both,
    drop,
    policy,
    put,
)

_MAX, _MIN = "spec.replicas.max", "spec.replicas.min"
_TARGET, _VALUE = "spec.objectives.0.target", "spec.objectives.0.threshold.value"
_T, _V = "spec.objectives[freshness].target", "spec.objectives[freshness].threshold.value"
_AIM, _PERIOD = "spec.objectives.0.setPoint", "spec.periodSeconds"
_PERCENT = 'must be a percentage between "0" and "100", both excluded'
_DECIMAL = "must be a decimal number in quotes"

ROWS: list[Row] = [
    app("a good app", lambda body: None, None, None),
    policy("a good policy", lambda body: None, None, None),
    # B1: bounds
    app("B1 a maximum of 10^9", put(_MAX, 10**9), LESS, _MAX),
    app("B1 a maximum of 2^31", put(_MAX, 2**31), LESS, _MAX),
    app("B1 a maximum of 2^63", put(_MAX, 2**63), TYPED_INT, _MAX),
    app("B1 a minimum of -1", put(_MIN, -1), MORE, _MIN),
    app("B1 a minimum of 0", put(_MIN, 0), MORE, _MIN),
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
        LESS,
        "spec.fallback.replicas",
    ),
    # B2: the period
    *(
        policy(f"B2 a period of {text!r}", put(_PERIOD, text), TYPED_INT, _PERIOD)
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
    policy("B2 a period of 0", put(_PERIOD, 0), MORE, _PERIOD),
    policy("B2 a period of -5", put(_PERIOD, -5), MORE, _PERIOD),
    policy("B2 a period above an hour", put(_PERIOD, 3601), "less than or equal to 3600", _PERIOD),
    policy("B2 a period of 1.5", put(_PERIOD, 1.5), TYPED_INT, _PERIOD),
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
    app("B3 a target that is no text", put(_TARGET, 95), TYPED_TEXT, _T),
    *(
        app(f"B3 a threshold of {text!r}", put(_VALUE, text), _DECIMAL, _V)
        for text in ("NaN", "Infinity", "1e3", "600 frames", "１", "0x10", "1_0.5", "٣")
    ),
    app("B3 a threshold of 1e400", put(_VALUE, "1e400"), _DECIMAL, _V),
    app("B3 a threshold that is no text", put(_VALUE, 600), TYPED_TEXT, _V),
    app("B3 a target without quotes", put(_TARGET, 95.5), TYPED_TEXT, _T),
    app("B3 a threshold without quotes", put(_VALUE, 600.5), TYPED_TEXT, _V),
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
    app("B4 true for a count", put(_MAX, True), TYPED_INT, _MAX),
    policy("B4 true for a period", put(_PERIOD, True), TYPED_INT, _PERIOD),
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
    app("B5 a count beyond doubles", put(_MAX, 2**53 + 1), LESS, _MAX),
]
