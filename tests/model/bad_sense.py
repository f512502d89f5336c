"""Bad input: contradictions, and holds that are none."""

from tests.model.bad_input import TYPED_TEXT, Row, app, drop, named, objective, policy, put

ROWS: list[Row] = [
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
        TYPED_TEXT,
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
        put("spec.indicators", [named("queued")] * 2),
        "Duplicate value",
        "spec",
    ),
    app(
        "B17 two objectives of one name",
        put("spec.objectives", [objective()] * 2),
        "Duplicate value",
        "spec",
    ),
    app(
        "B17 50 objectives",
        put("spec.objectives", [objective(name=f"o{i}") for i in range(50)]),
        "must have at most 8 items",
        "spec.objectives",
    ),
    app(
        "B17 a set point above",
        put("spec.objectives.0.setPoint", "601"),
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
