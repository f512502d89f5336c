"""The picture of a contest: arrivals, queue with threshold, replicas, decisions marked.

Reads: a Contest. Gives: a PNG. Never: a window.
"""

import io
import itertools
from typing import Any, Final

import matplotlib.figure
import matplotlib.ticker

from charon_operator.lab.contest import Contender, Contest

# Colours that stay apart for colour-blind readers (Okabe and Ito).
_BLUE: Final = "#0072B2"
_ORANGE: Final = "#D55E00"
_GREEN: Final = "#009E73"
_GREY: Final = "#666666"
_MARKED: Final = 12


def png(contest: Contest, title: str) -> bytes:
    """Draw it."""
    figure = matplotlib.figure.Figure(figsize=(11, 8.5), dpi=110, layout="constrained")
    arrivals, queue, replicas = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [1, 2.6, 2.2]}
    )
    figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
    _arrivals(arrivals, contest)
    _queue(queue, contest)
    _replicas(replicas, contest)
    replicas.set_xlabel("seconds since the step")
    seconds = contest.subject.trace.seconds()
    replicas.set_xlim(max(seconds[0], -8.0), seconds[-1])
    for panel in (arrivals, queue, replicas):
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _arrivals(panel: Any, contest: Contest) -> None:
    trace = contest.subject.trace
    panel.fill_between(trace.seconds(), trace.arrivals, step="post", color=_GREY, alpha=0.35)
    panel.set_ylabel(f"arrivals\n{contest.unit}/s")
    panel.set_ylim(bottom=0)


def _queue(panel: Any, contest: Contest) -> None:
    # Without an optimum there is one style more than contenders.
    for contender, style in zip(contest.contenders, _styles(), strict=False):
        panel.plot(
            contender.trace.seconds(), contender.trace.queue, label=_said(contender), **style
        )
    panel.axhline(contest.threshold, color="black", linewidth=1, linestyle=(0, (4, 3)))
    panel.annotate(
        f"threshold {contest.threshold:g}",
        (1.0, contest.threshold),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        fontsize=9,
    )
    panel.set_ylabel(f"queue, {contest.unit}")
    panel.set_ylim(bottom=0)
    panel.legend(loc="upper right", frameon=False, fontsize=10)


def _said(contender: Contender) -> str:
    back_s = contender.score.return_s
    back = "never back" if back_s is None else f"back after {back_s:.0f} s"
    return f"{contender.name}: {back}"


def _replicas(panel: Any, contest: Contest) -> None:
    subject, *others = contest.contenders
    main, *styles = _styles()
    trace = subject.trace
    panel.step(trace.seconds(), trace.wanted, where="post", label=f"{subject.name}: wanted", **main)
    panel.fill_between(
        trace.seconds(), trace.ready, step="post", color=_BLUE, alpha=0.22, label="ready"
    )
    for other, style in zip(others, styles, strict=False):
        panel.step(
            other.trace.seconds(),
            other.trace.wanted,
            where="post",
            label=f"{other.name}: wanted",
            **style,
        )
    _decisions(panel, subject)
    panel.plot([], [], color=_BLUE, linestyle="", marker="^", label="written (▲ up, ▼ down)")
    panel.set_ylabel("replicas")
    best = contest.yardstick or subject
    most = max(itertools.chain(trace.wanted, best.trace.wanted))
    panel.set_ylim(0, 1.28 * most)
    panel.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    panel.legend(loc="upper right", frameon=False, fontsize=10, ncols=5)


def _decisions(panel: Any, subject: Contender) -> None:
    """A triangle at every write, its numbers beside the first ones."""
    last_s = -99.0
    for number, item in enumerate(subject.story.done):
        at_s = item.time_s - subject.trace.step_s
        up = item.to > item.start
        panel.plot(at_s, item.to, marker="^" if up else "v", color=_BLUE, markersize=7)
        if number < _MARKED and at_s - last_s > 3.0:
            panel.annotate(
                f"{item.start}→{item.to}",
                (at_s, item.to),
                xytext=(6, 6),
                textcoords="offset points",
                fontsize=9,
                color=_BLUE,
            )
            last_s = at_s


def _styles() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    return (
        {"color": _BLUE, "linewidth": 2.4},
        {"color": _ORANGE, "linewidth": 1.5, "linestyle": (0, (5, 2))},
        {"color": _GREEN, "linewidth": 1.5, "linestyle": (0, (1, 1.2))},
    )
