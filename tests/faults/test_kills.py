"""The operator is killed: at each of its writes, again and again, and in the middle of a step."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from charon_operator import names
from tests.faults import actions, apifault, harness, manifests, truth
from tests.faults.lengths import LENGTHS, at_most
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.faults, at_most(900)]

# What the load asks for, one after the other: a raise and a lowering.
_STEPS = (7, 3)
_AT_ONCE = 6


@dataclass(frozen=True)
class Run:
    """What is left of a run of the scenario: the end, all values ever written, what was broken."""

    end: dict[str, Any]
    values: frozenset[int | None]
    violations: tuple[str, ...]
    trace: tuple[str, ...]


def play(stage: harness.Stage, name: str, action: actions.Action | None, at: int) -> Run:
    """Plays the scenario with an operator of its own; `Kill` actions get it by name."""
    with harness.world(stage) as world:
        operator = stage.operator(name, (world.namespace,))
        rule = apifault.Rule(
            do=_bound(action, operator),
            verbs=apifault.WRITES,
            namespace=world.namespace,
            first=at,
            times=1,
        )
        with stage.api.broken(rule):
            operator.process.launch()
            try:
                world.wait_observed(60)
                for replicas in _STEPS:
                    world.load(replicas)
                    world.wait_settled(replicas, 60)
                world.wait_told(60)
            finally:
                operator.end()
        assert action is None or rule.hits == 1, f"write {at} was never made"
        writes = world.writes()
        return Run(
            _end(world),
            frozenset(write.replicas for write in writes if write.is_scale),
            tuple(world.violations(operator)),
            tuple(str(write) for write in writes),
        )


@dataclass(frozen=True)
class Kill(actions.Action):
    """Stands for killing the operator before or after a write; bound when there is one."""

    when: type[actions.Before] | type[actions.After]


def _bound(action: actions.Action | None, operator: harness.Operator) -> actions.Action:
    if isinstance(action, Kill):
        return action.when(operator.kill_and_restart)
    return action or actions.Action()


def _end(world: harness.World) -> dict[str, Any]:
    status = world.status()
    return {
        "replicas": world.replicas(),
        "observed": status.get("observedGeneration"),
        "pending": status.get("pendingAction"),
        "to": (status.get("lastDecision") or {}).get("to"),
        # Whether the objectives were met is judged over a window, in which the runs differ.
        "conditions": {
            c["type"]: c["status"]
            for c in status.get("conditions", [])
            if c["type"] != names.ConditionType.OBJECTIVES_MET
        },
    }


def test_f1_when_killed_before_and_after_each_write_then_the_end_is_the_same(
    alone: harness.Stage,
) -> None:
    stage = alone
    quiet = play(stage, "undisturbed", None, 1)
    assert quiet.violations == ()
    assert quiet.values == set(_STEPS)
    cases = {
        f"{when.__name__.lower()}-{at}": (Kill(when), at)
        for at in range(1, _count(stage) + 1)
        for when in (actions.Before, actions.After)
    }
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = {
            name: pool.submit(play, stage, name, action, at) for name, (action, at) in cases.items()
        }
    wrong = {name: _difference(quiet, future.result()) for name, future in futures.items()}
    assert [f"{name}: {text}" for name, texts in wrong.items() for text in texts] == []


def _count(stage: harness.Stage) -> int:
    """How many writes the undisturbed run made up to its last scale write, Leases apart.

    What comes after it is the report of the end: a kill before that finds the same world as one
    after the scale write, and how many writes it takes is a matter of timing.
    """
    seen = [
        s.asked
        for s in stage.api.requests(*apifault.WRITES)
        if s.asked.client == "undisturbed" and s.asked.resource != "leases"
    ]
    scales = [index for index, asked in enumerate(seen) if asked.subresource == "scale"]
    return scales[-1] + 1


def _difference(quiet: Run, run: Run) -> list[str]:
    texts = list(run.violations)
    if run.end != quiet.end:
        texts.append(f"ends as {run.end}, undisturbed as {quiet.end}")
    if run.values != quiet.values:
        texts.append(f"wrote {sorted(map(str, run.values))}, undisturbed {_STEPS}")
    return [*texts, *run.trace] if texts else []


def test_f2_when_killed_again_and_again_then_there_is_no_storm(
    alone: harness.Stage, world: harness.World
) -> None:
    # Without a Lease to wait for it acts after each start: the harder case.
    with alone.running("loop", world.namespace, lease={"enabled": False}) as operator:
        began_s = time.time()
        for turn in range(LENGTHS.kills):
            world.load((9, 4)[turn % 2])
            harness.hold(LENGTHS.kill_every_s)
            operator.kill()
            operator.start()
        took_s = time.time() - began_s
        moves = world.moves()
        lowerings = [move for move in moves if move.lowers]
        assert moves
        assert len(lowerings) <= 1 + took_s / manifests.COOLDOWN_S
        assert len(moves) <= LENGTHS.kills + 1, [str(move.write) for move in moves]
    assert world.violations() == []


def _intends(world: harness.World, replicas: int) -> bool:
    pending = (sight.status.get("pendingAction") or {} for sight in world.sights())
    return any(found.get("to") == replicas for found in pending)


def test_sigkill_when_it_comes_in_mid_step_then_the_invariants_hold(
    alone: harness.Stage, world: harness.World
) -> None:
    with alone.running("midstep", world.namespace) as operator:
        world.wait_settled(2)
        stepped_s = world.load(9)
        # The intent may be over between two looks; what the watcher saw stays.
        wait_until(lambda: _intends(world, 9), "an intent")
        operator.kill()
        operator.start()
        world.wait_settled(9)
        world.load(3)
        world.wait_settled(3)
        world.wait_told()
        late = truth.is_stable(world.writes(), *world.wait_rest(operator, 5))
        first = harness.first_move(world, stepped_s)
        assert first is not None
        assert first.after == 9
        assert world.condition(names.ConditionType.READY)["status"] == "True"
    assert [*world.violations(operator), *world.unseen(), *late] == []
