"""Pods of apps that are resized: listed where something may have changed, else as they are known.

Reads: an app's book, its target as the informer has it, pods through the cluster. Gives: sizes in
the book. Never: a list of pods that nothing can have happened to, or old sizes where a list failed
in a turn.

    known until: the app's spec or its target has another version, as its status counts its pods;
                 meanwhile for as long as a pod is not ready or its size is not settled;
                 every `_REFRESH_S` at the latest, as others may resize pods too
"""

import asyncio
import logging
import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from charon_operator import ports
from charon_operator.loop.book import Book
from charon_operator.loop.snapshot import Snapshot
from charon_operator.model.app import ChargedApp
from charon_operator.model.sizes import Resizing, Sizes
from charon_operator.model.workload import Workload

_log = logging.getLogger(__name__)

# Whoever else resizes a pod says so nowhere but in the pod.
_REFRESH_S: Final = 300.0
# However many apps have pods to be listed, no more than this is asked at once.
AT_ONCE: Final = 16


class Lister:
    """Knows the pods of apps, and when to ask for them."""

    def __init__(self, cluster: ports.Cluster, snapshot: Snapshot, clock: ports.Clock) -> None:
        self._cluster, self._snapshot, self._clock = cluster, snapshot, clock

    async def read(self, books: Iterable[Book], timeout_s: float) -> None:
        """Bring sizes up to date for a turn; where a list fails nothing is known."""
        limit = asyncio.Semaphore(AT_ONCE)
        due = [book for book in books if container(book) and self._may_tell(book)]
        for book in due:
            book.sizes = None
        await asyncio.gather(*(self.list(book, timeout_s, limit) for book in due))

    async def list(
        self, book: Book, timeout_s: float, limit: asyncio.Semaphore | None = None
    ) -> bool:
        """List the pods of an app; False: they could not be, and what is known is what was."""
        app, sized = book.app, container(book)
        if not sized or not isinstance(app, ChargedApp):
            return False
        workload = self._snapshot.workload(app.target)
        if not isinstance(workload, Workload):
            return False
        try:
            async with asyncio.timeout(timeout_s), limit or asyncio.Semaphore():
                book.listed_at_s = self._clock.monotonic_s()
                sizes = await self._cluster.pods(app.target, sized)
        except TimeoutError:
            _log.warning("app=%s pods were not listed within %.1f s", app.key, timeout_s)
            return False
        except Exception:
            # A fault of ours on one app stays with it.
            _log.exception("app=%s its pods could not be listed", app.key)
            return False
        if sizes is None:
            return False
        # A change that came meanwhile is one of after the list.
        book.sizes, book.listed_of = self._stamped(book, sizes), _version(app, workload)
        return True

    def is_outdated(self, book: Book, workload: Workload) -> bool:
        """Whether the pods may be others than those that are known, or are not all there."""
        sizes, app = book.sizes, book.app
        if sizes is None or not isinstance(app, ChargedApp):
            return True
        partial = len(sizes.pods) < workload.replicas or bool(workload.warming)
        return partial or book.listed_of != _version(app, workload)

    def _may_tell(self, book: Book) -> bool:
        """Whether a list may tell anything that is not known."""
        app = book.app
        workload = self._snapshot.workload(app.target) if isinstance(app, ChargedApp) else None
        if not isinstance(workload, Workload) or self.is_outdated(book, workload):
            return True
        aged = self._clock.monotonic_s() >= book.listed_at_s + _refresh_s(app.uid)
        return aged or book.settled_at_s is None

    def _stamped(self, book: Book, sizes: Sizes) -> Sizes:
        """Say since when pods have had all they were asked for: turns are too seldom to see it."""
        if book.resizing or any(pod.resizing is not Resizing.SETTLED for pod in sizes.sized):
            book.settled_at_s = None
        elif book.settled_at_s is None:
            book.settled_at_s = self._clock.wall_s()
        return replace(sizes, settled_at_s=book.settled_at_s)


def container(book: Book) -> str:
    """The container that is sized, or nothing."""
    app = book.app
    if not isinstance(app, ChargedApp) or app.deleting or app.spec.sized is None:
        return ""
    return app.spec.sized.container


def _version(app: ChargedApp, workload: Workload) -> tuple[int, str]:
    return app.generation, workload.resource_version


def _refresh_s(uid: str) -> float:
    """Between half of it and all: apps that were met together are not listed together for ever."""
    return _REFRESH_S * (1 + zlib.crc32(uid.encode()) / 2**32) / 2
