"""When apps are due, and in which order writes leave."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.loop.outbox import Outbox, Urgency
from charon_operator.loop.schedule import Group, Schedule
from charon_operator.model.workload import Key

ONE, OTHER = Key("a", "one"), Key("b", "other")


@given(
    period_s=st.integers(1, 3600).map(float), tenant=st.text(max_size=5), now_s=st.floats(0, 1e7)
)
def test_group_when_asked_for_its_next_time_then_is_on_its_grid_within_a_period(
    period_s: float, tenant: str, now_s: float
) -> None:
    group = Group(period_s, tenant)
    next_s = group.next_s(now_s)
    assert 0 < next_s - now_s <= period_s + 1e-6
    assert group.next_s(next_s) - next_s == pytest.approx(period_s, abs=1e-5)


def test_apps_when_of_one_period_and_tenant_then_are_due_together_and_once_a_period() -> None:
    schedule, group = Schedule(), Group(15.0, "t")
    schedule.arrange({ONE: group, OTHER: group}, 0.0)
    count = 0
    for tenth in range(1500):
        for due in schedule.due(tenth / 10):
            assert due.keys == (ONE, OTHER)
            assert due.late_s < 0.2
            count += 1
    assert count == 10


def test_times_when_missed_then_are_not_made_up_for() -> None:
    schedule = Schedule()
    schedule.arrange({ONE: Group(1.0, "t")}, 0.0)
    assert len(schedule.due(100.0)) == 1
    assert schedule.due(100.0) == []


def test_group_when_another_one_comes_then_keeps_its_time() -> None:
    schedule, group = Schedule(), Group(10.0, "t")
    schedule.arrange({ONE: group}, 0.0)
    before_s = schedule.wait_s(0.0, 100.0)
    schedule.arrange({ONE: group, OTHER: Group(1000.0, "t")}, 0.0)
    assert schedule.wait_s(0.0, 100.0) == before_s
    assert schedule.gathered([ONE, Key("x", "gone")]) == {group: [ONE]}


async def test_outbox_when_busy_then_moves_go_before_statuses_before_events() -> None:
    outbox, order = Outbox(1), list[str]()

    async def job(name: str) -> None:
        order.append(name)

    for urgency in (Urgency.EVENT, Urgency.STATUS, Urgency.MOVE, Urgency.STATUS):
        outbox.submit(urgency, lambda name=urgency.name: job(name))
    outbox.start()
    await outbox.drained()
    await outbox.close(1.0)
    assert order == ["MOVE", "STATUS", "STATUS", "EVENT"]


async def test_outbox_when_a_job_fails_then_the_next_one_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox, done = Outbox(1), list[int]()

    async def fails() -> None:
        raise RuntimeError("planted")

    async def works() -> None:
        done.append(1)

    outbox.start()
    outbox.submit(Urgency.MOVE, fails)
    outbox.submit(Urgency.MOVE, works)
    await outbox.drained()
    await outbox.close(1.0)
    assert done == [1]
    assert "planted" in caplog.text


async def test_outbox_when_closed_then_ends_what_runs_and_begins_nothing() -> None:
    outbox, begun, ended = Outbox(1), asyncio.Event(), list[str]()

    async def slow() -> None:
        begun.set()
        await asyncio.sleep(0)
        ended.append("slow")

    async def never() -> None:
        ended.append("never")

    outbox.start()
    outbox.submit(Urgency.MOVE, slow)
    outbox.submit(Urgency.MOVE, never)
    await begun.wait()
    await outbox.close(5.0)
    outbox.submit(Urgency.MOVE, never)
    assert ended == ["slow"]


async def test_outbox_when_a_job_hangs_then_closing_cuts_it_off() -> None:
    outbox = Outbox(1)
    outbox.start()
    outbox.submit(Urgency.MOVE, asyncio.Event().wait)  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        await outbox.close(0.01)
