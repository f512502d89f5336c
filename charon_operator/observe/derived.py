"""Makes of an indicator's query the other questions about it: its age, its coverage, its past.

Reads: scoped trees. Gives: trees. Never: `timestamp()` of anything but a plain selector, where it
would be the evaluation time and every value would look fresh.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from charon_operator.model.app import Comparison
from charon_operator.observe import promql, tree

POD: Final = "pod"
# The time given to samples that only a range still holds: `group` gives it, and it is never fresh.
ENDED_S: Final = 1.0
# How far back a plain selector finds a sample, by default in Prometheus and in Mimir.
_LOOKBACK_MS: Final = 300_000
_OPERATOR: Final = {Comparison.AT_MOST: "<=", Comparison.AT_LEAST: ">="}
_INFINITY: Final = tree.Number(float("inf"))
_PART: Final = "charon_part"
# A window is looked at this often; less often where subqueries make that more evaluations than
# this, but never so seldom that a ratio says little: `promql.MAX_SUBQUERY_POINTS` bounds it then.
_MAX_POINTS: Final = 720
_MIN_POINTS: Final = 30
_MAX_EVALUATIONS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Input:
    """A selector that a query reads.

    Attributes:
        selector: with the offsets of all subqueries around it as its own.
        lag_ms: how far back it looks on purpose.
        reach_ms: how far back the ranges around it reach; 0 where there is none.
    """

    selector: tree.Selector
    lag_ms: int
    reach_ms: int


def inputs(node: tree.Node) -> tuple[Input, ...]:
    """The distinct selectors of a query.

    A query that compares now with then (`x - x offset 1h`) is as old as its newest part: each
    selector's offset counts only beyond the smallest one. A query that only looks back is that old.
    """
    reach_ms: dict[tree.Selector, int] = {}
    for selector, reach in _read(node, 0, 0):
        reach_ms[selector] = max(reach, reach_ms.get(selector, 0))
    least = min((selector.offset_ms for selector in reach_ms), default=0)
    return tuple(
        Input(selector, selector.offset_ms - least, reach) for selector, reach in reach_ms.items()
    )


def _read(node: tree.Node, offset_ms: int, reach_ms: int) -> Iterator[tuple[tree.Selector, int]]:
    """Every selector below a node with its reach, given those of the subqueries above."""
    match node:
        case tree.Selector():
            reach = reach_ms and reach_ms + _LOOKBACK_MS
            yield replace(node, offset_ms=offset_ms + node.offset_ms), reach
            return
        case tree.Range(selector, range_ms):
            yield replace(selector, offset_ms=offset_ms + selector.offset_ms), reach_ms + range_ms
            return
        case tree.Subquery():
            offset_ms, reach_ms = offset_ms + node.offset_ms, reach_ms + node.range_ms
    for child in tree.children(node):
        yield from _read(child, offset_ms, reach_ms)


def _call(function: str, *arguments: tree.Node) -> tree.Call:
    return tree.Call(function, arguments)


_TIME: Final = tree.Call("time", (), "scalar")


def _sampled(selector: tree.Selector, lag_ms: int) -> tree.Node:
    """When each series was sampled, in s since 1970, moved forward by what it looks back."""
    stamp = _call("timestamp", selector)
    return tree.Binary("+", stamp, tree.Number(lag_ms / 1000)) if lag_ms else stamp


def value(node: tree.Node) -> tree.Node:
    """The query itself, as a vector."""
    return _call("vector", node) if tree.kind(node) == "scalar" else node


def freshness(node: tree.Node) -> tuple[tree.Node, ...]:
    """One question a selector: when its oldest series was sampled, in s since 1970.

    The oldest answer is the query's; a selector without series is not an answer (`a or b` may do
    without one of them), and a query none of whose selectors has series has no age. The sample of
    a recording rule is as old as the rule's last evaluation, whatever the age of its inputs.

    A range goes on giving values of series that have ended: while it does, the answer is ENDED_S.
    """
    return tuple(_oldest_sample(found) for found in inputs(node))


def _oldest_sample(found: Input) -> tree.Node:
    stamp = tree.Aggregate("min", _sampled(found.selector, found.lag_ms))
    if not found.reach_ms:
        return stamp
    held = _call("present_over_time", tree.Range(found.selector, found.reach_ms))
    return tree.Binary("or", stamp, tree.Aggregate("group", held))


def coverage(
    node: tree.Node, max_age_s: float, exempt: Sequence[tree.Selector] = ()
) -> tuple[tree.Node, ...]:
    """One question a selector: how many pods gave a sample not older than `max_age_s`.

    Args:
        node: the query.
        max_age_s: the indicator's `maxSampleAgeSeconds`.
        exempt: selectors that are not about the app's own pods (exporters elsewhere).
    """
    left_out = {replace(selector, offset_ms=0) for selector in exempt}
    return tuple(
        _fresh_pods(found.selector, found.lag_ms, max_age_s)
        for found in inputs(node)
        if replace(found.selector, offset_ms=0) not in left_out
    )


def _fresh_pods(selector: tree.Selector, lag_ms: int, max_age_s: float) -> tree.Node:
    named = replace(selector, matchers=(*selector.matchers, tree.Match(POD, "!=", "")))
    age = tree.Binary("-", _TIME, _paren(_sampled(named, lag_ms)))
    fresh = tree.Binary("<=", age, tree.Number(float(max_age_s)))
    return tree.Aggregate("count", tree.Aggregate("count", fresh, grouping=(POD,)))


def _paren(node: tree.Node) -> tree.Node:
    return tree.Paren(node) if isinstance(node, tree.Binary) else node


def good(node: tree.Node, op: Comparison, bound: float, max_age_s: float) -> tree.Node:
    """1 when the indicator is on the right side, 0 when not, nothing when that is not known.

    Not known: no value, not a finite number, or its oldest input older than `max_age_s`. Where the
    query gives several series all must be good.
    """
    finite = tree.Binary("<", tree.Paren(value(node)), _INFINITY)
    finite = tree.Binary(">", finite, tree.Number(float("-inf")))
    verdict = tree.Binary(_OPERATOR[op], finite, tree.Number(float(bound)), return_bool=True)
    age = tree.Binary("-", _TIME, _oldest(freshness(node)))
    fresh = tree.Paren(tree.Binary("<=", age, tree.Number(float(max_age_s))))
    return tree.Binary("and", tree.Aggregate("min", verdict), fresh, tree.Matching(True, ()))


def _oldest(stamps: tuple[tree.Node, ...]) -> tree.Node:
    if len(stamps) == 1:
        return _paren(stamps[0])
    marked = [_marked(stamp, _PART, index) for index, stamp in enumerate(stamps)]
    return tree.Aggregate("min", union(marked))


def _marked(node: tree.Node, label: str, index: int) -> tree.Node:
    texts = (tree.String(label), tree.String(str(index)), tree.String(""), tree.String(""))
    return _call("label_replace", node, *texts)


def union(nodes: Sequence[tree.Node]) -> tree.Node:
    """All series of several vectors, which must differ in their labels."""
    joined = nodes[0]
    for node in nodes[1:]:
        joined = tree.Binary("or", joined, node)
    return joined


def step_s(node: tree.Node, window_s: int) -> int:
    """How often a window is looked at: at most 720 times, less where each look is dear."""
    inner = max(1, promql.points(node))
    points = max(_MIN_POINTS, min(_MAX_POINTS, _MAX_EVALUATIONS // inner))
    return max(1, -(-window_s // points))


def past(goodness: tree.Node, window_s: int, step: int) -> tuple[tree.Node, tree.Node]:
    """Share of the observed points of a window that were good, and how many were observed."""
    points = tree.Subquery(tree.Paren(goodness), window_s * 1000, step * 1000)
    return _call("avg_over_time", points), _call("count_over_time", points)
