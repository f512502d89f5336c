"""What the demo says of a run, without playing one."""

import dataclasses

import pytest

from charon_operator.cli import demo
from charon_operator.lab import contest, optimum
from charon_operator.lab.score import Score
from charon_operator.lab.trace import Trace

GOOD = Score(
    attainment=0.5,
    peak=3000.0,
    above_s=30.0,
    return_s=39.0,
    longest_s=30.0,
    replica_seconds=2000.0,
    core_seconds=None,
    lost=0,
    writes=4,
    reversals=1,
    resizes=0,
    latency_s=1.4,
    dead_time_s=2.0,
)
BEST = dataclasses.replace(GOOD, return_s=30.0)


def result(**changes) -> contest.Contest:
    trace = Trace(0.0, 60.0)
    return contest.Contest(
        subject=contest.Contender("Queueing", dataclasses.replace(GOOD, **changes), trace),
        before=contest.Contender("PD", GOOD, trace),
        optimum=optimum.Optimum(37, 15, 2.0, BEST, trace),
        longest_s=2.55,
        threshold=600.0,
        unit="frames",
        seed=0,
    )


@pytest.mark.parametrize(
    ("return_s", "good", "words"),
    [
        (39.0, True, "in 1.30 times"),
        (39.5, False, "in 1.32 times"),
        (None, False, "was not back within 600 frames"),
    ],
)
def test_return_when_judged_then_the_bound_decides(return_s, good: bool, words: str) -> None:
    found = demo._Check.near(result(return_s=return_s))
    assert found.good is good
    assert words in found.words


@pytest.mark.parametrize(
    ("dead_time_s", "good", "words"),
    [
        (3.0, True, "acted on after 3.00 s"),
        (20.0, False, "account for 2.55 s"),
        (None, False, "No turn stood on samples"),
    ],
)
def test_pipeline_when_slower_than_its_parts_then_is_bad(dead_time_s, good, words) -> None:
    found = demo._Check.prompt(result(dead_time_s=dead_time_s))
    assert found.good is good
    assert words in found.words
