"""A board as Grafana reads it: panels, their queries, and what it puts in for variables.

Reads: a board's JSON, a metric store. Gives: expressions that can be asked, and answers as series
with the names their legend gives them. Never: an answer that is not the store's.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

# What Grafana puts in for All where the variable says nothing else.
Values = Mapping[str, str | Sequence[str]]
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")
_ESCAPED = re.compile(r"[$^*{}\[\]'+?.()|]")
_SCRAPE_S = 1


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel or an annotation.

    Attributes:
        step_s: between its points, where it has a say.
    """

    expression: str
    legend: str
    instant: bool
    step_s: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel; x, y, width and height in Grafana's grid of 24 columns.

    Attributes:
        repeat: the variable for whose values it is repeated, else empty.
        most_in_a_row: of its repetitions.
        stepped: its lines hold a value until the next.
        whole: its numbers are whole.
        stacked: its lines stand one on the other.
        dashed: of the names of lines that are bounds.
        ends: of its vertical axis, where they are set.
        hidden: fields that a table does not show.
        order: of the fields of a table.
        headings: of fields that a table renames.
    """

    title: str
    kind: str
    unit: str
    place: tuple[int, int, int, int]
    repeat: str
    most_in_a_row: int
    stepped: bool
    whole: bool
    stacked: bool
    dashed: re.Pattern[str] | None
    ends: tuple[float | None, float | None]
    queries: tuple[Query, ...]
    hidden: frozenset[str]
    order: Mapping[str, int]
    headings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer."""

    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


def panels(board: Mapping[str, Any]) -> list[Panel]:
    """The panels that ask something, as the board lays them out."""
    return [_panel(one) for one in board["panels"] if one["type"] != "row"]


def annotations(board: Mapping[str, Any]) -> dict[str, Query]:
    """The board's own annotations, by name."""
    found = board["annotations"].get("list", ())
    return {
        one["name"]: Query(one["expr"], one["textFormat"], False, float(one["step"].rstrip("s")))
        for one in found
    }


def headings(board: Mapping[str, Any]) -> dict[int, str]:
    """Titles of the board's rows, by where they stand in the grid."""
    return {one["gridPos"]["y"]: one["title"] for one in board["panels"] if one["type"] == "row"}


def variables(board: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Variables whose values are asked of the store, in their order."""
    return [one for one in board["templating"]["list"] if one["type"] == "query"]


def repeated(panel: Panel, values: Values) -> Iterator[tuple[Panel, Values]]:
    """The panel for each value of its variable; once, for none, where there is no value."""
    if not panel.repeat:
        yield panel, values
        return
    every = values[panel.repeat]
    for value in [every] if isinstance(every, str) else every or [""]:
        scoped = {**values, panel.repeat: value}
        yield replace(panel, title=panel.title.replace(f"${panel.repeat}", value)), scoped


def substituted(text: str, values: Values, step_s: float, range_s: float) -> str:
    """The text with Grafana's own variables and the board's put in, as for Prometheus."""
    rate_s = max(step_s + _SCRAPE_S, 4 * _SCRAPE_S)
    own = {"__rate_interval": rate_s, "__interval": step_s, "__range": range_s}
    for name, seconds in own.items():
        text = text.replace(f"${name}", f"{round(seconds)}s")
    for name, value in values.items():
        text = re.sub(rf"\${name}\b", lambda _, value=value: _written(value), text)  # type: ignore[misc]
    return text


def _written(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return value.replace("\\", r"\\").replace('"', r"\"")
    escaped = [_ESCAPED.sub(r"\\\\\g<0>", one) for one in value]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _panel(one: Mapping[str, Any]) -> Panel:
    grid = one["gridPos"]
    shown = one["fieldConfig"]["defaults"]
    drawn = shown.get("custom", {})
    patterns = [bound["matcher"]["options"] for bound in one["fieldConfig"]["overrides"]]
    organised: dict[str, Any] = {}
    for step in one.get("transformations", []):
        organised |= step["options"]
    return Panel(
        title=one["title"],
        kind=one["type"],
        unit=shown["unit"],
        place=(grid.get("x", 0), grid.get("y", 0), grid["w"], grid["h"]),
        repeat=one.get("repeat", ""),
        most_in_a_row=one.get("maxPerRow", 4),
        stepped=drawn.get("lineInterpolation") == "stepAfter",
        whole=shown.get("decimals") == 0,
        stacked=drawn.get("stacking", {}).get("mode") == "normal",
        dashed=re.compile(patterns[0].strip("/")) if patterns else None,
        ends=(shown.get("min"), shown.get("max")),
        queries=tuple(
            Query(q["expr"], q.get("legendFormat", ""), bool(q.get("instant")))
            for q in one["targets"]
        ),
        hidden=frozenset(organised.get("excludeByName", ())),
        order=organised.get("indexByName", {}),
        headings=organised.get("renameByName", {}),
    )


class Store:
    """A metric store that boards are read against.

    Args:
        url: up to the path before /api/v1.
        since_s: where the shown time begins, seconds since 1970.
        until_s: where it ends.
        step_s: between points.
    """

    def __init__(
        self, url: str, tenant: str, since_s: float, until_s: float, step_s: float = 1.0
    ) -> None:
        self.since_s, self.until_s, self.step_s = since_s, until_s, step_s
        self._client = httpx.Client(
            base_url=url, headers={"X-Scope-OrgID": tenant}, trust_env=False, timeout=30
        )

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def values(self, board: Mapping[str, Any], chosen: Values | None = None) -> Values:
        """What every variable of the board stands for: all, or what is chosen, or the first."""
        found: dict[str, str | Sequence[str]] = {}
        for one in variables(board):
            there = self._label_values(substituted(one["query"], found, 1, 60))
            name = one["name"]
            first = there[0] if there else ""
            found[name] = (chosen or {}).get(name) or (there if one.get("multi") else first)
        return found

    def answer(self, query: Query, values: Values) -> list[Series]:
        """What the store says; points that are no number are left out.

        Raises:
            AssertionError: it refused the query; the text is its own.
        """
        range_s = self.until_s - self.since_s
        step_s = query.step_s or self.step_s
        asked = {"query": substituted(query.expression, values, step_s, range_s)}
        if query.instant:
            return self._series("query", {**asked, "time": self.until_s}, query, values)
        span = {"start": self.since_s, "end": self.until_s, "step": step_s}
        return self._series("query_range", {**asked, **span}, query, values)

    def _series(
        self, path: str, asked: Mapping[str, Any], query: Query, values: Values
    ) -> list[Series]:
        found = []
        for one in self._get(path, asked)["result"]:
            points = one["values"] if "values" in one else [one["value"]]
            read = [(float(at), float(value)) for at, value in points]
            numbers = [(at, value) for at, value in read if math.isfinite(value)]
            legend = _legend(query.legend, one["metric"])
            name = substituted(legend, values, self.step_s, 0) or query.expression
            if numbers:
                found.append(Series(name, one["metric"], numbers))
        return found

    def _label_values(self, text: str) -> list[str]:
        matched = _LABEL_VALUES.fullmatch(text)
        assert matched, f"no query of label values: {text}"
        span = {"start": self.since_s, "end": self.until_s}
        return list(self._get(f"label/{matched[2]}/values", {"match[]": matched[1], **span}))

    def _get(self, path: str, parameters: Mapping[str, Any]) -> Any:
        answer = self._client.get(f"/api/v1/{path}", params=dict(parameters)).json()
        assert answer["status"] == "success", f"{dict(parameters)}: {answer}"
        # A warning or a note is shown beside a panel.
        assert not answer.get("warnings"), f"{dict(parameters)}: {answer['warnings']}"
        return answer["data"]


def _legend(text: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda m: labels.get(m[1], ""), text).strip()
