"""Queueing on the identified plant: a step is survived about as fast as jumping to the maximum."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from charon_operator.lab import arrivals, parameters, simulate
from charon_operator.lab.trace import Trace
from charon_operator.lab.world import Scene, World
from charon_operator.model.app import ChargedApp
from charon_operator.model.policy import ControlPolicy

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-hold-a-queue"
APP = ChargedApp.parse(yaml.safe_load((EXAMPLE / "3-app.yaml").read_text()))
POLICY: dict[str, Any] = yaml.safe_load((EXAMPLE / "2-policy.yaml").read_text())
THRESHOLD = APP.spec.objectives[0].threshold.value
PD = {"type": "PD", "parameters": {"kp": "1", "kd": "1", "unitsPerReplica": "64"}}
# The pipeline of the scene: half a scrape, half a second to send, half a turn, and a margin.
DEAD_TIME_S = 2.0


def scene(seed: int, length_s: float = 60.0) -> Scene:
    return Scene(APP.target, parameters.load(), arrivals.step(1000.0, length_s), seed=seed)


def under(controller: dict[str, Any] | None, given: Scene) -> Trace:
    spec = POLICY["spec"] if controller is None else {**POLICY["spec"], "controller": controller}
    policy = ControlPolicy.parse({**POLICY, "spec": spec})
    return simulate.run(APP, policy, given).trace


def jumped(given: Scene) -> Trace:
    """All that is allowed, as soon as the step can have been seen."""
    world = World(given, measured=False)
    world.advance(given.step_s + DEAD_TIME_S)
    world.cluster.scale(APP.spec.bounds.max, world.now_s)
    world.advance(given.end_s)
    return world.trace


def back_s(trace: Trace) -> float:
    """When the queue was last above the threshold, in s after the step."""
    pairs = zip(trace.seconds(), trace.queue, strict=True)
    return max((time_s for time_s, queue in pairs if queue > THRESHOLD), default=0.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_queue_is_back_within_1_3_of_a_jump_to_the_maximum(seed: int) -> None:
    assert back_s(under(None, scene(seed))) <= 1.3 * back_s(jumped(scene(seed)))


def test_replicas_settle_near_the_need_under_a_lasting_load() -> None:
    given = dataclasses.replace(scene(1, length_s=240.0), tail_s=0.0)
    trace, before = under(None, given), under(PD, given)

    def late(of: Trace, values: list[Any]) -> list[Any]:
        return [item for time_s, item in zip(of.seconds(), values, strict=True) if time_s > 160]

    assert len(set(late(trace, trace.wanted))) == 1
    assert max(late(trace, trace.queue)) <= THRESHOLD
    assert max(late(before, before.queue)) > THRESHOLD
    assert sum(late(trace, trace.wanted)) < sum(late(before, before.wanted))
