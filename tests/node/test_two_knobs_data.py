"""The run of both knobs that is kept: what its README says, and what its picture is drawn from."""

import itertools
import re

import pytest

from charon_operator.names import Reason
from tests.benchmarks import table
from tests.node import recording, two_knobs


@pytest.fixture(scope="module")
def run() -> recording.Run:
    return recording.load(two_knobs.FOLDER)


def test_cpu_is_raised_before_replicas_and_both_are_given_back_without_a_restart(
    run: recording.Run,
) -> None:
    raised = [move.knob for move in run.moves if move.reason == Reason.RAISED]
    assert raised[0] == "Resources"
    assert "Replicas" in raised
    last = run.moves[-1]
    assert (last.knob, last.reason) == ("Resources", Reason.LOWERED)
    assert {one.restarts for one in run.pods} == {0}
    assert len(two_knobs.looks(run)[-1]) == 1


def test_every_resize_that_the_journal_tells_is_seen_in_the_cgroups(run: recording.Run) -> None:
    sizes = [move for move in run.moves if move.knob == "Resources"]
    ends = [*(move.time_s for move in sizes[1:]), run.pods[-1].time_s + 1]
    for move, end_s in zip(sizes, ends, strict=True):
        seen = {one.mcore for one in run.pods if move.time_s < one.time_s <= end_s}
        assert move.to in seen, move


def test_times_ascend(run: recording.Run) -> None:
    for rows in (run.turns, run.pods, run.moves):
        assert all(a.time_s <= b.time_s for a, b in itertools.pairwise(rows))


def test_readme_names_every_column_and_quotes_what_the_command_says(run: recording.Run) -> None:
    text = (two_knobs.FOLDER / "README.md").read_text()
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert named == [column for kind in recording.FILES.values() for column in table.columns(kind)]
    assert "\n".join(f"    {line}" for line in two_knobs.words(run)) in text


def test_picture_is_drawn(run: recording.Run) -> None:
    assert two_knobs.png(run).startswith(b"\x89PNG")
