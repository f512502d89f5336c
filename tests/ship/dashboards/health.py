"""The operator itself: is it in time, what does it ask and write, does it see the cluster."""

from grafana_foundation_sdk.builders import dashboard

from charon_operator.names import Metric
from charon_operator.ports import WriteOutcome
from tests.ship.dashboards import panels

_OF = 'instance=~"$instance"'
_EACH = "by (instance)"
_WHO = "{{instance}}"
# Of what happens so seldom that a shorter window would mostly be empty.
_SELDOM = "5m"
_THIRD = 8
_QUANTILES = {"median": 0.5, "95 %": 0.95, "99 %": 0.99}


def build() -> dashboard.Dashboard:
    text = "The operator's own turns, queries, writes, leadership and view of the cluster."
    board = panels.board("health", "Operator", text)
    board.with_variable(
        panels.choice("instance", "Instance", Metric.LEADER, "instance", several=True)
    )
    for part in (_numbers, _failed, _turns, _delays, _asked, _written, _seen):
        part(board)
    return board


def _numbers(board: dashboard.Dashboard) -> None:
    for title, expression, bad in (
        ("Leaders", f"sum({Metric.LEADER}{{{_OF}}})", "below 1"),
        ("Apps", f"max({Metric.APPS}{{{_OF}}})", ""),
        ("Informers in sync", f"min({Metric.INFORMER_SYNCED}{{{_OF}}})", "below 1"),
        ("Informer problems", f"max({Metric.INFORMER_PROBLEMS}{{{_OF}}})", "above 0"),
        ("Lowering blocked", f"max({Metric.FLEET_BLIND}{{{_OF}}})", "above 0"),
        ("Journal rows lost", f"sum({Metric.JOURNAL_ROWS_LOST}{{{_OF}}})", "above 0"),
    ):
        board.with_panel(panels.number(title, panels.COUNT, expression, bad))


def _turns(board: dashboard.Dashboard) -> None:
    text = "From gathering to the last decision."
    board.with_panel(_quantiles("A turn takes", Metric.TURN_SECONDS, text))
    board.with_panel(
        _quantiles("A turn begins late by", Metric.TURN_LATE_SECONDS, "After it was due.")
    )


def _delays(board: dashboard.Dashboard) -> None:
    text = "Age of a sample when it was first decided on: scrape, send and store."
    board.with_panel(_quantiles("Dead time of the pipeline", Metric.PIPELINE_DEAD_TIME, text))
    text = "From the sample that a change stood on to its write, over the last 5 minutes."
    board.with_panel(_quantiles("From sample to write", Metric.METRIC_TO_PATCH, text, _SELDOM))


def _quantiles(title: str, metric: Metric, text: str, over: str = "$__rate_interval") -> object:
    buckets = f"sum by (le) (rate({metric}_bucket{{{_OF}}}[{over}]))"
    lines = [
        panels.query(f"histogram_quantile({share}, {buckets})", legend)
        for legend, share in _QUANTILES.items()
    ]
    return panels.graph(title, panels.SECONDS, *lines, text=text).min(0)


def _rate(metric: Metric, by: str = "") -> str:
    return f"sum {by}(rate({metric}{{{_OF}}}[$__rate_interval]))"


def _asked(board: dashboard.Dashboard) -> None:
    asked = panels.query(_rate(Metric.QUERIES), "queries")
    requests = panels.query(_rate(Metric.QUERY_REQUESTS), "requests that carry them")
    text = "Queries of many apps travel in one request."
    board.with_panel(
        panels.graph("Asked of Mimir", "reqps", asked, requests, text=text, width=_THIRD)
    )
    decided = panels.query(_rate(Metric.DECISIONS, "by (reason) "), "{{reason}}")
    text = "By their reason."
    board.with_panel(panels.stacked("Decisions", "ops", decided, text=text, width=_THIRD))
    limited = panels.query(_rate(Metric.LIMITED, "by (limit) "), "{{limit}}")
    text = "Decisions that a limit changed, by limit; of one decision several may count."
    board.with_panel(panels.stacked("Decisions limited", "ops", limited, text=text, width=_THIRD))


def _written(board: dashboard.Dashboard) -> None:
    written = panels.query(
        _rate(Metric.API_WRITES, "by (resource, outcome) "), "{{resource}}: {{outcome}}"
    )
    text = "Nothing is written that did not change: an idle fleet writes nothing."
    board.with_panel(panels.graph("Writes to the API server", "wps", written, text=text))
    resized = panels.query(_rate(Metric.RESIZES, "by (outcome) "), "{{outcome}}")
    text = "Pods that were asked to take another size. Conflict: the pod had moved on; tried again."
    board.with_panel(panels.graph("Resizes of pods", "wps", resized, text=text))


def _failed(board: dashboard.Dashboard) -> None:
    refused, lost = (
        f'outcome="{outcome}", ' for outcome in (WriteOutcome.REFUSED, WriteOutcome.UNREACHABLE)
    )
    for title, metric, which in (
        ("Writes refused", Metric.API_WRITES, refused),
        ("Writes not answered", Metric.API_WRITES, lost),
        ("Resizes refused", Metric.RESIZES, refused),
        ("Status writes failed", Metric.STATUS_WRITE_FAILURES, ""),
        ("Turns skipped", Metric.TURNS_SKIPPED, ""),
        ("Informer restarts", Metric.INFORMER_RESTARTS, ""),
    ):
        # A counter with labels has no series before its first event.
        counted = panels.zero_if_none(f"sum(increase({metric}{{{which}{_OF}}}[$__range]))")
        text = "In the time that is shown."
        board.with_panel(panels.number(title, panels.COUNT, counted, "above 0", text=text))


def _seen(board: dashboard.Dashboard) -> None:
    leading = panels.query(f"max {_EACH} ({Metric.LEADER}{{{_OF}}})", _WHO)
    text = "1: leads. A standby is at 0, ready to lead."
    board.with_panel(panels.steps("Who leads", panels.COUNT, leading, text=text).max(1))
    silent = panels.query(f"max by (kind) ({Metric.INFORMER_SILENT}{{{_OF}}})", "{{kind}}")
    text = "Since a kind was last heard of: a list, a watch granted (every 10 min) or an event."
    board.with_panel(
        panels.graph("Silence of the informer", panels.SECONDS, silent, text=text).min(0)
    )
