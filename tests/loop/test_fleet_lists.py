"""When pods are listed: not at rest, and wherever something may have changed."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from charon_operator.loop.snapshot import Kind
from charon_operator.model.sizes import Resizing, Size
from charon_operator.model.workload import Target
from tests.loop import cluster_bodies
from tests.loop.fleet_world import PERIOD_S, World
from tests.loop.test_fleet_resizes import (
    BORN,
    WEB,
    asked,
    kinds,
    pod,
    resources,
    streaming,
    world_of,
)

REFRESH_S = 300
TWO = {"replicas": {"min": 2, "max": 2}}
MOST = Size(500, None)


async def at_rest(count: int = 1, load: float = 3.0) -> World:
    """A world whose pods are all there and settled, and whose turns move nothing."""
    world = await world_of(count, **TWO)
    world.store.values |= {f"app-{number}": load for number in range(count)}
    for _ in range(2):
        await world.step()
    world.cluster.log.clear()
    return world


def listed(world: World) -> list[str]:
    return [what for kind, what in world.cluster.log if kind == "pods"]


def touch(world: World, name: str = "app-0", **counts: int) -> None:
    """The target's status is written anew, by its controller."""
    target = Target("Deployment", "ns", name)
    body = world.cluster.bodies[target]
    known = {"uid": body["metadata"]["uid"], "generation": body["metadata"]["generation"]}
    meta = cluster_bodies.meta(name, **known)
    world.cluster.put({**body, "metadata": meta, "status": {**body["status"], **counts}})


async def test_pods_when_nothing_changes_then_are_not_asked_for() -> None:
    world = await at_rest(count=3)
    for _ in range(20):
        await world.step()
        await world.look()
    assert world.cluster.log == []


def status(world: World) -> None:
    touch(world)


def spec(world: World) -> None:
    world.put_app("app-0", 3, **streaming("app-0", **resources(container="other"), **TWO))


@pytest.mark.parametrize("change", [status, spec])
async def test_pods_when_the_target_or_the_spec_changes_then_are_listed_by_the_next_turn(
    change: Any,
) -> None:
    world = await at_rest(count=2)
    change(world)
    for _ in range(3):
        await world.step()
    assert listed(world) == ["app-0"]


async def test_pods_when_one_is_not_ready_then_are_listed_in_every_turn() -> None:
    world = await at_rest()
    touch(world, readyReplicas=1)
    for _ in range(3):
        await world.step()
    touch(world, readyReplicas=2)
    for _ in range(3):
        await world.step()
    assert len(listed(world)) == 4


@pytest.mark.parametrize("resizing", [Resizing.IN_PROGRESS, Resizing.DEFERRED])
async def test_pods_when_a_size_is_not_settled_then_are_listed_in_every_turn_until_it_is(
    resizing: Resizing,
) -> None:
    world = await at_rest(load=1000.0)
    world.cluster.put_pods(WEB, pod(1, MOST), pod(2, MOST, resizing=resizing))
    touch(world)
    for _ in range(3):
        await world.step()
    world.cluster.put_pods(WEB, pod(1, MOST), pod(2, MOST))
    for _ in range(3):
        await world.step()
    assert listed(world) == ["app-0"] * 4


async def test_pods_when_a_resize_was_written_then_are_listed_until_it_is_settled() -> None:
    world = await at_rest()
    world.store.values["app-0"] = 1000.0
    await world.step()
    assert set(asked(world)) == {MOST}
    await world.step()
    world.cluster.log.clear()
    for _ in range(5):
        await world.look()
    await world.step()
    assert world.cluster.log == []


async def test_pod_when_replaced_and_ready_at_once_then_is_resized_between_turns() -> None:
    world = await at_rest(load=1000.0)
    world.cluster.put_pods(WEB, pod(1, MOST), pod(3))
    touch(world)
    await world.look()
    assert kinds(world) == ["pods", "resize"]
    assert asked(world) == [MOST, MOST]
    for _ in range(3):
        await world.step()
    assert kinds(world) == ["pods", "resize", "pods"]


async def test_pods_when_known_for_long_then_are_listed_before_they_are_resized() -> None:
    world = await at_rest()
    # Its status moved, as by a probe; nobody told.
    moved_on = (replace(one, resource_version="8") for one in world.cluster.sizes[WEB].pods)
    world.cluster.put_pods(WEB, *moved_on)
    world.store.values["app-0"] = 80.0
    await world.step()
    assert BORN not in asked(world)
    assert {row["outcome"] for row in world.journal.kind("resize")} == {"Written"}
    assert kinds(world).index("pods") < kinds(world).index("resize")


async def test_pods_when_they_cannot_be_listed_before_a_resize_then_wait_for_the_next_look() -> (
    None
):
    world = await at_rest()
    world.cluster.on_pods = lambda _: False
    world.store.values["app-0"] = 80.0
    await world.step()
    assert asked(world) == [BORN, BORN]
    world.cluster.on_pods = lambda _: True
    await world.look()
    assert BORN not in asked(world)


async def test_size_when_another_is_decided_on_during_the_list_then_is_dropped() -> None:
    world = await at_rest()
    world.store.values["app-0"] = 1000.0
    (book,) = world.fleet._roster.books.values()

    def decided(_: Target) -> bool:
        view = book.view
        assert view is not None
        assert view.outcome.resize is not None
        newer = replace(view.outcome.resize, final=Size(300, None))
        book.view = replace(view, outcome=replace(view.outcome, resize=newer))
        return True

    world.cluster.on_pods = decided
    await world.step()
    assert listed(world) == ["app-0"]
    assert world.cluster.resized() == []


async def test_pod_when_resized_by_others_then_is_seen_and_set_back_in_time() -> None:
    world = await at_rest(load=1000.0)
    world.cluster.put_pods(WEB, pod(1, MOST), pod(2))
    for _ in range(REFRESH_S // PERIOD_S):
        await world.step()
    assert asked(world) == [MOST, MOST]


async def test_pods_of_many_apps_are_listed_again_at_different_times() -> None:
    world = await at_rest(count=40)
    turns = []
    for _ in range(REFRESH_S // PERIOD_S):
        await world.step()
        turns.append(listed(world))
        world.cluster.log.clear()
    found = Counter(name for names in turns for name in names)
    assert set(found) == {f"app-{number}" for number in range(40)}
    assert set(found.values()) <= {1, 2}
    assert max(len(names) for names in turns) < 10


async def test_pods_when_a_list_fails_in_a_turn_then_are_asked_for_until_one_does_not() -> None:
    world = await at_rest()
    touch(world)
    world.cluster.on_pods = lambda _: False
    await world.step()
    await world.step()
    world.cluster.on_pods = lambda _: True
    for _ in range(2):
        await world.step()
    assert len(listed(world)) == 3
    assert "sizes" not in world.journal.kind("turn")[-4]["apps"][0]
    assert "sizes" in world.journal.kind("turn")[-1]["apps"][0]


async def test_pods_when_their_target_is_made_anew_then_are_listed() -> None:
    world = await at_rest()
    world.snapshot.drop(Kind.DEPLOYMENTS, world.cluster.bodies[WEB])
    await world.step()
    world.cluster.put(cluster_bodies.deployment("app-0", replicas=2, uid="another"))
    for _ in range(2):
        await world.step()
    assert listed(world) == ["app-0"]
