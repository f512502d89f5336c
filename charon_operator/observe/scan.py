"""Cuts a PromQL text into tokens and bounds it, before any parser sees it.

Reads: text a user wrote. Gives: tokens with their places, or a QueryError with line and column.
Never: more work than the text is long; a parser given unbounded text can be made to run for minutes
or to crash.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn

from charon_operator.errors import QueryError

MAX_BYTES: Final = 4096
MAX_OPERATORS: Final = 64
MAX_NESTING: Final = 64

_OPENS: Final = {"(": ")", "[": "]", "{": "}"}
_CLOSES: Final = {close: open_ for open_, close in _OPENS.items()}
_WORD_OPERATORS: Final = frozenset({"and", "or", "unless", "atan2"})
_SIGN_OPERATORS: Final = frozenset({"+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<="})

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'|`[^`]*`)
      | (?P<number>(?:[0-9]|\.[0-9])[0-9A-Za-z_.]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_:]*)
      | (?P<sign>[=!<>]=|=~|!~|[-+*/%^=<>@,()\[\]{}:])""",
    re.VERBOSE | re.ASCII,
)
# Everything below the space but tab and line ends; also DEL, NUL and lone surrogates.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Kind(Enum):
    """What a token is."""

    STRING = "string"
    NUMBER = "number"
    WORD = "word"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query: `start` and `end` are 0-based offsets; `within` the bracket around it."""

    kind: Kind
    text: str
    start: int
    end: int
    within: str


def refuse(text: str, field: str, position: int, message: str) -> NoReturn:
    """Refuse a query at a place.

    Args:
        text: the query.
        field: path of the field that holds it.
        position: 0-based offset of the fault.
        message: what is wrong and what to write instead.

    Raises:
        QueryError: always; its message opens with `line:column`, both from 1.
    """
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    raise QueryError(field, f"{line}:{column}: {message}", position)


def scan(text: str, field: str) -> tuple[Token, ...]:
    """Cut a query into tokens, without spaces and comments.

    Args:
        text: the query.
        field: path of the field that holds it, for the error.

    Raises:
        QueryError: too long, too deeply nested, too many operators, brackets that do not match, or
            a character that no query has.
    """
    _check_characters(text, field)
    tokens: list[Token] = []
    open_: list[Token] = []
    at, operators = 0, 0
    while at < len(text):
        token = _next(text, field, at, open_[-1].text if open_ else "")
        at = token[1]
        if token[0] is None:
            continue
        tokens.append(token[0])
        _nest(text, field, token[0], open_)
        operators += _is_operator(token[0])
        if operators > MAX_OPERATORS:
            message = f"more than {MAX_OPERATORS} operators: split it, or use a recording rule"
            refuse(text, field, token[0].start, message)
    if open_:
        bracket = open_[-1]
        refuse(text, field, bracket.start, f"unclosed {bracket.text!r}: {_close_it(bracket)}")
    if not tokens:
        refuse(text, field, 0, "the query is empty: write PromQL that gives one value")
    return tuple(tokens)


def _check_characters(text: str, field: str) -> None:
    bad = _FORBIDDEN.search(text)
    if bad:
        name = f"U+{ord(bad[0]):04X}"
        refuse(text, field, bad.start(), f"control character {name}: remove it")
    if len(text.encode()) > MAX_BYTES:
        refuse(text, field, 0, f"longer than {MAX_BYTES} bytes: use a recording rule")


def _next(text: str, field: str, at: int, within: str) -> tuple[Token | None, int]:
    found = _TOKEN.match(text, at)
    if found is None:
        _refuse_character(text, field, at)
    if found.lastgroup == "space":
        return None, found.end()
    assert found.lastgroup is not None  # every alternative of the pattern is named
    return Token(Kind(found.lastgroup), found[0], at, found.end(), within), found.end()


def _refuse_character(text: str, field: str, at: int) -> NoReturn:
    character = text[at]
    if character in "\"'`":
        refuse(text, field, at, f"unterminated string: close it with {character}")
    if character == "$":
        message = "a placeholder may stand only in the value of a label matcher, in quotes"
        refuse(text, field, at, message)
    refuse(text, field, at, f"unexpected character {character!r}: put label values in quotes")


def _nest(text: str, field: str, token: Token, open_: list[Token]) -> None:
    if token.kind is not Kind.SIGN:
        return
    if token.text in _OPENS:
        open_.append(token)
        if len(open_) > MAX_NESTING:
            message = f"nested deeper than {MAX_NESTING}: use a recording rule"
            refuse(text, field, token.start, message)
    elif token.text in _CLOSES:
        if not open_:
            message = f"unexpected {token.text!r}: nothing is open here; remove it"
            refuse(text, field, token.start, message)
        if open_[-1].text != _CLOSES[token.text]:
            message = f"unexpected {token.text!r}: {_close_it(open_[-1])} first"
            refuse(text, field, token.start, message)
        open_.pop()


def _close_it(bracket: Token) -> str:
    return f"close it with {_OPENS[bracket.text]!r}"


def _is_operator(token: Token) -> bool:
    if token.within == "{":
        return token.text == "or"
    return token.text in _SIGN_OPERATORS or (
        token.kind is Kind.WORD and token.text.lower() in _WORD_OPERATORS
    )
