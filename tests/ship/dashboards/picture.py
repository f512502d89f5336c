"""Pictures of the boards' data, drawn from their queries: what Grafana would be given to show.

`python -m tests.ship.dashboards.picture` starts a testbed, fills it as the tests do, and draws
each board at its layout. Not Grafana's own drawing: units are shortened and colours differ.
"""

import dataclasses
import datetime
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import matplotlib.dates
import matplotlib.figure

from charon_operator import testbed
from tests.ship import dashboards
from tests.ship.dashboards import reading, world

_CELL_IN = (0.75, 0.42)
_COLUMNS = 24
_LEGEND = 6
_SHOWN_ROWS = 8
# Colours that stay apart for colour-blind readers (Okabe and Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
_MARKS = {"Raised": ("^", "#009E73"), "Lowered": ("v", "#D55E00")}
_Answer = list[reading.Series]


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("pictures"))
@click.option("--seconds", type=click.IntRange(min=30), default=180, help="How long it runs.")
def main(folder: Path, seconds: int) -> None:
    """Draw each dashboard from a run of the operator on a testbed."""
    folder.mkdir(parents=True, exist_ok=True)
    bed_folder = folder.absolute() / "testbed"
    nodes = [testbed.Node(name="node-0", cpu="64", pods=2000)]
    with (
        testbed.start(testbed.Config(folder=bed_folder, nodes=nodes)) as bed,
        world.filled(bed, folder.absolute()) as namespace,
    ):
        began_s = time.time()
        time.sleep(seconds)
        with reading.Store(
            f"{bed.mimir_url}/prometheus", bed.tenant, began_s, time.time()
        ) as store:
            for name, board in dashboards.boards().items():
                chosen = {"namespace": namespace, "app": "steady"} if name == "app" else None
                draw(store, board, chosen).savefig(folder / f"{name}.png")
                click.echo(folder / f"{name}.png")


def draw(
    store: reading.Store, board: dict[str, Any], chosen: reading.Values | None
) -> matplotlib.figure.Figure:
    """The board, filled from the store."""
    values = store.values(board, chosen)
    panels = list(_laid_out(reading.panels(board), values))
    height = max(panel.place[1] + panel.place[3] for panel, _ in panels)
    size = (_COLUMNS * _CELL_IN[0], height * _CELL_IN[1] + 0.6)
    figure = matplotlib.figure.Figure(figsize=size, dpi=80, layout="constrained")
    grid = figure.add_gridspec(height, _COLUMNS)
    figure.suptitle(board["title"], fontsize=15, fontweight="bold", x=0.01, ha="left")
    marks = {
        name: store.answer(query, values) for name, query in reading.annotations(board).items()
    }
    for panel, scope in panels:
        x, y, width, tall = panel.place
        axes = figure.add_subplot(grid[y : y + tall, x : x + width])
        axes.set_title(panel.title, fontsize=10, loc="left")
        answers = [store.answer(query, scope) for query in panel.queries]
        _KINDS[panel.kind](axes, panel, answers, store)
        if panel.kind == "timeseries":
            _annotated(axes, marks)
    return figure


def _laid_out(
    panels: Sequence[reading.Panel], values: reading.Values
) -> Iterator[tuple[reading.Panel, reading.Values]]:
    """Repeated panels share the width of the one they stand for."""
    for panel in panels:
        x, y, width, height = panel.place
        every = list(reading.repeated(panel, values))
        each = width // len(every)
        for number, (one, scope) in enumerate(every):
            yield dataclasses.replace(one, place=(x + number * each, y, each, height)), scope


def _lines(
    axes: Any, panel: reading.Panel, answers: Sequence[_Answer], store: reading.Store
) -> None:
    series = [one for answer in answers for one in answer]
    style = "steps-post" if panel.stepped else "default"
    for number, one in enumerate(series):
        times = [datetime.datetime.fromtimestamp(at, datetime.UTC) for at, _ in one.points]
        values = [value for _, value in one.points]
        colour = _COLOURS[number % len(_COLOURS)]
        dash = "--" if number >= len(_COLOURS) else "-"
        axes.plot(times, values, dash, color=colour, label=one.name, drawstyle=style)
    _time_axis(axes, store)
    axes.yaxis.set_major_formatter(lambda value, _: _said(value, panel.unit))
    if series:
        _legend(axes, len(series))
    else:
        _nothing(axes, "no data")


def _legend(axes: Any, count: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    shown = axes.legend(
        handles[: 2 * _LEGEND],
        labels[: 2 * _LEGEND],
        fontsize=7,
        ncols=min(_LEGEND, count),
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(0, -0.1),
    )
    shown.set_in_layout(True)


def _number(axes: Any, panel: reading.Panel, answers: Sequence[_Answer], _: reading.Store) -> None:
    series = [one for answer in answers for one in answer]
    _nothing(axes, _said(series[0].points[-1][1], panel.unit) if series else "no data", size=20)


def _table(axes: Any, panel: reading.Panel, answers: Sequence[_Answer], _: reading.Store) -> None:
    rows: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for number, answer in enumerate(answers):
        field = f"Value #{chr(ord('A') + number)}" if len(answers) > 1 else "Value"
        for one in answer:
            row = rows.setdefault(tuple(sorted(one.labels.items())), dict(one.labels))
            row[field] = _said(one.points[-1][1], panel.unit)
    fields = [name for name in _fields(rows.values()) if name not in panel.hidden]
    if not rows:
        _nothing(axes, "none")
        return
    axes.axis("off")
    cells = [[row.get(name, "") for name in fields] for row in list(rows.values())[:_SHOWN_ROWS]]
    heads = [panel.headings.get(name, name) for name in fields]
    drawn = axes.table(cells, colLabels=heads, loc="upper left", cellLoc="left", edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)


def _fields(rows: Any) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _bars(
    axes: Any, panel: reading.Panel, answers: Sequence[_Answer], store: reading.Store
) -> None:
    series = [one for answer in answers for one in answer]
    day = 86400.0
    for number, one in enumerate(series):
        spans = [(at / day, store.step_s / day) for at, _ in one.points]
        axes.broken_barh(spans, (number - 0.4, 0.8), color=_COLOURS[number % len(_COLOURS)])
    axes.set_yticks(range(len(series)), [one.name for one in series], fontsize=8)
    _time_axis(axes, store)
    if not series:
        _nothing(axes, "never in this time")


def _annotated(axes: Any, marks: dict[str, _Answer]) -> None:
    """Decisions on the lower edge, as Grafana has them."""
    for name, answer in marks.items():
        mark, colour = _MARKS[name]
        times = [
            datetime.datetime.fromtimestamp(at, datetime.UTC)
            for one in answer
            for at, _ in one.points
        ]
        axes.plot(
            times,
            [0.0] * len(times),
            mark,
            color=colour,
            markersize=4,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )


def _time_axis(axes: Any, store: reading.Store) -> None:
    ends = [
        datetime.datetime.fromtimestamp(s, datetime.UTC) for s in (store.since_s, store.until_s)
    ]
    axes.set_xlim(*ends)
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M:%S"))
    axes.xaxis.set_major_locator(matplotlib.dates.AutoDateLocator(maxticks=5))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _nothing(axes: Any, text: str, size: int = 11) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=size, transform=axes.transAxes)


def _said(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit in ("bytes", "Bps"):
        return f"{value / 2**20:.4g} MiB{'/s' if unit == 'Bps' else ''}"
    return f"{value:.4g} {_UNITS.get(unit, '')}".strip()


_UNITS = {"s": "s", "watt": "W", "celsius": "°C", "reqps": "/s", "ops": "/s", "wps": "/s"}
_KINDS = {"timeseries": _lines, "stat": _number, "table": _table, "state-timeline": _bars}

if __name__ == "__main__":
    main()
