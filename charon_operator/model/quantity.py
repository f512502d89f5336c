"""Numbers as users write them: strings of ASCII digits, read strictly.

Reads: text of a resource. Gives: floats, millicores, bytes, or a ValueError. Never: bare `float()`,
which takes `nan`, `1_0` and digits of other scripts; a unit that nobody means (milli-bytes).
"""

import re
from collections.abc import Callable
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

WITHIN_ONE_SENTENCE: Final = 'must be a number from "0" to "1", in quotes, such as "0.95"'

CPU: Final = r"^([0-9]{1,6}m|[0-9]{1,3}(\.[0-9]{1,3})?)$"
CPU_SENTENCE: Final = (
    'must be CPU between "10m" and "256", in cores or millicores, in quotes, such as "250m"'
)
MEMORY: Final = r"^[0-9]{1,15}(k|M|G|T|Ki|Mi|Gi|Ti)?$"
MEMORY_SENTENCE: Final = (
    'must be memory between "1Mi" and "16Ti", in bytes or with a unit, in quotes, such as "512Mi"'
)
_CPU_RANGE: Final = ("10m", "256")
_MEMORY_RANGE: Final = ("1Mi", "16Ti")
_BINARY: Final = {"Ti": 2**40, "Gi": 2**30, "Mi": 2**20, "Ki": 2**10}
_UNITS: Final = {**_BINARY, "T": 10**12, "G": 10**9, "M": 10**6, "k": 10**3, "": 1}


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


def cpu(text: object) -> int:
    """Read CPU, as `"250m"` or `"1.5"`, in millicores.

    Raises:
        ValueError: the text is no CPU quantity between 10m and 256 cores.
    """
    if isinstance(text, str) and re.fullmatch(CPU, text, re.ASCII):
        whole = int(text[:-1]) if text.endswith("m") else round(float(text) * 1000)
        if 10 <= whole <= 256_000:
            return whole
    raise ValueError(CPU_SENTENCE)


def render_cpu(millicores: int) -> str:
    """Write millicores so that `cpu` gives them back."""
    return f"{millicores}m" if millicores % 1000 else str(millicores // 1000)


def memory(text: object) -> int:
    """Read memory, as `"512Mi"`, in bytes.

    Raises:
        ValueError: the text is no memory quantity between 1Mi and 16Ti.
    """
    if isinstance(text, str) and re.fullmatch(MEMORY, text, re.ASCII):
        digits = text.rstrip("kMGTi")
        size = int(digits) * _UNITS[text[len(digits) :]]
        if 2**20 <= size <= 2**44:
            return size
    raise ValueError(MEMORY_SENTENCE)


def render_memory(size: int) -> str:
    """Write bytes so that `memory` gives them back, in the largest unit that is exact."""
    unit = next((unit for unit, factor in _BINARY.items() if size % factor == 0), "")
    return f"{size // _UNITS[unit]}{unit}"


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


def _within_one(number: float) -> float:
    if not 0 <= number <= 1:
        raise ValueError(WITHIN_ONE_SENTENCE)
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

WithinOne = Annotated[
    float,
    BeforeValidator(lambda text: _within_one(parse(text))),
    _WRITE,
    _schema(WITHIN_ONE_SENTENCE, r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$"),
]


def _quantity(
    read: Callable[[object], int], sentence: str, pattern: str, allowed: tuple[str, str]
) -> tuple[BeforeValidator, WithJsonSchema]:
    rule = (
        f"self.matches('{pattern}') && quantity(self).compareTo(quantity('{allowed[0]}')) >= 0 && "
        f"quantity(self).compareTo(quantity('{allowed[1]}')) <= 0"
    )
    schema = {
        "type": "string",
        "pattern": pattern,
        "maxLength": 20,
        "x-kubernetes-validations": [{"rule": rule.replace("\\", "\\\\"), "message": sentence}],
    }
    return BeforeValidator(read), WithJsonSchema(schema)


_CPU_READ, _CPU_SCHEMA = _quantity(cpu, CPU_SENTENCE, CPU, _CPU_RANGE)
_MEMORY_READ, _MEMORY_SCHEMA = _quantity(memory, MEMORY_SENTENCE, MEMORY, _MEMORY_RANGE)
CpuQuantity = Annotated[int, _CPU_READ, PlainSerializer(render_cpu, return_type=str), _CPU_SCHEMA]
MemoryQuantity = Annotated[
    int, _MEMORY_READ, PlainSerializer(render_memory, return_type=str), _MEMORY_SCHEMA
]
