"""The scorecard: a contest's figures as a table of texts.

Reads: a Contest. Gives: rows of text, or plain values for JSON. Never: a picture.
"""

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from charon_operator.lab.contest import NEAR, OPTIMUM, Contender, Contest
from charon_operator.lab.score import Score

_FIGURES: tuple[tuple[str, Callable[[Score], str]], ...] = (
    ("time within the threshold", lambda s: f"{100 * s.attainment:.1f} %"),
    ("peak queue", lambda s: f"{s.peak:.0f}"),
    ("above the threshold", lambda s: f"{s.above_s:.1f} s"),
    ("back for good after", lambda s: _seconds(s.return_s)),
    ("replica-seconds", lambda s: f"{s.replica_seconds:.0f}"),
    ("core-seconds", lambda s: "unknown" if s.core_seconds is None else f"{s.core_seconds:.0f}"),
    ("lost", lambda s: f"{s.lost}"),
    ("writes (reversals)", lambda s: f"{s.writes} ({s.reversals})"),
    ("metric to patch", lambda s: _seconds(s.latency_s, 2)),
    ("pipeline's dead time", lambda s: _seconds(s.dead_time_s, 2)),
)
_OF_A_CONTROLLER = {"writes (reversals)", "metric to patch"}


def table(contest: Contest) -> list[list[str]]:
    """Rows of the scorecard; the first names the contenders."""
    rows = [["", *(contender.name for contender in contest.contenders)]]
    for name, text in _FIGURES:
        rows.append([name, *(_cell(contest, who, name, text) for who in contest.contenders)])
    if contest.yardstick:
        ratios = [contest.ratio(who) for who in contest.contenders]
        rows.append(["times the optimum's", *(_ratio(ratio) for ratio in ratios)])
    return rows


def yardstick(contest: Contest) -> str:
    """What the optimum is here, in a sentence or two."""
    best = contest.optimum
    if best is None:
        return "There is no optimum beside it: it is defined for one step from nothing."
    text = (
        "The optimum is the best of a family of schedules that know the plant and every pod's "
        f"luck and no future: from {best.dead_time_s:.2f} s after the step on {best.high} "
        f"replicas, {best.low} once the queue is back, the minimum once the end was seen."
    )
    if contest.sooner is None:
        return text
    return f"{text} {contest.sooner.name} did better, so its own run is the optimum here."


def _cell(contest: Contest, who: Contender, name: str, text: Callable[[Score], str]) -> str:
    if who.name != OPTIMUM or contest.optimum is None:
        return text(who.score)
    if name in _OF_A_CONTROLLER:
        return "–"
    if name == "pipeline's dead time":
        return _seconds(contest.optimum.dead_time_s, 2)
    return text(who.score)


def lines(contest: Contest) -> list[str]:
    """The scorecard as lines of plain text."""
    rows = table(contest)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def values(contest: Contest) -> dict[str, Any]:
    """The scorecard as JSON-able values.

    A ratio is null where there was no return or no optimum; `by` says whose run the optimum is.
    """
    found: dict[str, Any] = {"seed": contest.seed, "threshold": contest.threshold}
    for contender in contest.contenders:
        ratio = contest.ratio(contender)
        found[contender.name] = {
            **dataclasses.asdict(contender.score),
            "ratio": None if ratio is None or math.isinf(ratio) else ratio,
        }
    if contest.optimum is None:
        return {**found, OPTIMUM: None}
    found[OPTIMUM] |= {
        "by": contest.sooner.name if contest.sooner else OPTIMUM,
        "high": contest.optimum.high,
        "low": contest.optimum.low,
        "dead_time_s": contest.optimum.dead_time_s,
    }
    return found


def _seconds(value: float | None, digits: int = 1) -> str:
    return "never" if value is None else f"{value:.{digits}f} s"


def _ratio(ratio: float | None) -> str:
    return "never" if ratio is None or math.isinf(ratio) else f"{ratio:.2f}"


def over_seeds(contests: Sequence[Contest]) -> list[str]:
    """Median and worst over several seeds, a line for each contender."""
    found = [f"Over {len(contests)} seeds, median and worst:"]
    for at, contender in enumerate(contests[0].contenders):
        scores = [contest.contenders[at].score for contest in contests]
        cost = [score.replica_seconds for score in scores]
        peak = [score.peak for score in scores]
        found.append(
            f"{contender.name:<10} {_nearness(contests, at)}"
            f"replica-seconds {statistics.median(cost):.0f}, {max(cost):.0f}; "
            f"peak queue {statistics.median(peak):.0f}, {max(peak):.0f}"
        )
    return found


def _nearness(contests: Sequence[Contest], at: int) -> str:
    """How the contenders at one place compare with the optimum; nothing without one."""
    whole = [contest.ratio(contest.contenders[at]) for contest in contests]
    ratios = [ratio for ratio in whole if ratio is not None]
    if not ratios:
        return ""
    near = sum(contest.near(contest.contenders[at]) for contest in contests)
    return (
        f"times the optimum's {_ratio(statistics.median(ratios))}, {_ratio(max(ratios))}, "
        f"at most {NEAR} in {near} of {len(contests)}; "
    )
