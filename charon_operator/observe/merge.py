"""Asks one question for many apps: queries that differ in label values only become one.

Reads: scoped trees. Gives: the merged tree, and which labels its answers are told apart by.
Never: a merge that could answer otherwise than the queries one by one.

A tree is *lifted* over labels L when every selector's matcher `l="v"` (l in L) is widened to all
values at once and L is kept through every node above. Then each node's answer, cut to the series
with L = v, is the single query's answer for v, apart from the labels L themselves: by induction, as
- selectors and functions of one series touch no other series;
- an aggregation that groups by L too never mixes two values;
- a binary operation that pairs on L too never pairs two values; it is lifted only where both sides
  of the single query agree on having l (else the single query pairs nothing and the lifted does).
What is not of these forms (absent, scalar, vector, topk, a constant as one side of
`or`, ...) is not lifted, and is asked in a union.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from charon_operator.observe import scope, tree

# Functions that make of each series one series with the same labels but the name.
_PER_SERIES: Final = frozenset(
    {"abs", "ceil", "floor", "round", "sgn", "sqrt", "exp", "ln", "log2", "log10", "deg", "rad",
     "clamp", "clamp_min", "clamp_max", "timestamp",
     "rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "changes", "resets",
     "avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time",
     "last_over_time", "stddev_over_time", "stdvar_over_time", "present_over_time",
     "quantile_over_time"}
)  # fmt: skip
# histogram_quantile makes one series of those that differ in `le` only.
_BUCKETS: Final = "histogram_quantile"
# label_replace touches one series at a time; it is lifted where it names none of the labels.
_RELABEL: Final = "label_replace"
_PER_GROUP: Final = frozenset({"sum", "min", "max", "avg", "count", "stddev", "stdvar", "group",
                               "quantile"})  # fmt: skip
_CONSTANTS: Final = frozenset({"time", "pi"})
_SETS: Final = frozenset({"and", "or", "unless"})


class _CannotLiftError(Exception):
    """A form that is not lifted."""


@dataclass(frozen=True, slots=True)
class Mold:
    """What queries have in common that differ only in label values.

    Attributes:
        key: equal for trees that differ only in the values of `labels`.
        labels: labels that every selector fixes to one and the same value.
        values: that value, by label, in the same order.
    """

    key: str
    labels: tuple[str, ...]
    values: tuple[str, ...]


def mold(node: tree.Node) -> Mold | None:
    """The mold of a tree; None where no label is fixed everywhere to one value."""
    fixed = [_fixed(selector) for selector in tree.selectors(node)]
    if not fixed:
        return None
    shared = {
        label: value
        for label, value in fixed[0].items()
        if all(other.get(label) == value for other in fixed)
    }
    if not shared:
        return None
    labels = tuple(sorted(shared))
    blank = tree.rewrite(node, lambda selector: _blanked(selector, shared))
    return Mold(tree.render(blank), labels, tuple(shared[label] for label in labels))


def _fixed(selector: tree.Selector) -> dict[str, str]:
    """Labels with exactly one matcher, which is `=` to a value that is not empty."""
    found: dict[str, list[tree.Match]] = {}
    for match in selector.matchers:
        found.setdefault(match.label, []).append(match)
    return {
        label: matches[0].value
        for label, matches in found.items()
        if label != tree.NAME and len(matches) == 1 and matches[0].op == "=" and matches[0].value
    }


def _blanked(selector: tree.Selector, shared: Mapping[str, str]) -> tree.Selector:
    matchers = tuple(
        replace(match, value="") if match.label in shared else match for match in selector.matchers
    )
    return replace(selector, matchers=matchers)


@dataclass(frozen=True, slots=True)
class Merged:
    """Several queries as one.

    Attributes:
        node: what is asked.
        labels: an answer's series belong to the query with these labels' values.
        kept: those of them that the single query's answer has, too.
    """

    node: tree.Node
    labels: tuple[str, ...]
    kept: frozenset[str]


def merge(node: tree.Node, molds: Sequence[Mold]) -> Merged | None:
    """Widen a query to the values of several molds with one key.

    Args:
        node: the tree of any one of them.
        molds: of all of them; at least two, no two with the same values.

    Returns:
        None where the tree has a form that cannot be lifted.
    """
    columns = list(zip(*(one.values for one in molds), strict=True))
    varying = {
        label: sorted(set(column))
        for label, column in zip(molds[0].labels, columns, strict=True)
        if len(set(column)) > 1
    }
    lift = _Lift({label: _any_of(label, values) for label, values in varying.items()})
    try:
        lifted, kept = lift.vector(node)
    except _CannotLiftError:
        return None
    return Merged(lifted, tuple(varying), kept)


def _any_of(label: str, values: Sequence[str]) -> tree.Match:
    return tree.Match(label, "=~", "|".join(scope.escape(value) for value in values))


class _Lift:
    """Lifts trees over labels; `wide` has the matcher that each label gets."""

    def __init__(self, wide: Mapping[str, tree.Match]) -> None:
        self._wide = wide
        self._over = frozenset(wide)

    def vector(self, node: tree.Node) -> tuple[tree.Node, frozenset[str]]:
        """The lifted tree, and which of the labels the single query's answer has."""
        match node:
            case tree.Selector():
                return self._selector(node), self._over
            case tree.Range():
                return replace(node, selector=self._selector(node.selector)), self._over
            case tree.Subquery() | tree.Paren() | tree.Negated():
                inner, kept = self.vector(node.expr)
                return replace(node, expr=inner), kept
            case tree.Call():
                return self._call(node)
            case tree.Aggregate():
                return self._aggregate(node)
            case tree.Binary():
                return self._binary(node)
        raise _CannotLiftError

    def _selector(self, node: tree.Selector) -> tree.Selector:
        matchers = tuple(self._wide.get(match.label, match) for match in node.matchers)
        return replace(node, matchers=matchers)

    def _call(self, node: tree.Call) -> tuple[tree.Node, frozenset[str]]:
        if not self._is_per_series(node):
            raise _CannotLiftError
        kept: frozenset[str] | None = None
        arguments: list[tree.Node] = []
        for argument in node.arguments:
            if _is_constant(argument):
                arguments.append(argument)
                continue
            if kept is not None:
                raise _CannotLiftError
            lifted, kept = self.vector(argument)
            arguments.append(lifted)
        if kept is None:
            raise _CannotLiftError
        return replace(node, arguments=tuple(arguments)), kept

    def _is_per_series(self, node: tree.Call) -> bool:
        if node.function == _BUCKETS:
            return "le" not in self._over
        if node.function == _RELABEL:
            named = {text.value for text in node.arguments if isinstance(text, tree.String)}
            return not named & self._over
        return node.function in _PER_SERIES

    def _aggregate(self, node: tree.Aggregate) -> tuple[tree.Node, frozenset[str]]:
        if node.op not in _PER_GROUP:
            raise _CannotLiftError
        if node.parameter is not None and not _is_constant(node.parameter):
            raise _CannotLiftError
        inner, kept = self.vector(node.expr)
        named = frozenset(node.grouping or ())
        if node.without:
            grouping = tuple(label for label in node.grouping or () if label not in self._over)
            return replace(node, expr=inner, grouping=grouping), kept - named
        grouping = (*(node.grouping or ()), *sorted(self._over - named))
        return replace(node, expr=inner, grouping=grouping), kept & named

    def _binary(self, node: tree.Binary) -> tuple[tree.Node, frozenset[str]]:
        if _is_constant(node.left):
            right, kept = self.vector(node.right)
            return replace(node, right=right), kept
        if _is_constant(node.right):
            left, kept = self.vector(node.left)
            return replace(node, left=left), kept
        left, of_left = self.vector(node.left)
        right, of_right = self.vector(node.right)
        matching, kept = self._pairing(node, of_left, of_right)
        return replace(node, left=left, right=right, matching=matching), kept

    def _pairing(
        self, node: tree.Binary, left: frozenset[str], right: frozenset[str]
    ) -> tuple[tree.Matching | None, frozenset[str]]:
        """How the lifted sides are paired, and what the single answer keeps of the labels."""
        matching = node.matching or tree.Matching(False, ())
        named = self._over & frozenset(matching.labels)
        compared = named if matching.on else self._over - named
        if left & compared != right & compared or self._over & frozenset(matching.include):
            raise _CannotLiftError
        if node.op == "or" and left != right:
            raise _CannotLiftError
        labels = tuple(label for label in matching.labels if label not in self._over)
        if matching.on:
            labels += tuple(sorted(self._over))
        if node.op in _SETS or matching.many:
            kept = right if matching.many == "right" else left
        else:
            kept = left & compared
        return (replace(matching, labels=labels) if node.matching else None), kept


def _is_constant(node: tree.Node) -> bool:
    """Whether a part is one number or text for everybody: it reads nothing and is not a vector."""
    match node:
        case tree.Number() | tree.String():
            return True
        case tree.Call():
            return node.function in _CONSTANTS and not node.arguments
        case tree.Binary():
            return _is_constant(node.left) and _is_constant(node.right)
        case tree.Negated() | tree.Paren():
            return _is_constant(node.expr)
    return False
