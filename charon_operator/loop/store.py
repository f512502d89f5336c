"""A thread-safe store of watched objects: what the informer writes to.

Reads: bodies of watched kinds, one at a time or as whole lists. Gives: `Store`, which keeps of each
body what a subclass reads out of it, and knows what has been listed. Never: a body kept.

A list is the truth of its scope: what it does not name has vanished while nobody watched. Between
lists, events of one object may arrive late, and older ones are dropped by resourceVersion.
"""

import abc
import threading
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from charon_operator import names, ports
from charon_operator.loop import shelf
from charon_operator.model import body as bodies
from charon_operator.model.workload import Key

Body = Mapping[str, Any]


class Kind(StrEnum):
    """What is watched, by the plural name of its API."""

    APPS = names.CHARGED_APPS
    POLICIES = names.CONTROL_POLICIES
    DEPLOYMENTS = names.DEPLOYMENTS
    STATEFUL_SETS = names.STATEFUL_SETS
    HPAS = names.HPAS
    SCALED_OBJECTS = names.SCALED_OBJECTS
    BUDGETS = names.PDBS
    NAMESPACES = names.NAMESPACES
    NODES = names.NODES
    PODS = names.PODS


Scope = tuple[Kind, str]
"""A kind in a namespace, or ("") in the whole cluster."""


class Store(abc.ABC):
    """Entries of watched objects, each the newest that is known.

    Args:
        clock: stamps when a kind was last heard of (monotonic).

    Attributes:
        version: another one whenever something has changed.
    """

    def __init__(self, clock: ports.Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._shelves: dict[Kind, shelf.Shelf[Any]] = {kind: shelf.Shelf() for kind in Kind}
        self._expected: frozenset[Scope] | None = None
        self._listed: set[Scope] = set()
        self._seen_at_s: dict[Kind, float] = {}
        self.version = 0

    # What the informer writes.

    def expect(self, scopes: Iterable[Scope]) -> None:
        """Say which kinds are watched, each in a namespace or ("") in all of them."""
        with self._lock:
            self._expected = frozenset(scopes)

    def heard(self, kind: Kind) -> None:
        """A watch of a kind was granted, though it may have nothing to tell."""
        with self._lock:
            self._seen_at_s[kind] = self._clock.monotonic_s()

    def put(self, kind: Kind, body: Body) -> None:
        """An object is, or has changed to, this; an older version than the one held is dropped."""
        with self._lock:
            self._seen_at_s[kind] = self._clock.monotonic_s()
            changed = self._store(kind, body, only_newer=True)
        if changed:
            self._changed(kind)

    def drop(self, kind: Kind, body: Body) -> None:
        """An object was deleted; a new one of the same name that is already here stays."""
        name = bodies.key(body)
        with self._lock:
            self._seen_at_s[kind] = self._clock.monotonic_s()
            gone = self._shelves[kind].bury(name, bodies.uid(body))
            self._unlink(kind, name, gone)
        if gone is not None:
            self._changed(kind)

    def listed(self, kind: Kind, items: Iterable[Body]) -> set[Key]:
        """A page of a list: stores it, whatever the versions say, and gives its keys."""
        with self._lock:
            held = [(bodies.key(body), self._store(kind, body, only_newer=False)) for body in items]
        if any(changed for _, changed in held):
            self._changed(kind)
        return {name for name, _ in held}

    def relisted(self, kind: Kind, keys: Iterable[Key], namespace: str = "") -> None:
        """A list has ended: what it did not name in its namespace ("" = all) is no more."""
        there = set(keys)
        with self._lock:
            self._seen_at_s[kind] = self._clock.monotonic_s()
            self._listed.add((kind, namespace))
            gone = [
                name
                for name in self._shelves[kind]
                if name not in there and namespace in ("", _scope_of(kind, name))
            ]
            for name in gone:
                self._unlink(kind, name, self._shelves[kind].drop(name))
        if gone:
            self._changed(kind)

    # What is known of it.

    @property
    def synced(self) -> bool:
        """Every watched kind has been listed at least once."""
        with self._lock:
            return self._expected is not None and self._expected <= self._listed

    def silent_s(self) -> Mapping[Kind, float]:
        """Seconds since each watched kind was last heard of; one never heard of is left out."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            watched = {kind for kind, _ in self._expected or ()}
            return {k: now_s - seen_s for k, seen_s in self._seen_at_s.items() if k in watched}

    # What a subclass makes of it, under the lock but for `_changed`.

    @abc.abstractmethod
    def _read(self, kind: Kind, body: Body, before: Any) -> Any:
        """What is kept of a body, None for nothing."""

    @abc.abstractmethod
    def _relink(self, kind: Kind, name: Key, before: Any, entry: Any) -> None:
        """An entry is stored, in place of the one before or of None."""

    @abc.abstractmethod
    def _unlink(self, kind: Kind, name: Key, entry: Any) -> None:
        """An entry, or None, is no more."""

    def _changed(self, kind: Kind) -> None:
        """Something of a kind is not what it was."""
        with self._lock:
            self.version += 1

    def _matters(self, before: Any, entry: Any) -> bool:
        return bool(before != entry)

    def _store(self, kind: Kind, body: Body, *, only_newer: bool) -> bool:
        name = bodies.key(body)
        shelf_of = self._shelves[kind]
        uid, version = bodies.uid(body), bodies.version(body)
        if only_newer and shelf_of.is_older(name, uid, version):
            return False
        before = shelf_of.get(name)
        entry = self._read(kind, body, before)
        if entry is None:
            self._unlink(kind, name, shelf_of.drop(name))
            return before is not None
        shelf_of.put(name, uid, version, entry)
        self._relink(kind, name, before, entry)
        return self._matters(before, entry)


def _scope_of(kind: Kind, name: Key) -> str:
    return name.name if kind is Kind.NAMESPACES else name.namespace
