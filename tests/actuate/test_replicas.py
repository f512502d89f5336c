"""A decision becomes a write on the version it was made on; a failure becomes a wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator import names
from charon_operator.actuate import replicas
from charon_operator.actuate.backoff import Backoff
from charon_operator.model.decision import Decision
from charon_operator.model.workload import Target, Workload
from charon_operator.names import Reason
from charon_operator.ports import WriteOutcome, WriteResult

TARGET = Target("Deployment", "ns", "web")


def workload(count: int = 2) -> Workload:
    return Workload(TARGET, "uid", "10", 4, 4, count, count, count, count)


def decision(current: int = 2, final: int = 5, *, acts: bool = True) -> Decision:
    return Decision("d", "replicas", acts, current, final, final, Reason.RAISED, "m")


@pytest.mark.parametrize(
    ("made", "found", "expected"),
    [
        (decision(), workload(), replicas.ScaleWrite(TARGET, 5, "10")),
        (decision(final=2), workload(), None),
        (decision(acts=False), workload(), None),
        (decision(), workload(3), None),
    ],
    ids=["moves", "does not move", "may not act", "made on another state"],
)
def test_decision_when_turned_into_a_write_then_is_good_for_its_own_state_only(
    made: Decision, found: Workload, expected: replicas.ScaleWrite | None
) -> None:
    assert replicas.scale_write(made, found) == expected


def test_target_when_written_then_is_known_as_written_until_the_informer_says_more() -> None:
    write = replicas.ScaleWrite(TARGET, 5, "10")
    after = replicas.after(workload(), write, WriteResult(WriteOutcome.WRITTEN, "11"))
    assert after is not None
    assert (after.replicas, after.resource_version, after.generation) == (5, "11", 5)
    assert after.last_scaler == names.FIELD_MANAGER
    assert replicas.after(workload(), write, WriteResult(WriteOutcome.UNREACHABLE)) is None
    # A dry run writes nothing, so that there is no new version to know.
    assert replicas.after(workload(), write, WriteResult(WriteOutcome.WRITTEN)) is None


@given(st.lists(st.sampled_from(list(WriteOutcome)), max_size=30))
def test_wait_when_writes_fail_then_is_bounded_and_ends_with_a_success(
    outcomes: list[WriteOutcome],
) -> None:
    state = Backoff()
    for outcome in outcomes:
        state = state.after(outcome, 100.0)
        assert 0 <= state.until_s - 100.0 <= 300.0 or state == Backoff()
    assert state.after(WriteOutcome.WRITTEN, 200.0) == Backoff()


def test_wait_when_refused_again_then_doubles_and_when_unreachable_then_stays_short() -> None:
    state, waits = Backoff(), []
    for _ in range(8):
        state = state.after(WriteOutcome.REFUSED, 0.0)
        waits.append(state.until_s)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    assert max(Backoff(n).after(WriteOutcome.UNREACHABLE, 0.0).until_s for n in range(20)) == 10


def test_backoff_when_a_refusal_follows_an_outage_then_it_counts_as_the_first() -> None:
    state = Backoff()
    for _ in range(8):
        state = state.after(WriteOutcome.UNREACHABLE, 0.0)
    assert state.after(WriteOutcome.REFUSED, 100.0).until_s == 105.0
