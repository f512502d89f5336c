"""How long each knob takes from a write to its effect: measured on the last raises, and expected.

Reads: raises that were made, pods that are ready, sizes that pods show. Gives: what is learnt of
delays, and what to expect. Never: a clock; a raise that was taken back says nothing.

An expectation is the median of the last few raises, or as long as the oldest one is on its way for
if that is longer: a knob that is stuck is slow at once, and one slow node makes it slow for nobody.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from charon_operator.model.learnt import Delay, Learnt
from charon_operator.model.memory import Action, AppMemory, Knobs
from charon_operator.model.policy import Knob
from charon_operator.model.sizes import Resizing, Size, Sizes
from charon_operator.model.workload import Workload

# What is expected before anything was measured, seconds.
USUAL: Final[Mapping[Knob, float]] = {Knob.RESOURCES: 1.0, Knob.REPLICAS: 30.0}
_KEPT: Final = 5


def noted(memory: AppMemory, workload: Workload, sizes: Sizes | None, now_s: float) -> Learnt:
    """What is learnt once raises that have had their effect by now are measured."""
    knobs = memory.knobs or Knobs()
    learnt = knobs.learnt
    ready = [
        move for move in _under_way(learnt.replicas, memory.actions) if move.to <= workload.ready
    ]
    return replace(
        learnt,
        replicas=_measured(learnt.replicas, ready, now_s),
        resources=_resized(learnt.resources, knobs, sizes, now_s),
    )


def measured(learnt: Learnt) -> dict[str, float]:
    """Seconds that the last raises took, their median, by knob; of what was measured only."""
    found = {Knob.REPLICAS: learnt.replicas, Knob.RESOURCES: learnt.resources}
    return {
        knob.value: statistics.median(delay.seconds)
        for knob, delay in found.items()
        if delay.seconds
    }


def expected(memory: AppMemory, now_s: float) -> Mapping[Knob, float]:
    """Seconds that a raise by each knob is expected to take."""
    knobs = memory.knobs or Knobs()
    usual = {**USUAL, **{Knob(knob): seconds for knob, seconds in measured(knobs.learnt).items()}}
    under_way = {
        Knob.REPLICAS: _under_way(knobs.learnt.replicas, memory.actions),
        Knob.RESOURCES: _under_way(knobs.learnt.resources, knobs.moves),
    }
    return {
        knob: max([usual[knob], *(now_s - move.time_s for move in moves)])
        for knob, moves in under_way.items()
    }


def _resized(known: Delay, knobs: Knobs, sizes: Sizes | None, now_s: float) -> Delay:
    if knobs.failed is not None and knobs.failed.active_at(now_s):
        # Taken back: what is seen now is the size of before.
        return replace(known, until_s=max([known.until_s, *(move.time_s for move in knobs.moves)]))
    if sizes is None or knobs.size is None or not _all_have(sizes, knobs.size):
        return known
    seen_s = now_s if sizes.settled_at_s is None else sizes.settled_at_s
    return _measured(known, _under_way(known, knobs.moves), seen_s)


def _measured(known: Delay, done: Sequence[Action], seen_s: float) -> Delay:
    if not done:
        return known
    took = (max(0.0, seen_s - move.time_s) for move in done)
    return Delay((*known.seconds, *took)[-_KEPT:], done[-1].time_s)


def _under_way(known: Delay, moves: Sequence[Action]) -> list[Action]:
    """Raises that are not looked at yet, but for those that a later move took back."""
    found: list[Action] = []
    for move in moves:
        found = [one for one in found if one.to <= move.to]
        if move.to > move.start and move.time_s > known.until_s and move.stood_on is None:
            found.append(move)
    return found


def _all_have(sizes: Sizes, size: Size) -> bool:
    return bool(sizes.sized) and all(
        pod.resizing is Resizing.SETTLED
        and _are(pod.asked.cpu_m, size.cpu_m)
        and _are(pod.asked.memory_b, size.memory_b)
        for pod in sizes.sized
    )


def _are(asked: int | None, meant: int | None) -> bool:
    """Of what a pod does not set, or is not managed, nothing is awaited."""
    return asked is None or meant is None or asked == meant
