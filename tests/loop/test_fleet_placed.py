"""Apps with variants, played by the fleet and the real turn on nodes that fill."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charon_operator.lab import replay
from charon_operator.loop.snapshot import Kind
from charon_operator.model.placing import Placing
from charon_operator.model.workload import Target
from charon_operator.names import ConditionType, Reason
from charon_operator.ports import WriteOutcome, WriteResult
from tests.loop import placed_world
from tests.loop.placed_world import APP, FP16, FP32, GPU, placed_app, variant
from tests.loop.test_fleet_placement import asked

LARGE = variant("fp16", 400, costPerReplica="2")
SMALL = variant("fp32", 100, costPerReplica="1")


class Played:
    """A world whose pods are bound to what fits after each turn; those that go are gone at once."""

    def __init__(self, **configured: Any) -> None:
        self.world = placed_world.world(count=1, **configured)
        self._pods: dict[Target, list[Any]] = {}
        self._names = itertools.count()
        self.world.snapshot.put(Kind.APPS, placed_app(APP.name, 2, LARGE, SMALL))
        for body in placed_world.pods():
            self.world.snapshot.floor.drop(Kind.PODS, body)
        self.bind()

    @property
    def placing(self) -> Placing:
        view = self.world.fleet._roster.books[APP].view
        assert view is not None
        assert view.outcome.placing is not None
        return view.outcome.placing

    async def steps(self, load: float | None, count: int = 1) -> list[tuple[int, int]]:
        """Replicas of fp16 and fp32 after each of some turns."""
        found = []
        for _ in range(count):
            self.world.store.values[APP.name] = load
            await self.world.step()
            self.bind()
            found.append(asked(self.world))
        return found

    def bind(self) -> None:
        for target in (FP16, FP32):
            body = self.world.cluster.bodies[target]
            pods, wanted = self._pods.setdefault(target, []), body["spec"]["replicas"]
            while len(pods) > wanted:
                self.world.snapshot.floor.drop(Kind.PODS, pods.pop())
            pods += [self._born(target) for _ in range(wanted - len(pods))]

    def replayed(self, tmp_path: Path) -> replay.Replayed:
        file = tmp_path / "journal.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in self.world.journal.rows))
        return replay.replay(file)

    def _born(self, target: Target) -> Any:
        floor = self.world.snapshot.floor
        with floor.inventory() as there:
            free = there.supply().free if there else {}
        node = next((name for name, amounts in free.items() if amounts[GPU] > 0), "")
        pod = placed_world.pod(f"pod-{next(self._names)}", target.name, node)
        floor.put(Kind.PODS, pod)
        return pod


def failing_once(target: Target, outcome: WriteOutcome) -> Callable[[Target], WriteResult | None]:
    """The first write of that target fails."""
    left = [WriteResult(outcome, detail="as the test says")]

    def answer(written: Target) -> WriteResult | None:
        return left.pop() if left and written == target else None

    return answer


async def test_load_when_it_changes_then_the_cheapest_mix_comes_about(tmp_path: Path) -> None:
    play = Played()
    await play.world.observed()
    assert (await play.steps(300.0, 5))[-1] == (3, 0)
    assert play.placing.wanted == 1200.0
    play.world.store.values["app-0"] = 500.0
    assert (await play.steps(100.0, 3))[-1] == (1, 0)
    assert play.placing.feasible is True
    assert ("app-0", 5) in play.world.cluster.scaled()
    found = play.replayed(tmp_path)
    assert (found.mismatches, found.turns) == ([], 10)
    kinds = [row["kind"] for row in play.world.journal.rows]
    assert found.writes == kinds.count("place") + kinds.count("write")


@pytest.mark.parametrize("target", [FP16, FP32], ids=["the raise", "the lowering"])
@pytest.mark.parametrize(
    "outcome", [WriteOutcome.CONFLICT, WriteOutcome.REFUSED, WriteOutcome.UNREACHABLE]
)
async def test_exchange_when_a_write_fails_once_then_it_comes_about_later(
    tmp_path: Path, target: Target, outcome: WriteOutcome
) -> None:
    play = Played()
    await play.world.observed()
    play.world.cluster.on_scale = failing_once(target, outcome)
    first, *_, last = await play.steps(300.0, 8)
    assert first == ((1, 3) if target == FP16 else (2, 3))
    assert last == (3, 0)
    rows = play.world.journal.kind("place")
    assert outcome in [row["outcome"] for row in rows]
    assert play.replayed(tmp_path).mismatches == []


async def test_journal_when_begun_anew_on_the_way_then_is_replayed_to_the_byte(
    tmp_path: Path,
) -> None:
    play = Played()
    await play.world.observed()
    for number in range(6):
        play.world.journal.wants_start = number == 2
        await play.steps(300.0)
    assert len(play.world.journal.kind("start")) == 2
    assert play.replayed(tmp_path).mismatches == []


async def test_lease_when_lost_between_two_writes_then_whoever_leads_next_goes_on(
    tmp_path: Path,
) -> None:
    play = Played()
    await play.world.observed()
    leader = play.world.leader

    def depose(_: Target) -> None:
        leader.leading = False

    play.world.cluster.on_scale = depose
    assert await play.steps(300.0) == [(2, 3)]
    leader.leading, leader.term = True, 2
    play.world.cluster.on_scale = lambda _: None
    found = await play.steps(300.0, 6)
    assert (found[0], found[-1]) == ((2, 3), (3, 0))
    assert play.replayed(tmp_path).mismatches == []


async def test_metrics_when_gone_on_the_way_then_nothing_is_lowered() -> None:
    play = Played()
    await play.world.observed()
    await play.steps(300.0)
    before = asked(play.world)
    found = await play.steps(None, 4)
    assert all(one >= held for step in found for one, held in zip(step, before, strict=True))


@pytest.mark.parametrize("enabled", [True, False], ids=["not listed", "placement is off"])
async def test_nodes_when_not_known_then_nothing_moves_and_the_remedy_is_told(
    enabled: bool,
) -> None:
    play = Played(placement={"enabled": enabled})
    play.world.snapshot.floor.expect([])
    await play.world.observed()
    assert await play.steps(800.0, 3) == [(1, 3)] * 3
    placing = play.placing
    assert (placing.feasible, placing.reason) == (None, Reason.SUPPLY_UNKNOWN)
    assert "knobs.placement.enabled=true" in placing.message
    told = play.world.condition(ConditionType.PLACEMENT_FEASIBLE, APP.name)
    assert told == ("Unknown", "SupplyUnknown")
