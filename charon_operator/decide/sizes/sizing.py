"""Which size a pod is to have: the one that serves a load, or the one that covers what is used.

Reads: the measured points of a curve, cores that are used. Gives: capacity (units a second) of
millicores, and its inverse; millicores of cores. Never: more than the largest point was seen to
serve.
"""

import math
from collections.abc import Sequence

from charon_operator.model.resources import CurvePoint

# A capacity that is met but for rounding asks for no larger size.
_SLACK = 1e-9


def capacity(curve: Sequence[CurvePoint], cpu_m: int) -> float:
    """Units a second that one pod serves: straight lines from nothing through the points."""
    low_m, low = 0, 0.0
    for point in curve:
        if cpu_m <= point.cpu:
            share = (cpu_m - low_m) / (point.cpu - low_m)
            return low + share * (point.capacity - low)
        low_m, low = point.cpu, point.capacity
    return low


def cpu_for(curve: Sequence[CurvePoint], wanted: float, least_m: int, most_m: int) -> int:
    """The smallest size within bounds that serves `wanted`; the largest of use where none does.

    Sizes have two significant digits, so that a load that trembles moves no pods; the bounds may
    have more. Beyond the last point of the curve nothing is gained.

    Args:
        curve: rising in both.
        wanted: units a second of one pod.
        least_m: smallest size allowed, in millicores.
        most_m: largest size allowed, in millicores.
    """
    most_m = max(least_m, min(most_m, curve[-1].cpu))
    exact = _inverse(curve, wanted)
    return most_m if exact is None else max(least_m, min(most_m, _rounded_up(exact)))


def cpu_of(cores: float) -> int:
    """The smallest size, of two significant digits as above, that covers so many cores."""
    return _rounded_up(1000 * cores)


def _inverse(curve: Sequence[CurvePoint], wanted: float) -> float | None:
    low_m, low = 0, 0.0
    for point in curve:
        if wanted <= point.capacity * (1 + _SLACK):
            share = (wanted - low) / (point.capacity - low)
            return low_m + min(1.0, max(0.0, share)) * (point.cpu - low_m)
        low_m, low = point.cpu, point.capacity
    return None


def _rounded_up(cpu_m: float) -> int:
    whole = math.ceil(cpu_m - _SLACK)
    step = int(10 ** max(0, len(str(whole)) - 2))
    return -(-whole // step) * step
