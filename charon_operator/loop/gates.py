"""Whether anything may be written at all: leadership, the kill switches, a full period of looking.

Reads: the Lease, the configuration, namespace labels, the app as it is now. Gives: a reason not to
write, or none. Never: an answer that is kept; every write asks at its own moment.
"""

from typing import Protocol

from charon_operator import names, ports, settings
from charon_operator.loop.book import Book
from charon_operator.loop.snapshot import Snapshot
from charon_operator.model.app import ChargedApp, Mode
from charon_operator.model.workload import Key

# A decision that waited longer than its period, and than this, is made again instead.
_STALE_AFTER_S = 10.0


class Leading(Protocol):
    """Who leads."""

    @property
    def leading(self) -> bool:
        """Whether a write may begin now."""

    @property
    def term(self) -> int | None:
        """Which of its terms goes on, or was the last that anybody is known to have had."""

    @property
    def identity(self) -> str:
        """Who this is."""


class Gates:
    """The questions asked before every write."""

    def __init__(
        self,
        snapshot: Snapshot,
        leader: Leading,
        clock: ports.Clock,
        configured: settings.Settings,
    ) -> None:
        self._snapshot = snapshot
        self._leader = leader
        self._clock = clock
        self._forced = configured.force_mode

    def forced(self, namespace: str) -> str:
        """Why nothing may be written to targets of a namespace, else empty."""
        if self._forced is not None:
            return "The operator runs with --force-mode=Advisory: nothing is written to any target."
        if names.LABEL_FORCE_ADVISORY in self._snapshot.namespace_labels(namespace):
            label = names.LABEL_FORCE_ADVISORY
            return f"Namespace {namespace} has the label {label}: nothing is written there."
        return ""

    def may_tell(self, key: Key, uid: str) -> bool:
        """Whether the status of that very app may be written."""
        app = self._snapshot.app(key)
        return self._leader.leading and app is not None and app.uid == uid

    def may_move(self, book: Book, generation: int) -> bool:
        """Whether a target may be moved for an app, as decided on a generation of its spec."""
        now = self._snapshot.app(book.app.key)
        if not isinstance(now, ChargedApp) or not self._leader.leading:
            return False
        same = (now.uid, now.generation) == (book.app.uid, generation)
        acts = now.spec.mode is Mode.ACTIVE and not now.deleting
        return same and acts and not self.forced(now.key.namespace)

    def expires_s(self, period_s: float) -> float:
        """Until when what is decided now may be carried out (monotonic)."""
        return self._clock.monotonic_s() + max(period_s, _STALE_AFTER_S)

    def is_new(self, book: Book, period_s: float) -> bool:
        """Whether an app is only looked at, as it is in its first full period."""
        return self._clock.monotonic_s() < book.known_since_s + period_s

    def rests(self, book: Book, period_s: float) -> bool:
        """Whether a target is only looked at for now: its first full period, or a back-off."""
        return self.is_new(book, period_s) or self._clock.monotonic_s() < book.moves.until_s
