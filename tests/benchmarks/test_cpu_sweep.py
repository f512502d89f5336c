"""The sweep of CPU limits: the data that are kept are what their README says, and can be drawn."""

import re

import pytest

from tests.benchmarks import cpu_sweep, table
from tests.benchmarks import cpu_sweep_report as report


@pytest.fixture(scope="module")
def sweep() -> report.Sweep:
    return report.load(report.FOLDER)


def test_steps_are_those_of_the_sweep_and_none_restarted_the_container(
    sweep: report.Sweep,
) -> None:
    moved = [sweep.steps[0].from_mcore, *(step.to_mcore for step in sweep.steps)]
    assert moved == cpu_sweep.LIMITS_MCORE
    assert {step.restarts for step in sweep.steps} == {0}
    for step in sweep.steps:
        assert step.requested_s <= step.answered_s <= step.status_told_s
        assert step.requested_s <= step.quota_changed_s <= step.status_told_s


def test_samples_ascend_and_frames_always_waited(sweep: report.Sweep) -> None:
    for earlier, later in zip(sweep.samples, sweep.samples[1:], strict=False):
        assert earlier.t_s < later.t_s
        assert earlier.cpu_s <= later.cpu_s
        assert earlier.frames_done <= later.frames_done
    assert min(sample.frames_waiting for sample in sweep.samples) > 0


def test_samples_show_the_quota_that_the_steps_tell(sweep: report.Sweep) -> None:
    for one in report.held(sweep):
        inside = report.between(sweep, one.step.quota_changed_s, one.step.status_told_s)
        assert {sample.quota_us for sample in inside[1:]} <= {one.step.to_mcore * 100}
        # It never gets more than it is granted, but for what a period's end lets slip.
        assert one.cores < one.step.to_mcore / 1000 * 1.1


def test_readme_names_every_column_and_quotes_what_the_command_says(sweep: report.Sweep) -> None:
    text = (report.FOLDER / "README.md").read_text()
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert named == [*table.columns(report.Step), *table.columns(report.Sample)]
    assert "\n".join(f"    {line}".rstrip() for line in report.words(sweep)) in text


def test_picture_is_drawn(sweep: report.Sweep) -> None:
    assert report.png(sweep).startswith(b"\x89PNG")
