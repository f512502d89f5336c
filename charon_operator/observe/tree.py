"""PromQL as a tree of our own, and its text: what is asked is always written from this tree.

Reads: nothing. Gives: immutable nodes, `render`, `selectors`, `rewrite`. Never: a value that is not
quoted here; the parser's own printing does not escape.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

NAME: Final = "__name__"
Kind = Literal["vector", "scalar", "matrix", "string"]

_BARE_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_BARE_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
# Words that PromQL reads as something else than a metric where a metric may stand.
_RESERVED = frozenset(
    {"and", "or", "unless", "atan2", "by", "without", "on", "ignoring", "group_left",
     "group_right", "bool", "offset", "inf", "nan", "start", "end", "sum", "min", "max", "avg",
     "count", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values", "group", "limitk",
     "limit_ratio", "fill", "fill_left", "fill_right", "anchored", "smoothed", "step", "range"}
)  # fmt: skip
_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


@dataclass(frozen=True, slots=True)
class Match:
    """A label matcher; `op` is one of = != =~ !~."""

    label: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by their labels; the metric's name is the matcher on `__name__`. `offset_ms` >= 0."""

    matchers: tuple[Match, ...]
    offset_ms: int = 0

    @property
    def metric(self) -> str | None:
        """The metric's name where it is fixed, else None."""
        names = [match.value for match in self.matchers if _is_name(match)]
        return names[0] if names else None


@dataclass(frozen=True, slots=True)
class Range:
    """`selector[range]`."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expr[range:step]`; step None is the store's own evaluation interval."""

    expr: "Node"
    range_ms: int
    step_ms: int | None = None
    offset_ms: int = 0


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class String:
    """A string, as an argument of a function."""

    value: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function of arguments; `kind` is what it gives."""

    function: str
    arguments: tuple["Node", ...]
    kind: Kind = "vector"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation; `grouping` None: over everything; else by these labels or without them."""

    op: str
    expr: "Node"
    parameter: "Node | None" = None
    grouping: tuple[str, ...] | None = None
    without: bool = False


@dataclass(frozen=True, slots=True)
class Matching:
    """How the sides of a binary operation are paired.

    Attributes:
        on: `on(labels)`, else `ignoring(labels)`.
        many: the side that may have several partners: left, right or neither.
        include: labels copied from the other side.
    """

    on: bool
    labels: tuple[str, ...]
    many: Literal["left", "right"] | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """An operation on two sides."""

    op: str
    left: "Node"
    right: "Node"
    matching: Matching | None = None
    return_bool: bool = False


@dataclass(frozen=True, slots=True)
class Negated:
    """`-expr`."""

    expr: "Node"


@dataclass(frozen=True, slots=True)
class Paren:
    """`(expr)`."""

    expr: "Node"


Node = Selector | Range | Subquery | Number | String | Call | Aggregate | Binary | Negated | Paren


def _is_name(match: Match) -> bool:
    return match.label == NAME and match.op == "="


def kind(node: Node) -> Kind:
    """What a node gives when evaluated."""
    match node:
        case Number():
            return "scalar"
        case String():
            return "string"
        case Range() | Subquery():
            return "matrix"
        case Call():
            return node.kind
        case Binary():
            return "scalar" if kind(node.left) == kind(node.right) == "scalar" else "vector"
        case Negated() | Paren():
            return kind(node.expr)
    return "vector"


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a node, in the order in which they are written."""
    match node:
        case Range():
            return (node.selector,)
        case Call():
            return node.arguments
        case Aggregate():
            return (node.expr,) if node.parameter is None else (node.parameter, node.expr)
        case Binary():
            return (node.left, node.right)
        case Subquery() | Negated() | Paren():
            return (node.expr,)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it, in the order in which it is written."""
    yield node
    for child in children(node):
        yield from walk(child)


def selectors(node: Node) -> tuple[Selector, ...]:
    """Every selector of a tree, those of ranges included."""
    return tuple(part for part in walk(node) if isinstance(part, Selector))


def rewrite(node: Node, change: Callable[[Selector], Selector]) -> Node:
    """The same tree with every selector changed."""
    match node:
        case Selector():
            return change(node)
        case Range():
            return replace(node, selector=change(node.selector))
        case Call():
            arguments = tuple(rewrite(argument, change) for argument in node.arguments)
            return replace(node, arguments=arguments)
        case Aggregate():
            parameter = None if node.parameter is None else rewrite(node.parameter, change)
            return replace(node, expr=rewrite(node.expr, change), parameter=parameter)
        case Binary():
            left, right = rewrite(node.left, change), rewrite(node.right, change)
            return replace(node, left=left, right=right)
        case Subquery() | Negated() | Paren():
            return replace(node, expr=rewrite(node.expr, change))
    return node


def quote(text: str) -> str:
    """A PromQL string literal of any text without lone surrogates."""
    return '"' + "".join(_escape(character) for character in text) + '"'


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    return f"\\x{ord(character):02x}" if character < " " or character == "\x7f" else character


def duration(length_ms: int) -> str:
    """A PromQL duration, exact to the millisecond; the length is greater than 0."""
    parts = []
    for unit, size in _UNITS_MS:
        count, length_ms = divmod(length_ms, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def render(node: Node) -> str:
    """The text of a tree: parsing it gives the same tree."""
    match node:
        case Selector():
            return _series(node) + _offset(node.offset_ms)
        case Range():
            inner = node.selector
            return f"{_series(inner)}[{duration(node.range_ms)}]{_offset(inner.offset_ms)}"
        case Subquery():
            step = "" if node.step_ms is None else duration(node.step_ms)
            span = f"[{duration(node.range_ms)}:{step}]"
            return f"{render(node.expr)}{span}{_offset(node.offset_ms)}"
        case Number() | String():
            return _literal(node)
        case Call():
            return f"{node.function}({', '.join(render(part) for part in node.arguments)})"
        case Aggregate():
            return _aggregate(node)
        case Binary():
            return f"{render(node.left)} {_operator(node)} {render(node.right)}"
        case Negated():
            return f"-{render(node.expr)}"
    return f"({render(node.expr)})"


def _series(node: Selector) -> str:
    names = [match for match in node.matchers if match.label == NAME]
    bare = len(names) == 1 and _is_name(names[0]) and _is_bare(names[0].value)
    rest = [match for match in node.matchers if not (bare and match.label == NAME)]
    braces = "{" + ",".join(_matcher(match) for match in rest) + "}" if rest else ""
    return (names[0].value if bare else "") + braces


def _is_bare(name: str) -> bool:
    return bool(_BARE_NAME.fullmatch(name)) and name.lower() not in _RESERVED


def _matcher(match: Match) -> str:
    return f"{_label(match.label)}{match.op}{quote(match.value)}"


def _label(label: str) -> str:
    return label if _BARE_LABEL.fullmatch(label) else quote(label)


def _labels(labels: tuple[str, ...]) -> str:
    return "(" + ", ".join(_label(label) for label in labels) + ")"


def _offset(offset_ms: int) -> str:
    return f" offset {duration(offset_ms)}" if offset_ms else ""


def _literal(node: Number | String) -> str:
    return _number(node.value) if isinstance(node, Number) else quote(node.value)


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _aggregate(node: Aggregate) -> str:
    modifier = ""
    if node.grouping is not None:
        modifier = f" {'without' if node.without else 'by'} {_labels(node.grouping)} "
    parameter = "" if node.parameter is None else f"{render(node.parameter)}, "
    return f"{node.op}{modifier}({parameter}{render(node.expr)})"


def _operator(node: Binary) -> str:
    text = node.op + (" bool" if node.return_bool else "")
    if node.matching is None:
        return text
    text += f" {'on' if node.matching.on else 'ignoring'} {_labels(node.matching.labels)}"
    if node.matching.many:
        text += f" group_{node.matching.many} {_labels(node.matching.include)}"
    return text
