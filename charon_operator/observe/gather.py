"""Asks the metric store and judges its answers: readings with an age, or the reason for none.

Reads: compiled queries and a MetricSource. Gives: `Reading | Missing` per indicator,
`Attainment` per objective. Never: zero for nothing.
"""

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from charon_operator import settings
from charon_operator.model.reading import (
    CLOCK_SKEW_S,
    Attainment,
    Missing,
    MissingReason,
    Reading,
    Readings,
    Sampled,
)
from charon_operator.model.workload import Key
from charon_operator.observe import batch, derived, queries, terms
from charon_operator.ports import FailureKind, MetricSource, QueryFailure, Vector

_REASONS: Final = {
    FailureKind.TIMEOUT: MissingReason.TIMEOUT,
    FailureKind.MANY_SERIES: MissingReason.MANY_SERIES,
}

_Answers = Mapping[tuple[str, str], batch.Answer]


@dataclass(frozen=True, slots=True)
class Ask:
    """What to read for one app.

    Attributes:
        queries: of the app's present generation.
        ready_pods: of its workload; None where that is not known.
    """

    queries: queries.AppQueries
    ready_pods: int | None


class Gatherer:
    """Turns asks into readings, in a few requests for the whole fleet.

    Attributes:
        counters: running totals of what was asked.
    """

    def __init__(self, source: MetricSource, mimir: settings.Mimir) -> None:
        self.counters = batch.Counters()
        seats = asyncio.Semaphore(mimir.concurrency)
        self._readings = batch.Batch(source, mimir, self.counters, seats)
        self._attainments = batch.Batch(source, mimir, self.counters, seats)

    async def readings(
        self, asks: Sequence[Ask], now_s: float, timeout_s: float
    ) -> Mapping[Key, Readings]:
        """Read every indicator of every ask.

        Args:
            asks: at most one per app.
            now_s: the time as of which is asked and ages are counted, seconds since 1970.
            timeout_s: what has no answer by then is Missing(Timeout).
        """
        bundles = [
            (one.value, *one.freshness, *one.coverage)
            for ask in asks
            for one in ask.queries.indicators
        ]
        answers = await self._readings.ask(bundles, now_s, timeout_s)
        return {
            ask.queries.key: {
                one.name: judge(one, answers, ask.ready_pods, now_s)
                for one in ask.queries.indicators
            }
            for ask in asks
        }

    async def attainments(
        self, asks: Sequence[Ask], now_s: float, timeout_s: float, fresh_s: float
    ) -> Mapping[Key, Mapping[str, Attainment]]:
        """Attainment of every objective, by app and objective; one without an answer is absent.

        Args:
            asks: at most one per app.
            now_s: end of the windows, seconds since 1970.
            timeout_s: as for readings.
            fresh_s: for how long they speak of the present.
        """
        bundles = [(one.good, one.observed) for ask in asks for one in ask.queries.objectives]
        answers = await self._attainments.ask(bundles, now_s, timeout_s)
        times = now_s, now_s + fresh_s
        return {ask.queries.key: dict(_attained(ask.queries, answers, times)) for ask in asks}


def judge(
    indicator: queries.IndicatorQueries,
    answers: _Answers,
    ready_pods: int | None,
    now_s: float,
) -> Sampled:
    """Make a reading of the answers about one indicator, or say why there is none.

    Coverage counts pods with fresh series against ready pods. Where the ready pods are not known,
    or none is ready, the series cannot be told from leftovers of pods that are gone: the value
    counts as missing, so that nothing is lowered on it (the policy's fallback may still raise).
    """
    answer = answers[indicator.value.key]
    value = _single(answer)
    if isinstance(value, Missing):
        return value
    foreign = _foreign(answer, indicator.told)
    if foreign is not None:
        return foreign
    sampled_at_s = _oldest(indicator.freshness, answers)
    if isinstance(sampled_at_s, Missing):
        return sampled_at_s
    if sampled_at_s == derived.ENDED_S:
        detail = "a metric it reads has no series any more: only a range still holds its samples"
        return Missing(MissingReason.STALE, detail)
    age_s = now_s - sampled_at_s
    if age_s > indicator.max_age_s:
        detail = f"the oldest sample is {age_s:.0f} s old, {indicator.max_age_s:g} s are allowed"
        return Missing(MissingReason.STALE, detail)
    if age_s < -CLOCK_SKEW_S:
        detail = f"sampled {-age_s:.0f} s in the future: the clocks differ"
        return Missing(MissingReason.STALE, detail)
    if not indicator.coverage:
        return Reading(value, sampled_at_s)
    covered = _covered(indicator.coverage, answers, ready_pods)
    return covered if isinstance(covered, Missing) else Reading(value, sampled_at_s, covered)


def _single(answer: batch.Answer) -> float | Missing:
    """The one finite number of an answer."""
    if isinstance(answer, QueryFailure):
        return _failed(answer)
    if not answer.series:
        return Missing(MissingReason.NO_DATA, "the query gave no series")
    if len(answer.series) > 1:
        detail = f"the query gave {len(answer.series)} series: aggregate it, as sum(...)"
        return Missing(MissingReason.MANY_SERIES, detail)
    value = answer.series[0].value
    if not math.isfinite(value):
        return Missing(MissingReason.NOT_A_NUMBER, f"the query gave {value}")
    return value


def _foreign(answer: batch.Answer, told: Mapping[str, str]) -> Missing | None:
    """A value of somebody else: the store, or what stands before it, did not keep to the scope."""
    labels = answer.series[0].labels if isinstance(answer, Vector) else {}
    for label, value in told.items():
        if labels.get(label, value) != value:
            detail = f'the answer is about another {label} than the "{value}" that was asked for'
            return Missing(MissingReason.QUERY_FAILED, detail)
    return None


def _failed(failure: QueryFailure) -> Missing:
    return Missing(_REASONS.get(failure.kind, MissingReason.QUERY_FAILED), failure.detail)


def _oldest(asked: Sequence[terms.Term], answers: _Answers) -> float | Missing:
    """When the oldest input was sampled, of the selectors that have any series."""
    stamps: list[float] = []
    for term in asked:
        stamp = _single(answers[term.key])
        if not isinstance(stamp, Missing):
            stamps.append(stamp)
        elif stamp.reason is not MissingReason.NO_DATA:
            return stamp
    if stamps:
        return min(stamps)
    detail = "the value stands on no sample: none of the metrics it reads has a series"
    return Missing(MissingReason.NO_DATA, detail)


def _covered(
    asked: Sequence[terms.Term], answers: _Answers, ready_pods: int | None
) -> float | Missing:
    """Share of the ready pods, 0..1, that the worst selector has fresh series of."""
    if ready_pods is None:
        return Missing(MissingReason.LOW_COVERAGE, "how many pods are ready is not known")
    if ready_pods == 0:
        return Missing(MissingReason.LOW_COVERAGE, "no pod is ready")
    fresh = math.inf
    for term in asked:
        count = _single(answers[term.key])
        if isinstance(count, Missing):
            if count.reason is not MissingReason.NO_DATA:
                return count
            count = 0.0
        fresh = min(fresh, count)
    if fresh < ready_pods:
        detail = f"{fresh:.0f} of {ready_pods} ready pods gave a fresh series"
        return Missing(MissingReason.LOW_COVERAGE, detail)
    return 1.0


def _attained(
    asked: queries.AppQueries, answers: _Answers, times: tuple[float, float]
) -> Iterator[tuple[str, Attainment]]:
    for one in asked.objectives:
        good, observed = answers[one.good.key], answers[one.observed.key]
        if not isinstance(good, Vector) or not isinstance(observed, Vector):
            continue
        ratio, count = _single(good), _single(observed)
        if isinstance(count, Missing) and count.reason is MissingReason.NO_DATA:
            yield one.name, Attainment(None, 0.0, *times)
        elif not isinstance(ratio, Missing) and not isinstance(count, Missing):
            coverage = min(1.0, count / one.points)
            yield one.name, Attainment(min(1.0, max(0.0, ratio)), coverage, *times)
