"""Pauses of an app: what does not move, which way, and until when.

Reads: items of `holds` of a ChargedApp. Gives: `Hold`. Never: a hold that is dropped because it
cannot be read; it holds everything instead.
"""

import datetime
import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator, Field, WithJsonSchema

from charon_operator.model.wire import ItemName, Wire


class Direction(StrEnum):
    """Which moves a hold stops."""

    UP = "Up"
    DOWN = "Down"
    BOTH = "Both"


def _known_direction(value: object) -> object:
    # Fail safe: a hold that cannot be read stops everything (the schema rejects it first).
    return value if value in list(Direction) else Direction.BOTH


# A format alone lets a time without a zone pass, which would mean another moment to every reader.
_RFC3339: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[-+][0-9]{2}:[0-9]{2})$"
)
_UNTIL = WithJsonSchema(
    {"type": "string", "format": "date-time", "pattern": _RFC3339, "maxLength": 40}
)


def _rfc3339(value: object) -> object:
    if isinstance(value, datetime.datetime) or (
        isinstance(value, str) and re.fullmatch(_RFC3339, value)
    ):
        return value
    raise ValueError("must be a time with its zone, as 2030-12-31T06:00:00Z (RFC 3339)")


class Hold(Wire):
    """A pause: the app keeps thinking and recording, and does not move in this direction."""

    name: ItemName = Field(description="Name of the hold, so that it can be found and removed.")
    direction: Annotated[Direction, BeforeValidator(_known_direction)] = Field(
        default=Direction.BOTH, description="Up, Down or Both."
    )
    until: Annotated[AwareDatetime, BeforeValidator(_rfc3339), _UNTIL] | None = Field(
        default=None,
        description=(
            "When it ends, as 2030-12-31T06:00:00Z (RFC 3339). Without it: until it is removed."
        ),
    )
    reason: str = Field(default="", max_length=1024, description="Why, for people.")

    def active_at(self, now_s: float) -> bool:
        """Whether it holds at a time in seconds since 1970."""
        return self.until is None or now_s < self.until.timestamp()
