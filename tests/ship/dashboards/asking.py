"""Every query of a board, asked of a store: which of them have no data.

Reads: a board, a `reading.Store`. Gives: queries without data, by panel. Never: silent over a query
that is refused, or a line whose legend names a label that it has not.
"""

import re
from collections.abc import Mapping
from typing import Any

from tests.ship.dashboards import reading

# Whether a GPU is cut in instances is the node's affair; other labels are always there.
_MAY_BE_EMPTY = {"mig"}


def silent(
    store: reading.Store, board: Mapping[str, Any], chosen: reading.Values | None = None
) -> set[tuple[str, str]]:
    """Panel and query, or annotation or variable and query, of what has no data.

    Args:
        chosen: values of variables; of others all, or the first.

    Raises:
        AssertionError: a query was refused, or a series has not the labels of its legend.
    """
    values = store.values(board, chosen)
    asked = {one["name"]: one["query"] for one in reading.variables(board)}
    found = {(f"${name}", text) for name, text in asked.items() if not values[name]}
    for panel in reading.panels(board):
        scoped = [scope for _, scope in reading.repeated(panel, values)]
        for query in panel.queries:
            series = [one for scope in scoped for one in store.answer(query, scope)]
            _assert_named(panel, query, series)
            found |= set() if series else {(panel.title, query.expression)}
    for name, query in reading.annotations(board).items():
        found |= set() if store.answer(query, values) else {(name, query.expression)}
    return found


def _assert_named(panel: reading.Panel, query: reading.Query, series: list[reading.Series]) -> None:
    for label in set(re.findall(r"\{\{(\w+)\}\}", query.legend)) - _MAY_BE_EMPTY:
        assert all(one.labels.get(label) for one in series), f"{panel.title}: no label {label}"
