"""The way of a resize: intent first, every running pod, pods born later, gates and failures."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charon_operator.lab import replay
from charon_operator.loop.snapshot import Kind
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes, Span
from charon_operator.model.workload import Target
from charon_operator.names import ConditionType, EventReason
from charon_operator.ports import WriteOutcome, WriteResult
from tests.loop import cluster_bodies
from tests.loop.fleet_world import World, policy, refused

WEB, OTHER = Target("Deployment", "ns", "app-0"), Target("Deployment", "ns", "app-1")
BORN = Size(100, None)
RESOURCES = {
    "container": "app",
    "mode": "InPlace",
    "cpu": {"min": "100m", "max": "500m"},
    "curve": [{"cpu": "100m", "capacity": "10"}, {"cpu": "500m", "capacity": "50"}],
}


def pod(number: int, asked: Size = BORN, **more: Any) -> SizedPod:
    span = Span(asked.cpu_m, asked.cpu_m)
    whole = SizedPod(
        f"pod-{number}",
        f"uid-{number}",
        "7",
        running=True,
        ready=True,
        asked=asked,
        actual=asked,
        cpu=span,
    )
    return replace(whole, **more)


def resources(**more: Any) -> dict[str, Any]:
    return {"resources": {**RESOURCES, **more}}


async def world_of(count: int = 1, **spec: Any) -> World:
    """A world that was observed for its first period; its apps have two pods of 100m."""
    world = fresh(count, **spec)
    await world.observed()
    return world


def fresh(count: int = 1, *, configured: dict[str, Any] | None = None, **spec: Any) -> World:
    world = World(count, **(configured or {}))
    queueing = policy()
    queueing["spec"]["controller"] = {"type": "Queueing"}
    world.snapshot.put(Kind.POLICIES, queueing)
    world.store.indicators = ("load", "arrivals")
    for number in range(count):
        world.put_app(f"app-{number}", 2, **streaming(f"app-{number}", **{**resources(), **spec}))
        target = Target("Deployment", "ns", f"app-{number}")
        world.cluster.put_pods(target, pod(1), pod(2))
        world.store.values[f"app-{number}"] = 10.0
    return world


def streaming(name: str, **spec: Any) -> dict[str, Any]:
    load = {"name": "load", "query": f'sum(load{{app="{name}"}})'}
    arrivals = {"name": "arrivals", "query": f'sum(rate(in{{app="{name}"}}[15s]))'}
    return {
        "indicators": [load, arrivals],
        "bindings": {"backlog": "load", "arrivals": "arrivals"},
        **spec,
    }


def kinds(world: World) -> list[str]:
    return [kind for kind, _ in world.cluster.log]


def asked(world: World) -> list[Size]:
    return [pod.asked for pod in world.cluster.sizes[WEB].pods]


async def test_load_when_it_rises_then_the_size_is_told_before_every_pod_is_resized() -> None:
    world = await world_of()
    world.store.values["app-0"] = 80.0
    await world.step()
    log = world.cluster.log
    assert "pods" in kinds(world)[: kinds(world).index("resize")]
    intents = [what[1] for kind, what in log[: kinds(world).index("resize")] if kind == "status"]
    (size,) = set(asked(world))
    assert (size.cpu_m or 0) > 100
    assert [intent["resources"]["cpu"] for intent in intents] == [f"{size.cpu_m}m"]
    assert world.status()["resources"]["template"] == {"cpu": "100m"}
    rows = world.journal.kind("resize")
    assert [row["outcome"] for row in rows] == ["Written"]
    assert EventReason.RESIZED in [event.reason for event in world.cluster.events]
    for _ in range(2):
        await world.step(60)
    assert world.status()["resources"]["settled"] == len(asked(world))


async def raised(**spec: Any) -> World:
    """A world whose pods were brought to 500m."""
    world = await world_of(**spec)
    world.store.values["app-0"] = 80.0
    await world.step()
    world.cluster.log.clear()
    return world


def larger(world: World) -> Size:
    view = next(iter(world.fleet._roster.books.values())).view
    assert view is not None
    assert view.outcome.resize is not None
    assert view.outcome.resize.final is not None
    return view.outcome.resize.final


async def test_pods_when_born_later_then_are_resized_between_turns_without_another_intent() -> None:
    world = await raised()
    size = larger(world)
    newborn = pod(3, running=False, ready=False)
    world.cluster.put_pods(WEB, *world.cluster.sizes[WEB].pods, newborn)
    await world.look()
    assert kinds(world) == ["pods"]
    world.cluster.put_pods(WEB, *world.cluster.sizes[WEB].pods[:2], replace(newborn, running=True))
    await world.look()
    assert kinds(world) == ["pods", "pods", "resize"]
    assert asked(world) == [size] * 3


async def test_pods_when_they_wait_for_ever_then_are_asked_for_with_a_bound() -> None:
    world = await world_of(count=40)
    world.store.values |= {f"app-{number}": 80.0 for number in range(40)}
    await world.step()
    world.cluster.log.clear()
    for number in range(40):
        target = Target("Deployment", "ns", f"app-{number}")
        world.cluster.put_pods(target, pod(1, running=False), pod(2, running=False))
    for _ in range(3):
        await world.look()
    looked = [what for kind, what in world.cluster.log if kind == "pods"]
    assert len(looked) == 48
    # In turn: all of them before any a second time.
    assert len(set(looked[:40])) == 40


async def test_list_when_it_fails_then_only_that_app_waits() -> None:
    world = await world_of(count=2)
    world.cluster.on_pods = lambda target: target.name != "app-0"
    world.store.values |= {"app-0": 80.0, "app-1": 80.0}
    await world.step()
    assert BORN not in [pod.asked for pod in world.cluster.sizes[OTHER].pods]
    assert asked(world) == [BORN, BORN]
    world.cluster.on_pods = lambda _: True
    await world.step()
    assert BORN not in asked(world)


async def test_list_when_it_never_ends_then_the_turn_does() -> None:
    # A deadline of its own: nothing is waited for in this test.
    world = fresh(2, configured={"mimir": {"timeout_seconds": 0.01}})
    await world.observed()
    answers = world.cluster.pods

    async def hangs(target: Target, container: str) -> Sizes | None:
        if target.name == "app-0":
            await asyncio.Event().wait()
        return await answers(target, container)

    world.cluster.pods = hangs  # type: ignore[method-assign]
    world.store.values |= {"app-0": 80.0, "app-1": 80.0}
    await world.step()
    assert asked(world) == [BORN, BORN]
    assert BORN not in [pod.asked for pod in world.cluster.sizes[OTHER].pods]


async def test_list_when_it_is_not_allowed_then_replicas_go_on_and_the_remedy_is_told() -> None:
    world = await world_of(capacityPerReplica={"value": "10", "unit": "x/s"})
    problem = "the operator may not read pods: set knobs.resources.enabled=true"
    world.cluster.sizes[WEB] = Sizes(BORN, (), problem)
    world.store.values["app-0"] = 80.0
    await world.step()
    await world.step()
    assert world.cluster.scaled() != []
    assert world.cluster.resized() == []
    found = {item["type"]: item for item in world.status()["conditions"]}
    assert "knobs.resources.enabled=true" in found[ConditionType.RESIZE_SETTLED]["message"]


STOPS: dict[str, Any] = {
    "deposed": lambda world: setattr(world.leader, "leading", False),
    "advisory": lambda world: world.put_app(
        "app-0", 3, **streaming("app-0", mode="Advisory", **resources())
    ),
    "label": lambda world: world.snapshot.put(
        Kind.NAMESPACES,
        {"metadata": cluster_bodies.meta("ns", "", labels={"charon.dev/force-advisory": "yes"})},
    ),
    "mode Off": lambda world: world.put_app(
        "app-0", 3, **streaming("app-0", **resources(mode="Off"))
    ),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS.keys())
@pytest.mark.parametrize(
    "when", ["before the turn", "with its list", "after the intent", "between turns"]
)
async def test_nothing_is_resized_once_it_is_stopped(stop: Any, when: str) -> None:
    world = await world_of()
    world.store.values["app-0"] = 80.0
    if when == "before the turn":
        stop(world)
    if when == "with its list":
        world.cluster.on_pods = lambda _: stop(world) is None
    if when == "after the intent":
        world.cluster.on_status = lambda _: stop(world)
    await world.step()
    if when == "between turns":
        world.cluster.put_pods(WEB, pod(1), pod(2))
        world.cluster.log.clear()
        stop(world)
        await world.look()
    assert world.cluster.resized() == []


async def test_forced_advisory_when_configured_then_nothing_is_resized() -> None:
    world = fresh(configured={"force_mode": "Advisory"})
    await world.observed()
    world.store.values["app-0"] = 80.0
    await world.step()
    await world.look()
    assert world.cluster.resized() == []


async def test_app_when_in_its_first_period_then_its_pods_are_only_listed() -> None:
    world = fresh()
    world.store.values["app-0"] = 80.0
    await world.step(0)
    await world.look()
    assert "pods" in kinds(world)
    assert world.cluster.resized() == []
    await world.step()
    assert world.cluster.resized() != []


async def test_intent_when_it_is_refused_then_only_a_raise_goes_on() -> None:
    world = await raised()
    size = larger(world)
    world.cluster.on_status = lambda _: refused("the schema says no")
    world.store.values["app-0"] = 1.0
    for _ in range(4):
        await world.step(400)
    assert set(asked(world)) == {size}


async def test_resize_when_refused_then_backs_off_and_the_condition_says_why() -> None:
    world = await world_of()
    world.cluster.on_resize = lambda _: refused("exceeded quota: few")
    world.store.values["app-0"] = 80.0
    await world.step()
    tried = len(world.cluster.resized())
    assert tried == 2
    for _ in range(2):
        await world.look()
    assert len(world.cluster.resized()) == tried
    await world.step()
    found = {item["type"]: item for item in world.status()["conditions"]}
    assert found[ConditionType.RESIZE_SETTLED]["reason"] == "ResizeRefused"
    assert "exceeded quota: few" in found[ConditionType.RESIZE_SETTLED]["message"]
    assert world.condition(ConditionType.READY)[0] == "True"


async def test_pod_when_it_moved_on_then_is_listed_and_resized_again_at_once() -> None:
    world = await world_of()
    world.cluster.on_resize = lambda _: WriteResult(WriteOutcome.CONFLICT)
    world.store.values["app-0"] = 80.0
    await world.step()
    world.cluster.on_resize = lambda _: None
    await world.look()
    assert BORN not in asked(world)


async def test_resize_when_not_answered_then_is_tried_again() -> None:
    world = await world_of()
    world.cluster.on_resize = lambda _: WriteResult(WriteOutcome.UNREACHABLE)
    world.store.values["app-0"] = 80.0
    await world.step()
    world.cluster.on_resize = lambda _: None
    await world.look()
    assert BORN not in asked(world)


async def test_pod_when_its_resize_is_infeasible_then_is_given_back() -> None:
    world = await raised()
    size = larger(world)
    stuck = pod(1, size, actual=BORN, resizing=Resizing.INFEASIBLE, detail="no room")
    world.cluster.put_pods(WEB, stuck, pod(2, size))
    await world.step()
    assert ("pod-1", BORN) in world.cluster.resized()
    found = {item["type"]: item for item in world.status()["conditions"]}
    assert found[ConditionType.RESIZE_SETTLED]["reason"] == "ResizeInfeasible"


async def test_journal_when_pods_were_resized_then_is_replayed_to_the_byte(
    tmp_path: Path,
) -> None:
    world = await raised()
    world.cluster.put_pods(WEB, *world.cluster.sizes[WEB].pods, pod(3))
    await world.look()
    await world.step(60)
    file = tmp_path / "journal.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in world.journal.rows))
    found = replay.replay(file)
    assert found.turns > 0
    assert found.mismatches == []
