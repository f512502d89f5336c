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
# The gains of most of the recorded runs of 2024 (7 of 22): 1 on the queue and 1.5 on its plain
# difference over periods of 2.08 s, which is 3 s on its slope; 64 frames/s a replica.
_BEFORE_GAINS: Final = {"kp": "1", "kd": "3"}
OPTIMUM: Final = "optimum"
# The optimum is a yardstick, not a rival: this is how near to it counts as good.
NEAR: Final = 1.3


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
        unit: of queue and threshold.
        optimum: how the yardstick was found.
    """

    subject: Contender
    before: Contender
    optimum: optimum.Optimum
    threshold: float
    unit: str
    seed: int

    @property
    def yardstick(self) -> Contender:
        """The optimum as one who played."""
        return Contender(OPTIMUM, self.optimum.score, self.optimum.trace)

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """All of them, the subject first."""
        return self.subject, self.before, self.yardstick

    def ratio(self, contender: Contender) -> float:
        """Its time to return over the optimum's; infinite if it never returned."""
        mine, best = contender.score.return_s, self.optimum.score.return_s
        if mine is None:
            return math.inf
        return mine / best if best else (1.0 if mine == 0 else math.inf)

    @property
    def near(self) -> bool:
        """Whether the subject was back within `NEAR` times the optimum's time."""
        return self.ratio(self.subject) <= NEAR


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

    The optimum gets the dead time that the subject's pipeline was measured to have.
    """
    capacity = example.app.spec.capacity_per_replica
    gains = {**_BEFORE_GAINS, "unitsPerReplica": f"{capacity.value:g}" if capacity else "64"}
    threshold = example.objective.threshold
    bounds = example.app.spec.replicas
    problem = optimum.Problem(
        scene, bounds.min, bounds.max, threshold.value, subject.score.dead_time_s or 0.0
    )
    unit = next(
        item.unit for item in example.app.spec.indicators if item.name == threshold.indicator
    )
    before = play(example.under(BEFORE, gains), scene)
    if before.name == subject.name:
        before = dataclasses.replace(before, name=f"{BEFORE} of 2024")
    return Contest(
        subject=subject,
        before=before,
        optimum=optimum.find(problem),
        threshold=threshold.value,
        unit=unit or "units",
        seed=scene.seed,
    )


def changes(contender: Contender) -> list[tuple[float, str]]:
    """Its decisions that moved replicas: seconds since the step, and why, in words."""
    return [
        (item.time_s - contender.trace.step_s, item.decision.message)
        for item in contender.story.decided
        if item.decision.acts and item.decision.reason in (Reason.RAISED, Reason.LOWERED)
    ]
