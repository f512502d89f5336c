"""One scene under several controllers, side by side: the app's own, the one before it, the optimum.

Reads: an Example, a Scene. Gives: `Contest`. Never: a scene that differs between them.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

from charon_operator.lab import optimum, score, simulate
from charon_operator.lab.example import Example
from charon_operator.lab.story import Story
from charon_operator.lab.trace import Trace
from charon_operator.lab.world import Scene
from charon_operator.names import Reason

BEFORE: Final = "PD"
# The gains that more of the recorded runs of 2024 had than any others (7 of 22): 1 on the queue and
# 1.5 on its plain difference over periods of 2.08 s, which is 3 s on its slope; 64 frames/s a
# replica.
_BEFORE_GAINS: Final = {"kp": "1", "kd": "3"}
OPTIMUM: Final = "optimum"
# The optimum is a yardstick, not a rival: this is how near to it counts as good.
NEAR: Final = 1.3
# What queries and a busy machine may add to a live pipeline's dead time.
SLACK_S: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Contender:
    """One of those who played; the optimum has no story."""

    name: str
    score: score.Score
    trace: Trace
    story: Story = dataclasses.field(default_factory=Story)
    rows: list[Mapping[str, Any]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Contest:
    """Who played, the subject first, and what they were to hold.

    Attributes:
        optimum: the best of its family of schedules; None where the arrivals are not one step.
        longest_s: the dead time that the pipeline's own parts account for.
        unit: of queue and threshold.
    """

    subject: Contender
    before: Contender
    optimum: optimum.Optimum | None
    longest_s: float
    threshold: float
    unit: str
    seed: int

    @property
    def sooner(self) -> Contender | None:
        """Who did better than the optimum's family while seeing no earlier; the best of them."""
        if self.optimum is None:
            return None
        found, seen_s = optimum.rank(self.optimum.score), self.optimum.dead_time_s
        better = [
            one
            for one in (self.subject, self.before)
            if optimum.rank(one.score) < found and (one.score.dead_time_s or math.inf) >= seen_s
        ]
        return min(better, key=lambda one: optimum.rank(one.score), default=None)

    @property
    def yardstick(self) -> Contender | None:
        """The best that was done with what could be known, as one who played."""
        best = self.sooner or self.optimum
        return Contender(OPTIMUM, best.score, best.trace) if best else None

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """All of them, the subject first."""
        played = self.subject, self.before
        return (*played, self.yardstick) if self.yardstick else played

    def ratio(self, contender: Contender) -> float | None:
        """Its time to return over the optimum's: infinite if it never did, None without optimum."""
        if self.yardstick is None:
            return None
        mine, best = contender.score.return_s, self.yardstick.score.return_s
        if mine is None:
            return math.inf
        return mine / best if best else (1.0 if mine == 0 else math.inf)

    def near(self, contender: Contender) -> bool:
        """Whether it was back within `NEAR` times the optimum's time."""
        ratio = self.ratio(contender)
        return ratio is not None and ratio <= NEAR

    @property
    def prompt(self) -> bool:
        """Whether the subject's pipeline was as fast as its parts let it be.

        What a slow pipeline loses, the optimum would lose with it.
        """
        seen_s = self.subject.score.dead_time_s
        return seen_s is not None and seen_s <= self.longest_s + SLACK_S


def play(example: Example, scene: Scene) -> Contender:
    """One controller on one scene, in simulation."""
    run = simulate.run(example.app, example.policy, scene)
    story = Story.read(run.rows, example.app.key)
    judged = score.score(
        run.trace, story, threshold=example.objective.threshold.value, end_s=scene.end_s
    )
    return Contender(example.policy.spec.controller.type, judged, run.trace, story, run.rows)


def beside(example: Example, scene: Scene, subject: Contender) -> Contest:
    """Put a subject, live or simulated, beside the law before it and the optimum.

    The optimum gets the dead time that the subject's pipeline was measured to have, and no more
    than its parts account for.
    """
    capacity = example.app.spec.capacity_per_replica
    gains = {**_BEFORE_GAINS, "unitsPerReplica": f"{capacity.value:g}" if capacity else "64"}
    threshold = example.objective.threshold
    longest_s = scene.pipeline.longest_s(example.policy.spec.period_seconds)
    unit = next(
        item.unit for item in example.app.spec.indicators if item.name == threshold.indicator
    )
    before = play(example.under(BEFORE, gains), scene)
    if before.name == subject.name:
        before = dataclasses.replace(before, name=f"{BEFORE} of 2024")
    return Contest(
        subject=subject,
        before=before,
        optimum=_optimum(example, scene, subject.score.dead_time_s, longest_s),
        longest_s=longest_s,
        threshold=threshold.value,
        unit=unit or "units",
        seed=scene.seed,
    )


def _optimum(
    example: Example, scene: Scene, seen_s: float | None, longest_s: float
) -> optimum.Optimum | None:
    if not scene.arrivals.is_step:
        return None
    bounds, threshold = example.app.spec.bounds, example.objective.threshold.value
    dead_s = longest_s if seen_s is None else min(seen_s, longest_s)
    return optimum.find(optimum.Problem(scene, bounds.min, bounds.max, threshold, dead_s))


def changes(contender: Contender) -> list[tuple[float, str]]:
    """Its decisions that moved replicas: seconds since the step, and why, in words."""
    return [
        (item.time_s - contender.trace.step_s, item.decision.message)
        for item in contender.story.decided
        if item.decision.acts and item.decision.reason in (Reason.RAISED, Reason.LOWERED)
    ]
