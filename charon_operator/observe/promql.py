"""Reads PromQL into a tree, and refuses what cannot be judged or bounded.

Reads: text a user or an administrator wrote. Gives: a tree, or a QueryError with `line:column` and
the remedy. Never: a query whose age could not be known.

The grammar is that of promql-parser; its result is copied into a tree of our own (`tree`), because
its nodes cannot be changed and its printing does not escape.
"""

import datetime
from collections.abc import Callable
from typing import Any, Final, Literal

import promql_parser as parser

from charon_operator.observe import place, scan, tree

MAX_RANGE_MS: Final = 86_400_000
MAX_OFFSET_MS: Final = 32 * 86_400_000
MAX_SUBQUERY_POINTS: Final = 1440
MAX_SELECTORS: Final = 16
# Mimir's default evaluation interval, used where a subquery names no step.
_DEFAULT_STEP_MS: Final = 60_000

# The parser's enumerations have no hash: they are told apart by their names.
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_KINDS: dict[str, tree.Kind] = {
    "Vector": "vector",
    "Scalar": "scalar",
    "Matrix": "matrix",
    "String": "string",
}
_MANY: dict[str, Literal["left", "right"]] = {"ManyToOne": "left", "OneToMany": "right"}


def read(text: str, field: str) -> tree.Node:
    """Read a query that gives a value per series or a single number.

    Args:
        text: the query, placeholders and all.
        field: path of the field that holds it, for the error.

    Raises:
        QueryError: with the place and what to write instead.
    """
    tokens = scan.scan(text, field)
    _refuse_words(text, field, tokens)
    try:
        node = convert(_parse(text, field, tokens))
    except _UnsupportedError as error:
        scan.refuse(text, field, tokens[0].start, f"{error} cannot be asked: write simpler PromQL")
    _refuse_shape(text, field, tokens, node)
    return node


def matcher(text: str, field: str) -> tree.Match:
    """Read one label matcher, such as `namespace="$namespace"`.

    Raises:
        QueryError: it is not exactly one matcher.
    """
    scan.scan(text, field)
    found: tuple[tree.Match, ...] = ()
    try:
        node = convert(parser.parse(f'{{__name__="x",{text}\n}}'))
    except (ValueError, UnicodeError, _UnsupportedError):
        node = None
    if isinstance(node, tree.Selector) and not node.offset_ms:
        found = tuple(match for match in node.matchers if match.label != tree.NAME)
    if len(found) != 1 or node != tree.Selector((tree.Match(tree.NAME, "=", "x"), *found)):
        message = f'{text!r} is not one label matcher: write it as namespace="$namespace"'
        scan.refuse(text, field, 0, message)
    return found[0]


def same(text: str, node: tree.Node) -> bool:
    """Whether a text reads as exactly this tree."""
    try:
        return convert(parser.parse(text)) == node
    except (ValueError, UnicodeError, _UnsupportedError):
        return False


class _UnsupportedError(Exception):
    """A part of the grammar that no query of ours may have."""


def _parse(text: str, field: str, tokens: tuple[scan.Token, ...]) -> Any:
    try:
        return parser.parse(text)
    except ValueError as error:
        position, remedy = place.of_error(text, tokens, str(error))
        scan.refuse(text, field, position, f"{error}: {remedy}")


def _refuse_words(text: str, field: str, tokens: tuple[scan.Token, ...]) -> None:
    """Refuse what tokens alone tell."""
    for index, token in enumerate(tokens):
        follower = tokens[index + 1].text if index + 1 < len(tokens) else ""
        word = token.text.lower() if token.kind is not scan.Kind.STRING else ""
        message = ""
        if word == "@":
            message = "the @ modifier fixes the time, so the value would never age: remove it"
        elif word == "offset" and token.within != "{" and follower == "-":
            message = "a negative offset looks into the future: use a positive one"
        elif word in ("fill", "fill_left", "fill_right") and follower == "(":
            message = "fill makes up values for missing series: remove it"
        elif word == "or" and token.within == "{" and not _is_operator(follower):
            message = "`or` between matchers would undo the scope: use =~ or two selectors"
        elif word == "info" and follower == "(":
            message = "info() reads series outside the scope: join the labels with group_left"
        if message:
            scan.refuse(text, field, token.start, message)


def _is_operator(text: str) -> bool:
    return text in ("=", "!=", "=~", "!~")


def _refuse_shape(text: str, field: str, tokens: tuple[scan.Token, ...], node: tree.Node) -> None:
    """Refuse what only the tree tells; the place is that of the first token of that form."""
    kind = tree.kind(node)
    if kind == "matrix":
        message = "gives a range of values: wrap it, as rate(...) or max_over_time(...)"
        scan.refuse(text, field, tokens[0].start, message)
    if kind == "string":
        scan.refuse(text, field, tokens[0].start, "gives a text: write PromQL that gives one value")
    found = tree.selectors(node)
    if not found:
        message = "reads no metric, so it cannot say how the application does: name a metric"
        scan.refuse(text, field, tokens[0].start, message)
    if len(set(found)) > MAX_SELECTORS:
        message = f"more than {MAX_SELECTORS} selectors: use a recording rule"
        scan.refuse(text, field, tokens[0].start, message)
    _refuse_spans(text, field, tokens, node)


def _refuse_spans(text: str, field: str, tokens: tuple[scan.Token, ...], node: tree.Node) -> None:
    def refuse(form: str, message: str) -> None:
        scan.refuse(text, field, place.first(tokens, form), message)

    for part in tree.walk(node):
        match part:
            case tree.Selector(offset_ms=offset) | tree.Subquery(offset_ms=offset):
                if offset > MAX_OFFSET_MS:
                    refuse("offset", "an offset above 32d: use a shorter one")
        match part:
            case tree.Range(range_ms=length) | tree.Subquery(range_ms=length):
                if length > MAX_RANGE_MS:
                    refuse("[", "a range above 1d: use a recording rule")
        if isinstance(part, tree.Subquery) and points(part.expr):
            refuse(":", "a subquery in a subquery: use a recording rule")
    if points(node) > MAX_SUBQUERY_POINTS:
        remedy = "use longer steps, shorter ranges or a recording rule"
        refuse(":", f"subqueries of more than {MAX_SUBQUERY_POINTS} points in all: {remedy}")


def points(node: tree.Node) -> int:
    """How often the expressions of all subqueries of a tree are evaluated."""
    return sum(
        -(-part.range_ms // (part.step_ms or _DEFAULT_STEP_MS))
        for part in tree.walk(node)
        if isinstance(part, tree.Subquery)
    )


def convert(node: Any) -> tree.Node:
    """Copy the parser's tree into ours.

    Raises:
        _UnsupportedError: a form that the tree has no room for, or a parser newer than this code.
    """
    copy = _COPIES.get(type(node))
    if copy is None:
        raise _UnsupportedError(type(node).__name__)
    return copy(node)


def _call(node: parser.Call) -> tree.Call:
    arguments = tuple(convert(argument) for argument in node.args)
    return tree.Call(node.func.name, arguments, _KINDS[_member(node.func.return_type)])


def _member(value: object) -> str:
    return str(value).rpartition(".")[2]


def _ms(length: datetime.timedelta | None) -> int:
    if length is None:
        return 0
    return round(length / datetime.timedelta(milliseconds=1))


def _selector(node: parser.VectorSelector) -> tree.Selector:
    if node.at is not None or node.matchers.or_matchers or _ms(node.offset) < 0:
        raise _UnsupportedError("@, or-matchers or a negative offset")
    matchers = tuple(
        tree.Match(match.name, _OPERATORS[_member(match.op)], match.value)
        for match in node.matchers.matchers
    )
    if node.name is not None:
        matchers = (tree.Match(tree.NAME, "=", node.name), *matchers)
    return tree.Selector(matchers, _ms(node.offset))


def _subquery(node: parser.SubqueryExpr) -> tree.Subquery:
    if node.at is not None or _ms(node.offset) < 0:
        raise _UnsupportedError("@ or a negative offset")
    step_ms = None if node.step is None else _ms(node.step)
    return tree.Subquery(convert(node.expr), _ms(node.range), step_ms, _ms(node.offset))


def _aggregate(node: parser.AggregateExpr) -> tree.Aggregate:
    modifier = node.modifier
    return tree.Aggregate(
        op=str(node.op),
        expr=convert(node.expr),
        parameter=None if node.param is None else convert(node.param),
        grouping=None if modifier is None else tuple(modifier.labels),
        without=modifier is not None and _member(modifier.type) == "Without",
    )


def _binary(node: parser.BinaryExpr) -> tree.Binary:
    modifier = node.modifier
    matching = None
    if modifier is not None:
        fills = modifier.fill_values
        if fills is not None and (fills.lhs is not None or fills.rhs is not None):
            raise _UnsupportedError("fill")
        if modifier.matching is not None:
            matching = tree.Matching(
                on=_member(modifier.matching.type) == "Include",
                labels=tuple(modifier.matching.labels),
                many=_MANY.get(_member(modifier.card)),
                include=tuple(modifier.group_labels or ()),
            )
    left, right = convert(node.lhs), convert(node.rhs)
    returns_bool = modifier is not None and modifier.return_bool
    return tree.Binary(str(node.op), left, right, matching, returns_bool)


_COPIES: Final[dict[type, Callable[[Any], tree.Node]]] = {
    parser.VectorSelector: _selector,
    parser.MatrixSelector: lambda node: tree.Range(
        _selector(node.vector_selector), _ms(node.range)
    ),
    parser.SubqueryExpr: _subquery,
    parser.NumberLiteral: lambda node: tree.Number(node.val),
    parser.StringLiteral: lambda node: tree.String(node.val),
    parser.Call: _call,
    parser.AggregateExpr: _aggregate,
    parser.BinaryExpr: _binary,
    parser.UnaryExpr: lambda node: tree.Negated(convert(node.expr)),
    parser.ParenExpr: lambda node: tree.Paren(convert(node.expr)),
}
