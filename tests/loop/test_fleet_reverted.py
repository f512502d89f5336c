"""B20: a field is changed and changed back; the app is then driven as if nothing had been."""

import copy

import pytest

from charon_operator import names
from charon_operator.loop.snapshot import Kind
from charon_operator.model.app import Mode
from tests.loop import cluster_bodies
from tests.loop.fleet_world import World
from tests.model import bad_input, leaf_walk

BINDINGS = {"backlog": "queued", "arrivals": "queued"}
APP = {**bad_input.APP, "spec": {**bad_input.APP["spec"], "bindings": BINDINGS}}
POLICY = bad_input.POLICY


def put(world: World, generation: int, body: bad_input.Body) -> None:
    is_app = body["kind"] == names.CHARGED_APP
    name, where = ("app", Kind.APPS) if is_app else ("stream", Kind.POLICIES)
    known = cluster_bodies.meta(name, generation=generation)
    world.snapshot.put(where, {**copy.deepcopy(body), "metadata": known})


async def driven(variant: leaf_walk.Variant | None = None) -> tuple[object, ...]:
    """What is decided in the end, after a change and its revert or without any."""
    world = World(0)
    world.store.indicators, world.store.values = ("queued",), {"app": 900.0}
    world.cluster.put(cluster_bodies.deployment("consumer", replicas=2))
    put(world, 1, POLICY)
    put(world, 1, APP)
    await world.observed()
    if variant is not None:
        put(world, 2, variant.row.body)
        await world.step()
        put(world, 3, variant.row.good)
    for _ in range(3):
        await world.step()
    last = world.journal.kind("turn")[-1]["apps"][0]
    ready = world.status("app")["conditions"][0]
    decision = last["decision"]
    return decision["final"], decision["reason"], last.get("missing"), ready["reason"]


@pytest.mark.parametrize("good", [APP, POLICY], ids=["app", "policy"])
async def test_field_when_changed_and_changed_back_then_the_decision_is_that_from_scratch(
    good: bad_input.Body,
) -> None:
    undisturbed = await driven()
    assert undisturbed == (6, "Raised", None, "Advising")
    # An Active app acts meanwhile, and so stands elsewhere.
    changed = [
        variant
        for variant in leaf_walk.variants(good)
        if variant.row.body["spec"].get("mode") != Mode.ACTIVE
    ]
    wrong = {v.id: found for v in changed if (found := await driven(v)) != undisturbed}
    assert wrong == {}
    assert len(changed) > 50
