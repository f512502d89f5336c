"""Which apps there are, in which group each is, and which of them have changed.

Reads: the snapshot. Gives: books by key, a schedule, the keys that are new or changed. Never: a
book of an app that is gone, or of a namesake with another uid.
"""

import sys
from collections.abc import Iterable
from typing import Final

from charon_operator import ports, settings
from charon_operator.actuate.backoff import Backoff
from charon_operator.loop import assembly
from charon_operator.loop.book import Book
from charon_operator.loop.schedule import Group, Schedule
from charon_operator.loop.snapshot import Snapshot
from charon_operator.model.app import ChargedApp
from charon_operator.model.facts import Broken
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.workload import Key
from charon_operator.observe import scope

# How often an app is looked at that cannot be controlled: to see whether that has changed.
_BROKEN_PERIOD_S: Final = 15.0


class Roster:
    """The apps of the snapshot, with what the fleet keeps of each.

    Attributes:
        books: by key.
        schedule: when they are due.
        changed: keys that are new, whose spec or policy has changed, whose back-off has
            ended, or whose decision was too old to be carried out.
    """

    def __init__(self, snapshot: Snapshot, clock: ports.Clock, mimir: settings.Mimir) -> None:
        self.books: dict[Key, Book] = {}
        self.schedule = Schedule()
        self.changed: set[Key] = set()
        self._snapshot = snapshot
        self._clock = clock
        self._mimir = mimir
        self._version: int | None = None
        self._tenants: dict[str, str] = {}
        self._rested_at_s = clock.monotonic_s()

    def begin_anew(self) -> None:
        """Forget everything: the next look is the first."""
        self.books, self.changed, self._version = {}, set(), None

    def of(self, keys: Iterable[Key]) -> list[Book]:
        """The books of those that are still there."""
        return [self.books[key] for key in keys if key in self.books]

    def refresh(self) -> list[Key]:
        """Take over what the snapshot has; gives the keys of apps that are gone."""
        version = self._snapshot.version
        if version == self._version:
            return []
        self._version = version
        apps = {app.key: app for app in self._snapshot.apps()}
        now_s = self._clock.monotonic_s()
        gone = [key for key in self.books if key not in apps]
        for key in gone:
            del self.books[key]
            self.changed.discard(key)
        groups: dict[Key, Group] = {}
        for key, app in apps.items():
            policy = self._policy(app)
            groups[key] = self._group(app, policy)
            self._note(app, policy, now_s)
        if gone:
            there = {key.namespace for key in apps}
            self._tenants = {name: one for name, one in self._tenants.items() if name in there}
        self.schedule.arrange(groups, now_s)
        return gone

    def again(self, key: Key) -> None:
        """Have an app decided on again at once: what was decided has come to nothing."""
        if key in self.books:
            self.changed.add(key)

    def rouse(self) -> None:
        """Note whose back-off has ended since the last time: its period may be an hour."""
        before_s, self._rested_at_s = self._rested_at_s, self._clock.monotonic_s()
        for key, book in self.books.items():
            ends_s = (book.moves.until_s, book.statuses.until_s)
            if any(before_s < end_s <= self._rested_at_s for end_s in ends_s):
                self.changed.add(key)

    def _note(
        self, app: ChargedApp | Broken, policy: ControlPolicy | Broken | None, now_s: float
    ) -> None:
        key, book = app.key, self.books.get(app.key)
        if book is None or book.app.uid != app.uid:
            self.books[key] = Book(app, now_s, past=self._snapshot.past(key), policy=policy)
            self.changed.add(key)
            return
        if app.generation != book.app.generation:
            # What was attained of other objectives says nothing of these.
            book.attainments, book.attained_at_s = {}, None
        # By value: a list that is read anew brings every policy as another object.
        if app is not book.app or policy != book.policy:
            # Another spec or policy is another question: an old refusal is no answer to it.
            book.refused, book.moves, book.resizes = "", Backoff(), Backoff()
            self.changed.add(key)
        book.app, book.policy = app, policy

    def _policy(self, app: ChargedApp | Broken) -> ControlPolicy | Broken | None:
        if isinstance(app, Broken):
            return None
        return self._snapshot.policy(assembly.policy_key(app))

    def _group(self, app: ChargedApp | Broken, policy: ControlPolicy | Broken | None) -> Group:
        period_s = _BROKEN_PERIOD_S
        if isinstance(policy, ControlPolicy):
            period_s = float(policy.spec.period_seconds)
        return Group(period_s, self._tenant(app.key.namespace))

    def _tenant(self, namespace: str) -> str:
        known = self._tenants.get(namespace)
        if known is None:
            found = scope.find(namespace, self._mimir)
            known = sys.intern(found.tenant if found else "")
            self._tenants[namespace] = known
        return known
