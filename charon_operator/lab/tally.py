"""A comparison of knobs as texts: a table, sentences, rows of CSV, values for JSON.

Reads: plays and their means. Gives: lines, or plain values. Never: a figure that is not in them.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final

from charon_operator.lab import comparison
from charon_operator.lab.comparison import BOTH, Loss, Mean, Play
from charon_operator.model.policy import Prices

_HEAD: Final = (
    *("load", "knobs", "within the threshold", "longest above", "lost"),
    *("replica-seconds", "core-seconds", "cost"),
)
_COLUMNS: Final = (
    *("load", "seed", "knobs", "attainment", "above_s", "longest_s", "return_s", "peak", "lost"),
    *("replica_seconds", "core_seconds", "cost", "writes", "resizes"),
)
_WORDS: Final = {
    "attainment": ("is within the threshold for", "{:.1%} of the time"),
    "longest_s": ("is above it for at most", "{:.1f} s"),
    "lost": ("loses", "{:.0f} units"),
    "cost": ("costs", "{:.0f}"),
}


def lines(played: Sequence[Play], prices: Prices) -> list[str]:
    """The table of means, what the best single knob is, and what is lost to whom."""
    found = comparison.means(played)
    seeds = len({play.seed for play in played})
    price = f"{prices.replica:g} a replica-second and {prices.core:g} a core-second"
    return [
        f"Means over {seeds} seeds; cost at {price}.",
        "",
        *_table(found),
        "",
        *_verdict(found),
        "",
        *(_said(loss) for loss in comparison.losses(found)),
    ]


def values(played: Sequence[Play], prices: Prices) -> dict[str, Any]:
    """The same as JSON-able values, every play among them."""
    found = comparison.means(played)
    return {
        "prices": {"replica": prices.replica, "core": prices.core},
        "plays": [dict(zip(_COLUMNS, _figures(play), strict=True)) for play in played],
        "means": [dataclasses.asdict(mean) for mean in found],
        "best_alone": dataclasses.asdict(comparison.best_alone(found)),
        "both": dataclasses.asdict(comparison.totals(found)[BOTH]),
        "losses": [dataclasses.asdict(loss) for loss in comparison.losses(found)],
    }


def csv(played: Sequence[Play]) -> Iterator[str]:
    """One row a play; what never came about is empty."""
    yield ",".join(_COLUMNS)
    for play in played:
        yield ",".join(_cell(figure) for figure in _figures(play))


def _figures(play: Play) -> tuple[Any, ...]:
    known = dataclasses.asdict(play.contender.score)
    known |= {"load": play.load, "seed": play.seed, "knobs": play.knobs, "cost": play.cost}
    return tuple(known[name] for name in _COLUMNS)


def _cell(figure: str | float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.4f}".rstrip("0").rstrip(".") if isinstance(figure, float) else str(figure)


def _table(found: Sequence[Mean]) -> list[str]:
    rows = [_HEAD, *(_row(mean) for mean in found)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEAD))]
    return [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _row(mean: Mean) -> tuple[str, ...]:
    return (
        mean.load,
        mean.knobs,
        f"{mean.attainment:.1%}",
        f"{mean.longest_s:.1f} s",
        f"{mean.lost:.0f}",
        f"{mean.replica_seconds:.0f}",
        f"{mean.core_seconds:.0f}",
        f"{mean.cost:.0f}",
    )


def _verdict(found: Sequence[Mean]) -> Iterator[str]:
    best, both = comparison.best_alone(found), comparison.totals(found)[BOTH]
    yield "Over all loads (mean time within, longest above, mean cost):"
    for who, total in ((f"best single knob ({best.knobs})", best), (BOTH, both)):
        figures = f"{total.attainment:.1%}, {total.longest_s:.1f} s, {total.cost:.0f}"
        yield f"{who:<34}{figures}"


def _said(loss: Loss) -> str:
    verb, form = _WORDS[loss.figure]
    mine, other = form.format(loss.both), form.format(loss.alone)
    return f"{loss.load}: both {verb} {mine}, {loss.to}: {other}"
