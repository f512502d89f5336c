"""One example with replicas alone, with CPU alone, and with both, on the same loads and luck.

Reads: an Example with `resources`, scenes. Gives: `Play`s, their means, and what both lose. Never:
a scene that differs between them, but for the pods of the yardstick.

Replicas alone play twice: with pods of the template's size, and with pods as large as CPU may grow.
CPU alone cannot add pods: it keeps those that are there at the beginning. Beside them stands a
yardstick that knows the future: CPU alone, with as many pods from the beginning as the load's peak
needs at the largest size, and the head-room of one square root.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from charon_operator.decide.sizes import sizing
from charon_operator.errors import SimulationError
from charon_operator.lab import contest
from charon_operator.lab.contest import Contender
from charon_operator.lab.example import Example
from charon_operator.lab.world import Scene
from charon_operator.model.policy import Prices
from charon_operator.model.resources import ResizeMode, Resources
from charon_operator.model.targets import Capacity

REPLICAS: Final = "replicas"
LARGE: Final = "large replicas"
CPU: Final = "cpu"
BOTH: Final = "both"
PROVISIONED: Final = "provisioned"
ALONE: Final = (REPLICAS, LARGE, CPU)
# Differences below this, in parts of the figure (attainment: of all time), are no losses.
_SAME: Final = 0.01


@dataclasses.dataclass(frozen=True, slots=True)
class Play:
    """One run: which load and luck, by which knobs, and how it went.

    Attributes:
        knobs: REPLICAS, LARGE, CPU, BOTH or PROVISIONED.
        cost: replica-seconds and core-seconds at the policy's prices.
    """

    load: str
    seed: int
    knobs: str
    contender: Contender
    cost: float


@dataclasses.dataclass(frozen=True, slots=True)
class Mean:
    """Means over the seeds of one load; the names as in `Score`."""

    load: str
    knobs: str
    plays: int
    attainment: float
    longest_s: float
    lost: float
    replica_seconds: float
    core_seconds: float
    cost: float


@dataclasses.dataclass(frozen=True, slots=True)
class Total:
    """One contender over all loads: its mean attainment, its longest stretch, its mean cost."""

    knobs: str
    attainment: float
    longest_s: float
    cost: float


@dataclasses.dataclass(frozen=True, slots=True)
class Loss:
    """A figure in which both knobs together do worse than one of them alone."""

    load: str
    to: str
    figure: str
    both: float
    alone: float


def plays(example: Example, load: str, scene: Scene) -> list[Play]:
    """All of them on one scene.

    Raises:
        SimulationError: the example moves one knob only, or its pods have no CPU limit.
    """
    sized = _sized(example)
    assert sized.cpu is not None
    largest = sized.cpu.max / 1000
    count = _provisioned(example, sized, max(scene.arrivals.rates))
    return [
        _played((load, REPLICAS), _unsized(example, sized, scene.limit_cores or 0.0), scene),
        _played(
            (load, LARGE),
            _unsized(example, sized, largest),
            dataclasses.replace(scene, limit_cores=largest),
        ),
        _played((load, CPU), _fixed(example, scene.replicas), scene),
        _played((load, BOTH), example, scene),
        _played(
            (load, PROVISIONED),
            _fixed(example, count),
            dataclasses.replace(scene, replicas=count),
        ),
    ]


def means(played: Sequence[Play]) -> list[Mean]:
    """Over the seeds, in the order of the plays."""
    groups: dict[tuple[str, str], list[Play]] = {}
    for play in played:
        groups.setdefault((play.load, play.knobs), []).append(play)
    return [_mean(load, knobs, group) for (load, knobs), group in groups.items()]


def totals(found: Sequence[Mean]) -> dict[str, Total]:
    """Over all loads, by knobs."""
    by_knobs: dict[str, list[Mean]] = {}
    for mean in found:
        by_knobs.setdefault(mean.knobs, []).append(mean)
    return {
        knobs: Total(
            knobs,
            statistics.fmean(mean.attainment for mean in group),
            max(mean.longest_s for mean in group),
            statistics.fmean(mean.cost for mean in group),
        )
        for knobs, group in by_knobs.items()
    }


def best_alone(found: Sequence[Mean]) -> Total:
    """The best single knob: chosen once for all loads, by attainment, among equals by cost."""
    over = totals(found)
    alone = [over[knobs] for knobs in ALONE]
    most = max(total.attainment for total in alone)
    near = (total for total in alone if total.attainment >= most - _SAME)
    return min(near, key=lambda total: total.cost)


def losses(found: Iterable[Mean]) -> list[Loss]:
    """Where both are worse than one alone, in any figure."""
    by_load: dict[str, dict[str, Mean]] = {}
    for mean in found:
        by_load.setdefault(mean.load, {})[mean.knobs] = mean
    return [
        loss
        for of in by_load.values()
        for alone in (*ALONE, PROVISIONED)
        for loss in _lost(of[BOTH], of[alone])
    ]


def _sized(example: Example) -> Resources:
    resources = example.app.spec.resources
    if resources is None or not resources.acts or resources.cpu is None:
        raise SimulationError(
            "the example moves one knob only: give it spec.resources with mode InPlace and cpu"
        )
    if example.limit_cores is None:
        raise SimulationError("the workload's pods have no CPU limit; give their container one")
    return resources


def _provisioned(example: Example, resources: Resources, peak: float) -> int:
    """As many pods as the peak needs at the largest size, within bounds."""
    assert resources.cpu is not None
    load = peak / sizing.capacity(resources.curve or (), resources.cpu.max)
    bounds = example.app.spec.bounds
    return min(bounds.max, max(bounds.min, math.ceil(load + math.sqrt(load))))


def _unsized(example: Example, resources: Resources, limit_cores: float) -> Example:
    """The example with pods that stay as they are born, and what one of them serves."""
    serves = sizing.capacity(resources.curve or (), round(1000 * limit_cores))
    off = resources.model_copy(update={"mode": ResizeMode.OFF})
    return _with(example, resources=off, capacity_per_replica=Capacity(value=str(serves)))


def _fixed(example: Example, count: int) -> Example:
    bounds = example.app.spec.bounds.model_copy(update={"min": count, "max": count})
    return _with(example, replicas=bounds)


def _with(example: Example, **parts: object) -> Example:
    spec = example.app.spec.model_copy(update=parts)
    return dataclasses.replace(example, app=dataclasses.replace(example.app, spec=spec))


def _played(named: tuple[str, str], example: Example, scene: Scene) -> Play:
    contender = contest.play(example, scene)
    prices = example.policy.spec.knobs.prices
    return Play(named[0], scene.seed, named[1], contender, _cost(contender, prices))


def _cost(contender: Contender, prices: Prices) -> float:
    score = contender.score
    assert score.core_seconds is not None
    return prices.replica * score.replica_seconds + prices.core * score.core_seconds


def _mean(load: str, knobs: str, group: Sequence[Play]) -> Mean:
    scores = [play.contender.score for play in group]
    return Mean(
        load=load,
        knobs=knobs,
        plays=len(group),
        attainment=statistics.fmean(score.attainment for score in scores),
        longest_s=statistics.fmean(score.longest_s for score in scores),
        lost=statistics.fmean(score.lost for score in scores),
        replica_seconds=statistics.fmean(score.replica_seconds for score in scores),
        core_seconds=statistics.fmean(score.core_seconds or 0.0 for score in scores),
        cost=statistics.fmean(play.cost for play in group),
    )


def _lost(both: Mean, alone: Mean) -> Iterable[Loss]:
    """Figures of which less is better, and attainment, of which more is."""
    if both.attainment < alone.attainment - _SAME:
        yield Loss(both.load, alone.knobs, "attainment", both.attainment, alone.attainment)
    for figure in ("longest_s", "lost", "cost"):
        mine, other = getattr(both, figure), getattr(alone, figure)
        if mine > other * (1 + _SAME) + _SAME:
            yield Loss(both.load, alone.knobs, figure, mine, other)
