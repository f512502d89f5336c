"""What a sweep of CPU limits says: rates, delays, the picture.

Reads: steps.csv and samples.csv of a folder. Gives: `Sweep`, words, a PNG. Never: a value that was
not measured: what is derived is derived here, from the two files alone.
"""

import io
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.figure

from tests.benchmarks import table

FOLDER = Path(__file__).parents[2] / "data" / "cpu-limit-sweep"
# What the example's consumer is told a frame costs.
FRAME_CPU_S = 0.014
# After the quota changed, the period that was running is over.
_SETTLE_S = 1.0
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#666666"


@dataclass(frozen=True)
class Step:
    """One move of the limit; times in seconds since the run began."""

    step: int
    from_mcore: int
    to_mcore: int
    requested_s: float
    answered_s: float
    quota_changed_s: float
    status_told_s: float
    restarts: int
    load1: float


@dataclass(frozen=True)
class Sample:
    """The consumer at one moment, in seconds since the run began."""

    t_s: float
    quota_us: int
    cpu_s: float
    frames_done: int
    frames_waiting: int


@dataclass(frozen=True)
class Sweep:
    """Both files."""

    steps: list[Step]
    samples: list[Sample]


@dataclass(frozen=True)
class Held:
    """What a limit was good for while it was held."""

    step: Step
    frames_per_s: float
    cores: float


def load(folder: Path) -> Sweep:
    steps = table.read(folder / "steps.csv", Step)
    return Sweep(list(steps), list(table.read(folder / "samples.csv", Sample)))


def between(sweep: Sweep, start_s: float, end_s: float) -> list[Sample]:
    return [sample for sample in sweep.samples if start_s <= sample.t_s <= end_s]


def held(sweep: Sweep) -> list[Held]:
    """Rates at each limit, from when the limit had settled to when the next was asked for."""
    found = []
    ends = [*(step.requested_s for step in sweep.steps[1:]), sweep.samples[-1].t_s]
    for step, end_s in zip(sweep.steps, ends, strict=True):
        inside = between(sweep, step.quota_changed_s + _SETTLE_S, end_s)
        first, last = inside[0], inside[-1]
        took_s = last.t_s - first.t_s
        frames = (last.frames_done - first.frames_done) / took_s
        found.append(Held(step, frames, (last.cpu_s - first.cpu_s) / took_s))
    return found


def words(sweep: Sweep) -> list[str]:
    """What the sweep says, line by line."""
    steps, found = sweep.steps, held(sweep)
    loads = [step.load1 for step in steps]
    lines = [
        f"{len(steps)} limits, {sum(step.restarts for step in steps)} restarts, "
        f"load average {min(loads):.1f} to {max(loads):.1f}"
    ]
    for what in ("answered_s", "quota_changed_s", "status_told_s"):
        delays = [getattr(step, what) - step.requested_s for step in steps]
        median, most = statistics.median(delays), max(delays)
        lines.append(f"{what}: {median:.3f} after the request in the median, {most:.3f} at most")
    lines.append("mcore  frames/s      cores  (each time it was held)")
    for mcore in sorted({step.to_mcore for step in steps}):
        at = [one for one in found if one.step.to_mcore == mcore]
        rates = " ".join(f"{one.frames_per_s:.1f}" for one in at)
        cores = " ".join(f"{one.cores:.3f}" for one in at)
        lines.append(f"{mcore:5}  {rates:12}  {cores}")
    return lines


def png(sweep: Sweep) -> bytes:
    """The whole run, rate against limit, and what follows the two large moves."""
    figure = matplotlib.figure.Figure(figsize=(11, 8), dpi=110, layout="constrained")
    whole, low = figure.subfigures(2, 1, height_ratios=[1, 1.2])
    line, response = low.subplots(1, 2)
    panels = [whole.subplots(), line, response]
    figure.suptitle("A CPU limit moved in place, and the frames it lets through", x=0.01, ha="left")
    _whole(panels[0], sweep)
    _line(line, held(sweep))
    _response(response, sweep)
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=9)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _whole(panel: Any, sweep: Sweep) -> None:
    every = sweep.samples[::10]
    pairs = list(itertools.pairwise(every))
    rates = [(b.frames_done - a.frames_done) / (b.t_s - a.t_s) for a, b in pairs]
    granted = [one.quota_us / 1e5 / FRAME_CPU_S for one in every]
    panel.step(
        [b.t_s for b in every], granted, where="post", color=_GREY, label="what the quota pays for"
    )
    panel.plot([b.t_s for _, b in pairs], rates, color=_BLUE, linewidth=1.2, label="processed")
    panel.set_ylabel("frames/s")
    panel.set_xlabel("seconds")


def _line(panel: Any, found: Sequence[Held]) -> None:
    for way, marker, colour in (("up", "^", _BLUE), ("down", "v", _ORANGE)):
        at = [one for one in found if (one.step.to_mcore > one.step.from_mcore) == (way == "up")]
        points = ([one.step.to_mcore for one in at], [one.frames_per_s for one in at])
        panel.plot(*points, linestyle="", marker=marker, color=colour, label=f"moved {way}")
    got = ([1000 * one.cores for one in found], [one.frames_per_s for one in found])
    label = "against the CPU it got"
    panel.plot(*got, linestyle="", marker="o", markerfacecolor="none", color=_GREY, label=label)
    most = max(one.step.to_mcore for one in found)
    panel.plot(
        [0, most],
        [0, most / 1000 / FRAME_CPU_S],
        color=_GREY,
        linewidth=1,
        label="14 ms of CPU a frame",
    )
    panel.set_xlabel("CPU limit, mcore")
    panel.set_ylabel("frames/s")


def _response(panel: Any, sweep: Sweep) -> None:
    """Cores used around the moves that are larger than a hundred."""
    for step in sweep.steps:
        if abs(step.to_mcore - step.from_mcore) <= 100:
            continue
        colour = _BLUE if step.to_mcore > step.from_mcore else _ORANGE
        near = between(sweep, step.requested_s - 1.5, step.requested_s + 4)
        pairs = list(itertools.pairwise(near))
        seconds = [b.t_s - step.requested_s for _, b in pairs]
        cores = [(b.cpu_s - a.cpu_s) / (b.t_s - a.t_s) for a, b in pairs]
        moved = f"{step.from_mcore} to {step.to_mcore} mcore"
        panel.plot(seconds, cores, color=colour, marker=".", linewidth=1, label=moved)
        changed_s = step.quota_changed_s - step.requested_s
        panel.axvline(changed_s, color=colour, linewidth=1, linestyle=(0, (4, 3)))
    panel.set_xlabel("seconds since the request; dashed: the quota changed")
    panel.set_ylabel("cores used")
