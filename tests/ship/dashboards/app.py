"""One app: indicators against objectives, its replicas, sizes, variants, and why they are so."""

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from charon_operator.names import Metric
from tests.ship.dashboards import panels

_APP = 'namespace="$namespace", name="$app"'
# Of annotations: how often what is wanted is looked at; a move and its return in between is none.
_LOOK_S = 5
_THIRD = 8
_VARIANT_TO = "{{variant}} to {{to}} replicas"
# Of a workload's replicas: what tells of them, and which kind of a variant's they are.
_REPLICAS = {
    "wanted": (Metric.DESIRED_REPLICAS, "goal"),
    "asked for": (Metric.CURRENT_REPLICAS, "asked"),
    "ready": (Metric.READY_REPLICAS, "ready"),
}


def build() -> dashboard.Dashboard:
    text = "One ChargedApp: indicators and objectives, replicas, sizes, variants, limits, data."
    board = panels.board("app", "App", text, since="now-30m")
    target = Metric.OBJECTIVE_TARGET
    board.with_variable(panels.choice("namespace", "Namespace", target, "namespace"))
    board.with_variable(panels.choice("app", "App", f'{target}{{namespace="$namespace"}}', "name"))
    known = f'{{__name__=~"{Metric.INDICATOR_VALUE}|{Metric.INDICATOR_MISSING}", {_APP}}}'
    board.with_variable(panels.choice("indicator", "Indicator", known, "indicator", several=True))
    variants = f"{Metric.VARIANT_REPLICAS}{{{_APP}}}"
    board.with_variable(panels.choice("variant", "Variant", variants, "variant", several=True))
    count, size = (
        f"{metric}{{{_APP}}}" for metric in (Metric.DESIRED_REPLICAS, Metric.DESIRED_CPU)
    )
    variant = f'{Metric.VARIANT_REPLICAS}{{{_APP}, kind="asked"}}'
    for moves in (
        _Moves("Raised", count, ">", "to {{to}} replicas", "green"),
        _Moves("Lowered", count, "<", "to {{to}} replicas", "orange"),
        _Moves("Pods larger", size, ">", "to {{to}} cores a pod", "blue"),
        _Moves("Pods smaller", size, "<", "to {{to}} cores a pod", "purple"),
        _Moves("Variant raised", variant, ">", _VARIANT_TO, "green", "variant"),
        _Moves("Variant lowered", variant, "<", _VARIANT_TO, "orange", "variant"),
    ):
        board.annotation(moves)
    for part in (_numbers, _indicators, _replicas, _variants, _sizes, _reasons, _promises):
        part(board)
    return board


class _Moves:
    """Decisions as annotations: what is wanted is more or less than one look before.

    Args:
        of: the label of what moves, where the app has several.
    """

    def __init__(
        self, name: str, wanted: str, side: str, text: str, colour: str, of: str = ""
    ) -> None:
        now = f"max by ({of}) ({wanted})"
        moved = f"{now} - max by ({of}) ({wanted} offset {_LOOK_S}s) {side} 0"
        named = f'count_values by ({of}) ("to", {now}) and on ({of}) ({moved})'
        self._made = _Asked(
            text, name=name, datasource=panels.SOURCE, icon_color=colour, expr=named
        )

    def build(self) -> model.AnnotationQuery:
        return self._made


class _Asked(model.AnnotationQuery):
    """An annotation from PromQL, with the fields of its own that the SDK does not know."""

    def __init__(self, text: str, **known: Any) -> None:
        super().__init__(**known)
        self._text = text

    def to_json(self) -> dict[str, Any]:
        own = {"step": f"{_LOOK_S}s", "titleFormat": self.name, "textFormat": self._text}
        return {**super().to_json(), **own}


def _numbers(board: dashboard.Dashboard) -> None:
    count, share, seconds = panels.COUNT, panels.SHARE, panels.SECONDS
    missing = f"count({Metric.INDICATOR_MISSING}{{{_APP}}})"
    here = f"0 * max({Metric.OBJECTIVE_TARGET}{{{_APP}}})"
    for title, unit, expression, bad in (
        ("Wanted", count, _count("wanted"), ""),
        ("Ready", count, _count("ready"), ""),
        ("Least attainment", share, f"min({Metric.OBJECTIVE_ATTAINMENT}{{{_APP}}})", ""),
        ("Least budget left", share, f"min({Metric.OBJECTIVE_BUDGET}{{{_APP}}})", "below 0"),
        ("Indicators missing", count, f"{missing} or {here}", "above 0"),
        ("Oldest data", seconds, f"max({Metric.INDICATOR_AGE}{{{_APP}}})", ""),
    ):
        board.with_panel(panels.number(title, unit, expression, bad))


def _indicators(board: dashboard.Dashboard) -> None:
    shown = f'{_APP}, indicator="$indicator"'
    value = panels.query(f"max({Metric.INDICATOR_VALUE}{{{shown}}})", "$indicator")
    thresholds = f"max by (objective) ({Metric.OBJECTIVE_THRESHOLD}{{{shown}}})"
    bound = panels.query(thresholds, "threshold of {{objective}}")
    text = "In its own unit. A gap is a time without a usable value."
    panel = panels.graph("$indicator against its objectives", "short", value, bound, text=text)
    panels.dashed(panel, "/^threshold of/")
    board.with_panel(panel.repeat("indicator").repeat_direction("h").max_per_row(2).span(24))


def _replicas(board: dashboard.Dashboard) -> None:
    lines = [panels.query(_count(legend), legend) for legend in _REPLICAS]
    lines.insert(1, panels.query(f"max({Metric.RAW_REPLICAS}{{{_APP}}})", "law wants"))
    text = (
        "wanted: after limits; law wants: before them; asked for: spec.replicas of the workload. "
        "Of an app with variants: of all of them."
    )
    panel = panels.steps("Replicas", panels.COUNT, *lines, width=24, text=text)
    board.with_panel(panels.dashed(panel, "/^law wants$/"))


def _count(legend: str) -> str:
    return f"max({panels.replicas(*_REPLICAS[legend], _APP, 'namespace, name')})"


def _variants(board: dashboard.Dashboard) -> None:
    lines = [
        panels.query(
            f'max({Metric.VARIANT_REPLICAS}{{{_APP}, variant="$variant", kind="{kind}"}})', legend
        )
        for legend, kind in (
            ("aimed at", "goal"),
            ("asked for", "asked"),
            ("ready", "ready"),
            ("without a node", "waiting"),
        )
    ]
    text = "aimed at: once all steps are done; without a node: of its pods, by the scheduler."
    panel = panels.steps("Variant $variant", panels.COUNT, *lines, text=text)
    panels.dashed(panel, "/^aimed at$/")
    board.with_panel(panel.repeat("variant").repeat_direction("h").max_per_row(2).span(24))


def _sizes(board: dashboard.Dashboard) -> None:
    text = "wanted: after limits; smallest pod: what its kubelet says that it has."
    for title, unit, wanted, actual in (
        ("CPU of a pod, cores", panels.COUNT, Metric.DESIRED_CPU, Metric.ACTUAL_CPU),
        ("Memory of a pod", "bytes", Metric.DESIRED_MEMORY, Metric.ACTUAL_MEMORY),
    ):
        lines = [
            panels.query(f"max({wanted}{{{_APP}}})", "wanted"),
            panels.query(f"min({actual}{{{_APP}}})", "smallest pod"),
        ]
        panel = panels.steps(title, unit, *lines, width=_THIRD, text=text)
        board.with_panel(panel.decimals(2))
    waiting = panels.query(f"max({Metric.UNSETTLED_RESIZES}{{{_APP}}})", "pods")
    text = "Asked to take a size that they do not have yet: on its way, deferred, or refused."
    board.with_panel(
        panels.steps(
            "Pods that wait for their size", panels.COUNT, waiting, width=_THIRD, text=text
        )
    )


def _reasons(board: dashboard.Dashboard) -> None:
    limits = panels.query(
        f"max by (knob, limit) ({Metric.LIMITED_BY}{{{_APP}}})", "{{knob}}: {{limit}}"
    )
    missing = panels.query(
        f"max by (indicator, reason) ({Metric.INDICATOR_MISSING}{{{_APP}}})",
        "{{indicator}}: {{reason}}",
    )
    failed = panels.query(f"max by (reason) ({Metric.RESIZE_QUARANTINED}{{{_APP}}})", "{{reason}}")
    short = panels.query(f"max({Metric.PLACEMENT_FEASIBLE}{{{_APP}}}) == 0", "placement")
    for title, query, text in (
        ("Limits", limits, "When a limit changed what the law wanted, and of which knob."),
        ("Missing data", missing, "When an indicator had no usable value."),
        ("Resizes in quarantine", failed, "When pods were not made larger, and what had failed."),
        ("Placement not feasible", short, "When the variants that were wanted could not be had."),
    ):
        board.with_panel(panels.states(title, query, text=text))


def _promises(board: dashboard.Dashboard) -> None:
    lines = [
        panels.query(f"max by (objective) ({metric}{{{_APP}}})", f"{{{{objective}}}}: {legend}")
        for legend, metric in (
            ("attainment", Metric.OBJECTIVE_ATTAINMENT),
            ("target", Metric.OBJECTIVE_TARGET),
            ("observed", Metric.OBJECTIVE_COVERAGE),
            ("budget left", Metric.OBJECTIVE_BUDGET),
        )
    ]
    kept = panels.graph("Objectives over their window", panels.SHARE, *lines, width=_THIRD)
    board.with_panel(panels.dashed(kept, "/: target$/"))
    ages = panels.query(f"max by (indicator) ({Metric.INDICATOR_AGE}{{{_APP}}})", "{{indicator}}")
    text = "Of the oldest sample that the value stands on."
    age = panels.graph("Age of data", panels.SECONDS, ages, width=_THIRD, text=text)
    board.with_panel(age.min(0))
    learnt = panels.query(f"max by (knob) ({Metric.ACTUATION}{{{_APP}}})", "{{knob}}")
    text = "From a raise to its effect, the median of the last ones. Of an app with two knobs."
    speed = panels.graph("How fast a knob acts", panels.SECONDS, learnt, width=_THIRD, text=text)
    board.with_panel(speed.min(0))
