"""Both knobs on the real node, in one picture: what came, what pods could serve, who moved what.

    python -m tests.node.two_knobs run
    python -m tests.node.two_knobs plot

`run` has tests/node/test_two_knobs.py keep what it recorded (Linux, root); `plot` draws it and
prints what it says. Both use `data/two-knobs-node` unless --folder names another; its README tells
the columns.
"""

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure

from tests.node import recording
from tests.node.journal import Move
from tests.node.recording import Granted, Run
from tests.node.stream import objective

FOLDER = Path(__file__).parents[2] / "data" / "two-knobs-node"
# Names the folder that the test writes to.
RECORD_IN = "CHARON_RECORD_IN"
# What a millicore of a consumer serves, frames a second; the test gives the app such a curve.
FRAMES_A_MCORE = 0.1
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#666666"
_OF_KNOB = {"Resources": (_BLUE, "m CPU a pod"), "Replicas": (_ORANGE, " replicas")}
_PODS = ("#9ecae1", "#c7e9c0", "#fdd0a2", "#dadaeb")
# Looks are half a second apart, the pods of one look milliseconds.
_LOOK_S = 0.25


def looks(run: Run) -> list[list[Granted]]:
    """The pods of each moment."""
    found: list[list[Granted]] = []
    for one in run.pods:
        if found and one.time_s - found[-1][-1].time_s < _LOOK_S:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def words(run: Run) -> list[str]:
    """What the run says, line by line."""
    queued = [turn.queued for turn in run.turns if turn.queued is not None]
    restarts = max(one.restarts for one in run.pods)
    pods = max(len(look) for look in looks(run))
    return [
        f"{run.turns[-1].time_s:.0f} s, {len(run.turns)} turns, at most {pods} pods, "
        f"{restarts} restarts, at most {max(queued):.0f} frames queued",
        *(f"{number:2}  {_told(move)}" for number, move in enumerate(run.moves, 1)),
    ]


def _told(move: Move) -> str:
    _, unit = _OF_KNOB[move.knob]
    why = move.message.partition(": ")[2]
    return f"{move.time_s:5.1f} s  {move.start} to {move.to}{unit}: {why}"


def png(run: Run) -> bytes:
    """What came and what could be served, the queue, the pods' CPU; the moves across, in words."""
    figure = matplotlib.figure.Figure(figsize=(11, 11.5), dpi=110, layout="constrained")
    panels = figure.subplots(4, 1, height_ratios=[1.3, 1, 1.3, 1.5])
    title = (
        "A load on a real node: CPU of the running pod first, then replicas, then both given back"
    )
    figure.suptitle(title, x=0.01, ha="left")
    for draw, panel in zip((_flow, _queue, _granted), panels, strict=False):
        draw(panel, run)
        _across(panel, run)
        panel.sharex(panels[0])
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(framealpha=0.9, edgecolor="none", fontsize=9, loc="upper left")
    _numbers(panels[0], run)
    panels[2].set_xlabel("seconds")
    _explained(panels[3], run)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _flow(panel: Any, run: Run) -> None:
    times = [turn.time_s for turn in run.turns]
    sent = [turn.sent_per_s for turn in run.turns]
    panel.step(times, sent, where="post", color=_GREY, linestyle="--", label="sent")
    seen = [_gap(turn.arrivals_per_s) for turn in run.turns]
    panel.plot(times, seen, color="black", label="arrivals, as Mimir told them")
    served = [_mcore(look) * FRAMES_A_MCORE for look in looks(run)]
    at = [look[0].time_s for look in looks(run)]
    panel.step(at, served, where="post", color="#009E73", label="what ready pods can serve")
    panel.set_ylabel("frames/s")


def _mcore(look: Sequence[Granted]) -> int:
    return sum(one.mcore for one in look if one.ready)


def _gap(value: float | None) -> float:
    """A line is broken where there was nothing."""
    return float("nan") if value is None else value


def _queue(panel: Any, run: Run) -> None:
    queued = [_gap(turn.queued) for turn in run.turns]
    panel.plot([t.time_s for t in run.turns], queued, color="black", label="queued, as Mimir told")
    held_to = objective()
    threshold, aim = (int(text) for text in (held_to["threshold"]["value"], held_to["setPoint"]))
    for value, style, what in ((threshold, "-", "threshold"), (aim, ":", "aimed at")):
        panel.axhline(value, color=_GREY, linewidth=1, linestyle=style, label=f"{what}: {value}")
    panel.set_ylabel("frames")
    panel.set_ylim(0, 1.1 * max(threshold, *(turn.queued or 0 for turn in run.turns)))


def _granted(panel: Any, run: Run) -> None:
    """A layer a pod: as high as its quota, as long as it is there."""
    found = looks(run)
    names = list(dict.fromkeys(one.pod for one in run.pods))
    layers = [[_of(name, look) for look in found] for name in names]
    labels = [f"pod {number}" for number in range(1, len(names) + 1)]
    panel.stackplot(
        [look[0].time_s for look in found], layers, step="post", labels=labels,
        colors=_PODS, edgecolor="white", linewidth=1,
    )  # fmt: skip
    panel.set_ylabel("CPU quotas, mcore")


def _of(name: str, look: Sequence[Granted]) -> int:
    return sum(one.mcore for one in look if one.pod == name)


def _across(panel: Any, run: Run) -> None:
    for move in run.moves:
        colour, _ = _OF_KNOB[move.knob]
        panel.axvline(move.time_s, color=colour, linewidth=1, alpha=0.5)


def _numbers(panel: Any, run: Run) -> None:
    """Above the lines; moves of one moment share a place."""
    places: list[list[int]] = []
    for index, move in enumerate(run.moves):
        near = places and move.time_s - run.moves[places[-1][-1]].time_s < run.turns[-1].time_s / 45
        if near:
            places[-1].append(index)
        else:
            places.append([index])
    for place in places:
        text = ",".join(str(index + 1) for index in place)
        colour, _ = _OF_KNOB[run.moves[place[0]].knob]
        panel.text(
            run.moves[place[0]].time_s, 1.02, text, color=colour, fontsize=9, ha="center",
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip


def _explained(panel: Any, run: Run) -> None:
    panel.set_axis_off()
    for index, (move, line) in enumerate(zip(run.moves, words(run)[1:], strict=True)):
        colour, _ = _OF_KNOB[move.knob]
        height = 1 - (index + 0.5) / max(len(run.moves), 10)
        panel.text(0, height, line, color=colour, fontsize=8.5, va="center", family="monospace")


def _record(folder: Path) -> None:
    test = Path(__file__).with_name("test_two_knobs.py")
    command = [sys.executable, "-m", "pytest", "-m", "node", "-p", "no:cacheprovider", str(test)]
    environment = {**os.environ, RECORD_IN: str(folder.absolute())}
    if code := subprocess.run(command, env=environment, check=False).returncode:
        sys.exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "plot"), help="record, or draw what was recorded")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the files")
    chosen = parser.parse_args()
    if chosen.what == "run":
        _record(chosen.folder)
    run = recording.load(chosen.folder)
    (chosen.folder / "run.png").write_bytes(png(run))
    print("\n".join(words(run)))  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
