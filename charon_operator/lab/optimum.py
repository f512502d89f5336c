"""The causal optimum: the best that could have been done with what could be known.

Reads: a Scene, the bounds, a dead time. Gives: `Optimum`. Never: a look ahead.

It knows the plant, the luck of every pod included (same seed), and how high a step is as soon as it
sees it. It sees the step, and its end, only after the dead time of the pipeline (scrape, send,
period, write), and knows nothing of the future: until it sees the step it asks for what was there.
It is the best of these schedules, found by playing them:

- from when it sees the step on, `high` replicas, for every `high` within the bounds;
- once its queue is back within the threshold (and it could have seen that), `low` replicas, the
  fewest that keep the queue there if the arrivals go on as they are (tried for two more minutes);
- once it has seen the end of the arrivals and the queue is within the threshold, the minimum.

Best is who is back within the threshold for good first; among equals, who asks for the fewest
replica-seconds. It is an optimum among these schedules, not among all: on this plant more replicas
never slow the return, and frames cannot be moved between queues, so a more varied schedule has
nothing to gain before the return; after it, it could at most save replica-seconds.
"""

import dataclasses
import math
from typing import Final

from charon_operator.lab import score, world
from charon_operator.lab.story import Story
from charon_operator.lab.trace import Trace

_GOES_ON_S: Final = 120.0
_HOPELESS: Final = 1.5


@dataclasses.dataclass(frozen=True, slots=True)
class Optimum:
    """The best schedule, and how it did.

    Attributes:
        high, low: replicas until and after the return.
        dead_time_s: with which it saw things.
        score: of its run, over the same horizon as every other.
        trace: of its run.
    """

    high: int
    low: int
    dead_time_s: float
    score: score.Score
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
    """Search the schedules of the module's docstring."""
    best = _played(problem, problem.maximum, problem.maximum)
    for high in range(problem.maximum - 1, problem.minimum - 1, -1):
        tried = _played(problem, high, high)
        if _rank(tried) < _rank(best):
            best = tried
        elif _return_s(tried) > _HOPELESS * _return_s(best):
            break  # fewer only return later
    low = _fewest(problem, best.high)
    leaner = _played(problem, best.high, low)
    return min(best, leaner, key=_rank)


def _fewest(problem: Problem, high: int) -> int:
    """Fewest replicas after the return that hold the queue if the arrivals go on; by halving."""
    scene = problem.scene
    longer = dataclasses.replace(scene, arrivals=scene.arrivals.prolonged(_GOES_ON_S))
    going_on = dataclasses.replace(problem, scene=longer)
    reached = _return_s(_played(going_on, high, high))
    few, enough = problem.minimum - 1, high
    while enough - few > 1:
        middle = (few + enough) // 2
        if _return_s(_played(going_on, high, middle)) <= reached:
            enough = middle
        else:
            few = middle
    return enough


def _return_s(optimum: Optimum) -> float:
    return math.inf if optimum.score.return_s is None else optimum.score.return_s


def _rank(optimum: Optimum) -> tuple[float, float]:
    return _return_s(optimum), optimum.score.replica_seconds


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
