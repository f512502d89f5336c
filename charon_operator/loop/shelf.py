"""Objects of one kind by namespaced name, each with the identity and version it was stored under.

Reads: nothing. Gives: `Shelf`. Never: a lock (its owner has one).
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

from charon_operator.model.workload import Key

T = TypeVar("T")

# Enough for every object that can be deleted while one late event of it is under way.
_GRAVES = 4096


class Shelf(Generic[T]):
    """Entries by name, with uid and resourceVersion, and an index by namespace."""

    def __init__(self) -> None:
        self._entries: dict[Key, tuple[str, str, T]] = {}
        self._names: dict[str, set[Key]] = {}
        self._buried: OrderedDict[str, None] = OrderedDict()

    def __iter__(self) -> Iterator[Key]:
        return iter(self._entries)

    def get(self, name: Key) -> T | None:
        found = self._entries.get(name)
        return None if found is None else found[2]

    def values(self) -> list[T]:
        return [entry for _, _, entry in self._entries.values()]

    def within(self, namespace: str) -> list[T]:
        """The entries of one namespace."""
        return [self._entries[name][2] for name in self._names.get(namespace, ())]

    def is_older(self, name: Key, uid: str, version: str) -> bool:
        """Whether this version of an object is behind the one held, or behind its deletion.

        Versions are compared only where both are numbers, as etcd's are; Kubernetes 1.35 promises
        that much of every API server.
        """
        if uid in self._buried:
            return True
        held = self._entries.get(name)
        if held is None or held[0] != uid or not (held[1].isdigit() and version.isdigit()):
            return False
        return int(version) < int(held[1])

    def put(self, name: Key, uid: str, version: str, entry: T) -> None:
        """Store, in place of what is held under that name."""
        self._entries[name] = (uid, version, entry)
        self._names.setdefault(name.namespace, set()).add(name)
        self._buried.pop(uid, None)

    def drop(self, name: Key) -> T | None:
        """Take away and give what is held under that name."""
        held = self._entries.pop(name, None)
        if held is None:
            return None
        names = self._names[name.namespace]
        names.discard(name)
        if not names:
            del self._names[name.namespace]
        return held[2]

    def bury(self, name: Key, uid: str) -> T | None:
        """Take away the object of that uid for good: late events of it are older than its end."""
        if uid:
            self._buried[uid] = None
            if len(self._buried) > _GRAVES:
                self._buried.popitem(last=False)
        held = self._entries.get(name)
        return self.drop(name) if held is not None and held[0] in ("", uid) else None
