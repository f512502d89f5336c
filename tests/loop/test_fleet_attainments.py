"""Attainments are asked for now and then, and belong to one spec and to their time."""

import asyncio

from charon_operator.names import ConditionType
from tests.loop.fleet_world import World


async def test_verdict_when_attainments_stay_away_then_is_unknown_after_three_of_them() -> None:
    world = World(1)
    world.store.good_ratio = 1.0
    await world.observed()
    await world.step()
    assert world.condition(ConditionType.OBJECTIVES_MET) == ("True", "WithinTarget")
    world.store.good_ratio = None
    await world.step(170)
    assert world.condition(ConditionType.OBJECTIVES_MET) == ("True", "WithinTarget")
    await world.step(10)
    assert world.condition(ConditionType.OBJECTIVES_MET) == ("Unknown", "LowCoverage")
    assert b"objective_attainment_ratio{" not in world.fleet.metrics.text()


async def test_attainment_when_the_spec_has_changed_then_is_not_that_of_the_old_one() -> None:
    world = World(1)
    world.store.good_ratio = 1.0
    await world.observed()
    world.store.good_ratio = None
    world.put_app("app-0", generation=2)
    await world.step()
    assert world.condition(ConditionType.OBJECTIVES_MET) == ("Unknown", "NotYetAsked")


async def test_attainment_when_the_spec_changes_while_it_is_asked_for_then_is_dropped() -> None:
    world = World(1)
    world.store.good_ratio, world.store.attaining = 1.0, asyncio.Event()
    first = asyncio.create_task(world.step())
    async with asyncio.timeout(20):
        while not world.fleet._attaining:
            await asyncio.sleep(0)
    await asyncio.sleep(0)  # the question is on its way
    world.put_app("app-0", generation=2)
    world.store.good_ratio = None
    world.store.attaining.set()
    await world.step()
    await first
    await world.step()
    assert world.condition(ConditionType.OBJECTIVES_MET) == ("Unknown", "NotYetAsked")
