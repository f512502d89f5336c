"""Finds where a query that does not parse goes wrong: the parser itself does not tell.

Reads: a query's text and tokens. Gives: an offset and a remedy. Never: more than a few hundred
short parses.
"""

import itertools
import re
from typing import Final

import promql_parser as parser

from charon_operator.observe import scan

_FUNCTION = re.compile(r"function(?: with name)? '([A-Za-z0-9_]+)'")
# What may follow a beginning so that, with the open brackets closed, it is whole.
_FILLERS: Final = (
    "", "x", "(x)", "x)", "[1m]", "x[1m]", "x[1m])", "1m", ":1m", '="x"', '"x"', 'x="x"', "{}",
    ", x", ", 1", ", x[1m]", ', "x"', ", 1, 1", ", 1, x", ', "x", "x"', ', "x", "x", "x"',
    ', "x", "x", "x", "x"', "(x[1m])", "(1, x)", '("x", x)', "(1, x[1m])", "(1)",
    "(x) (x)", "() (x)", "(x) (1, x)", "(1, x) by (x)",
    "x, 1", "x, 1, 1", "1, x", "1, x[1m]", "x[1m], 1", "x[1m], 1, 1", 'x, "x", "x"', '"x", x',
    'x, "x", "x", "x", "x"', "> bool x",
)  # fmt: skip
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}


def first(tokens: tuple[scan.Token, ...], text: str) -> int:
    """Offset of the first token of this text outside braces, else of the first token."""
    for token in tokens:
        if token.text.lower() == text and token.within != "{" and _is_colon_of_range(token):
            return token.start
    return tokens[0].start


def _is_colon_of_range(token: scan.Token) -> bool:
    return token.text != ":" or token.within == "["


def of_error(text: str, tokens: tuple[scan.Token, ...], message: str) -> tuple[int, str]:
    """Where a query stops being one.

    Args:
        text: the query, within the bounds of `scan`.
        tokens: of that text.
        message: the parser's words.

    Returns:
        The 0-based offset of the fault, and what to do about it.
    """
    named = _FUNCTION.search(message)
    if named:
        return _of_call(text, tokens, named[1]), _function_remedy(message)
    good, bad = 0, len(tokens)
    while good < bad:
        middle = (good + bad) // 2
        if _can_begin(text, tokens[: middle + 1]):
            good = middle + 1
        else:
            bad = middle
    if good == len(tokens):
        return len(text.rstrip()), "the query ends too early"
    return tokens[good].start, f"{tokens[good].text!r} cannot stand here"


def _function_remedy(message: str) -> str:
    if "unknown" in message:
        return "check the spelling"
    return "a range such as x[1m] where a matrix is expected, a plain x where a vector is"


def _of_call(text: str, tokens: tuple[scan.Token, ...], function: str) -> int:
    """The innermost call of that function that does not parse on its own."""
    calls = [
        (token, _end_of_call(tokens, index))
        for index, (token, follower) in enumerate(itertools.pairwise(tokens))
        if token.text == function and follower.text == "("
    ]
    failing = [token for token, end in calls if not _parses(text[token.start : end])]
    chosen = failing[-1:] or [token for token, _ in calls[:1]] or [tokens[0]]
    return chosen[0].start


def _end_of_call(tokens: tuple[scan.Token, ...], index: int) -> int:
    depth = 0
    for token in tokens[index + 1 :]:
        depth += (token.text == "(") - (token.text == ")") if token.within != "{" else 0
        if depth == 0:
            return token.end
    return tokens[-1].end


def _can_begin(text: str, tokens: tuple[scan.Token, ...]) -> bool:
    beginning = text[: tokens[-1].end]
    closing = ""
    for token in tokens:
        if token.kind is scan.Kind.SIGN and token.text in _CLOSERS:
            closing = _CLOSERS[token.text] + closing
        elif token.kind is scan.Kind.SIGN and token.text in _CLOSERS.values():
            closing = closing[1:]
    return any(
        _parses(f"{beginning}{gap}{filler}{closing[skip:]}")
        for filler in _FILLERS
        for gap in ("", " ")
        for skip in (0, 1)
        if skip == filler.count(")") - filler.count("(")
    )


def _parses(text: str) -> bool:
    try:
        parser.parse(text)
    except ValueError:
        return False
    return True
