"""The dashboards without a cluster: their files, what they name, how the chart hands them out."""

import json
import re
from typing import Any

import promql_parser
import pytest

from charon_operator.names import Metric
from tests.ship import chart, dashboards
from tests.ship.dashboards import reading

BOARDS = dashboards.boards()
_SUFFIX = re.compile("_(bucket|sum|count)$")
_VALUES = {
    name: "x"
    for name in ("namespace", "app", "indicator", "variant", "instance", "node", "datasource")
}


def queries(board: dict[str, Any]) -> list[str]:
    """Everything that a board asks in PromQL, with something put in for its variables."""
    asked = [one for panel in reading.panels(board) for one in panel.queries]
    asked += reading.annotations(board).values()
    return [reading.substituted(one.expression, _VALUES, 5, 3600) for one in asked]


def test_files_are_what_is_rendered() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in dashboards.FOLDER.iterdir()}
    assert there == dashboards.files(), "run `make chart`"


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_is_promql_and_asks_for_metrics_that_there_are(name: str) -> None:
    for text in queries(BOARDS[name]):
        promql_parser.parse(text)
        for found in re.findall(r"charon_\w+", text):
            assert _SUFFIX.sub("", found) in set(Metric), text


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_the_grid_and_overlap_nowhere(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in reading.panels(BOARDS[name]):
        x, y, width, height = panel.place
        cells = {(x + i, y + j) for i in range(width) for j in range(height)}
        assert not cells & taken, panel.title
        assert x + width <= 24, panel.title
        taken |= cells


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_and_variable_asks_the_source_that_is_chosen(name: str) -> None:
    text = json.dumps(BOARDS[name])
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"${datasource}", f"charon-{name}"}
    used = set(re.findall(r"\$\{?([a-z_]\w*)", text)) - {"__rate_interval", "__range", "__all"}
    assert used == {one["name"] for one in BOARDS[name]["templating"]["list"]}


VARIABLES = {
    "one value": ("a.b", 'x="a.b"'),
    "a quote": ('a"b', r'x="a\"b"'),
    "one of many": (["a.b"], r'x="a\\.b"'),
    "several": (["a", "b+c"], r'x="(a|b\\+c)"'),
}


@pytest.mark.parametrize(("value", "wanted"), VARIABLES.values(), ids=VARIABLES.keys())
def test_variable_is_written_as_grafana_writes_it(value: Any, wanted: str) -> None:
    text = reading.substituted('x="$v"', {"v": value}, 5, 3600)
    assert text == wanted


def test_intervals_are_put_in() -> None:
    text = reading.substituted("f(x[$__rate_interval]) + f(x[$__range])", {}, 15, 3600)
    assert text == "f(x[16s]) + f(x[3600s])"


def configmaps(*arguments: str) -> list[dict[str, Any]]:
    named = f"{chart.RELEASE}-dashboard-"
    return [d for d in chart.documents(*arguments) if d["metadata"]["name"].startswith(named)]


def test_chart_hands_out_each_board_as_it_is_and_only_when_asked() -> None:
    assert configmaps() == []
    shown = configmaps("--values", str(chart.CUSTOM_VALUES))
    boards = {key: text for one in shown for key, text in one["data"].items()}
    assert boards == {f"charon-{name}": text for name, text in dashboards.files().items()}
    for one in shown:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "charon"
        assert one["metadata"]["annotations"] == {"grafana_folder": "Charon"}
        # kubectl keeps what it applied in an annotation of at most 256 KiB.
        assert len(json.dumps(one)) < 256 * 1024


def test_a_label_that_looks_like_a_number_stays_text() -> None:
    (one, *_) = configmaps("--set", "dashboards.enabled=true")
    assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
