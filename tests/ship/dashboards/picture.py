"""Pictures of the boards' data, drawn from their queries: what Grafana would be given to show.

`python -m tests.ship.dashboards.picture` starts a testbed, fills it as the tests do, and draws
each board at its layout. Not Grafana's own drawing: units are shortened and colours differ.
"""

import dataclasses
import datetime
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import matplotlib.dates
import matplotlib.figure
import matplotlib.ticker

from charon_operator import testbed
from tests.ship import dashboards
from tests.ship.dashboards import reading, waves, world

# Inches: a cell of Grafana's grid, the head of a picture, and around a panel left, right, top and
# bottom: labels of the axes, title, legend.
_CELL = (0.75, 0.42)
_HEAD = 0.5
_AROUND = (0.75, 0.15, 0.3, 0.75)
_COLUMNS = 24
_LEGEND = (3, 9)
_SHOWN_ROWS = 8
_TICKS = 6
_EDGE = 0.02
_BYTES = ("bytes", "Bps")
# Colours that stay apart for colour-blind readers (Okabe and Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
_MARKS = {
    "Raised": ("^", "#009E73"),
    "Lowered": ("v", "#D55E00"),
    "Pods larger": ("^", "#0072B2"),
    "Pods smaller": ("v", "#CC79A7"),
    "Variant raised": ("^", "#009E73"),
    "Variant lowered": ("v", "#D55E00"),
}
_Answer = list[reading.Series]


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("pictures"))
@click.option(
    "--seconds",
    type=click.IntRange(min=30),
    default=180,
    help="How long it runs; then on to a peak.",
)
def main(folder: Path, seconds: int) -> None:
    """Draw each dashboard from a run of the operator on a testbed."""
    folder.mkdir(parents=True, exist_ok=True)
    nodes = [testbed.Node(name="node-0", cpu="64", pods=2000)]
    with (
        tempfile.TemporaryDirectory(prefix="charon-pictures-") as run,
        testbed.start(testbed.Config(folder=Path(run, "testbed"), nodes=nodes)) as bed,
        world.filled(bed, Path(run)) as namespace,
    ):
        began_s = time.time()
        time.sleep(seconds)
        # Tables tell of now: then apps are limited, and what they want cannot all be had.
        time.sleep(waves.to_peak_s())
        with reading.Store(
            f"{bed.mimir_url}/prometheus", bed.tenant, began_s, time.time()
        ) as store:
            for name, board, chosen in _shown(namespace):
                draw(store, board, chosen).savefig(folder / f"{name}.png")
                click.echo(folder / f"{name}.png")


def _shown(namespace: str) -> Iterator[tuple[str, dict[str, Any], reading.Values | None]]:
    """Every board, and that of one app once for each app that is looked at."""
    for name, board in dashboards.boards().items():
        for app in world.SHOWN if name == "app" else ():
            yield f"{name}-{app}", board, {"namespace": namespace, "app": app}
        if name != "app":
            yield name, board, None


def draw(
    store: reading.Store, board: dict[str, Any], chosen: reading.Values | None
) -> matplotlib.figure.Figure:
    """The board, filled from the store."""
    values = store.values(board, chosen)
    panels = list(_laid_out(reading.panels(board), values))
    rows = max(panel.place[1] + panel.place[3] for panel, _ in panels)
    size = (_COLUMNS * _CELL[0], rows * _CELL[1] + _HEAD)
    figure = matplotlib.figure.Figure(figsize=size, dpi=80)
    figure.text(0.01, 1 - 0.3 / size[1], board["title"], fontsize=15, fontweight="bold")
    for row, title in reading.headings(board).items():
        at = 1 - (_HEAD + (row + 0.7) * _CELL[1]) / size[1]
        figure.text(0.01, at, title, fontsize=12, fontweight="bold")
    marks = {
        name: store.answer(query, values) for name, query in reading.annotations(board).items()
    }
    for panel, scope in panels:
        axes = figure.add_axes(_box(panel, size))
        axes.set_title(panel.title, fontsize=10, loc="left")
        answers = [store.answer(query, scope) for query in panel.queries]
        _KINDS[panel.kind](axes, panel, answers, store)
        if panel.kind == "timeseries":
            _annotated(axes, marks)
    return figure


def _box(panel: reading.Panel, size: tuple[float, float]) -> tuple[float, float, float, float]:
    """Where its axes are, as shares of the picture: left, bottom, width, height."""
    x, y, width, height = panel.place
    left, right, top, bottom = _AROUND
    # Names of states stand where other panels have numbers.
    left += 1.4 if panel.kind == "state-timeline" else 0.0
    inches = (
        x * _CELL[0] + left,
        size[1] - _HEAD - (y + height) * _CELL[1] + bottom,
        width * _CELL[0] - left - right,
        height * _CELL[1] - top - bottom,
    )
    return (
        inches[0] / size[0],
        inches[1] / size[1],
        inches[2] / size[0],
        inches[3] / size[1],
    )


def _laid_out(
    panels: Sequence[reading.Panel], values: reading.Values
) -> Iterator[tuple[reading.Panel, reading.Values]]:
    """Repeated panels share the width of the one they stand for; what they add goes below."""
    lower = 0
    for panel in panels:
        x, y, width, height = panel.place
        every = list(reading.repeated(panel, values))
        columns = min(len(every), panel.most_in_a_row)
        for number, (one, scope) in enumerate(every):
            row, column = divmod(number, columns)
            left, top = x + column * (width // columns), y + lower + row * height
            yield dataclasses.replace(one, place=(left, top, width // columns, height)), scope
        lower += (len(every) - 1) // columns * height


def _lines(
    axes: Any, panel: reading.Panel, answers: Sequence[_Answer], store: reading.Store
) -> None:
    series = [one for answer in answers for one in answer]
    base: dict[float, float] = {}
    for number, one in enumerate(series):
        points = {at: value + base.get(at, 0.0) for at, value in one.points}
        colour = _COLOURS[number % len(_COLOURS)]
        bound = bool(panel.dashed and panel.dashed.search(one.name))
        times, values = _with_gaps(points, store.step_s)
        axes.plot(
            times,
            values,
            "--" if bound or number >= len(_COLOURS) else "-",
            color=colour,
            label=one.name,
            drawstyle="steps-post" if panel.stepped else "default",
        )
        if panel.stacked:
            _, below = _with_gaps({at: base.get(at, 0.0) for at in points}, store.step_s)
            step = "post" if panel.stepped else None
            axes.fill_between(times, below, values, color=colour, alpha=0.2, step=step)
            base |= points
    _time_axis(axes, store)
    _value_axis(axes, panel)
    if series:
        columns, most = min(_LEGEND[0], (panel.place[2] + 1) // 3), _LEGEND[1]
        handles, names = axes.get_legend_handles_labels()
        under = {"loc": "upper left", "bbox_to_anchor": (0, -0.1), "frameon": False}
        axes.legend(handles[:most], names[:most], fontsize=7, ncols=columns, **under)
    else:
        _nothing(axes, "no data")


def _value_axis(axes: Any, panel: reading.Panel) -> None:
    axes.set_ylim(*panel.ends)
    low, high = axes.get_ylim()
    # A line on the edge is a whole one.
    axes.set_ylim(low - _EDGE * (high - low), high + _EDGE * (high - low))
    axes.yaxis.set_major_formatter(lambda value, _: _said(value, panel.unit))
    if panel.whole:
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))
    elif panel.unit in _BYTES:
        step = 2.0 ** math.ceil(math.log2((high - low) / _TICKS))
        axes.yaxis.set_major_locator(matplotlib.ticker.MultipleLocator(step))


def _with_gaps(
    points: Mapping[float, float], step_s: float
) -> tuple[list[datetime.datetime], list[float]]:
    """Times and values, with a hole where there is no point: no line leads across it."""
    times: list[datetime.datetime] = []
    values: list[float] = []
    for at, value in points.items():
        if times and (_time(at) - times[-1]).total_seconds() > 1.5 * step_s:
            times.append(times[-1] + datetime.timedelta(seconds=step_s))
            values.append(math.nan)
        times.append(_time(at))
        values.append(value)
    return times, values


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
    named = {name for row in rows.values() for name in row} - panel.hidden
    fields = sorted(named, key=lambda name: panel.order.get(name, len(panel.order)))
    if not rows:
        _nothing(axes, "none")
        return
    axes.axis("off")
    cells = [[row.get(name, "") for name in fields] for row in list(rows.values())[:_SHOWN_ROWS]]
    heads = [panel.headings.get(name, name) for name in fields]
    height = (1 + len(cells)) / (1 + _SHOWN_ROWS)
    drawn = axes.table(
        cells,
        colLabels=heads,
        bbox=(0, 1 - height, 1, height),
        cellLoc="left",
        colLoc="left",
        edges="horizontal",
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)


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
        times = [_time(at) for one in answer for at, _ in one.points]
        axes.plot(
            times,
            [0.0] * len(times),
            mark,
            color=colour,
            markersize=4,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _time_axis(axes: Any, store: reading.Store) -> None:
    axes.set_xlim(_time(store.since_s), _time(store.until_s))
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M:%S"))
    axes.xaxis.set_major_locator(matplotlib.dates.AutoDateLocator(minticks=3, maxticks=6))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _nothing(axes: Any, text: str, size: int = 11) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=size, transform=axes.transAxes)


def _said(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit in _BYTES:
        power = min(int(math.log2(value) // 10), 3) if value >= 1 else 0
        per = "/s" if unit == "Bps" else ""
        return f"{value / 2 ** (10 * power):.3g} {('B', 'KiB', 'MiB', 'GiB')[power]}{per}"
    if unit == "short":
        power = min(int(math.log10(abs(value)) // 3), 3) if abs(value) >= 1 else 0
        return f"{value / 1000**power:.4g} {('', 'K', 'Mil', 'Bil')[power]}".strip()
    return f"{value:.4g} {_UNITS.get(unit, '')}".strip()


_UNITS = {"s": "s", "watt": "W", "celsius": "°C", "reqps": "/s", "ops": "/s", "wps": "/s"}
_KINDS = {"timeseries": _lines, "stat": _number, "table": _table, "state-timeline": _bars}

if __name__ == "__main__":
    main()
