"""What pods were seen to use, as it is remembered.

Reads: nothing. Gives: `Usage`, JSON-able and bounded. Never: behaviour.
"""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Usage:
    """A histogram of the cores that one pod used, weighed by time; `decide.usage` has its buckets.

    Attributes:
        source: what it is about; what is learnt of another source begins anew.
        sampled_at_s: newest sample time, seconds since 1970.
        weights: bucket and seconds, faded up to `sampled_at_s`; by bucket, without empty ones.
    """

    source: str
    sampled_at_s: float
    weights: tuple[tuple[int, float], ...] = ()

    def dump(self) -> list[Any]:
        """The same as JSON-able values."""
        return [self.source, self.sampled_at_s, [list(pair) for pair in self.weights]]

    @classmethod
    def load(cls, row: list[Any]) -> Self:
        """What `dump` gave."""
        source, sampled_at_s, weights = row
        return cls(source, sampled_at_s, tuple((bucket, weight) for bucket, weight in weights))
