"""The fleet at a glance: what is promised and kept, who is limited, who is not heard."""

from grafana_foundation_sdk.builders import dashboard

from charon_operator.model.policy import Knob
from charon_operator.names import Metric
from tests.ship.dashboards import panels

_IN = 'namespace=~"$namespace"'
_ONE = "by (namespace, name)"
_PROMISE = "by (namespace, name, objective)"
_WHO = "{{namespace}}/{{name}}"
_EACH = "namespace, name"
_NAMES_OF_APPS = {"namespace": "Namespace", "name": "App"}
_NAMES_OF_PROMISES = {**_NAMES_OF_APPS, "objective": "Objective"}


def build() -> dashboard.Dashboard:
    board = panels.board("fleet", "Fleet", "Every ChargedApp: objectives, budgets, limits, data.")
    board.with_variable(
        panels.choice("namespace", "Namespace", Metric.OBJECTIVE_TARGET, "namespace", several=True)
    )
    for part in (_numbers, _promises, _replicas, _limits, _sizes, _placements, _data):
        part(board)
    return board


def _numbers(board: dashboard.Dashboard) -> None:
    short = (
        f"sum(max {_PROMISE} ({Metric.OBJECTIVE_ATTAINMENT}{{{_IN}}})"
        f" < bool max {_PROMISE} ({Metric.OBJECTIVE_TARGET}{{{_IN}}}))"
    )
    limited = f"count(count {_ONE} ({Metric.LIMITED_BY}{{{_IN}}}))"
    missing = f"count({Metric.INDICATOR_MISSING}{{{_IN}}})"
    for title, expression, bad, text in (
        ("Apps", f"max({Metric.APPS})", "", "ChargedApps known, in every namespace."),
        ("Objectives below target", short, "above 0", "Of those whose attainment is known."),
        ("Apps limited", panels.zero_if_none(limited), "", "A limit changed what the law wanted."),
        ("Indicators missing", panels.zero_if_none(missing), "above 0", "Without a usable value."),
        (
            "Lowering blocked",
            f"max({Metric.FLEET_BLIND})",
            "above 0",
            "1: so many apps lost their metrics together that nothing is lowered.",
        ),
        ("Leaders", f"sum({Metric.LEADER})", "below 1", "Operators that decide; there is one."),
    ):
        board.with_panel(panels.number(title, panels.COUNT, expression, bad, text=text))


def _promises(board: dashboard.Dashboard) -> None:
    columns = {
        head: f"max {_PROMISE} ({metric}{{{_IN}}})"
        for head, metric in (
            ("Budget left", Metric.OBJECTIVE_BUDGET),
            ("Attainment", Metric.OBJECTIVE_ATTAINMENT),
            ("Target", Metric.OBJECTIVE_TARGET),
            ("Observed", Metric.OBJECTIVE_COVERAGE),
        )
    }
    text = "Attainment is of the time that was observed; an app that is not observed has none."
    board.with_panel(
        panels.rows(
            "Objectives", columns, panels.SHARE, width=24, text=text, names=_NAMES_OF_PROMISES
        )
    )
    legend = f"{_WHO} {{{{objective}}}}"
    for title, metric in (
        ("Least budget left", Metric.OBJECTIVE_BUDGET),
        ("Least attainment", Metric.OBJECTIVE_ATTAINMENT),
    ):
        worst = panels.query(f"bottomk(10, max {_PROMISE} ({metric}{{{_IN}}}))", legend)
        board.with_panel(panels.graph(title, panels.SHARE, worst, text="The ten worst."))


def _replicas(board: dashboard.Dashboard) -> None:
    lines = [
        panels.query(f"sum({panels.replicas(metric, kind, _IN, _EACH)})", legend)
        for legend, metric, kind in (
            ("wanted", Metric.DESIRED_REPLICAS, "goal"),
            ("asked for", Metric.CURRENT_REPLICAS, "asked"),
            ("ready", Metric.READY_REPLICAS, "ready"),
        )
    ]
    text = "wanted: by the operator, after limits; asked for: spec.replicas of the workloads."
    board.with_panel(panels.steps("Replicas", panels.COUNT, *lines, text=text))
    decided = panels.query(
        f"sum by (reason) (rate({Metric.DECISIONS}[$__rate_interval]))", "{{reason}}"
    )
    board.with_panel(
        panels.stacked("Decisions", "ops", decided, text="In every namespace, by their reason.")
    )


def _limits(board: dashboard.Dashboard) -> None:
    each = "by (namespace, name, knob, limit)"
    labelled, counts = (
        f"max {each} ({Metric.LIMITED_BY}{{{_IN}{more}}})"
        for more in ("", f', knob="{Knob.REPLICAS}"')
    )
    columns = {"": labelled} | {
        head: f"{counts} * on (namespace, name) group_left max {_ONE} ({metric}{{{_IN}}})"
        for head, metric in (("Law wants", Metric.RAW_REPLICAS), ("Gets", Metric.DESIRED_REPLICAS))
    }
    names = {**_NAMES_OF_APPS, "knob": "Knob", "limit": "By"}
    text = "Now. What was wanted and what is left of it, in replicas."
    board.with_panel(panels.rows("Who is limited", columns, names=names, text=text))
    once = f"max by (namespace, name, limit) ({Metric.LIMITED_BY}{{{_IN}}})"
    counted = panels.query(f"count by (limit) ({once})", "{{limit}}")
    panel = panels.stacked("Apps limited, by limit", panels.COUNT, counted)
    board.with_panel(panels.stepped(panel))


def _sizes(board: dashboard.Dashboard) -> None:
    failed = f"max by (namespace, name, reason) ({Metric.RESIZE_QUARANTINED}{{{_IN}}})"
    names = {**_NAMES_OF_APPS, "reason": "What failed"}
    text = "Pods are not made larger for a while, as the last time failed."
    board.with_panel(panels.rows("Resizes in quarantine", {"": failed}, text=text, names=names))
    waiting = panels.query(f"topk(10, max {_ONE} ({Metric.UNSETTLED_RESIZES}{{{_IN}}}))", _WHO)
    text = "Asked to take a size that they do not have yet; the ten apps with most of them."
    board.with_panel(
        panels.steps("Pods that wait for their size", panels.COUNT, waiting, text=text)
    )


def _placements(board: dashboard.Dashboard) -> None:
    short = f"max {_ONE} ({Metric.PLACEMENT_FEASIBLE}{{{_IN}}}) == 0"
    columns = {"": short} | {
        head: f"sum {_ONE} ({_of_variants(kind)}) and on (namespace, name) ({short})"
        for head, kind in (("Aimed at", "goal"), ("Ready", "ready"), ("Without a node", "waiting"))
    }
    text = "The variants that they want cannot be had now. What they aim at instead, in replicas."
    board.with_panel(
        panels.rows("Placement not feasible", columns, names=_NAMES_OF_APPS, text=text)
    )
    waiting = panels.query(f"topk(10, sum {_ONE} ({_of_variants('waiting')}))", _WHO)
    text = "Of apps with variants; the ten apps with most of them."
    board.with_panel(panels.steps("Pods without a node", panels.COUNT, waiting, text=text))


def _of_variants(kind: str) -> str:
    return f'max by ({_EACH}, variant) ({Metric.VARIANT_REPLICAS}{{{_IN}, kind="{kind}"}})'


def _data(board: dashboard.Dashboard) -> None:
    each = "by (namespace, name, indicator, reason)"
    missing = f"max {each} ({Metric.INDICATOR_MISSING}{{{_IN}}})"
    names = {**_NAMES_OF_APPS, "indicator": "Indicator", "reason": "Why"}
    text = "Missing data forbids lowering. It is never taken for a zero."
    board.with_panel(panels.rows("Missing data", {"": missing}, text=text, names=names))
    oldest = panels.query(f"topk(10, max {_ONE} ({Metric.INDICATOR_AGE}{{{_IN}}}))", _WHO)
    text = "Of the oldest sample that a value stands on; the ten oldest apps."
    board.with_panel(panels.graph("Oldest data", panels.SECONDS, oldest, text=text).min(0))
