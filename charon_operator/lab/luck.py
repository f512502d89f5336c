"""How a pod's processes come up: restarts, crashes and warm-ups, drawn once per pod.

Reads: plant parameters, a seed, the pod's ordinal. Gives: `Start`s. Never: chance that depends on
anything but seed and ordinal, so that two runs with other commands share their luck.
"""

import dataclasses
import itertools
import math
import random
from collections.abc import Iterator

from charon_operator.lab.parameters import Parameters

_LONGEST_GAP_S = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """One process start, in s after the pod was bound to a node.

    Attributes:
        takes_s: when it begins to take frames.
        serves_s: when its first batch can be finished; None: it crashes at its first batch.
    """

    takes_s: float
    serves_s: float | None


def starts(parameters: Parameters, seed: int, ordinal: int) -> Iterator[Start]:
    """The starts of the pod created as number `ordinal`; the last one serves.

    Two waves as measured (first batches at dead time plus an exponential); pods that came up in
    neither keep restarting with a doubling gap.
    """
    chance = random.Random(f"start:{seed}:{ordinal}")
    wave, spread = chance.random(), chance.expovariate(1.0)
    warm_up_s = chance.lognormvariate(parameters.warm_up_mu, parameters.warm_up_sigma)
    first_s = parameters.first_wave_dead_time + parameters.first_wave_time_constant * spread
    takes_s = max(parameters.start_minimum, first_s - warm_up_s)
    if wave < parameters.first_wave_gain:
        yield Start(takes_s, first_s)
        return
    yield Start(takes_s, None)
    late_s = chance.expovariate(1.0) * parameters.second_wave_time_constant
    if wave < parameters.first_wave_gain + parameters.second_wave_gain:
        yield from _second_wave(parameters, takes_s, late_s, warm_up_s)
    else:
        yield from _later(parameters, takes_s, chance)


def _second_wave(
    parameters: Parameters, takes_s: float, late_s: float, warm_up_s: float
) -> Iterator[Start]:
    again_s = takes_s + parameters.restart_gap
    serves_s = parameters.second_wave_dead_time + late_s
    if late_s > _crashes_twice_after_s(parameters):
        yield Start(again_s, None)
        yield Start(max(again_s + 1.0, serves_s - warm_up_s), serves_s)
    else:
        yield Start(min(max(takes_s + 1.0, serves_s - warm_up_s), serves_s), serves_s)


def _crashes_twice_after_s(parameters: Parameters) -> float:
    """Delay within the second wave from which a pod is taken to have crashed twice.

    Chosen so that the share of all starts that crash is the measured one, given that pods that
    come up in neither wave crash three times within the recordings.
    """
    never = 1 - parameters.first_wave_gain - parameters.second_wave_gain
    succeed = parameters.first_wave_gain + parameters.second_wave_gain
    crashes = parameters.crash_probability / (1 - parameters.crash_probability) * succeed
    twice = (crashes - 3 * never) / parameters.second_wave_gain - 1
    return -math.log(min(1.0, max(1e-9, twice))) * parameters.second_wave_time_constant


def _later(parameters: Parameters, takes_s: float, chance: random.Random) -> Iterator[Start]:
    again_s = takes_s + parameters.restart_gap
    yield Start(again_s, None)
    for attempt in itertools.count():
        again_s += min(parameters.later_gap * 2**attempt, _LONGEST_GAP_S)
        warm_up_s = chance.lognormvariate(parameters.warm_up_mu, parameters.warm_up_sigma)
        if attempt and chance.random() >= parameters.crash_probability:
            yield Start(again_s, again_s + warm_up_s)
            return
        yield Start(again_s, None)
