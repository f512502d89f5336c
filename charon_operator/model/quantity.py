"""Numbers as users write them: strings of ASCII digits, read strictly.

Reads: text of a resource. Gives: floats, or a QuantityError. Never: bare `float()`, which takes
`nan`, `1_0` and digits of other scripts.
"""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

# Twelve digits before and six behind the point: every such number is exact enough in a double.
DECIMAL: Final = r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$"
NON_NEGATIVE: Final = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"
SENTENCE: Final = 'must be a decimal number in quotes, such as "0.95"'
PERCENT_SENTENCE: Final = (
    'must be a percentage between "0" and "100", both excluded, in quotes, such as "95"'
)
_DECIMAL = re.compile(DECIMAL, re.ASCII)


def parse(text: object) -> float:
    """Read a decimal number such as `"0.95"`.

    Raises:
        ValueError: the text is not a string, or not a decimal number of at most 12.6 digits.
    """
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        raise ValueError(SENTENCE)
    return float(text)


def render(number: float) -> str:
    """Write a number so that `parse` gives it back: no exponent, no trailing zeros."""
    text = f"{number:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _positive(number: float) -> float:
    if number <= 0:
        raise ValueError("must be greater than 0")
    return number


def _non_negative(number: float) -> float:
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _percent(number: float) -> float:
    if not 0 < number < 100:
        raise ValueError(PERCENT_SENTENCE)
    return number


def _schema(sentence: str, pattern: str, *, nonzero: bool = False) -> WithJsonSchema:
    """A pattern for tools that read schemas, and the same as a rule with a sentence for people."""
    both = f"self.matches('{pattern}')" + (" && self.matches('[1-9]')" if nonzero else "")
    rule = {"rule": both.replace("\\", "\\\\"), "message": sentence}
    return WithJsonSchema(
        {
            "type": "string",
            "pattern": pattern,
            "maxLength": 20,
            "x-kubernetes-validations": [rule],
        }
    )


_WRITE = PlainSerializer(render, return_type=str)
Number = Annotated[float, BeforeValidator(parse), _WRITE, _schema(SENTENCE, DECIMAL)]
PositiveNumber = Annotated[
    float,
    BeforeValidator(lambda text: _positive(parse(text))),
    _WRITE,
    _schema(
        'must be a decimal number above 0, in quotes, such as "64"', NON_NEGATIVE, nonzero=True
    ),
]
NonNegativeNumber = Annotated[
    float,
    BeforeValidator(lambda text: _non_negative(parse(text))),
    _WRITE,
    _schema('must be a decimal number of at least 0, in quotes, such as "0.1"', NON_NEGATIVE),
]
Percent = Annotated[
    float,
    BeforeValidator(lambda text: _percent(parse(text))),
    _WRITE,
    _schema(PERCENT_SENTENCE, r"^[0-9]{1,2}(\.[0-9]{1,6})?$", nonzero=True),
]
