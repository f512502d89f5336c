"""The operator sees an old world: events held back or doubled, lists of long ago."""

import time

import pytest

from charon_operator import names
from tests.faults import apifault, harness, manifests

pytestmark = [pytest.mark.testbed, pytest.mark.faults]


@pytest.mark.parametrize("how", [apifault.Edit.HOLD, apifault.Edit.DUPLICATE])
def test_f11_when_events_are_held_or_doubled_then_the_end_is_the_same(
    how: apifault.Edit,
    stage: harness.Stage,
    operator: harness.Operator,
    world: harness.World,
) -> None:
    world.wait_settled(2)
    rule = apifault.Rule(do=apifault.EditEvents(how), client=operator.name)
    with stage.api.broken(rule):
        world.load(9)
        world.wait_turns(4)
    world.change(replicas={"min": 1, "max": 7})
    world.wait_settled(7)
    world.load(3)
    world.wait_settled(3)
    assert world.violations(operator) == []


def test_f12_when_lists_are_of_long_ago_then_nothing_is_done_to_the_old_world(
    alone: harness.Stage, world: harness.World
) -> None:
    record = apifault.Record()
    operator = alone.operator("stale", (world.namespace,))
    lists = apifault.Rule(do=record, verbs=("list",), client=operator.name)
    with alone.api.broken(lists):
        operator.start()
    try:
        world.load(7)
        world.wait_settled(7)
        operator.kill()
        since_s = world.load(5)
        old = apifault.Rule(do=apifault.Stale(record.kept), verbs=("list",), client=operator.name)
        held = apifault.Rule(
            do=apifault.EditEvents(apifault.Edit.HOLD),
            resource=names.DEPLOYMENTS,
            client=operator.name,
        )
        with alone.api.broken(old, held):
            operator.start()
            world.wait_settled(5)
        made = [m for m in world.moves() if m.write.asked_s > since_s]
        assert [(move.before, move.after) for move in made] == [(7, 5)]
        conflicts = [w for w in world.writes() if w.code == 409 and w.asked_s > since_s]
        assert len(conflicts) <= 2 + (time.time() - since_s) / manifests.PERIOD_S
        assert world.violations(operator) == []
    finally:
        operator.end()
