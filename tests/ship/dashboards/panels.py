"""Panels as every board draws them: one look, one data source, queries beside what they show.

Reads: nothing. Gives: builders of the Grafana Foundation SDK, filled in. Never: a query of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import (
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from charon_operator.names import Metric

# Whatever answers PromQL; who opens the board chooses it.
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
SHARE = "percentunit"
COUNT = "none"
SECONDS = "s"
_GREEN, _RED, _BLUE = "green", "red", "blue"
_TAG = "charon"


def board(uid: str, title: str, text: str, since: str = "now-1h") -> dashboard.Dashboard:
    """A board that refreshes itself and links to the others."""
    others = (
        dashboard.DashboardLink("Charon")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([_TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    return (
        dashboard.Dashboard(f"Charon / {title}")
        .uid(f"charon-{uid}")
        .description(text)
        .tags([_TAG])
        .readonly()
        .refresh("10s")
        .time(since, "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(others)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Source").type("prometheus")
        )
    )


def choice(name: str, label: str, metric: str, of: str, several: bool = False) -> Any:
    """A variable: the values of a label.

    Args:
        name: of the variable.
        label: what it is called on the board.
        metric: a selector of the series that are looked at.
        of: the label.
        several: whether many may be chosen at once; all of them are at first.
    """
    made = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({metric}, {of})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )
    if several:
        everything = model.VariableOption(selected=True, text="All", value="$__all")
        made.multi(True).include_all(True).all_value(".*").current(everything)
    return made


def query(expression: str, legend: str = "") -> prometheus.Dataquery:
    """What is asked over the whole range; the legend is Grafana's: `{{label}}`."""
    return prometheus.Dataquery().datasource(SOURCE).expr(expression).legend_format(legend).range()


def zero_if_none(expression: str) -> str:
    """The expression, or 0 where it finds no series though the operator is heard.

    Where the operator is not heard there is nothing: a zero nobody measured is not shown.
    """
    return f"{expression} or 0 * max({Metric.APPS})"


def replicas(metric: Metric, kind: str, which: str, each: str) -> str:
    """Replicas of every app: of its workload, or of all its variants where it has such.

    Args:
        metric: what tells it of a workload.
        kind: of `charon_variant_replicas`, which tells it of a variant.
        which: matchers of the apps.
        each: labels that tell apps apart.
    """
    variants = f'max by ({each}, variant) ({Metric.VARIANT_REPLICAS}{{{which}, kind="{kind}"}})'
    return f"(max by ({each}) ({metric}{{{which}}}) or sum by ({each}) ({variants}))"


def graph(
    title: str, unit: str, *queries: prometheus.Dataquery, width: int = 12, text: str = ""
) -> timeseries.Panel:
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .fill_opacity(8)
        .line_width(2)
        .show_points(looks.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(options.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
    )
    return _filled(panel, title, unit, width, 8, text, queries)


def stacked(
    title: str, unit: str, *queries: prometheus.Dataquery, width: int = 12, text: str = ""
) -> timeseries.Panel:
    """Lines over time, one on the other."""
    return (
        graph(title, unit, *queries, width=width, text=text)
        .stacking(options.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
        .fill_opacity(40)
        .line_width(1)
        .min(0)
    )


def steps(
    title: str, unit: str, *queries: prometheus.Dataquery, width: int = 12, text: str = ""
) -> timeseries.Panel:
    """Lines that jump: counts that hold until the next."""
    return stepped(graph(title, unit, *queries, width=width, text=text).min(0))


def stepped(panel: timeseries.Panel) -> timeseries.Panel:
    """The panel's lines hold until the next point, at whole numbers."""
    return panel.line_interpolation(looks.LineInterpolation.STEP_AFTER).decimals(0)


def dashed(panel: timeseries.Panel, legend: str) -> timeseries.Panel:
    """The line of that legend drawn as a bound."""
    bound = [
        model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
        model.DynamicConfigValue("custom.fillOpacity", 0),
        model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": _RED}),
    ]
    return panel.override_by_regexp(legend, bound)


def number(
    title: str,
    unit: str,
    expression: str,
    bad: str = "",
    width: int = 4,
    text: str = "",
) -> stat.Panel:
    """One value, now.

    Args:
        bad: `above 0`, `below 1`: when it is drawn in red; else it has no opinion.
    """
    panel = (
        stat.Panel()
        .reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(looks.BigValueGraphMode.NONE)
        .color_mode(looks.BigValueColorMode.VALUE)
        .no_value("no data")
        .thresholds(_colours(bad))
    )
    return _filled(panel, title, unit, width, 4, text, [query(expression).instant()])


def states(
    title: str, *queries: prometheus.Dataquery, width: int = 12, text: str = ""
) -> statetimeline.Panel:
    """When something was so: a bar where the query has a series, a gap where it has none."""
    panel = (
        statetimeline.Panel()
        .show_value(looks.VisibilityMode.NEVER)
        .merge_values(True)
        .row_height(0.8)
        .legend(options.VizLegendOptions().show_legend(False))
        .no_value("never in this time")
        .color_scheme(
            dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color("orange")
        )
    )
    return _filled(panel, title, COUNT, width, 8, text, queries)


def rows(
    title: str,
    columns: Mapping[str, str],
    unit: str = COUNT,
    width: int = 12,
    text: str = "",
    names: Mapping[str, str] | None = None,
) -> table.Panel:
    """A table, now: a row for each set of labels.

    Args:
        columns: heading and expression of each; one without a heading is not shown.
        names: headings of labels, in the order of their columns.
    """
    # Grafana tells values apart only where there are several.
    fields = [f"Value #{_ref(at)}" for at in range(len(columns))] if len(columns) > 1 else ["Value"]
    headed = dict(zip(fields, columns, strict=True))
    order = {field: at for at, field in enumerate([*(names or {}), *fields])}
    hidden = {"Time": True, **{field: True for field, head in headed.items() if not head}}
    renamed = {**(names or {}), **{field: head for field, head in headed.items() if head}}
    panel = (
        table.Panel()
        .with_transformation(model.DataTransformerConfig("merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                "organize",
                options={"excludeByName": hidden, "renameByName": renamed, "indexByName": order},
            )
        )
        .no_value("none")
    )
    asked = [
        query(expression).instant().format(PromQueryFormat.TABLE) for expression in columns.values()
    ]
    return _filled(panel, title, unit, width, 8, text, asked)


def _filled(
    panel: Any,
    title: str,
    unit: str,
    width: int,
    height: int,
    text: str,
    queries: Sequence[prometheus.Dataquery],
) -> Any:
    panel.title(title).description(text).unit(unit).span(width).height(height).datasource(SOURCE)
    for at, one in enumerate(queries):
        panel.with_target(one.ref_id(_ref(at)))
    return panel


def _ref(number: int) -> str:
    return chr(ord("A") + number)


def _legend() -> Builder[looks.VizLegendOptions]:
    return (
        options.VizLegendOptions()
        .show_legend(True)
        .display_mode(looks.LegendDisplayMode.LIST)
        .placement(looks.LegendPlacement.BOTTOM)
        .calcs([])
    )


def _colours(bad: str) -> dashboard.ThresholdsConfig:
    steps = [model.Threshold(None, _BLUE)]
    if bad:
        side, value = bad.split()
        first, then = (_GREEN, _RED) if side == "above" else (_RED, _GREEN)
        # Grafana's steps begin at a value; `above` means more than it.
        begins = float(value) + (1e-9 if side == "above" else 0.0)
        steps = [model.Threshold(None, first), model.Threshold(begins, then)]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)
