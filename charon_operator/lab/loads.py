"""Loads by name: what a stream may have to bear, each the same for the same seed.

Reads: a name, a seed. Gives: `Arrivals`. Never: a figure that was measured; the step is the one of
the 2024 runs, the others are made up to differ from it.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from charon_operator.lab import arrivals
from charon_operator.lab.arrivals import QUIET_S, Arrivals

STEP: Final = "step"
_PIECE_S: Final = 2.0
_BASE: Final = 60.0
_RAMP_TO: Final = 600.0
_RAMP_S: Final = 120.0
_HOLD_S: Final = 60.0
_BURST: Final = 240.0
_BURST_S: Final = 16.0
_BETWEEN_S: Final = 44.0
_BURSTS: Final = 4
_NOISE: Final = 200.0
_NOISE_S: Final = 300.0
_SIGMA: Final = 0.35
_CORRELATED_S: Final = 20.0


def step(seed: int) -> Arrivals:
    """1000 a second for 60 s, after nothing and before nothing: as in the 2024 runs."""
    return arrivals.step()


def ramp(seed: int) -> Arrivals:
    """From 60 to 600 a second within two minutes, a minute there, and back."""
    rise = [_BASE + (_RAMP_TO - _BASE) * at * _PIECE_S / _RAMP_S for at in range(_pieces(_RAMP_S))]
    return _joined([*rise, *[_RAMP_TO] * _pieces(_HOLD_S), *reversed(rise)])


def bursts(seed: int) -> Arrivals:
    """60 a second, and 240 for 16 s in every minute, four times."""
    one = [_BASE] * _pieces(_BETWEEN_S) + [_BURST] * _pieces(_BURST_S)
    return _joined([*one * _BURSTS, *[_BASE] * _pieces(_BETWEEN_S)])


def noise(seed: int) -> Arrivals:
    """About 200 a second for five minutes: log-normal, correlated over 20 s."""
    chance = random.Random(f"noise:{seed}")
    kept = math.exp(-_PIECE_S / _CORRELATED_S)
    level, rates = 0.0, []
    for _ in range(_pieces(_NOISE_S)):
        level = kept * level + math.sqrt(1 - kept**2) * chance.gauss(0.0, _SIGMA)
        rates.append(_NOISE * math.exp(level - _SIGMA**2 / 2))
    return _joined(rates)


LOADS: Final[Mapping[str, Callable[[int], Arrivals]]] = {
    STEP: step,
    "ramp": ramp,
    "bursts": bursts,
    "noise": noise,
}


def _pieces(seconds: float) -> int:
    return math.ceil(seconds / _PIECE_S)


def _joined(rates: Iterable[float]) -> Arrivals:
    """Pieces of one length, after a quiet time."""
    whole = (0.0, *rates)
    times_s = (0.0, *(QUIET_S + at * _PIECE_S for at in range(len(whole) - 1)))
    return Arrivals(times_s, whole, times_s[-1] + _PIECE_S)
