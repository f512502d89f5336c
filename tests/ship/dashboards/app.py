"""One app: its indicators against its objectives, its replicas and sizes, and why they are so."""

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model

from charon_operator.names import Metric
from tests.ship.dashboards import panels

_APP = 'namespace="$namespace", name="$app"'
# Of annotations: how often what is wanted is looked at; a move and its return in between is none.
_LOOK_S = 5
_THIRD = 8


def build() -> dashboard.Dashboard:
    text = "One ChargedApp: indicators and objectives, replicas, sizes, decisions, limits, data."
    board = panels.board("app", "App", text, since="now-30m")
    target = Metric.OBJECTIVE_TARGET
    board.with_variable(panels.choice("namespace", "Namespace", target, "namespace"))
    board.with_variable(panels.choice("app", "App", f'{target}{{namespace="$namespace"}}', "name"))
    known = f'{{__name__=~"{Metric.INDICATOR_VALUE}|{Metric.INDICATOR_MISSING}", {_APP}}}'
    board.with_variable(panels.choice("indicator", "Indicator", known, "indicator", several=True))
    count, size = Metric.DESIRED_REPLICAS, Metric.DESIRED_CPU
    for moves in (
        _Moves("Raised", count, ">", "to {{to}} replicas", "green"),
        _Moves("Lowered", count, "<", "to {{to}} replicas", "orange"),
        _Moves("Pods larger", size, ">", "to {{to}} cores a pod", "blue"),
        _Moves("Pods smaller", size, "<", "to {{to}} cores a pod", "purple"),
    ):
        board.annotation(moves)
    for part in (_numbers, _indicators, _replicas, _sizes, _reasons, _promises):
        part(board)
    return board


class _Moves:
    """Decisions as annotations: what is wanted is more or less than one look before."""

    def __init__(self, name: str, metric: Metric, side: str, text: str, colour: str) -> None:
        wanted = f"{metric}{{{_APP}}}"
        moved = f"max({wanted}) - max({wanted} offset {_LOOK_S}s) {side} 0"
        named = f'count_values("to", max({wanted})) and on () ({moved})'
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
        ("Wanted", count, f"max({Metric.DESIRED_REPLICAS}{{{_APP}}})", ""),
        ("Ready", count, f"max({Metric.READY_REPLICAS}{{{_APP}}})", ""),
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
    lines = [
        panels.query(f"max({metric}{{{_APP}}})", legend)
        for legend, metric in (
            ("wanted", Metric.DESIRED_REPLICAS),
            ("law wants", Metric.RAW_REPLICAS),
            ("asked for", Metric.CURRENT_REPLICAS),
            ("ready", Metric.READY_REPLICAS),
        )
    ]
    text = "wanted: after limits; law wants: before them; asked for: spec.replicas of the workload."
    panel = panels.steps("Replicas", panels.COUNT, *lines, width=24, text=text)
    board.with_panel(panels.dashed(panel, "/^law wants$/"))


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
    for title, query, text in (
        ("Limits", limits, "When a limit changed what the law wanted, and of which knob."),
        ("Missing data", missing, "When an indicator had no usable value."),
        ("Resizes in quarantine", failed, "When pods were not made larger, and what had failed."),
    ):
        board.with_panel(panels.states(title, query, width=_THIRD, text=text))


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
    kept = panels.graph("Objectives over their window", panels.SHARE, *lines)
    board.with_panel(panels.dashed(kept, "/: target$/"))
    ages = panels.query(f"max by (indicator) ({Metric.INDICATOR_AGE}{{{_APP}}})", "{{indicator}}")
    text = "Of the oldest sample that the value stands on."
    board.with_panel(panels.graph("Age of data", panels.SECONDS, ages, text=text).min(0))
