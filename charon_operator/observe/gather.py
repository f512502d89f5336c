"""Asks the metric store and judges its answers: readings with an age, or the reason for none.

Reads: compiled queries and a MetricSource. Gives: `Reading | Missing` per indicator,
`Attainment` per objective. Never: zero for nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from charon_operator import settings
from charon_operator.model.reading import Attainment, Readings
from charon_operator.model.workload import Key
from charon_operator.observe.queries import AppQueries
from charon_operator.ports import MetricSource


@dataclass(frozen=True, slots=True)
class Ask:
    """What to read for one app; `ready_pods` is None where the workload is not known."""

    queries: AppQueries
    ready_pods: int | None


@dataclass(slots=True)
class Counters:
    """Running totals since the start, for metrics."""

    queries: int = 0
    requests: int = 0
    merged: int = 0


class Gatherer:
    """Turns asks into readings, a few requests for the whole fleet."""

    def __init__(self, source: MetricSource, mimir: settings.Mimir) -> None:
        self._source = source
        self._mimir = mimir
        self.counters = Counters()

    async def readings(
        self, asks: Sequence[Ask], now_s: float, timeout_s: float
    ) -> Mapping[Key, Readings]:
        """Read every indicator of every ask as of `now_s`."""
        return {}

    async def attainments(
        self, asks: Sequence[Ask], now_s: float, timeout_s: float
    ) -> Mapping[Key, Mapping[str, Attainment]]:
        """Attainment of every objective over its window, by app and objective."""
        return {}
