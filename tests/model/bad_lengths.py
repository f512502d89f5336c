"""Bad input: too much, names, targets, queries."""

from tests.model.bad_input import Row, app, named, objective, policy, put

ROWS: list[Row] = [
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
        put("spec.objectives", [objective(name=f"o{i}") for i in range(10_000)]),
        "must have at most 8 items",
        "spec.objectives",
    ),
    app("B6 no objectives", put("spec.objectives", []), "at least 1 item", "spec.objectives"),
    app(
        "B6 17 indicators",
        put("spec.indicators", [named("queued"), *(named(f"i{i}") for i in range(16))]),
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
]
