"""How long a resize takes is seen between turns, told as a metric, and replayed to the byte."""

import json
from dataclasses import replace
from pathlib import Path

from charon_operator.lab import replay
from charon_operator.model.learnt import Delay
from charon_operator.model.sizes import Resizing
from charon_operator.names import Metric
from tests.loop.fleet_world import PERIOD_S, World
from tests.loop.test_fleet_resizes import WEB, raised


def delay(world: World) -> Delay:
    (known,) = world.fleet._decider.memory.apps.values()
    assert known.knobs is not None
    return known.knobs.learnt.resources


def settle(world: World, resizing: Resizing) -> None:
    pods = (replace(pod, resizing=resizing) for pod in world.cluster.sizes[WEB].pods)
    world.cluster.put_pods(WEB, *pods)


async def test_resize_when_it_settles_between_turns_then_its_delay_is_that_and_no_period() -> None:
    world = await raised()
    settle(world, Resizing.IN_PROGRESS)
    await world.look(2.0)
    settle(world, Resizing.SETTLED)
    await world.look(2.0)
    assert delay(world).seconds == ()
    await world.step(PERIOD_S)
    assert delay(world).seconds == (4.0,)
    text = world.fleet.metrics.text().decode()
    assert f'{Metric.ACTUATION}{{knob="Resources",name="app-0",namespace="ns"}} 4.0' in text
    (entry,) = world.journal.kind("turn")[-1]["apps"]
    assert entry["delays"]["Resources"] == 4.0
    assert entry["sizes"]["settledAt"] == world.clock.wall_s() - PERIOD_S


async def test_resize_when_it_does_not_settle_then_has_no_delay() -> None:
    world = await raised()
    settle(world, Resizing.DEFERRED)
    await world.look(2.0)
    await world.step(PERIOD_S)
    assert delay(world).seconds == ()
    assert "settledAt" not in world.journal.kind("turn")[-1]["apps"][0]["sizes"]


async def test_pods_when_settled_before_a_resize_then_do_not_count_as_having_it() -> None:
    world = await raised()
    await world.step(PERIOD_S)
    (seconds,) = delay(world).seconds
    assert seconds == PERIOD_S


async def test_journal_with_delays_is_replayed_to_the_byte(tmp_path: Path) -> None:
    world = await raised()
    await world.look(2.0)
    for _ in range(3):
        await world.step(PERIOD_S)
    file = tmp_path / "journal.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in world.journal.rows))
    found = replay.replay(file)
    assert found.turns > 0
    assert found.mismatches == []
