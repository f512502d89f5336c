"""Bounds as the user writes them: `min` and `max` of one part, in this order.

Reads: nothing. Gives: `Bounds`. Never: a min above the max, whether the API server looked or not.
"""

from typing import Final, Self

from pydantic import model_validator

from charon_operator.model.wire import Rule, Wire, rules

_ORDERED: Final = "min must not be greater than max"
# Of bounds that are quantities, as "250m": as texts they would be compared by their letters.
OF_QUANTITIES: Final = Rule(
    "quantity(self.min).compareTo(quantity(self.max)) <= 0", _ORDERED, ".min"
)


class Bounds(Wire):
    """Numbers between which something stays; whoever has such says which."""

    model_config = rules(Rule("self.min <= self.max", _ORDERED, ".min"))

    min: int
    max: int

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(_ORDERED)
        return self
