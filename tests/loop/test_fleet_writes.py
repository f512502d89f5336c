"""The way of a write: intent first, preconditions, conflicts, refusals, gates."""

import pytest

from charon_operator import names
from charon_operator.loop.snapshot import Kind
from charon_operator.model.workload import Key, Target
from charon_operator.names import ConditionType
from charon_operator.ports import WriteOutcome, WriteResult
from tests.loop import cluster_bodies
from tests.loop.fleet_world import PERIOD_S, World, refused


def kinds(world: World) -> list[str]:
    return [kind for kind, _ in world.cluster.log]


async def test_load_when_it_rises_then_the_intent_is_written_before_the_scale() -> None:
    world = World()
    await world.observed()
    world.store.values["app-0"] = 500.0
    await world.step()
    assert kinds(world)[:2] == ["status", "scale"]
    intent = world.cluster.log[0][1][1]["pendingAction"]
    assert (intent["from"], intent["to"], intent["knob"]) == (2, 5, "replicas")
    assert world.cluster.scaled() == [("app-0", 5)]
    decision = world.journal.kind("write")[0]
    assert (decision["decisionId"], decision["outcome"]) == (intent["id"], "Written")
    assert [event.reason for event in world.cluster.events] == ["Scaled"]
    await world.step(10)
    assert world.condition(ConditionType.ACTUATING) == ("False", "Settled")
    assert "pendingAction" not in world.status()


async def test_app_when_in_its_first_period_then_is_only_looked_at() -> None:
    world = World()
    world.store.values["app-0"] = 500.0
    for _ in range(4):
        await world.step(PERIOD_S / 5)
    assert world.cluster.scaled() == []
    await world.step(PERIOD_S)
    assert world.cluster.scaled() == [("app-0", 5)]


async def test_nothing_when_it_changes_then_nothing_is_written() -> None:
    world = World(3)
    await world.observed()
    await world.step(120)
    for _ in range(3):
        world.cluster.log.clear()
        await world.step(120)
        assert world.cluster.log == []


async def test_view_when_stale_then_is_read_again_and_decided_again_at_once() -> None:
    world = World()
    await world.observed()
    # The API server has a newer version than the informer has shown.
    newer = cluster_bodies.deployment("app-0", replicas=4)
    newer["metadata"]["uid"] = "uid-ns-app-0"
    world.cluster.put(newer, seen=False)
    world.store.values["app-0"] = 500.0
    await world.step()
    assert kinds(world) == ["status", "scale", "get", "status", "scale"]
    writes = world.journal.kind("write")
    assert [(row["from"], row["to"], row["outcome"]) for row in writes] == [
        (2, 5, "Conflict"),
        (4, 5, "Written"),
    ]
    assert writes[1]["turn"] == f"{writes[0]['turn']}.1"


async def test_view_when_stale_and_truth_is_as_wanted_then_nothing_more_is_written() -> None:
    world = World()
    await world.observed()
    world.cluster.put(cluster_bodies.deployment("app-0", replicas=5), seen=False)
    world.store.values["app-0"] = 500.0
    await world.step()
    assert len(world.cluster.scaled()) == 1
    assert world.cluster.bodies[Target("Deployment", "ns", "app-0")]["spec"]["replicas"] == 5


async def test_conflict_when_it_never_ends_then_is_given_up_after_three_more_tries() -> None:
    world = World()
    await world.observed()
    world.cluster.on_scale = lambda _: WriteResult(WriteOutcome.CONFLICT)
    world.store.values["app-0"] = 500.0
    await world.step()
    assert len(world.cluster.scaled()) == 4
    await world.step(0.5)
    assert len(world.cluster.scaled()) == 4


async def test_spec_when_changed_during_a_conflict_then_is_not_judged_by_old_readings() -> None:
    world = World()
    await world.observed()

    def changes(_: Target) -> WriteResult:
        world.put_app("app-0", generation=2)
        world.fleet._roster.refresh()
        return WriteResult(WriteOutcome.CONFLICT)

    world.cluster.on_scale = changes
    world.store.values["app-0"] = 500.0
    await world.step()
    assert len(world.cluster.scaled()) == 1
    world.cluster.on_scale = lambda _: None
    await world.step(0.5)
    assert world.cluster.scaled()[1:] == [("app-0", 5)]


async def test_write_when_refused_then_backs_off_and_says_why_and_others_go_on() -> None:
    world = World(2)
    await world.observed()
    world.cluster.on_scale = lambda target: refused() if target.name == "app-0" else None
    world.store.values |= {"app-0": 500.0, "app-1": 400.0}
    await world.step()
    assert sorted(world.cluster.scaled()) == [("app-0", 5), ("app-1", 4)]
    assert world.condition(ConditionType.ACTUATING) == ("False", "WriteRefused")
    assert world.condition(ConditionType.READY) == ("False", "WriteRefused")
    assert world.condition(ConditionType.READY, "app-1")[0] == "True"
    tried = []
    for _ in range(20):
        before = len(world.cluster.scaled())
        await world.step()
        tried.append(len(world.cluster.scaled()) - before)
    # 5, 10, 20, 40 s and so on: with a period of 5 s ever fewer of the turns try.
    assert 3 <= sum(tried) <= 5
    world.cluster.on_scale = lambda _: None
    world.put_app("app-0", generation=2)
    await world.step()
    assert world.cluster.scaled()[-1] == ("app-0", 5)
    await world.step()
    assert world.condition(ConditionType.READY) == ("True", "Controlling")


@pytest.mark.parametrize("value", [500.0, 100.0], ids=["raise", "lowering"])
async def test_status_when_refused_for_ever_then_only_lowering_waits(value: float) -> None:
    world = World()
    await world.observed()
    world.cluster.on_status = lambda _: refused("the schema says no")
    world.store.values["app-0"] = value
    await world.step()
    assert world.cluster.scaled() == ([("app-0", 5)] if value > 200 else [])
    assert b"charon_status_write_failures_total" in world.fleet.metrics.text()


async def test_intent_when_unreachable_then_the_target_is_not_written() -> None:
    world = World()
    await world.observed()
    world.cluster.on_status = lambda _: WriteResult(WriteOutcome.UNREACHABLE)
    world.store.values["app-0"] = 500.0
    await world.step()
    assert world.cluster.scaled() == []
    world.cluster.on_status = lambda _: None
    await world.step()
    assert world.cluster.scaled() == [("app-0", 5)]


@pytest.mark.parametrize("outcome", [WriteOutcome.UNREACHABLE, WriteOutcome.CONFLICT])
@pytest.mark.parametrize("value", [500.0, 100.0], ids=["raise", "lowering"])
async def test_intent_when_it_fails_for_ever_then_only_lowering_waits(
    value: float, outcome: WriteOutcome
) -> None:
    world = World()
    await world.observed()
    world.cluster.on_status = lambda _: WriteResult(outcome)
    world.store.values["app-0"] = value
    await world.step()
    assert world.cluster.scaled() == []
    await world.step()
    assert world.cluster.scaled() == ([("app-0", 5)] if value > 200 else [])


async def test_intent_when_its_app_is_gone_then_the_target_is_not_written() -> None:
    world = World()
    await world.observed()
    world.cluster.on_status = lambda _: WriteResult(WriteOutcome.GONE)
    world.store.values["app-0"] = 500.0
    for _ in range(3):
        await world.step()
    assert world.cluster.scaled() == []


@pytest.mark.parametrize("when", ["before the turn", "after the intent"])
async def test_lease_when_lost_then_no_target_is_written(when: str) -> None:
    world = World()
    await world.observed()
    world.store.values["app-0"] = 500.0

    def depose(_: object = None) -> None:
        world.leader.leading = False

    if when == "before the turn":
        depose()
    else:
        world.cluster.on_status = depose
    await world.step()
    assert world.cluster.scaled() == []


@pytest.mark.parametrize("noticed", [True, False], ids=["seen to lead", "came and went"])
async def test_lease_when_regained_after_another_led_then_is_looked_at_first(noticed: bool) -> None:
    world = World()
    await world.observed()
    world.leader.leading = False
    if noticed:
        world.leader.term = None
        world.fleet._tick()
    world.leader.leading, world.leader.term = True, 2
    world.store.values["app-0"] = 500.0
    await world.step()
    assert world.cluster.scaled() == []
    await world.step()
    assert world.cluster.scaled() == [("app-0", 5)]
    assert len(world.journal.kind("start")) == 2


async def test_lease_when_lost_then_series_last_until_another_has_led() -> None:
    world = World()
    await world.observed()
    world.leader.leading = False
    assert b"charon_desired_replicas{" in world.fleet.metrics.text()
    world.leader.term = None
    assert b"charon_desired_replicas{" not in world.fleet.metrics.text()


async def test_kill_switch_of_a_namespace_when_set_then_no_target_is_written() -> None:
    world = World()
    await world.observed()
    labels = {names.LABEL_FORCE_ADVISORY: "whatever"}
    world.snapshot.put(Kind.NAMESPACES, {"metadata": {"name": "ns", "labels": labels}})
    world.store.values["app-0"] = 500.0
    await world.step()
    assert world.cluster.scaled() == []
    assert world.condition(ConditionType.READY) == ("False", "ForcedAdvisory")


async def test_kill_switch_of_the_operator_when_set_then_no_target_is_written() -> None:
    world = World(force_mode="Advisory")
    await world.observed()
    world.store.values["app-0"] = 500.0
    await world.step()
    assert world.cluster.scaled() == []
    assert world.condition(ConditionType.READY) == ("False", "ForcedAdvisory")


async def test_spec_when_it_turns_advisory_while_a_move_waits_then_it_is_not_made() -> None:
    world = World()
    await world.observed()
    world.cluster.on_status = lambda _: world.put_app("app-0", generation=2, mode="Advisory")
    world.store.values["app-0"] = 500.0
    await world.step()
    assert world.cluster.scaled() == []


async def test_intent_when_found_at_the_start_then_is_given_to_the_first_turn_only() -> None:
    world = World()
    pending = {"id": "lost", "knob": "replicas", "from": 2, "to": 9}
    world.show_status("app-0", {"pendingAction": {**pending, "time": "2025-11-24T16:00:00Z"}})
    await world.step()
    await world.step()
    first, second = world.journal.kind("turn")
    assert first["apps"][0]["past"]["pending"]["to"] == 9
    assert "past" not in second["apps"][0]
    assert "pendingAction" not in world.status()


async def test_metrics_when_gone_then_the_app_is_held_and_says_so() -> None:
    world = World()
    await world.observed()
    world.store.values["app-0"] = None
    await world.step()
    assert world.cluster.scaled() == []
    assert world.condition(ConditionType.METRICS_HEALTHY) == ("False", "MissingMetrics")
    assert [event.reason for event in world.cluster.events] == ["MetricsMissing"]


async def test_move_when_too_old_to_be_made_then_is_decided_again_at_once() -> None:
    world = World()
    await world.observed()
    changed = world.fleet._roster.changed
    changed.clear()

    def late(_: Target) -> WriteResult:
        world.clock.now_s += 60
        return WriteResult(WriteOutcome.CONFLICT)

    world.cluster.on_scale = late
    world.store.values["app-0"] = 500.0
    await world.step()
    assert len(world.cluster.scaled()) == 1
    assert changed == {Key("ns", "app-0")}
    world.cluster.on_scale = lambda _: None
    await world.step(0)
    assert world.cluster.scaled()[1:] == [("app-0", 5)]
