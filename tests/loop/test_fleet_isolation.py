"""One broken thing stays with its app: others keep their turns, and the loop its heartbeat."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from charon_operator.loop import assembly, fleet, teller, writer
from charon_operator.loop.snapshot import Kind
from charon_operator.model.workload import Key
from charon_operator.names import ConditionType
from charon_operator.observe import queries
from charon_operator.ports import WriteOutcome, WriteResult
from charon_operator.record import journal, status
from tests.loop import cluster_bodies
from tests.loop.fleet_world import PERIOD_S, World, app, policy, refused


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    """The fleet's own loop, on the world's clock."""
    stop = asyncio.Event()
    task = asyncio.create_task(world.fleet.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def until(predicate: object) -> None:
    async with asyncio.timeout(20):
        while not predicate():  # type: ignore[operator]
            await asyncio.sleep(0.01)


def explode(*_: object, **__: object) -> None:
    raise RuntimeError("planted")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (queries, "compile_app"),
        (assembly.Assembly, "ask"),
        (writer.Writer, "follow"),
        (teller.Teller, "tell"),
        (status, "compose"),
        (status, "intent"),
        (journal.Recorder, "turn"),
        (journal.Recorder, "write"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_fault_of_ours_when_planted_anywhere_then_the_loop_goes_on_and_mends(
    module: object, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(2)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, explode)
        await world.step()
        world.store.values |= {"app-0": 500.0, "app-1": 500.0}
        await world.step()
    # A new generation is compiled anew; all else heals by itself.
    world.put_app("app-0", generation=2)
    world.put_app("app-1", generation=2)
    for _ in range(4):
        await world.step()
    sizes = {t.name: b["spec"]["replicas"] for t, b in world.cluster.bodies.items()}
    assert sizes == {"app-0": 5, "app-1": 5}
    assert "planted" in caplog.text


async def test_fault_when_on_one_app_then_the_other_keeps_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(2)
    whole = queries.compile_app

    def one_explodes(found, mimir):  # type: ignore[no-untyped-def]
        return explode() if found.key.name == "app-0" else whole(found, mimir)

    monkeypatch.setattr(queries, "compile_app", one_explodes)
    await world.observed()
    world.store.values["app-1"] = 500.0
    await world.step()
    assert world.cluster.scaled() == [("app-1", 5)]
    assert world.condition(ConditionType.READY) == ("False", "InternalError")


async def test_broken_spec_when_beside_a_good_one_then_has_a_condition_and_stops_nobody() -> None:
    world = World(2)
    world.put_app("app-0", generation=2, replicas={"min": 5, "max": 2})
    await world.observed()
    world.store.values["app-1"] = 500.0
    await world.step()
    assert world.condition(ConditionType.READY) == ("False", "InvalidSpec")
    assert world.status()["observedGeneration"] == 2
    assert world.cluster.scaled() == [("app-1", 5)]


async def test_target_when_its_write_hangs_then_others_have_their_next_turns() -> None:
    world = World(2)
    await world.observed()
    world.cluster.hang["app-0"] = release = asyncio.Event()
    world.store.values["app-0"] = 500.0
    async with running(world):
        world.clock.now_s += 6
        await until(lambda: any(kind == "status" for kind, _ in world.cluster.log))
        world.store.values["app-1"] = 500.0
        for _ in range(3):
            world.clock.now_s += 5
            turns = len(world.journal.kind("turn"))
            await until(lambda before=turns: len(world.journal.kind("turn")) > before)
        await until(lambda: ("app-1", 5) in world.cluster.scaled())
        last = world.journal.kind("turn")[-1]
        assert [entry["app"] for entry in last["apps"]] == ["ns/app-1"]
        release.set()
        await until(lambda: ("app-0", 5) in world.cluster.scaled())


async def test_store_when_it_hangs_for_one_period_group_then_the_other_group_turns() -> None:
    world = World(1)
    # A turn gives up asking after a share of its period, in true time: long for a slow machine.
    world.snapshot.put(Kind.POLICIES, policy(120))
    world.snapshot.put(Kind.POLICIES, policy(60, "quick"))
    world.cluster.put(cluster_bodies.deployment("other", replicas=2))
    world.snapshot.put(Kind.APPS, app("other", 1, policyRef={"name": "quick"}))
    world.store.hang = asyncio.Event()
    async with running(world):
        await until(lambda: len(world.store.asked) == 2)
        beats = world.fleet.heartbeat_s
        world.clock.now_s += 130
        await until(lambda: world.fleet.heartbeat_s > beats)
        # Both hang: nothing is piled up behind them.
        assert len(world.store.asked) == 2
        world.store.hang.set()
        world.store.hang = None
        await until(lambda: len(world.journal.kind("turn")) >= 2)


async def test_compile_when_it_hangs_then_only_its_app_has_no_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, release = World(2), threading.Event()
    await world.observed()
    whole = queries.compile_app

    def one_hangs(found, mimir):  # type: ignore[no-untyped-def]
        if found.key.name == "app-0":
            release.wait()
        return whole(found, mimir)

    monkeypatch.setattr(queries, "compile_app", one_hangs)
    monkeypatch.setattr(fleet, "_COMPILE_S", 0.01)
    world.put_app("app-0", generation=2)
    world.store.values |= {"app-0": 500.0, "app-1": 500.0}
    try:
        await world.step()
        assert world.cluster.scaled() == [("app-1", 5)]
    finally:
        release.set()
    monkeypatch.undo()
    await world.step()
    await world.step()
    assert ("app-0", 5) in world.cluster.scaled()


async def test_turn_when_the_last_one_is_not_over_then_is_skipped_and_counted() -> None:
    world = World(1)
    await world.observed()
    world.store.hang = asyncio.Event()
    async with running(world):
        world.clock.now_s += PERIOD_S
        await until(lambda: world.fleet._turning)
        world.clock.now_s += PERIOD_S
        await until(lambda: b"charon_turns_skipped_total 1.0" in world.fleet.metrics.text())
        world.store.hang.set()


async def test_app_when_new_or_changed_then_is_looked_at_before_its_period() -> None:
    world = World(1)
    async with running(world):
        await until(lambda: world.journal.kind("turn"))
        turns = len(world.journal.kind("turn"))
        world.clock.now_s += 1
        world.put_app("app-0", generation=2)
        await until(lambda: len(world.journal.kind("turn")) > turns)
        await until(lambda: world.status().get("observedGeneration") == 2)


@pytest.mark.parametrize("changed", ["spec", "namesake"])
async def test_app_when_changed_during_a_gather_then_is_asked_anew_before_it_is_judged(
    changed: str,
) -> None:
    world = World(1)
    await world.observed()
    world.store.hang = asyncio.Event()
    other = app("app-0", 2, indicators=[{"name": "load", "query": "sum(other)"}])
    if changed == "namesake":
        other["metadata"]["uid"] = "another"
    async with running(world):
        asked = len(world.store.asked)
        world.clock.now_s += 6
        await until(lambda: len(world.store.asked) > asked)
        turns = len(world.journal.kind("turn"))
        world.snapshot.put(Kind.APPS, other)
        book = world.fleet._roster.books
        await until(lambda: book[Key("ns", "app-0")].app.generation == 2)
        world.clock.now_s += 1
        world.store.hang.set()
        await until(lambda: len(world.journal.kind("turn")) > turns)
        assert len(world.store.asked) == asked + 2


async def test_app_when_changed_during_a_move_then_is_looked_at_once_that_is_over() -> None:
    world = World(1)
    world.snapshot.put(Kind.POLICIES, policy(3600))
    await world.step(0)
    world.cluster.hang["app-0"] = release = asyncio.Event()
    world.store.values["app-0"] = 500.0
    async with running(world):
        world.clock.now_s += 7200
        await until(lambda: any(kind == "status" for kind, _ in world.cluster.log))
        await until(lambda: world.fleet._roster.books[Key("ns", "app-0")].moving)
        world.put_app("app-0", generation=2)
        await until(lambda: world.fleet._roster.changed)
        world.clock.now_s += 1
        await until(lambda: world.fleet.heartbeat_s == world.clock.now_s)
        release.set()
        await until(lambda: not world.fleet._roster.books[Key("ns", "app-0")].moving)
        world.clock.now_s += 1
        await until(lambda: world.status().get("observedGeneration") == 2)


@pytest.mark.parametrize("what", ["scale", "status"])
async def test_write_when_it_failed_then_is_tried_again_before_its_period(what: str) -> None:
    world = World(1)
    world.snapshot.put(Kind.POLICIES, policy(3600))
    await world.step(0)
    failed = WriteResult(WriteOutcome.UNREACHABLE)
    tried = list[object]()
    on = {"scale": "on_scale", "status": "on_status"}[what]
    world.fleet._roster.changed.clear()
    setattr(world.cluster, on, lambda name: tried.append(name) or failed)
    world.store.values["app-0"] = 500.0
    async with running(world):
        world.clock.now_s += 7200
        await until(lambda: tried)
        await until(lambda: not world.fleet._roster.books[Key("ns", "app-0")].moving)
        setattr(world.cluster, on, lambda _: None)
        world.clock.now_s += 2
        (target,) = world.cluster.bodies
        await until(lambda: world.cluster.bodies[target]["spec"]["replicas"] == 5)


async def test_apps_when_policies_are_listed_anew_then_have_no_turn_more_and_rest_on() -> None:
    world = World(1)
    await world.observed()
    world.cluster.on_scale = lambda _: refused()
    world.store.values["app-0"] = 500.0
    await world.step()
    roster, book = world.fleet._roster, world.fleet._roster.books[Key("ns", "app-0")]
    roster.changed.clear()
    until_s = book.moves.until_s
    world.snapshot.relisted(Kind.POLICIES, world.snapshot.listed(Kind.POLICIES, [policy()]))
    world.cluster.put(cluster_bodies.deployment("another"))
    roster.refresh()
    assert roster.changed == set()
    assert book.moves.until_s == until_s > world.clock.now_s


async def test_namespace_when_its_last_app_is_gone_then_its_tenant_is_forgotten() -> None:
    world = World(1)
    await world.step()
    assert list(world.fleet._roster._tenants) == ["ns"]
    world.drop_app("app-0")
    await world.step()
    assert world.fleet._roster._tenants == {}


async def test_app_when_gone_then_its_series_and_memory_are_gone() -> None:
    world = World(2)
    await world.observed()
    assert b'name="app-0"' in world.fleet.metrics.text()
    async with running(world):
        world.drop_app("app-0")
        world.clock.now_s += 6
        turns = len(world.journal.kind("turn"))
        await until(lambda: len(world.journal.kind("turn")) > turns)
    text = world.fleet.metrics.text()
    assert b'name="app-0"' not in text
    assert b"charon_apps 1.0" in text
    assert Key("ns", "app-0") not in world.fleet._decider.memory.apps
    assert world.journal.kind("turn")[-1]["forget"] == ["ns/app-0"]


async def test_loop_when_told_to_stop_then_the_write_under_way_is_completed() -> None:
    world = World(1)
    await world.observed()
    world.cluster.hang["app-0"] = release = asyncio.Event()
    world.store.values["app-0"] = 500.0
    stop = asyncio.Event()
    task = asyncio.create_task(world.fleet.run(stop))
    world.clock.now_s += 6
    await until(lambda: any(kind == "status" for kind, _ in world.cluster.log))
    stop.set()
    await asyncio.sleep(0)
    release.set()
    await task
    assert world.cluster.scaled() == [("app-0", 5)]
