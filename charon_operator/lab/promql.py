"""PromQL over the lab's own samples: the few forms that indicators of streams need.

Reads: a query's parsed tree, a Store. Gives: elements with the age and the pods under them. Never:
an approximation: what is not understood is refused by name.
"""

import dataclasses
import itertools
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import promql_parser

from charon_operator.errors import SimulationError
from charon_operator.lab.samples import Labels, Store

FORMS: Final = (
    "selectors, sum, max, min, avg, count, rate, increase and arithmetic with numbers "
    "or between single values"
)
_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / b if b else math.copysign(math.inf, a) if a else math.nan,
}
_AGGREGATES: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "sum": sum,
    "max": max,
    "min": min,
    "avg": lambda values: sum(values) / len(values),
    "count": len,
}
_MATCHES: Final[dict[str, Callable[[str, str], bool]]] = {
    "MatchOp.Equal": lambda value, wanted: value == wanted,
    "MatchOp.NotEqual": lambda value, wanted: value != wanted,
    "MatchOp.Re": lambda value, wanted: re.fullmatch(wanted, value) is not None,
    "MatchOp.NotRe": lambda value, wanted: re.fullmatch(wanted, value) is None,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Element:
    """One element of a result.

    Attributes:
        oldest_s: time of the oldest among the newest samples under it.
        pods: values of the label `pod` of the series under it.
    """

    labels: Labels
    value: float
    oldest_s: float
    pods: frozenset[str]


Result = list[Element] | float


def parse(query: str) -> Any:
    """A query's tree.

    Raises:
        SimulationError: it is not PromQL.
    """
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        raise SimulationError(f"{query}: {error}") from None


def evaluate(tree: Any, store: Store, now_s: float) -> Result:
    """Evaluate a tree as of `now_s`.

    Raises:
        SimulationError: the tree holds a form the lab does not know; it names it.
    """
    kind = type(tree).__name__
    match kind:
        case "NumberLiteral":
            return float(tree.val)
        case "ParenExpr":
            return evaluate(tree.expr, store, now_s)
        case "UnaryExpr":
            return _paired("-", 0.0, evaluate(tree.expr, store, now_s), tree)
        case "VectorSelector":
            return _instant(tree, store, now_s)
        case "Call" if tree.func.name in ("rate", "increase"):
            return _increase(tree, store, now_s)
        case "AggregateExpr" if str(tree.op) in _AGGREGATES and tree.param is None:
            return _aggregate(tree, evaluate(tree.expr, store, now_s))
        case "BinaryExpr" if str(tree.op) in _ARITHMETIC and tree.modifier is None:
            left, right = evaluate(tree.lhs, store, now_s), evaluate(tree.rhs, store, now_s)
            return _paired(str(tree.op), left, right, tree)
    raise _unknown(tree)


def _unknown(tree: Any) -> SimulationError:
    return SimulationError(f"{tree.prettify()}: the simulator does not know this; it knows {FORMS}")


def _wanted(selector: Any) -> Callable[[Labels], bool]:
    if selector.offset is not None or selector.at is not None or selector.matchers.or_matchers:
        raise _unknown(selector)
    tests = [(m.name, _MATCHES[str(m.op)], m.value) for m in selector.matchers.matchers]
    if selector.name is not None:
        tests.append(("__name__", _MATCHES["MatchOp.Equal"], selector.name))
    return lambda labels: all(test(labels.get(name, ""), value) for name, test, value in tests)


def _instant(selector: Any, store: Store, now_s: float) -> list[Element]:
    found = []
    for series in store.matching(_wanted(selector)):
        sample = series.latest(now_s, now_s)
        if sample is not None:
            found.append(_element(series.labels, sample[1], sample[0]))
    return found


def _element(labels: Labels, value: float, time_s: float) -> Element:
    pod = labels.get("pod")
    return Element(labels, value, time_s, frozenset([pod] if pod else []))


def _increase(call: Any, store: Store, now_s: float) -> list[Element]:
    matrix = call.args[0]
    if type(matrix).__name__ != "MatrixSelector":
        raise _unknown(call)
    range_s = matrix.range.total_seconds()
    found = []
    for series in store.matching(_wanted(matrix.vector_selector)):
        samples = series.window(now_s - range_s, now_s, now_s)
        if len(samples) >= 2:
            grown = extrapolated(samples, now_s - range_s, now_s)
            value = grown / range_s if call.func.name == "rate" else grown
            named = {name: v for name, v in series.labels.items() if name != "__name__"}
            found.append(_element(named, value, samples[-1][0]))
    return found


def extrapolated(samples: Sequence[tuple[float, float]], start_s: float, end_s: float) -> float:
    """The increase of a counter over a window, as Prometheus extrapolates it.

    Source: prometheus/prometheus, promql/functions.go, extrapolatedRate.
    """
    (first_s, first), (last_s, last) = samples[0], samples[-1]
    resets = sum(a for (_, a), (_, b) in itertools.pairwise(samples) if b < a)
    grown = last - first + resets
    span_s = last_s - first_s
    mean_gap_s = span_s / (len(samples) - 1)
    before_s, after_s = first_s - start_s, end_s - last_s
    if before_s >= 1.1 * mean_gap_s:
        before_s = mean_gap_s / 2
    if grown > 0 and first >= 0:
        before_s = min(before_s, span_s * first / grown)  # a counter was not below zero
    if after_s >= 1.1 * mean_gap_s:
        after_s = mean_gap_s / 2
    return grown * (span_s + before_s + after_s) / span_s


def _aggregate(tree: Any, inner: Result) -> list[Element]:
    if isinstance(inner, float):
        raise _unknown(tree)
    groups: dict[tuple[tuple[str, str], ...], list[Element]] = {}
    for element in inner:
        groups.setdefault(_group(tree.modifier, element.labels), []).append(element)
    return [
        Element(
            dict(key),
            float(_AGGREGATES[str(tree.op)]([member.value for member in members])),
            min(member.oldest_s for member in members),
            frozenset().union(*(member.pods for member in members)),
        )
        for key, members in groups.items()
    ]


def _group(modifier: Any, labels: Labels) -> tuple[tuple[str, str], ...]:
    if modifier is None:
        return ()
    named = set(modifier.labels)
    by = str(modifier.type) == "AggModifierType.By"
    kept = [(k, v) for k, v in labels.items() if (k in named) == by and k != "__name__"]
    return tuple(sorted(kept))


def _paired(symbol: str, left: Result, right: Result, tree: Any) -> Result:
    apply = _ARITHMETIC[symbol]
    if isinstance(left, float) and isinstance(right, float):
        return apply(left, right)
    if isinstance(right, float):
        assert isinstance(left, list)
        return [_with(element, apply(element.value, right)) for element in left]
    if isinstance(left, float):
        return [_with(element, apply(left, element.value)) for element in right]
    if any(element.labels for element in (*left, *right)):
        raise _unknown(tree)
    return [_joined(a, b, apply(a.value, b.value)) for a in left for b in right]


def _with(element: Element, value: float) -> Element:
    labels = {name: v for name, v in element.labels.items() if name != "__name__"}
    return Element(labels, value, element.oldest_s, element.pods)


def _joined(left: Element, right: Element, value: float) -> Element:
    return Element({}, value, min(left.oldest_s, right.oldest_s), left.pods | right.pods)
