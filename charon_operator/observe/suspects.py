"""Remembers which questions spoil a request, so that they are asked alone and rarely.

Reads: what became of requests, with the time. Gives: who must wait, and how much company a question
may have. Never: a question kept from being asked for longer than a minute.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from charon_operator.observe import terms
from charon_operator.ports import QueryFailure

FIRST_WAIT_S: Final = 5.0
LONGEST_WAIT_S: Final = 60.0
# How long a question that was in bad company keeps to smaller circles.
QUARANTINE_S: Final = 600.0

TermKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Offence:
    """A question that failed when it was asked alone."""

    failure: QueryFailure
    times: int
    until_s: float


@dataclass(frozen=True, slots=True)
class _Circle:
    size: int
    until_s: float


class Suspects:
    """Offenders and the company that others may keep; forgets what is no longer asked."""

    def __init__(self) -> None:
        self._offences: dict[TermKey, Offence] = {}
        self._circles: dict[TermKey, _Circle] = {}

    @property
    def any(self) -> bool:
        """Whether anything is suspect at all."""
        return bool(self._offences or self._circles)

    def offence(self, key: TermKey) -> Offence | None:
        """How a question last failed alone; None when it did not."""
        return self._offences.get(key)

    def waits(self, key: TermKey, now_s: float) -> bool:
        """Whether an offender's time has not come; a clock that jumped back does not bind it."""
        offence = self._offences.get(key)
        return offence is not None and 0 < offence.until_s - now_s <= LONGEST_WAIT_S

    def condemn(self, key: TermKey, failure: QueryFailure, now_s: float) -> None:
        """A question failed alone: the wait doubles each time."""
        before = self._offences.get(key)
        times = before.times + 1 if before else 1
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(times - 1, 16))
        self._offences[key] = Offence(failure, times, now_s + wait_s)

    def clear(self, keys: Iterable[TermKey]) -> None:
        """These were answered."""
        for key in keys:
            self._offences.pop(key, None)

    def separate(self, members: Sequence[terms.Term], size: int, now_s: float) -> None:
        """Let these keep company with at most `size` from now on, for ten minutes."""
        for member in members:
            self._circles[member.key] = _Circle(max(1, size), now_s + QUARANTINE_S)

    def reunite(self, members: Sequence[terms.Term]) -> None:
        """The offender among these was found: the others are free."""
        for member in members:
            self._circles.pop(member.key, None)

    def circle(self, key: TermKey, now_s: float) -> int | None:
        """How many terms this one may share a request with; None: any number."""
        found = self._circles.get(key)
        if found is None:
            return None
        if not 0 < found.until_s - now_s <= QUARANTINE_S:
            del self._circles[key]
            return None
        return found.size

    def forget_old(self, now_s: float) -> None:
        """Forget those that nobody has asked about for ten minutes."""
        oldest_s = now_s - QUARANTINE_S
        self._offences = {key: one for key, one in self._offences.items() if one.until_s > oldest_s}
        self._circles = {key: one for key, one in self._circles.items() if one.until_s > now_s}
