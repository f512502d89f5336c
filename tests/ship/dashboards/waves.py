"""Series that move for as long as they are watched, so that every picture shows them in motion."""

import math
import time
from collections.abc import Callable

PERIOD_S = 60.0


def wave(mean: float, height: float, phase: float = 0.0) -> Callable[[], float]:
    """A gauge that swings about its mean."""
    return lambda: mean + height * math.sin(2 * math.pi * time.time() / PERIOD_S + phase)


def to_peak_s() -> float:
    """How long until waves without a phase are at their highest."""
    return (PERIOD_S / 4 - time.time()) % PERIOD_S


def gapped(value: Callable[[], float], share: float) -> Callable[[], float]:
    """The same gauge, without a number for a share of each period."""
    return lambda: math.nan if (time.time() % PERIOD_S) > (1 - share) * PERIOD_S else value()


def grown(rate: float, phase: float = 0.0) -> Callable[[], float]:
    """A counter whose rate is a wave that never falls to zero."""
    began_s = time.time()
    turn = 2 * math.pi / PERIOD_S

    def value() -> float:
        now_s = time.time()
        swing = math.cos(turn * began_s + phase) - math.cos(turn * now_s + phase)
        return rate * (now_s - began_s + 0.5 * swing / turn)

    return value
