"""A Deployment that two variants share, changed by the fleet and the real turn."""

import json
from pathlib import Path
from typing import Any

import pytest

from charon_operator.lab import replay
from charon_operator.loop.snapshot import Kind
from charon_operator.model.placing import Placing
from charon_operator.model.workload import Target
from charon_operator.names import ConditionType, Reason
from charon_operator.ports import WriteOutcome, WriteResult
from tests.loop import cluster_bodies, placed_world
from tests.loop.fleet_world import World
from tests.loop.placed_world import APP, GPU, placed_app, variant

WEB = Target("Deployment", "ns", "web")


def form(name: str, gpus: int, capacity: int, most: int = 2) -> dict[str, Any]:
    return variant(
        name,
        capacity,
        scaleTargetRef={"kind": "Deployment", "name": "web"},
        replicas={"min": 0, "max": most},
        template={"container": "app", "gpus": gpus},
    )


class Played:
    """A world with one Deployment of two pods; `rolls` says whether its rollouts come about."""

    def __init__(self, *, templates: bool = True, gpus: int = 1, **spec: Any) -> None:
        self.world = World(0, placement={"enabled": True, "templates": templates})
        floor = self.world.snapshot.floor
        nodes = [placed_world.node("a"), placed_world.node("b")]
        floor.relisted(Kind.NODES, floor.listed(Kind.NODES, nodes))
        floor.relisted(Kind.PODS, ())
        self.world.cluster.put(placed_world.deployment("web", 2, gpus=gpus))
        placement = {"minDwellSeconds": 10, "pendingDeadlineSeconds": 10}
        body = placed_app(APP.name, 2, form("single", 1, 100), form("double", 2, 400))
        body["spec"]["placement"] |= placement
        body["spec"] |= spec
        self.world.snapshot.put(Kind.APPS, body)
        self.bind("ab")

    def bind(self, nodes: str, waiting: int = 0) -> None:
        """Its pods, on these nodes and on none."""
        floor = self.world.snapshot.floor
        at = [*nodes, *[""] * waiting]
        pods = [placed_world.pod(f"pod-{n}", "web", on) for n, on in enumerate(at)]
        floor.relisted(Kind.PODS, floor.listed(Kind.PODS, pods))

    @property
    def body(self) -> dict[str, Any]:
        return self.world.cluster.bodies[WEB]

    @property
    def gpus(self) -> int:
        """That its template asks for."""
        container = self.body["spec"]["template"]["spec"]["containers"][0]
        return int(container["resources"]["limits"][GPU])

    @property
    def placing(self) -> Placing:
        view = self.world.fleet._roster.books[APP].view
        assert view is not None
        assert view.outcome.placing is not None
        return view.outcome.placing

    async def steps(self, load: float, count: int) -> None:
        for _ in range(count):
            self.world.store.values[APP.name] = load
            await self.world.step()

    async def changed(self) -> None:
        """The load asks for more than two of the small form can serve."""
        await self.world.observed()
        for _ in range(10):
            await self.steps(300.0, 1)
            if self.world.cluster.reshaped():
                return
        raise AssertionError(self.placing.message)

    def roll(self) -> None:
        self.world.cluster.put(cluster_bodies.rolled(self.body))

    def replayed(self, tmp_path: Path) -> replay.Replayed:
        file = tmp_path / "journal.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in self.world.journal.rows))
        return replay.replay(file)


async def test_change_when_decided_then_is_one_write_of_all_and_is_told(tmp_path: Path) -> None:
    play = Played()
    await play.changed()
    (write,) = play.world.cluster.reshaped()
    assert (write.form.gpus, write.replicas, write.surges) == (2, 2, True)
    assert write.came_from == ("single", 2)
    assert play.world.cluster.scaled() == []
    assert play.gpus == 2
    written = play.world.fleet.metrics.writes.labels("template", "Written")
    assert written._value.get() == 1
    (event,) = play.world.cluster.events
    assert event.reason == "Placed"
    assert "Deployment ns/web changes from single to double by its pod template" in event.message
    (row,) = play.world.journal.kind("place")
    assert row["placing"]["change"]["after"] == "double"
    play.roll()
    await play.steps(200.0, 6)
    told = play.world.status(APP.name)["placement"]["variants"]
    assert [(one["name"], one["asked"], one["ready"]) for one in told] == [
        ("single", 0, 0),
        ("double", 2, 2),
    ]
    assert len(play.world.cluster.reshaped()) == 1
    assert play.replayed(tmp_path).mismatches == []


async def test_app_when_just_met_then_nothing_is_changed() -> None:
    play = Played()
    await play.world.observed()
    await play.steps(300.0, 1)
    assert play.world.cluster.reshaped() == []


async def test_change_when_the_informer_is_late_then_is_not_made_twice() -> None:
    play = Played()
    play.world.cluster.shows = False
    await play.changed()
    await play.steps(300.0, 4)
    assert len(play.world.cluster.reshaped()) == 1
    moves = {one.name: (one.asked, one.final) for one in play.placing.variants}
    assert moves == {"single": (0, 0), "double": (2, 2)}


@pytest.mark.parametrize("outcome", list(WriteOutcome)[1:])
async def test_change_when_the_write_fails_once_then_it_is_made_later(
    outcome: WriteOutcome, tmp_path: Path
) -> None:
    play = Played()
    answers = [WriteResult(outcome, detail="as the test says")]
    play.world.cluster.on_form = lambda _: answers.pop() if answers else None
    await play.changed()
    assert play.gpus == 1
    if outcome is WriteOutcome.REFUSED:
        refused = "Deployment ns/web single 2 -> double 2 was refused: as the test says"
        assert refused in str(play.world.status(APP.name))
        assert play.world.condition(ConditionType.ACTUATING, APP.name)[1] == Reason.WRITE_REFUSED
    await play.steps(300.0, 8)
    assert play.gpus == 2
    assert play.replayed(tmp_path).mismatches == []


async def test_target_when_it_moved_on_unseen_then_is_read_again_before_anything_is_written() -> (
    None
):
    play = Played()
    # Somebody has given it the other form, and the informer has not told of it.
    body = placed_world.deployment("web", 2, gpus=2, generation=5)
    await play.world.observed()
    await play.steps(300.0, 1)
    play.world.cluster.put(body, seen=False)
    for _ in range(6):
        await play.steps(300.0, 1)
    first, *more = play.world.cluster.reshaped()
    assert (first.form.gpus, more) == (2, [])
    assert play.body == body
    play.world.cluster.put(body)
    await play.steps(100.0, 4)
    assert len(play.world.cluster.reshaped()) == 1
    assert {one.name: one.asked for one in play.placing.variants} == {"single": 0, "double": 2}


async def test_rollout_when_its_pods_find_no_node_then_it_is_turned_back(tmp_path: Path) -> None:
    play = Played()
    await play.changed()
    play.bind("ab", waiting=1)
    await play.steps(300.0, 3)
    there, back = play.world.cluster.reshaped()
    assert (there.form.gpus, back.form.gpus, back.replicas) == (2, 1, 2)
    assert back.came_from == ("single", 2)
    play.bind("ab")
    play.roll()
    await play.steps(300.0, 2)
    assert play.gpus == 1
    assert play.world.condition(ConditionType.PLACEMENT_FEASIBLE, APP.name)[1] == "RolledBack"
    assert play.replayed(tmp_path).mismatches == []


async def test_leader_when_another_takes_over_on_the_way_then_it_knows_the_way_back() -> None:
    play = Played()
    await play.changed()
    play.bind("ab", waiting=1)
    # Its controller goes on telling how it stands.
    play.world.cluster.put(cluster_bodies.again(play.body))
    play.world.leader.term = 2
    await play.steps(300.0, 6)
    assert play.gpus == 1
    assert len(play.world.cluster.reshaped()) == 2


async def test_change_when_the_administrator_does_not_allow_it_then_is_said_and_not_made() -> None:
    play = Played(templates=False)
    await play.world.observed()
    await play.steps(300.0, 6)
    assert play.world.cluster.reshaped() == []
    assert "knobs.placement.templates=true" in play.placing.message


async def test_deployment_when_in_no_form_then_the_app_says_so_and_nothing_is_written() -> None:
    play = Played(gpus=4)
    await play.world.observed()
    await play.steps(300.0, 4)
    assert play.world.cluster.reshaped() == play.world.cluster.scaled() == []
    (ready,) = [one for one in play.world.status(APP.name)["conditions"] if one["type"] == "Ready"]
    assert (
        "spec.placement.variants[single]: Deployment ns/web is in the form of none"
        in (ready["message"])
    )


async def test_ready_pods_when_variants_share_them_then_they_count_once() -> None:
    play = Played()
    play.world.fleet._roster.refresh()
    book = play.world.fleet._roster.books[APP]
    play.world.fleet._assembly.compile([book])
    ask = play.world.fleet._assembly.ask(book)
    assert ask is not None
    assert ask.ready_pods == 2
