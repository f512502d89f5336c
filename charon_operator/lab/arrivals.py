"""What comes in: arrival rates over time.

Reads: a step's figures, or a CSV file. Gives: `Arrivals`, a piecewise constant rate. Never: noise.
"""

import bisect
import csv
import dataclasses
import itertools
import math
import pathlib

from charon_operator.errors import SimulationError

STEP_FPS = 1000.0
STEP_S = 60.0
QUIET_S = 5.0
_COLUMNS = ("t_s", "arrivals_per_s")
# More is not what a simulation of single frames ends with today.
_MOST_PER_S = 1e6
_LONGEST_S = 7 * 86400.0


@dataclasses.dataclass(frozen=True, slots=True)
class Arrivals:
    """A piecewise constant rate.

    Attributes:
        times_s: starts of the pieces, ascending; the rate is 0 before the first.
        rates: units a second from each of them on.
        end_s: the rate is 0 from here on.
    """

    times_s: tuple[float, ...]
    rates: tuple[float, ...]
    end_s: float

    def rate(self, time_s: float) -> float:
        """Arrivals a second at a time since the beginning of the run."""
        index = bisect.bisect_right(self.times_s, time_s) - 1
        return self.rates[index] if index >= 0 and time_s < self.end_s else 0.0

    @property
    def first_s(self) -> float:
        """When something first arrives; infinity if nothing ever does."""
        busy = (time_s for time_s, rate in zip(self.times_s, self.rates, strict=True) if rate > 0)
        return next(busy, math.inf)

    @property
    def silent_s(self) -> float:
        """When nothing arrives any more."""
        ends = [*self.times_s[1:], self.end_s]
        busy = [end_s for end_s, rate in zip(ends, self.rates, strict=True) if rate > 0]
        return max(busy, default=self.times_s[0])

    @property
    def is_step(self) -> bool:
        """Whether it is one rate for one while, and nothing before and after."""
        busy = [at for at, rate in enumerate(self.rates) if rate > 0]
        whole = bool(busy) and len(busy) == busy[-1] - busy[0] + 1
        return whole and len({self.rates[at] for at in busy}) == 1

    @property
    def total(self) -> float:
        """Units that arrive altogether."""
        ends = [*self.times_s[1:], self.end_s]
        pieces = zip(self.times_s, ends, self.rates, strict=True)
        return sum((end_s - start_s) * rate for start_s, end_s, rate in pieces)


def step(rate: float = STEP_FPS, length_s: float = STEP_S, *, quiet_s: float = QUIET_S) -> Arrivals:
    """A step after a quiet time: as in the 2024 runs, 1000 frames/s for 60 s."""
    return Arrivals((0.0, quiet_s), (0.0, rate), quiet_s + length_s)


def read_csv(file: pathlib.Path) -> Arrivals:
    """Read columns `t_s` and `arrivals_per_s`, or the first two columns of a file.

    A row's rate holds until the next row; the last one as long as the one before it.

    Raises:
        SimulationError: naming file, line and what is wrong.
    """
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            reader = csv.reader(lines)
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError) as error:
        raise SimulationError(f"{file}: cannot be read: {error}") from None
    except csv.Error as error:
        raise SimulationError(f"{file}:{reader.line_num}: is not CSV: {error}") from None
    if not rows:
        raise SimulationError(f"{file}: is empty; two columns are needed: {', '.join(_COLUMNS)}")
    head = [name.strip() for name in rows[0][1]]
    columns = [head.index(name) if name in head else place for place, name in enumerate(_COLUMNS)]
    body = rows if _is_number(head[0]) else rows[1:]
    points = [_point(file, line, row, columns) for line, row in body]
    return _joined(file, points)


def _joined(file: pathlib.Path, points: list[tuple[float, float]]) -> Arrivals:
    times_s = tuple(time_s for time_s, _ in points)
    if len(points) < 2:
        raise SimulationError(f"{file}: needs at least two rows of numbers")
    if any(later <= earlier for earlier, later in itertools.pairwise(times_s)):
        raise SimulationError(f"{file}: times in the first column must ascend")
    rates = tuple(rate for _, rate in points)
    if not any(rates):
        raise SimulationError(f"{file}: nothing ever arrives; give one row a rate above 0")
    return Arrivals(times_s, rates, 2 * times_s[-1] - times_s[-2])


def _point(
    file: pathlib.Path, line: int, row: list[str], columns: list[int]
) -> tuple[float, float]:
    try:
        time_s, rate = (float(row[column]) for column in columns)
    except (ValueError, IndexError):
        raise SimulationError(
            f"{file}:{line}: needs two numbers, time in s and arrivals a second: {','.join(row)}"
        ) from None
    if not (0 <= time_s <= _LONGEST_S and 0 <= rate <= _MOST_PER_S):
        raise SimulationError(
            f"{file}:{line}: time must be 0 to {_LONGEST_S:.0f} s, and arrivals not negative and "
            f"at most {_MOST_PER_S:.0f} a second: {','.join(row)}"
        )
    return time_s, rate


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
