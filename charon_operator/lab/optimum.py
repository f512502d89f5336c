"""The causal optimum of a step: the best of a family of schedules that know no future.

Reads: a Scene whose arrivals are one step, the bounds, a dead time. Gives: `Optimum`. Never: a look
ahead.

It knows the plant, the luck of every pod included (same seed), and how high the step is as soon as
it sees it. It sees the step, and its end, only after the dead time of the pipeline (scrape, send,
period, write), and knows nothing of the future: until it sees the step it asks for what was there,
and it plans as if the step lasted, for three minutes:

- from when it sees the step on, `high` replicas: of all numbers within the bounds the one that
  would be back within the threshold for good first;
- once its queue is back (and it could have seen that), `low` replicas, the fewest that would keep
  the queue there;
- once it has seen the end of the arrivals and the queue is within the threshold, the minimum.

Where no number would be back, `high` is the one that is above for the shortest time, then with the
fewest units lost or waiting; among equals the one that asks for the fewest replica-seconds.

It is the best of this family, and not of all schedules: one that changes more often can be back
sooner. So the contest takes a contender that was back sooner, seeing no earlier, as its yardstick.
"""

import dataclasses
import math
from typing import Final

from charon_operator.lab import arrivals, score, world
from charon_operator.lab.score import Score
from charon_operator.lab.story import Story
from charon_operator.lab.trace import Trace

_LASTS_S: Final = 180.0
_HOPELESS: Final = 1.5


@dataclasses.dataclass(frozen=True, slots=True)
class Optimum:
    """The best schedule of the family, and how it did.

    Attributes:
        high, low: replicas until and after the return.
        dead_time_s: with which it saw things.
        score: of its run, over the same horizon as every other.
        trace: of its run.
    """

    high: int
    low: int
    dead_time_s: float
    score: Score
    trace: Trace


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What is to be held, and within which bounds."""

    scene: world.Scene
    minimum: int
    maximum: int
    threshold: float
    dead_time_s: float


def find(problem: Problem) -> Optimum:
    """Search the schedules of the module's docstring; the arrivals must be one step."""
    lasting = dataclasses.replace(problem, scene=_lasting(problem.scene))
    high = _fastest(lasting)
    return _played(problem, high, _fewest(lasting, high))


def rank(of: Score) -> tuple[float, ...]:
    """Smaller is better: who is back first, else who is above least; then who asks for least."""
    if of.return_s is None:
        # A queue can be short because frames were dropped.
        return math.inf, of.above_s, of.peak + of.lost, of.replica_seconds
    return of.return_s, of.replica_seconds


def _lasting(scene: world.Scene) -> world.Scene:
    """The scene as it looks to one who has seen the step and not its end."""
    first_s = scene.arrivals.first_s
    seen = arrivals.step(scene.arrivals.rate(first_s), _LASTS_S, quiet_s=first_s)
    return dataclasses.replace(scene, arrivals=seen, tail_s=0.0)


def _fastest(problem: Problem) -> int:
    best = _played(problem, problem.maximum, problem.maximum)
    for high in range(problem.maximum - 1, problem.minimum - 1, -1):
        tried = _played(problem, high, high)
        if rank(tried.score) < rank(best.score):
            best = tried
        elif _return_s(tried) > _HOPELESS * _return_s(best):
            break  # fewer only return later
    return best.high


def _fewest(problem: Problem, high: int) -> int:
    """Fewest replicas after the return that hold the queue; by halving."""
    reached_s = _return_s(_played(problem, high, high))
    few, enough = problem.minimum - 1, high
    while enough - few > 1:
        middle = (few + enough) // 2
        if _return_s(_played(problem, high, middle)) <= reached_s:
            enough = middle
        else:
            few = middle
    return enough


def _return_s(optimum: Optimum) -> float:
    return math.inf if optimum.score.return_s is None else optimum.score.return_s


def _played(problem: Problem, high: int, low: int) -> Optimum:
    scene, dead_s = problem.scene, problem.dead_time_s
    stage = world.World(scene, measured=False)
    stage.advance(scene.step_s + dead_s)
    stage.cluster.scale(high, stage.now_s)
    within_s = None
    while stage.now_s < scene.end_s:
        stage.advance(min(scene.end_s, stage.now_s + world.STRIDE_S))
        if stage.plant.account().queued > problem.threshold:
            within_s = None
        elif within_s is None:
            within_s = stage.now_s
        if within_s is not None and stage.now_s >= within_s + dead_s:
            over = stage.now_s >= scene.silent_s + dead_s
            stage.cluster.scale(problem.minimum if over else low, stage.now_s)
    judged = score.score(stage.trace, Story(), threshold=problem.threshold, end_s=scene.end_s)
    return Optimum(high, low, dead_s, judged, stage.trace)
