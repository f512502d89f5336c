"""The second knob when it fails or does harm: given back, in quarantine, undone."""

from typing import Any

import pytest

from charon_operator.loop.turn import resized
from charon_operator.model.memory import FleetMemory
from charon_operator.model.sizes import Resizing, Size, Sizes
from charon_operator.ports import WriteOutcome
from tests.decide import build
from tests.decide.sizes.sized import MI, cpu, decided, facts, pod, pods, queue, wrote


def deferred(since_s: float, **changes: Any) -> Sizes:
    waiting: dict[str, Any] = {
        "actual": Size(200, 256 * MI),
        "resizing": Resizing.DEFERRED,
        "detail": "Node didn't have enough resource: cpu",
        "since_s": since_s,
        **changes,
    }
    return pods(2, 600, **waiting)


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        pytest.param(deferred(1000.0), "ResizeDeferred", id="put off for 60 s"),
        pytest.param(
            deferred(1060.0, resizing=Resizing.INFEASIBLE), "ResizeInfeasible", id="infeasible"
        ),
        pytest.param(deferred(1060.0, resizing=Resizing.FAILED), "ResizeError", id="error"),
    ],
)
def test_size_that_cannot_be_had_is_given_back_and_replicas_cover(
    sizes: Sizes, reason: str
) -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    _, outcome, resize = decided(facts(2, 60.0, 1060.0, sizes), 1060.0, known)
    assert resize.reason == reason
    assert resize.give_back == ("p0", "p1")
    assert cpu(resize) == 200
    assert outcome.decision.final == 6
    assert "pod p0 cannot have 600m" in resize.message
    assert "sizes are not raised for 60 s" in resize.message


def test_pods_that_may_not_be_resized_are_made_up_for_by_replicas() -> None:
    some = Sizes(Size(200), (pod("p0"), pod("p1", refusal="it has a GPU")))
    _, outcome, resize = decided(facts(2, 60.0, 1000.0, some), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (200, 6)
    assert "not every pod may be resized: it has a GPU" in resize.message


def test_size_that_is_put_off_is_waited_for_first() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    _, outcome, resize = decided(facts(2, 60.0, 1029.0, deferred(1000.0)), 1029.0, known)
    assert (resize.give_back, cpu(resize), outcome.decision.final) == ((), 600, 2)


def test_quarantine_doubles_with_each_failure_and_ends_when_a_raise_is_had() -> None:
    known, now_s, lengths = None, 1000.0, []
    for _ in range(8):
        failing = deferred(now_s - 60)
        known, _, _ = decided(facts(2, 60.0, now_s, failing), now_s, known)
        failed = known.apps[build.KEY].quarantine
        lengths.append(failed.until_s - now_s)
        now_s = failed.until_s
    assert lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    known, _, resize = decided(facts(2, 60.0, now_s, pods(2)), now_s, known)
    assert cpu(resize) == 600
    known = wrote(known, resize, now_s)
    known, _, _ = decided(facts(2, 20.0, now_s + 5, pods(2, 600)), now_s + 5, known)
    assert known.apps[build.KEY].quarantine is None


def test_pods_that_gave_back_are_left_alone_while_the_others_keep_their_size() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    stuck = deferred(1000.0).pods[0]
    mixed = Sizes(Size(200), (stuck, pod("big", 600)))
    known, _, resize = decided(facts(2, 60.0, 1060.0, mixed), 1060.0, known)
    assert (resize.give_back, cpu(resize)) == (("p0",), 600)
    given = Sizes(Size(200), (pod("p0", 200), pod("big", 600)))
    _, outcome, resize = decided(facts(2, 60.0, 1065.0, given), 1065.0, known)
    assert (resize.give_back, cpu(resize)) == (("p0",), 600)
    # Six replicas of now, of 400m on average: each of those to come may be as small.
    assert outcome.decision.final == 6


def test_refused_write_quarantines_the_size() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    refused = WriteOutcome.REFUSED
    known = resized(known, build.KEY, resize, refused, 1000.0, "exceeded quota: compute")
    again = resized(known, build.KEY, resize, refused, 1001.0, "exceeded quota: compute")
    assert again == known
    _, outcome, resize = decided(facts(2, 60.0, 1005.0, pods(2)), 1005.0, known)
    assert (resize.reason, cpu(resize), outcome.decision.final) == ("ResizeRefused", 200, 6)
    assert "exceeded quota: compute" in resize.message
    assert [clamp.limit for clamp in resize.clamps] == []


@pytest.mark.parametrize(
    ("result", "counts"),
    [
        (WriteOutcome.WRITTEN, True),
        (WriteOutcome.UNREACHABLE, True),
        (WriteOutcome.CONFLICT, False),
        (WriteOutcome.GONE, False),
    ],
)
def test_size_that_may_have_been_written_counts_as_an_act_once(
    result: WriteOutcome, counts: bool
) -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = resized(known, build.KEY, resize, result, 1001.0)
    after = known.apps[build.KEY]
    assert (after.acted_at_s == 1001.0, after.size == Size(600)) == (counts, counts)
    assert resized(known, build.KEY, resize, WriteOutcome.WRITTEN, 1001.0) == known or not counts
    assert resized(FleetMemory(), build.KEY, resize, result, 1001.0) == FleetMemory()


@pytest.mark.parametrize(
    ("changes", "undone"),
    [
        pytest.param({}, True, id="no more load"),
        pytest.param({"arrivals": 34.0}, False, id="more load explains it"),
        pytest.param({"arrivals": None}, False, id="the load is not known"),
        pytest.param({"seen": {"queued": 10.0}}, False, id="all is well"),
        pytest.param({"now_s": 1100.0}, False, id="long after"),
    ],
)
def test_lowering_that_did_harm_is_undone_once(changes: dict[str, Any], undone: bool) -> None:
    known, _, resize = decided(queue(1, 32.0, 1000.0, pods(1, 800)), 1000.0)
    assert cpu(resize) == 320
    known = wrote(known, resize, 1000.0)
    asked = {"count": 1, "arrivals": 32.0, "now_s": 1030.0, "sizes": pods(1, 320)}
    asked |= {"seen": {"queued": 11.0}, **changes}
    now_s = asked["now_s"]
    known, _, resize = decided(queue(**asked), now_s, known)
    assert (known.apps[build.KEY].knobs.undone is not None) is undone
    if undone:
        assert cpu(resize) == 800
        assert "got worse 30 s after a lowering from 800m" in resize.message
        known = wrote(known, resize, now_s)
        _, _, resize = decided(queue(1, 32.0, now_s + 5, pods(1, 800)), now_s + 5, known)
        assert cpu(resize) == 800
        assert resize.clamps[-1].limit == "LoweringUndone"
        _, _, resize = decided(queue(1, 32.0, now_s + 90, pods(1, 800)), now_s + 90, known)
        assert cpu(resize) == 320


def test_lowering_of_replicas_that_did_harm_is_undone_too() -> None:
    known, outcome, _ = decided(queue(3, 20.0, 1000.0, pods(3, 100)), 1000.0)
    assert outcome.decision.final == 2
    known = build.wrote(known, outcome, 1000.0)
    asked = queue(2, 20.0, 1030.0, pods(2, 100), seen={"queued": 11.0})
    known, outcome, _ = decided(asked, 1030.0, known)
    assert outcome.decision.final == 3
    assert "after a lowering from 3 replicas without more load" in outcome.decision.message
