"""Leader election on a Lease: at most one of us writes, and whoever cannot renew stops in time.

Reads: a Lease through a small port. Gives: `Leader.leading`, true only while a renewal sent less
than the renew deadline ago was accepted. Never: compares clocks of two machines (a foreign record
counts as stale when it has not changed for its duration on our monotonic clock), nor believes that
a Lease fences (writes carry preconditions of their own).

    standby --took it--> leader --deadline passed, record changed hands, or released--> standby
"""

import asyncio
import dataclasses
import logging
import math
from collections.abc import Awaitable, Callable

from charon_operator import ports, settings
from charon_operator.model import body
from charon_operator.ports import LeaseRecord, NoLease, WriteOutcome, WriteResult

_log = logging.getLogger(__name__)

# A stranger may write any duration into the Lease; longer than this many of ours is not believed.
_LONGEST_DURATIONS = 4
_RELEASED_S = 1
_NEVER = -math.inf


class Leader:
    """One candidate.

    Args:
        lease: where the Lease lives.
        limits: durations; with `enabled` false everybody leads.
        clock: monotonic for every deadline, wall only for the times written into the Lease.
        identity: unique for each process, or two would renew one Lease.
        sleep: how to wait, seconds.

    Attributes:
        term: number of our term while it goes on, or was the last one known; None before the first,
            and once the Lease was seen in other hands or gone. Without election there is one term.
    """

    def __init__(
        self,
        lease: ports.LeasePort,
        limits: settings.Lease,
        clock: ports.Clock,
        identity: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._lease = lease
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._record: LeaseRecord | None = None
        self._changed_at_s = _NEVER
        self._deadline_s = _NEVER
        self._said = False
        self._terms = 0
        self._trouble = ""
        self.identity = identity
        self.term: int | None = None if limits.enabled else 0

    @property
    def leading(self) -> bool:
        """Whether a write may begin now."""
        return not self._limits.enabled or self._clock.monotonic_s() < self._deadline_s

    @property
    def remaining_s(self) -> float:
        """Seconds for which a write begun now is ours: its own deadline must not be longer."""
        if not self._limits.enabled:
            return math.inf
        return max(0.0, self._deadline_s - self._clock.monotonic_s())

    async def run(self) -> None:
        """Acquire and renew until cancelled. Survives whatever the API server answers."""
        while True:
            if self._limits.enabled:
                await self.step()
            await self._sleep(self._limits.retry_seconds)

    async def step(self) -> None:
        """One attempt to acquire or to renew."""
        try:
            await self._attempt()
        except Exception:
            # Whatever it is, not renewing ends leadership in time; ending the task would too, but
            # nobody would try again.
            _log.exception("An attempt at the Lease failed")
        self._announce()

    async def release(self) -> None:
        """Stop leading at once, then let others have the Lease without waiting."""
        held = self._record
        mine = self._deadline_s > _NEVER and held is not None and held.holder == self.identity
        self._deadline_s = _NEVER
        if mine and held is not None:
            freed = dataclasses.replace(
                held, holder="", duration_s=_RELEASED_S, renewed=self._stamp()
            )
            await self._lease.update(freed, self._timeout_s)
        self._announce()

    async def _attempt(self) -> None:
        if not self._is_mine:
            await self._look()
        record = self._record
        if record is None:
            return
        if record.holder == self.identity:
            await self._renew(record)
        elif self._is_free(record):
            await self._take(record)

    @property
    def _is_mine(self) -> bool:
        return self._record is not None and self._record.holder == self.identity

    async def _look(self) -> None:
        """Read the Lease; create it where there is none."""
        found = await self._lease.read(self._timeout_s)
        if isinstance(found, LeaseRecord):
            self._observe(found)
        elif found is NoLease.ABSENT:
            # Deleted under a leader that does not know yet: it has its time all the same.
            if self._record is None or self._is_free(self._record):
                await self._create()
        else:
            self._complain("the API server does not answer")

    def _observe(self, found: LeaseRecord) -> None:
        if found != self._record:
            self._changed_at_s = self._clock.monotonic_s()
        self._record = found
        if found.holder != self.identity:
            self._deadline_s, self.term = _NEVER, None

    def _is_free(self, record: LeaseRecord) -> bool:
        # Our own release says so with the shortest duration; a stranger's edit does not.
        if not record.holder and record.duration_s <= _RELEASED_S:
            return True
        own = self._limits.duration_seconds
        patience_s = min(max(own, record.duration_s), _LONGEST_DURATIONS * own)
        return self._clock.monotonic_s() - self._changed_at_s >= patience_s

    async def _create(self) -> None:
        result = await self._write(self._lease.create, self._mine(transitions=0))
        if result.outcome is WriteOutcome.CONFLICT:
            # Somebody else was faster.
            self._record, self._deadline_s = None, _NEVER

    async def _take(self, record: LeaseRecord) -> None:
        mine = self._mine(transitions=record.transitions + 1)
        wanted = dataclasses.replace(mine, resource_version=record.resource_version)
        result = await self._write(self._lease.update, wanted)
        if result.outcome is WriteOutcome.GONE:
            self._record = None

    async def _renew(self, record: LeaseRecord) -> None:
        wanted = dataclasses.replace(record, renewed=self._stamp(), duration_s=self._duration_s)
        result = await self._write(self._lease.update, wanted)
        if result.outcome is WriteOutcome.CONFLICT:
            # Somebody wrote it: only if it still names us may we go on.
            await self._look()
            if self._record is not None and self._is_mine:
                again = dataclasses.replace(self._record, renewed=self._stamp())
                await self._write(self._lease.update, again)
        elif result.outcome is WriteOutcome.GONE:
            # Nobody knows who else had it before it was deleted.
            self._record = self.term = None
            await self._create()

    async def _write(
        self, write: Callable[[LeaseRecord, float], Awaitable[WriteResult]], wanted: LeaseRecord
    ) -> WriteResult:
        # Counted from before it was sent: others count theirs from after it arrived.
        sent_at_s = self._clock.monotonic_s()
        result = await write(wanted, self._timeout_s)
        if result.outcome is WriteOutcome.WRITTEN:
            version = result.resource_version
            self._record = dataclasses.replace(wanted, resource_version=version)
            self._changed_at_s = self._clock.monotonic_s()
            self._deadline_s = sent_at_s + self._limits.renew_deadline_seconds
            self._begin_term()
        self._complain("" if result.outcome is WriteOutcome.WRITTEN else result.detail)
        return result

    def _begin_term(self) -> None:
        if self.term is None:
            self._terms += 1
            self.term = self._terms

    def _mine(self, transitions: int) -> LeaseRecord:
        now = self._stamp()
        return LeaseRecord(self.identity, self._duration_s, now, now, transitions)

    @property
    def _timeout_s(self) -> float:
        # Two attempts fit between a renewal and its deadline.
        return (self._limits.renew_deadline_seconds - self._limits.retry_seconds) / 2

    @property
    def _duration_s(self) -> int:
        return math.ceil(self._limits.duration_seconds)

    def _stamp(self) -> str:
        return body.micro_time(self._clock.wall_s())

    def _complain(self, detail: str) -> None:
        if detail != self._trouble:
            self._trouble = detail
            if detail:
                _log.warning("The Lease cannot be written: %s", detail)

    def _announce(self) -> None:
        if self.leading != self._said:
            self._said = self.leading
            _log.info("%s %s", self.identity, "leads" if self._said else "stands by")
