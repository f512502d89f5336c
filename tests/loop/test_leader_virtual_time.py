"""Two candidates for one Lease in virtual time: at most one leads, whatever happens to the Lease.

`Registry` is a fake: it stands for the API server so that hours pass in a moment and answers can be
withheld; `test_leader_cluster` does the same against the real one.
"""

import asyncio
import dataclasses
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.loop.leader import Leader
from charon_operator.ports import LeaseRecord, NoLease, WriteOutcome, WriteResult
from charon_operator.settings import Lease
from tests.loop.cluster_bodies import SetClock

LIMITS = Lease(duration_seconds=15, renew_deadline_seconds=10, retry_seconds=2)


class Registry:
    """A Lease in memory, with versions; a fake API server."""

    def __init__(self) -> None:
        self.record: LeaseRecord | None = None
        self._versions: Iterator[int] = itertools.count(1)
        self.writes = 0

    def store(self, record: LeaseRecord) -> WriteResult:
        version = str(next(self._versions))
        self.record = dataclasses.replace(record, resource_version=version)
        self.writes += 1
        return WriteResult(WriteOutcome.WRITTEN, version)

    def edit(self, **changes: str | int) -> None:
        assert self.record is not None
        self.store(dataclasses.replace(self.record, **changes))  # type: ignore[arg-type]


class Port:
    """One candidate's way to the registry; `answer` can be set to anything it should meet."""

    def __init__(self, registry: Registry, clock: SetClock) -> None:
        self.registry, self.clock = registry, clock
        self.down = False
        self.applied_unheard = False
        self.raises = False
        self.takes_s = 0.0

    async def read(self, timeout_s: float) -> LeaseRecord | NoLease:
        if self.raises:
            raise RuntimeError("a bug")
        if self.down:
            return NoLease.UNREACHABLE
        return self.registry.record or NoLease.ABSENT

    async def create(self, record: LeaseRecord, timeout_s: float) -> WriteResult:
        return self._write(record, WriteOutcome.CONFLICT if self.registry.record else None)

    async def update(self, record: LeaseRecord, timeout_s: float) -> WriteResult:
        held = self.registry.record
        if held is None:
            return self._write(record, WriteOutcome.GONE)
        stale = held.resource_version != record.resource_version
        return self._write(record, WriteOutcome.CONFLICT if stale else None)

    def _write(self, record: LeaseRecord, refused: WriteOutcome | None) -> WriteResult:
        if self.raises:
            raise RuntimeError("a bug")
        if self.down:
            return WriteResult(WriteOutcome.UNREACHABLE, detail="down")
        self.clock.monotonic += self.takes_s
        result = WriteResult(refused) if refused else self.registry.store(record)
        return WriteResult(WriteOutcome.UNREACHABLE) if self.applied_unheard else result


class World:
    """Two candidates, each with its own clock and way to the Lease."""

    def __init__(self, limits: Lease = LIMITS) -> None:
        self.registry = Registry()
        self.clocks = [SetClock(monotonic_s=10.0), SetClock(monotonic_s=90_000.0)]
        self.ports = [Port(self.registry, clock) for clock in self.clocks]
        self.leaders = [
            Leader(port, limits, clock, identity)
            for port, clock, identity in zip(self.ports, self.clocks, "AB", strict=True)
        ]
        self.frozen: set[int] = set()
        self.limits = limits

    @property
    def a(self) -> Leader:
        return self.leaders[0]

    @property
    def b(self) -> Leader:
        return self.leaders[1]

    def leads(self) -> list[str]:
        """Who leads and runs; a frozen process writes nothing."""
        live = [one for n, one in enumerate(self.leaders) if n not in self.frozen]
        return [one.identity for one in live if one.leading]

    def pass_s(self, seconds: float, step_s: float = 0.5) -> None:
        """Let time pass; each candidate tries every retry period, out of phase."""
        for n in range(round(seconds / step_s)):
            for clock in self.clocks:
                clock.monotonic += step_s
                clock.wall += step_s
            assert len(self.leads()) <= 1
            for who, phase in ((0, 0), (1, 2)):
                if (
                    n % round(self.limits.retry_seconds / step_s) == phase
                    and who not in self.frozen
                ):
                    asyncio.run(self.leaders[who].step())
            assert len(self.leads()) <= 1


@pytest.fixture
def world() -> World:
    made = World()
    made.pass_s(4)
    assert made.leads() == ["A"]
    return made


def test_the_first_leads_and_stays(world: World) -> None:
    world.pass_s(3600)
    assert world.leads() == ["A"]
    assert world.registry.record is not None
    assert world.registry.record.transitions == 0


def test_a_leader_that_cannot_renew_stops_before_the_other_begins(world: World) -> None:
    world.ports[0].down = True
    world.pass_s(11)
    assert world.leads() == []
    world.pass_s(9)
    assert world.leads() == ["B"]
    assert world.registry.record is not None
    assert world.registry.record.transitions == 1
    world.ports[0].down = False
    world.pass_s(60)
    assert world.leads() == ["B"]


def test_a_leader_that_came_and_went_ends_the_term_of_the_one_before(world: World) -> None:
    assert (world.a.term, world.b.term) == (1, None)
    world.ports[0].down = True
    world.pass_s(20)
    assert (world.leads(), world.a.term) == (["B"], 1)
    asyncio.run(world.b.release())
    world.frozen.add(1)
    world.ports[0].down = False
    world.pass_s(5)
    assert (world.leads(), world.a.term) == (["A"], 2)


def test_a_term_outlasts_a_deadline_that_nobody_used(world: World) -> None:
    world.frozen.add(1)
    world.ports[0].down = True
    world.pass_s(60)
    assert (world.leads(), world.a.term) == ([], 1)
    world.ports[0].down = False
    world.pass_s(5)
    assert (world.leads(), world.a.term) == (["A"], 1)


def test_an_outage_shorter_than_the_deadline_changes_nothing(world: World) -> None:
    for port in world.ports:
        port.down = True
    world.pass_s(6)
    for port in world.ports:
        port.down = False
    world.pass_s(30)
    assert world.leads() == ["A"]


def test_after_a_long_outage_somebody_leads_again(world: World) -> None:
    for port in world.ports:
        port.down = True
    world.pass_s(1800)
    assert world.leads() == []
    for port in world.ports:
        port.down = False
    world.pass_s(20)
    assert len(world.leads()) == 1


def test_a_released_lease_is_taken_at_the_next_try(world: World) -> None:
    asyncio.run(world.a.release())
    world.frozen.add(0)
    assert not world.a.leading
    world.pass_s(3)
    assert world.leads() == ["B"]


def test_a_release_by_who_does_not_lead_leaves_the_lease(world: World) -> None:
    before = world.registry.record
    asyncio.run(world.b.release())
    assert world.registry.record == before


def test_a_frozen_leader_does_not_lead_when_it_wakes(world: World) -> None:
    world.frozen.add(0)
    world.pass_s(60)
    assert world.leads() == ["B"]
    world.frozen.clear()
    assert not world.a.leading
    world.pass_s(60)
    assert world.leads() == ["B"]


def test_a_deleted_lease_is_made_again_by_its_leader(world: World) -> None:
    world.registry.record = None
    world.pass_s(60)
    assert world.leads() == ["A"]


def test_a_lease_deleted_under_a_frozen_leader_is_taken_after_its_time(world: World) -> None:
    world.frozen.add(0)
    world.registry.record = None
    world.pass_s(10)
    assert world.leads() == []
    world.pass_s(10)
    assert world.leads() == ["B"]


def test_a_strangers_name_in_the_lease_ends_leadership_and_is_outwaited(world: World) -> None:
    world.registry.edit(holder="stranger")
    world.pass_s(3)
    assert world.leads() == []
    world.pass_s(20)
    assert len(world.leads()) == 1


def test_a_name_wiped_from_the_lease_makes_nobody_lead_twice(world: World) -> None:
    world.registry.edit(holder="")
    world.pass_s(40)
    assert len(world.leads()) == 1


def test_an_endless_duration_written_by_a_stranger_is_not_believed(world: World) -> None:
    world.registry.edit(holder="stranger", duration_s=10**9)
    world.pass_s(4 * 15 + 5)
    assert len(world.leads()) == 1


def test_an_edit_of_labels_costs_the_leader_nothing(world: World) -> None:
    world.registry.edit()
    world.pass_s(3)
    assert world.leads() == ["A"]


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 4e9], ids=["ahead", "back", "to 2083"])
def test_a_jump_of_the_wall_clock_is_not_noticed(world: World, jump_s: float) -> None:
    world.clocks[0].wall += jump_s
    world.pass_s(120)
    assert world.leads() == ["A"]


def test_a_renewal_that_was_applied_but_not_heard_is_recovered(world: World) -> None:
    world.ports[0].applied_unheard = True
    world.pass_s(4)
    world.ports[0].applied_unheard = False
    world.pass_s(60)
    assert world.leads() == ["A"]


def test_a_renewal_that_took_too_long_does_not_count_from_its_answer(world: World) -> None:
    world.ports[0].takes_s = 12.0
    asyncio.run(world.a.step())
    assert not world.a.leading


def test_an_unexpected_error_ends_neither_the_task_nor_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.ports[0].raises = True
    world.pass_s(30)
    assert world.leads() == ["B"]
    world.ports[0].raises = False
    world.pass_s(30)
    assert world.leads() == ["B"]
    assert "An attempt at the Lease failed" in caplog.text


def test_time_left_shrinks_to_nothing_and_is_endless_without_election() -> None:
    alone = World()
    asyncio.run(alone.a.step())
    assert alone.a.remaining_s == 10.0
    alone.clocks[0].monotonic += 4
    assert alone.a.remaining_s == 6.0
    alone.clocks[0].monotonic += 40
    assert alone.a.remaining_s == 0.0
    free = Leader(alone.ports[0], Lease(enabled=False), alone.clocks[0], "C")
    assert free.leading
    assert free.remaining_s == float("inf")


def test_an_idle_leader_writes_once_a_retry_period(world: World) -> None:
    before = world.registry.writes
    world.pass_s(200)
    assert world.registry.writes - before == 100


FAULTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["down A", "down B", "freeze A", "freeze B", "delete", "heal", "unheard A"]
        ),
        st.integers(1, 30),
    ),
    max_size=8,
)


@settings(max_examples=40)
@given(FAULTS)
def test_at_most_one_leads_under_any_faults_and_one_after_them(
    faults: list[tuple[str, int]],
) -> None:
    made = World()
    for fault, seconds in faults:
        apply(made, fault)
        made.pass_s(seconds)
    apply(made, "heal")
    made.pass_s(40)
    assert len(made.leads()) == 1


def apply(world: World, fault: str) -> None:
    who = "AB".find(fault[-1])
    if fault.startswith("down"):
        world.ports[who].down = True
    elif fault.startswith("freeze"):
        world.frozen.add(who)
    elif fault.startswith("unheard"):
        world.ports[who].applied_unheard = True
    elif fault == "delete":
        world.registry.record = None
    else:
        world.frozen.clear()
        for port in world.ports:
            port.down = port.applied_unheard = False
