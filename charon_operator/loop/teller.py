"""Tells users: statuses when a state changes, intents before moves, Events.

Reads: an app's last turn and its status as last written or seen. Gives: merge patches through the
outbox. Never: a patch that changes nothing, two at once for one app, an Event before a status.
"""

import functools
import logging
from collections.abc import Mapping
from typing import Any, Final

from charon_operator import ports
from charon_operator.loop.book import Book, Status, Told
from charon_operator.loop.gates import Gates
from charon_operator.loop.outbox import Outbox, Urgency
from charon_operator.loop.snapshot import Snapshot
from charon_operator.ports import Event, WriteOutcome, WriteResult
from charon_operator.record import events, status
from charon_operator.record.conditions import Standing
from charon_operator.record.metrics import Metrics, View

_log = logging.getLogger(__name__)

# The informer shows our own write after about this long at most; until then ours is the newer.
_GRACE_S: Final = 10.0
_WORDS: Final = 256


class Teller:
    """Writes statuses and Events."""

    def __init__(
        self,
        outbox: Outbox,
        world: tuple[ports.Cluster, Snapshot, ports.Clock],
        gates: Gates,
        metrics: Metrics,
    ) -> None:
        self._outbox = outbox
        self._cluster, self._snapshot, self._clock = world
        self._gates = gates
        self._metrics = metrics
        self._admission = events.Gate()

    def tell(self, book: Book) -> None:
        """Queue the status of an app, if there is something to tell."""
        now_s = self._clock.monotonic_s()
        if book.telling or book.moving or now_s < book.statuses.until_s:
            return
        if not self._gates.may_tell(book.app.key, book.app.uid) or not self._due(book):
            return
        book.telling = True
        self._outbox.submit(Urgency.STATUS, functools.partial(self._told, book))

    async def announce(self, book: Book, view: View) -> WriteResult:
        """Write the intent of a move."""
        async with book.lock:
            previous = self._previous(book)
            standing = Standing(view.facts, view.outcome, book.refused, writing=True)
            wanted = status.intent(standing, previous, self._clock.wall_s())
            return await self._write(book, view, previous, status.changes(previous, wanted))

    async def announce_size(self, book: Book, view: View) -> WriteResult:
        """Write the size that pods are about to get, if the status does not say it already."""
        async with book.lock:
            previous = self._previous(book)
            standing = Standing(view.facts, view.outcome, book.refused)
            wanted = status.compose(standing, previous, self._clock.wall_s())
            # The rest of the status may tell of a move of replicas that is under way.
            patch = status.changes(previous, {"resources": wanted["resources"]})
            if not patch:
                return WriteResult(WriteOutcome.WRITTEN)
            return await self._write(book, view, previous, patch)

    def may_follow(self, book: Book, result: WriteResult, *, raises: bool) -> bool:
        """Whether a move may follow what became of its intent."""
        if result.outcome is WriteOutcome.WRITTEN:
            return True
        _log.warning("app=%s intent not written: %s", book.app.key, result.detail)
        # A status nobody can write must not keep an app from what it needs; after a crash it is
        # the lowering that has to wait, and that waits from the start anyway.
        again = result.outcome is WriteOutcome.REFUSED or book.statuses.failures > 1
        return again and raises

    def post(self, event: Event) -> None:
        """Queue an Event, unless it was posted lately or there are too many."""
        if self._admission.admits(event, self._clock.monotonic_s()):
            self._outbox.submit(Urgency.EVENT, functools.partial(self._posted, event))

    async def _told(self, book: Book) -> None:
        try:
            async with book.lock:
                patch = self._due(book)
                allowed = self._gates.may_tell(book.app.key, book.app.uid)
                if patch and allowed and book.view and not book.moving:
                    await self._write(book, book.view, self._previous(book), patch)
        finally:
            book.telling = False

    def _due(self, book: Book) -> Mapping[str, Any] | None:
        view = book.view
        if view is None:
            return None
        previous = self._previous(book)
        standing = Standing(view.facts, view.outcome, book.refused)
        wanted = status.compose(standing, previous, self._clock.wall_s())
        if view.facts.past.pending is not None and not view.remembered:
            # Nobody has counted it as acted yet.
            wanted["pendingAction"] = previous.get("pendingAction")
        written_at_s = book.written_at_s
        since_s = float("inf") if written_at_s is None else self._clock.monotonic_s() - written_at_s
        return status.patch(previous, wanted, since_s)

    def _previous(self, book: Book) -> Status:
        seen = self._snapshot.status(book.app.key)
        told = book.told
        if told is None:
            return seen
        fresh = self._clock.monotonic_s() - told.at_s < _GRACE_S
        if fresh or seen is told.seen:
            return told.status
        book.told = None
        return seen

    async def _write(
        self, book: Book, view: View, previous: Status, patch: Mapping[str, Any]
    ) -> WriteResult:
        key, uid = book.app.key, book.app.uid
        seen = self._snapshot.status(key)
        result = await self._cluster.patch_status(key, uid, patch)
        now_s = self._clock.monotonic_s()
        self._metrics.writes.labels("status", result.outcome.value).inc()
        book.statuses = book.statuses.after(result.outcome, now_s)
        if result.outcome is not WriteOutcome.WRITTEN:
            self._metrics.status_failures.labels(result.outcome.value).inc()
            _log.warning("app=%s status not written: %s", key, result.detail[:_WORDS])
            return result
        book.told = Told(status.merged(previous, patch), now_s, seen)
        book.written_at_s = now_s
        if "conditions" in patch:
            before = previous.get("conditions")
            known = before if isinstance(before, list) else []
            for event in events.of_changes(view.outcome, known, patch["conditions"]):
                self.post(event)
        return result

    async def _posted(self, event: Event) -> None:
        if not self._gates.may_tell(event.app, event.app_uid):
            return
        result = await self._cluster.post_event(event)
        self._metrics.writes.labels("event", result.outcome.value).inc()
        if result.outcome is not WriteOutcome.WRITTEN:
            _log.info("app=%s Event not posted: %s", event.app, result.detail[:_WORDS])
