"""Bad input: what pods of the second knob may have."""

from tests.model.bad_input import MORE, TYPED_TEXT, Row, app, both, drop, policy, put

_SIZE, _POINTS = "spec.resources", "spec.resources.curve"
_CPU = 'must be CPU between "10m" and "256"'
_MEMORY = 'must be memory between "1Mi" and "16Ti"'
_RISING = "the points must rise in cpu and in capacity"

ROWS: list[Row] = [
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
    app(
        "B9 a usage of CPU that is no indicator",
        put(f"{_SIZE}.cpu.usage", "cores"),
        "resources.cpu.usage must name one of the indicators",
        "spec",
    ),
    # B10: sizes
    *(
        app(f"B10 CPU of {text!r}", put(f"{_SIZE}.cpu.max", text), _CPU, f"{_SIZE}.cpu.max")
        for text in ("1Ei", "0.0000001", "-1", "1e9", "9m", "257", "0", "", "NaN", "1_0", "٣")
    ),
    app("B10 CPU that is no text", put(f"{_SIZE}.cpu.max", 4), TYPED_TEXT, f"{_SIZE}.cpu.max"),
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
        "B10 CPU by usage without a curve",
        both(
            drop(_POINTS),
            put(f"{_SIZE}.sizing", "Usage"),
            put(f"{_SIZE}.cpu.usage", "queued"),
        ),
        None,
        None,
    ),
    app(
        "B10 CPU by a usage that nothing gives",
        put(f"{_SIZE}.sizing", "Usage"),
        "cpu.usage is needed with sizing Usage: name the indicator",
        _SIZE,
    ),
    app(
        "B10 a sizing of no such kind",
        put(f"{_SIZE}.sizing", "Luck"),
        "Unsupported value",
        f"{_SIZE}.sizing",
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
        MORE,
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
]
