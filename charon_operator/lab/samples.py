"""A small metric store: scraped samples, visible a while later, stale when their series is gone.

Reads: metric samples of a plant. Gives: what a query at some time can see. Never: a network. A fake
of Mimir and its agent: the lab asks thousands of times a second, which no server would bear.
"""

import bisect
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

LOOKBACK_S: Final = 300.0
Labels = Mapping[str, str]


@dataclasses.dataclass(slots=True)
class Series:
    """Samples of one series, ascending in time; a NaN marks that the series ended.

    Attributes:
        labels: of the series, `__name__` among them.
        times_s: when they were scraped.
        visible_s: since when they can be asked for.
        values: as scraped.
    """

    labels: Labels
    times_s: list[float] = dataclasses.field(default_factory=list)
    visible_s: list[float] = dataclasses.field(default_factory=list)
    values: list[float] = dataclasses.field(default_factory=list)

    def window(self, start_s: float, end_s: float, asked_s: float) -> list[tuple[float, float]]:
        """Times and values in (start, end] that are visible at `asked_s`, markers left out."""
        first = bisect.bisect_right(self.times_s, start_s)
        last = min(
            bisect.bisect_right(self.times_s, end_s), bisect.bisect_right(self.visible_s, asked_s)
        )
        pairs = zip(self.times_s[first:last], self.values[first:last], strict=True)
        return [(time_s, value) for time_s, value in pairs if not math.isnan(value)]

    def latest(self, end_s: float, asked_s: float) -> tuple[float, float] | None:
        """The newest visible sample, or None: too old, or its series had ended."""
        last = min(
            bisect.bisect_right(self.times_s, end_s), bisect.bisect_right(self.visible_s, asked_s)
        )
        if last == 0 or self.times_s[last - 1] <= end_s - LOOKBACK_S:
            return None
        value = self.values[last - 1]
        return None if math.isnan(value) else (self.times_s[last - 1], value)


class Store:
    """All series. Labels that every sample carries are given once.

    Args:
        common: labels put on every sample (namespace, app).
        send_s: seconds from a scrape until its samples can be asked for.
    """

    def __init__(self, common: Labels, send_s: float) -> None:
        self._common = dict(common)
        self._send_s = send_s
        self._series: dict[tuple[tuple[str, str], ...], Series] = {}
        self._alive: set[tuple[tuple[str, str], ...]] = set()

    def scrape(self, now_s: float, metrics: Sequence[tuple[str, Labels, float]]) -> None:
        """Keep one scrape; series that were in the last one and not in this one end."""
        seen = set()
        for name, labels, value in metrics:
            whole = {"__name__": name, **self._common, **labels}
            key = tuple(sorted(whole.items()))
            seen.add(key)
            self._keep(self._series.setdefault(key, Series(whole)), now_s, value)
        for key in self._alive - seen:
            self._keep(self._series[key], now_s, math.nan)
        self._alive = seen

    def _keep(self, series: Series, now_s: float, value: float) -> None:
        series.times_s.append(now_s)
        series.visible_s.append(now_s + self._send_s)
        series.values.append(value)

    def matching(self, wanted: Callable[[Labels], bool]) -> Iterator[Series]:
        """The series whose labels please."""
        return (series for series in self._series.values() if wanted(series.labels))
