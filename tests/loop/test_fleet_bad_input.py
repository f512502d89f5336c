"""Every row of the table of bad input, through the fleet: it moves nothing, and no neighbour."""

import copy

import pytest

from charon_operator import names
from charon_operator.loop.snapshot import Kind
from charon_operator.names import ConditionType, Reason
from tests.loop import cluster_bodies
from tests.loop.fleet_world import World
from tests.model import bad_input


def put(world: World, row: bad_input.Row) -> None:
    """An Active app `bad` and its policy, one of them as the row has it, and their target."""
    is_app = row.good["kind"] == names.CHARGED_APP
    app = copy.deepcopy(row.good if is_app else bad_input.APP)
    policy = copy.deepcopy(bad_input.POLICY)
    app |= {"metadata": cluster_bodies.meta("bad")}
    app["spec"]["mode"] = "Active"
    policy |= {"metadata": cluster_bodies.meta("stream")}
    row.change(app if is_app else policy)
    world.cluster.put(cluster_bodies.deployment("consumer", replicas=2))
    world.snapshot.put(Kind.POLICIES, policy)
    world.snapshot.put(Kind.APPS, app)


@pytest.mark.parametrize("row", bad_input.ROWS, ids=lambda row: row.id)
async def test_bad_input_when_beside_a_good_app_then_only_the_good_one_moves(
    row: bad_input.Row, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(1)
    put(world, row)
    await world.observed()
    world.store.values |= {"app-0": 500.0, "bad": 500.0}
    await world.step()
    assert world.cluster.scaled() == [("app-0", 5)]
    assert world.condition(ConditionType.READY)[0] == "True"
    assert "Traceback" not in caplog.text
    if row.field is not None:
        status, reason = world.condition(ConditionType.READY, "bad")
        assert status == "False"
        assert reason in (Reason.INVALID_SPEC, Reason.INVALID_POLICY)
