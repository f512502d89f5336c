"""How long faults last: short in CI, in full length in the soak.

Reads: CHARON_FAULT_LENGTHS (`ci`, the default, or `full`). Gives: `LENGTHS`. Never: anything that
changes what is asserted: deadlines and invariants are the same at any length.
"""

import os
from dataclasses import dataclass
from typing import Final

import pytest

VARIABLE: Final = "CHARON_FAULT_LENGTHS"


@dataclass(frozen=True)
class Lengths:
    """Durations in seconds and counts of faults.

    Attributes:
        api_outages_s: how long the API server is away, one outage after the other.
        code_s: how long each error code is answered (F8), at least until it was answered twice.
        storm_s: how long watches are answered 410 (F9).
        kills, kill_every_s: of the kill loop (F2).
        flips: how often an app is changed to and fro (B18), a second apart.
        recreations: how often it is deleted and made again (B18).
        metric_outage_s: how long Mimir is refused or silent (M1).
    """

    api_outages_s: tuple[float, ...]
    code_s: float
    storm_s: float
    kills: int
    kill_every_s: float
    flips: int
    recreations: int
    metric_outage_s: float


_CI = Lengths(
    api_outages_s=(6,),
    code_s=0.5,
    storm_s=5,
    kills=3,
    kill_every_s=7,
    flips=6,
    recreations=4,
    metric_outage_s=4,
)
_FULL = Lengths(
    api_outages_s=(10, 300, 1800),
    code_s=120,
    storm_s=60,
    kills=60,
    kill_every_s=5,
    flips=60,
    recreations=100,
    metric_outage_s=120,
)
LENGTHS: Final = {"ci": _CI, "full": _FULL}[os.environ.get(VARIABLE, "ci")]


def at_most(seconds: float) -> pytest.MarkDecorator:
    """How long a test may take in CI; at full length nothing limits it (pytest-timeout's 0)."""
    return pytest.mark.timeout(seconds if LENGTHS is _CI else 0)
