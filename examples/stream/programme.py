"""When frames are due: a rate, a step, or a CSV file of rates.

Reads: the source's arguments. Gives: pieces of constant rate, the times at which frames are due.
Never: chance; what a piece leaves over of a frame goes on in the next.
"""

import argparse
import csv
import itertools
import math
import pathlib
from collections.abc import Iterator

MOST_PER_S = 1e5
_COLUMNS = ("t_s", "arrivals_per_s")

Piece = tuple[float, float, float]  # from, to (s), frames a second


def read_csv(text: str) -> list[Piece]:
    """An argument that names a CSV file: columns `t_s` and `arrivals_per_s`, or the first two.

    A rate holds until the next row, the last one as long as the one before it: the files are
    those that `charon lab plant --arrivals` reads.
    """
    try:
        points = _points(pathlib.Path(text).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error}") from None
    except (ValueError, IndexError):
        raise argparse.ArgumentTypeError(f"{text}: a row needs seconds,frames_per_second") from None
    if len(points) < 2:
        raise argparse.ArgumentTypeError(f"{text} needs at least two rows of numbers")
    if not all(earlier[0] < later[0] for earlier, later in itertools.pairwise(points)):
        raise argparse.ArgumentTypeError(f"{text}: seconds in the first column must ascend")
    if not all(0 <= at_s < math.inf and 0 <= rate <= MOST_PER_S for at_s, rate in points):
        raise argparse.ArgumentTypeError(
            f"{text}: seconds must not be negative, rates from 0 to {MOST_PER_S:g} a second"
        )
    end_s = 2 * points[-1][0] - points[-2][0]
    ends = [*(time_s for time_s, _ in points[1:]), end_s]
    return [(start, end, rate) for (start, rate), end in zip(points, ends, strict=True)]


def _points(text: str) -> list[tuple[float, float]]:
    rows = [row for row in csv.reader(text.splitlines()) if row]
    head = [name.strip() for name in rows[0]] if rows else []
    places = [head.index(name) if name in head else at for at, name in enumerate(_COLUMNS)]
    body = rows if head and _is_number(head[0]) else rows[1:]
    return [(float(row[places[0]]), float(row[places[1]])) for row in body]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def step(text: str) -> Piece:
    """An argument RATE:START:SECONDS."""
    try:
        rate, start_s, length_s = (float(part) for part in text.split(":"))
    except ValueError:
        rate = start_s = length_s = math.nan
    if not (0 <= rate <= MOST_PER_S and 0 <= start_s < math.inf and 0 < length_s < math.inf):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not RATE:START:SECONDS, as 60:30:120 is (60/s from 30 s on, 120 s long)"
        )
    return start_s, start_s + length_s, rate


def pieces(options: argparse.Namespace) -> list[Piece]:
    """What is to be sent, piece by piece."""
    if options.arrivals:
        return list(options.arrivals)
    if not options.step:
        return [(0.0, math.inf, options.rate)]
    start_s, end_s, _ = options.step
    return [(0.0, start_s, options.rate), options.step, (end_s, math.inf, options.rate)]


def due_times(wanted: list[Piece]) -> Iterator[float]:
    """When each frame is due, in seconds from the beginning."""
    due = 0.0
    for start_s, end_s, rate in wanted:
        for count in itertools.count(1) if rate else ():
            at_s = start_s + (count - due) / rate
            if at_s > end_s:
                due += (end_s - start_s) * rate - (count - 1)
                break
            yield at_s
