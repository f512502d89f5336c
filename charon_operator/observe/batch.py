"""Asks many questions in few requests, and finds the one that spoils a request for the others.

Reads: bundles of terms, a MetricSource. Gives: an answer or a failure for every term. Never: one
bad query that costs another its answer for longer than it takes to find it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from charon_operator import settings
from charon_operator.observe import plan, suspects, terms
from charon_operator.ports import FailureKind, MetricSource, QueryFailure, Vector

Answer = Vector | QueryFailure
Answers = dict[tuple[str, str], Answer]
# Should everything be rejected (a proxy gone mad), this is all that is sent beyond the plan.
_MOST_SPLITS: Final = 32
# Requests sent for small circles; in a partial outage any of them may fail, whatever they ask.
_MOST_APART: Final = 64
# A value is one series. A few more are told from it each turn; very many cost too much for that.
_MOST_SERIES: Final = 100
# Apps of one period are due together, so a few plans come back again and again.
_PLANS_KEPT: Final = 16
Bundles = Sequence[Sequence[terms.Term]]

# Says nothing of the others: their words may name what another namespace runs.
_SPOILT: Final = QueryFailure(
    FailureKind.REJECTED, "asked together with a query that is wrong; asked again next time"
)
_NO_TIME: Final = QueryFailure(FailureKind.TIMEOUT, "not answered before the deadline")


@dataclass(slots=True)
class Counters:
    """Running totals since the start, for metrics.

    Attributes:
        queries: distinct questions asked.
        requests: requests sent for them.
    """

    queries: int = 0
    requests: int = 0


@dataclass(slots=True)
class _Round:
    """One call of `ask`: its deadline and what came of it."""

    now_s: float
    deadline: float
    answers: Answers
    failed: list[tuple[plan.Request, QueryFailure]]
    answered: int = 0
    apart: int = 0
    splits_left: int = _MOST_SPLITS


class Batch:
    """Asks in batches; one at a time for one kind of question (it remembers its suspects)."""

    def __init__(
        self,
        source: MetricSource,
        mimir: settings.Mimir,
        counters: Counters,
        seats: asyncio.Semaphore,
    ) -> None:
        self._source = source
        self._mimir = mimir
        self._counters = counters
        self._seats = seats
        self._suspects = suspects.Suspects()
        # By the very terms asked (they are compared by identity); the last used is last.
        self._plans: dict[tuple[terms.Term, ...], tuple[plan.Request, ...]] = {}

    async def ask(
        self, bundles: Bundles, now_s: float, timeout_s: float
    ) -> Mapping[tuple[str, str], Answer]:
        """Ask everything as of `now_s`.

        Args:
            bundles: terms that belong together; a term may be in several.
            now_s: evaluation time, seconds since 1970.
            timeout_s: after this everything without an answer is a timeout.

        Returns:
            An answer for the key of every term.
        """
        clock = asyncio.get_running_loop().time
        turn = _Round(now_s, clock() + timeout_s, {}, [])
        requests = self._requests(bundles, turn)
        self._counters.queries += sum(len(request.members) for request in requests)
        await asyncio.gather(*(self._send(request, turn) for request in requests))
        self._separate_failed(turn, len(requests))
        return turn.answers

    def _requests(self, bundles: Bundles, turn: _Round) -> list[plan.Request]:
        """Plan: offenders alone or not at all, those in quarantine in small circles, the rest."""
        self._suspects.forget_old(turn.now_s)
        if not self._suspects.any:
            return list(self._plan_all(bundles))
        circles: dict[int | None, list[list[terms.Term]]] = {}
        for bundle in bundles:
            split: dict[int | None, list[terms.Term]] = {}
            for term in bundle:
                offence = self._suspects.offence(term.key)
                if offence and self._suspects.waits(term.key, turn.now_s):
                    turn.answers[term.key] = offence.failure
                    continue
                size = 1 if offence else self._suspects.circle(term.key, turn.now_s)
                split.setdefault(size, []).append(term)
            for size, own in split.items():
                circles.setdefault(size, []).append(own)
        together = self._plan(circles.pop(None, ()), None)
        apart = [request for size, own in circles.items() for request in self._plan(own, size)]
        turn.apart = len(apart)
        return [*together, *apart]

    def _plan(self, bundles: Bundles, size: int | None) -> tuple[plan.Request, ...]:
        most = self._mimir.max_terms_per_request
        if size is None:
            return plan.plan(bundles, plan.Room(most))
        room = plan.Room(min(most, size), min(plan.MAX_MEMBERS, size), size)
        return plan.plan(bundles, room)

    def _plan_all(self, bundles: Bundles) -> tuple[plan.Request, ...]:
        """The plan for everything, kept for when the same is asked again."""
        what = tuple(term for bundle in bundles for term in bundle)
        found = self._plans.pop(what, None) or self._plan(bundles, None)
        self._plans[what] = found
        if len(self._plans) > _PLANS_KEPT:
            del self._plans[next(iter(self._plans))]
        return found

    async def _send(self, request: plan.Request, turn: _Round) -> None:
        answer = await self._query(request, turn)
        if isinstance(answer, Vector) and not answer.warnings:
            turn.answered += 1
            self._take(request.demux(answer), turn)
            return
        failure = _failure(answer)
        if failure.kind is FailureKind.REJECTED:
            turn.answered += 1
            await self._split(request, failure, turn)
            return
        turn.failed.append((request, failure))
        turn.answers.update(dict.fromkeys((one.key for one in request.members), failure))

    def _take(self, found: plan.Answers, turn: _Round) -> None:
        """Keep each member's answer; one of very many series is not asked for each turn."""
        for key, vector in found.items():
            count = len(vector.series)
            if count > _MOST_SERIES:
                detail = f"the query gave {count} series: aggregate it, as sum(...)"
                failure = QueryFailure(FailureKind.MANY_SERIES, detail)
                self._suspects.condemn(key, failure, turn.now_s)
                turn.answers[key] = failure
            else:
                self._suspects.clear((key,))
                turn.answers[key] = vector

    async def _query(self, request: plan.Request, turn: _Round) -> Answer:
        clock = asyncio.get_running_loop().time
        async with self._seats:
            left_s = turn.deadline - clock()
            if left_s <= 0:
                return _NO_TIME
            self._counters.requests += 1
            try:
                async with asyncio.timeout(left_s):
                    return await self._source.query(
                        request.tenant, request.expression, time_s=turn.now_s, timeout_s=left_s
                    )
            except TimeoutError:
                return _NO_TIME

    async def _split(self, request: plan.Request, failure: QueryFailure, turn: _Round) -> None:
        """Ask again in halves, down to the term that is rejected alone.

        How far it came is remembered first, so that a short deadline does not undo it.
        """
        members = request.members
        halves = request.halves()
        if halves and not turn.splits_left:
            turn.answers.update(dict.fromkeys((member.key for member in members), _SPOILT))
            self._suspects.separate(members, (len(members) + 1) // 2, turn.now_s)
            return
        if not halves:
            self._suspects.condemn(members[0].key, failure, turn.now_s)
            turn.answers[members[0].key] = failure
            return
        turn.splits_left -= 1
        self._suspects.separate(members, (len(members) + 1) // 2, turn.now_s)
        await asyncio.gather(*(self._send(half, turn) for half in halves))
        if any(self._suspects.offence(member.key) for member in members):
            self._suspects.reunite(members)

    def _separate_failed(self, turn: _Round, sent: int) -> None:
        """After a failure, smaller circles next time: one bad query must not take others along.

        It may be too heavy for the deadline, break the store, or make it say what is no answer.
        In an outage everything fails and smaller circles would only mean more requests after it:
        then they shrink no further than to a request for each seat.
        """
        if not turn.answered and sent >= self._mimir.concurrency:
            return
        for request, failure in turn.failed:
            members = request.members
            if len(members) == 1 and turn.answered:
                self._suspects.condemn(members[0].key, failure, turn.now_s)
            elif len(members) > 1 and turn.apart < _MOST_APART:
                self._suspects.separate(members, len(members) // 2, turn.now_s)


def _failure(answer: Answer) -> QueryFailure:
    """A failure as it is; warnings as a rejection, since a value with warnings may be wrong."""
    if isinstance(answer, QueryFailure):
        return answer
    return QueryFailure(FailureKind.REJECTED, f"the store warns: {answer.warnings[0]}"[:256])
