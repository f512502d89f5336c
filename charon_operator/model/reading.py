"""What was measured: a value with its age, or the reason why there is none.

Reads: nothing. Gives: `Reading`, `Missing`, `Attainment`. Never: a made-up zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# A sample may be this far ahead of our clock before its time is not believed.
CLOCK_SKEW_S: Final = 5.0


class MissingReason(StrEnum):
    """Why an indicator has no value that may be used."""

    NO_DATA = "NoData"
    STALE = "Stale"
    NOT_A_NUMBER = "NotANumber"
    MANY_SERIES = "ManySeries"
    LOW_COVERAGE = "LowCoverage"
    QUERY_FAILED = "QueryFailed"
    TIMEOUT = "Timeout"


@dataclass(frozen=True, slots=True)
class Reading:
    """A usable value.

    Attributes:
        value: finite, in the indicator's own unit.
        sampled_at_s: when its *oldest* input was sampled, seconds since 1970.
        coverage: share of ready pods that gave fresh series, 0..1; None where not asked for.
    """

    value: float
    sampled_at_s: float
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """No usable value, and why."""

    reason: MissingReason
    detail: str = ""


Sampled = Reading | Missing
Readings = Mapping[str, Sampled]


@dataclass(frozen=True, slots=True)
class Attainment:
    """How an objective did over its window, as computed by the metric store.

    Attributes:
        good_ratio: share of the *observed* time that was good, 0..1; None: nothing observed.
        coverage: share of the window that was observed at all, 0..1.
        computed_at_s: when it was computed, seconds since 1970.
        fresh_until_s: until when it speaks of the present, seconds since 1970; a newer one was due
            long before.
    """

    good_ratio: float | None
    coverage: float
    computed_at_s: float
    fresh_until_s: float
