"""CPU and memory as the API server writes them: `250m`, `4`, `512Mi`, `1e9`.

Reads: texts of a resource. Gives: millicores and bytes, rounded up as the API server does. Never:
an exception for what somebody else wrote; what is no quantity is None.
"""

import re
from decimal import ROUND_CEILING, Decimal
from typing import Final

_QUANTITY: Final = re.compile(
    r"([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))"
    r"(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,2}))?",
    re.ASCII,
)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
_BINARY: Final = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
# What the API server can hold.
_MOST: Final = 2**63 - 1


def millicores(text: object) -> int | None:
    """CPU of a container in millicores."""
    return _scaled(text, 1000)


def whole_bytes(text: object) -> int | None:
    """Memory of a container in bytes."""
    return _scaled(text, 1)


def _scaled(text: object, factor: int) -> int | None:
    found = _QUANTITY.fullmatch(str(text)) if isinstance(text, str | int | float) else None
    if found is None:
        return None
    digits, suffix, exponent = found[1], found[2] or "", int(found[3] or 0)
    if suffix in _BINARY:
        value = Decimal(digits) * 1024 ** (1 + _BINARY.index(suffix))
    else:
        value = Decimal(digits).scaleb(exponent + _DECIMAL.get(suffix, 18))
    amount = int((value * factor).to_integral_value(ROUND_CEILING))
    return amount if 0 <= amount <= _MOST else None
