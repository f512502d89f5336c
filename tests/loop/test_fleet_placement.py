"""The way of a step between variants: raises first, each gate asked before each write."""

import json
from pathlib import Path
from typing import Any

import pytest

from charon_operator import names
from charon_operator.lab import replay
from charon_operator.loop.snapshot import Kind
from charon_operator.model.workload import Absent, Target, Workload
from charon_operator.names import ConditionType
from charon_operator.ports import WriteOutcome, WriteResult
from tests.loop import placed_world
from tests.loop.fleet_world import PERIOD_S, World, policy, refused
from tests.loop.placed_world import APP, FP16, FP32, GPU, Script, placed_app
from tests.loop.test_floor import node

script = placed_world.script


def asked(world: World) -> tuple[int, int]:
    bodies = world.cluster.bodies
    return bodies[FP16]["spec"]["replicas"], bodies[FP32]["spec"]["replicas"]


async def observed(script: Script, **finals: int) -> World:
    """A world that was observed for its first period, and what its turns say from then on."""
    world = placed_world.world()
    await world.observed()
    script.finals = finals
    return world


# What a turn is given.


async def test_facts_when_a_turn_begins_then_are_of_every_variant_and_of_all_together(
    script: Script,
) -> None:
    world = placed_world.world()
    await world.step()
    (supply,) = script.supplies
    assert supply is not None
    assert {name: amounts[GPU] for name, amounts in supply.free.items()} == {"a": 3, "b": 4}
    assert (script.variant("fp16").holding.nodes, supply.held) == (("a",), {FP16: ("a",), FP32: ()})
    assert script.variant("fp32").holding.pending == 1
    needs = [script.variant(name).need for name in ("fp16", "fp32")]
    assert [need and need.extended for need in needs] == [((GPU, 1),)] * 2
    facts = script.facts
    assert facts is not None
    whole = facts.workload
    assert isinstance(whole, Workload)
    assert (whole.replicas, whole.uid) == (4, "uid-ns-fp16+uid-ns-fp32")


async def test_supply_when_no_app_of_a_turn_is_placed_then_is_not_asked_for(script: Script) -> None:
    world = placed_world.world(count=1)
    world.snapshot.drop(Kind.APPS, placed_app())
    await world.step()
    assert script.supplies == [None]


async def test_supply_when_another_placed_app_is_not_due_then_tells_what_it_holds(
    script: Script,
) -> None:
    world = placed_world.world()
    world.snapshot.put(Kind.POLICIES, policy(60, "slow"))
    fp8 = placed_world.variant("fp8")
    world.snapshot.put(Kind.APPS, placed_app("slow", 1, fp8, policyRef={"name": "slow"}))
    world.snapshot.floor.put(Kind.PODS, placed_world.pod("three", "fp8", "b"))
    await world.step()
    assert [sorted(str(target) for target in one.held) for one in script.supplies if one] == [
        ["Deployment ns/fp16", "Deployment ns/fp32", "Deployment ns/fp8"]
    ] * 2


async def test_supply_when_nodes_are_not_listed_yet_then_is_not_known(script: Script) -> None:
    world = placed_world.world(seen=False)
    await world.step()
    assert script.supplies == [None]
    assert script.variant("fp16").holding.exist == 0
    assert script.variant("fp16").need is not None


async def test_workload_when_a_variant_is_gone_then_is_absent(script: Script) -> None:
    world = placed_world.world()
    world.snapshot.drop(Kind.DEPLOYMENTS, world.cluster.bodies[FP32])
    await world.step()
    facts = script.facts
    assert facts is not None
    assert isinstance(facts.workload, Absent)
    assert facts.workload.target == FP32


async def test_template_when_it_cannot_be_counted_then_the_field_is_named(script: Script) -> None:
    world = placed_world.world()
    body = placed_world.deployment("fp16", 1, generation=2)
    body["spec"]["template"]["spec"]["resourceClaims"] = [{"name": "gpu"}]
    world.cluster.put(body)
    await world.step()
    found = script.variant("fp16")
    assert found.need is None
    assert found.problem.startswith("spec.template.spec.resourceClaims: ")


async def test_ready_pods_when_coverage_is_asked_for_then_are_those_of_all_variants() -> None:
    world = placed_world.world()
    world.fleet._roster.refresh()
    book = world.fleet._roster.books[APP]
    world.fleet._assembly.compile([book])
    ask = world.fleet._assembly.ask(book)
    assert ask is not None
    assert ask.ready_pods == 4


# What is written.


async def test_step_when_decided_then_raises_go_before_lowerings(script: Script) -> None:
    world = await observed(script, fp16=2, fp32=1)
    await world.step()
    assert world.cluster.scaled() == [("fp16", 2), ("fp32", 1)]
    assert asked(world) == (2, 1)
    assert script.steps() == [({"fp16": (1, 2), "fp32": (3, 1)}, WriteOutcome.WRITTEN)]
    assert "pendingAction" not in world.status(APP.name)
    written = world.fleet.metrics.writes.labels("scale", "Written")
    assert written._value.get() == 2
    assert [event.reason for event in world.cluster.events] == ["Placed"]


async def test_step_when_it_was_made_then_it_is_not_made_again(script: Script) -> None:
    world = await observed(script, fp16=2, fp32=1)
    for _ in range(3):
        await world.step()
    assert len(world.cluster.scaled()) == 2
    assert not world.fleet._roster.books[APP].moving


async def test_variant_when_it_is_given_up_then_is_scaled_to_none(script: Script) -> None:
    world = await observed(script, fp32=0)
    await world.step()
    assert asked(world) == (1, 0)


async def test_app_when_in_its_first_period_then_is_only_looked_at(script: Script) -> None:
    world = placed_world.world()
    script.finals = {"fp16": 2}
    for _ in range(4):
        await world.step(PERIOD_S / 5)
    assert world.cluster.scaled() == []
    await world.step(PERIOD_S)
    assert world.cluster.scaled() == [("fp16", 2)]


async def test_step_when_it_may_not_act_then_nothing_is_written(script: Script) -> None:
    world = await observed(script, fp16=2)
    script.acts = False
    await world.step()
    assert world.cluster.scaled() == []


async def test_raise_when_it_is_a_conflict_then_is_read_again_and_decided_by_the_next_turn(
    script: Script,
) -> None:
    world = await observed(script, fp16=2, fp32=1)
    world.fleet._roster.changed.clear()
    # The API server has a newer version than the informer has shown.
    world.cluster.put(placed_world.deployment("fp16", 1), seen=False)
    await world.step()
    # A lowering waits for every raise of its step.
    assert [what for what in world.cluster.log if what[0] in ("scale", "get")] == [
        ("scale", ("fp16", 2)),
        ("get", "fp16"),
    ]
    assert script.steps() == [({"fp16": (1, 2)}, WriteOutcome.CONFLICT)]
    assert world.fleet._roster.changed == {APP}
    await world.step(0)
    assert asked(world) == (2, 1)


async def test_conflict_when_it_never_ends_then_is_backed_off_from(script: Script) -> None:
    world = await observed(script, fp16=2)
    world.cluster.on_scale = lambda _: WriteResult(WriteOutcome.CONFLICT)
    for _ in range(20):
        await world.step(0.5)
    # At once for three times, and then after 8 s and 10 s.
    assert len(world.cluster.scaled()) == 4
    world.cluster.on_scale = lambda _: None
    await world.step(10)
    assert asked(world) == (2, 3)


async def test_raise_when_refused_then_nothing_is_lowered_and_the_status_says_why(
    script: Script,
) -> None:
    world = await observed(script, fp16=2, fp32=1)
    world.cluster.on_scale = lambda target: refused("the fence says no")
    await world.step()
    assert world.cluster.scaled() == [("fp16", 2)]
    assert script.steps() == [({"fp16": (1, 2)}, WriteOutcome.REFUSED)]
    assert world.condition(ConditionType.ACTUATING, APP.name) == ("False", "WriteRefused")
    assert "Deployment ns/fp16 1 -> 2 was refused: the fence says no" in str(world.status(APP.name))
    tried = []
    for _ in range(20):
        before = len(world.cluster.scaled())
        await world.step()
        tried.append(len(world.cluster.scaled()) - before)
    assert 3 <= sum(tried) <= 5
    script.finals = {}
    await world.step()
    assert "was refused" not in str(world.status(APP.name))


async def test_lowering_when_refused_then_the_raise_is_remembered_apart(script: Script) -> None:
    world = await observed(script, fp16=2, fp32=1)
    world.cluster.on_scale = lambda target: refused() if target == FP32 else None
    await world.step()
    assert asked(world) == (2, 3)
    assert script.steps() == [
        ({"fp16": (1, 2)}, WriteOutcome.WRITTEN),
        ({"fp32": (3, 1)}, WriteOutcome.REFUSED),
    ]
    rows = world.journal.kind("place")
    assert [row["outcome"] for row in rows] == ["Written", "Refused"]


async def test_write_when_not_answered_then_is_remembered_as_one_that_may_have_been_made(
    script: Script,
) -> None:
    world = await observed(script, fp16=2, fp32=1)
    world.cluster.on_scale = lambda _: WriteResult(WriteOutcome.UNREACHABLE)
    await world.step()
    assert world.cluster.scaled() == [("fp16", 2)]
    assert script.steps() == [({"fp16": (1, 2)}, WriteOutcome.UNREACHABLE)]


def depose(world: World) -> None:
    world.leader.leading = False


def delete(world: World) -> None:
    world.snapshot.drop(Kind.APPS, placed_app())
    world.fleet._roster.refresh()


def change(world: World) -> None:
    world.snapshot.put(Kind.APPS, placed_app(generation=2))
    world.fleet._roster.refresh()


def switch_off(world: World) -> None:
    labels = {names.LABEL_FORCE_ADVISORY: "yes"}
    world.snapshot.put(Kind.NAMESPACES, {"metadata": {"name": "ns", "labels": labels}})


@pytest.mark.parametrize("happens", [depose, delete, change, switch_off])
async def test_step_when_something_happens_between_two_writes_then_is_not_gone_on_with(
    script: Script, happens: Any
) -> None:
    world = await observed(script, fp16=2, fp32=1)

    def between(_: Target) -> None:
        happens(world)

    world.cluster.on_scale = between
    await world.step()
    assert world.cluster.scaled() == [("fp16", 2)]
    assert script.steps() == [({"fp16": (1, 2)}, WriteOutcome.WRITTEN)]


async def test_step_when_it_waited_for_too_long_then_is_decided_again(script: Script) -> None:
    world = await observed(script, fp16=2, fp32=1)
    world.fleet._roster.changed.clear()

    def late(_: Target) -> None:
        world.clock.now_s += 60

    world.cluster.on_scale = late
    await world.step()
    assert world.cluster.scaled() == [("fp16", 2)]
    assert world.fleet._roster.changed == {APP}


async def test_other_apps_when_one_is_placed_then_are_moved_as_ever(script: Script) -> None:
    world = placed_world.world(count=2)
    await world.observed()
    script.finals = {"fp16": 2}
    world.store.values["app-1"] = 500.0
    await world.step()
    assert sorted(world.cluster.scaled()) == [("app-1", 5), ("fp16", 2)]


@pytest.mark.parametrize("anew", [False, True], ids=["one start", "begun anew on the way"])
async def test_journal_when_variants_were_moved_then_is_replayed_to_the_byte(
    script: Script, tmp_path: Path, anew: bool
) -> None:
    world = placed_world.world(count=1)
    # Where the variants go follows from what is free: what the journal has of it must be all.
    script.rule = lambda supply: {"fp16": supply.free["a"][GPU], "fp32": len(supply.nodes)}
    await world.observed()
    for number, at in enumerate("aba"):
        world.snapshot.floor.put(Kind.PODS, placed_world.pod(f"other-{number}", "else", at))
        world.journal.wants_start = anew and number == 2
        await world.step()
    world.snapshot.floor.drop(Kind.NODES, node("b"))
    await world.step()
    assert asked(world) == (1, 1)
    rows = world.journal.kind("supply")
    assert [sorted(row["free"]) for row in rows[:3]] == [["a", "b"], ["a"], ["b"]]
    assert "nodes" in rows[3] if anew else rows[-1]["gone"] == ["b"]
    file = tmp_path / "journal.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in world.journal.rows))
    found = replay.replay(file)
    assert (found.mismatches, found.turns) == ([], 6)
    assert found.writes == len(world.journal.kind("place"))
