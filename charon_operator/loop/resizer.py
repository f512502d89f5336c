"""Pods of apps that are resized: set to the size that a turn decided.

Reads: an app's last turn, its pods. Gives: resizes of pods through the outbox. Never: a change of
size whose intent was not written, a resize that a gate forbids at the very moment of writing or
that stands on a list of long ago, or a call between turns for an app whose pods are all there and
settled.

    turn -> pods, unless just listed -> intent (status) -> pods/resize, some at a time
    pods on their way -> listed again every `_LOOK_AGAIN_S` -> those that run now: pods/resize
"""

import asyncio
import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from charon_operator import ports
from charon_operator.actuate import resize as resizes
from charon_operator.actuate.resize import PodWrite
from charon_operator.loop.book import Book
from charon_operator.loop.decider import Decider
from charon_operator.loop.gates import Gates
from charon_operator.loop.lister import AT_ONCE, Lister
from charon_operator.loop.outbox import Outbox, Urgency
from charon_operator.loop.snapshot import Snapshot
from charon_operator.loop.teller import Teller
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Resize
from charon_operator.model.workload import Workload
from charon_operator.names import Reason
from charon_operator.ports import WriteOutcome, WriteResult
from charon_operator.record import events
from charon_operator.record.metrics import Metrics, View

_log = logging.getLogger(__name__)

# A pod that runs now is resized within 5 s: this, a tick of the loop, a list and a write.
_LOOK_AGAIN_S: Final = 2.0
_LOOK_TIMEOUT_S: Final = 5.0
# What keeps the others from being tried again, the worst first; a pod that moved on is no failure.
_FAILURES: Final = (WriteOutcome.REFUSED, WriteOutcome.UNREACHABLE)


class Resizer:
    """Carries out what turns decide on sizes.

    Attributes:
        lister: knows the pods; a turn has its sizes from it.
    """

    def __init__(
        self,
        outbox: Outbox,
        world: tuple[ports.Cluster, Snapshot, ports.Clock],
        decider: Decider,
        tellers: tuple[Gates, Teller],
        metrics: Metrics,
    ) -> None:
        self._outbox = outbox
        self._cluster, self._snapshot, self._clock = world
        self.lister = Lister(*world)
        self._decider = decider
        self._gates, self._teller = tellers
        self._metrics = metrics
        self._looking: dict[Book, asyncio.Task[None]] = {}

    def follow(self, book: Book, turn_id: str, period_s: float) -> None:
        """Do what an app's last turn calls for: resize its pods, or nothing."""
        # In its first period an app is only looked at.
        new = self._gates.is_new(book, period_s)
        book.resize_turn = "" if new else turn_id
        self._act(book)

    def look_again(self, books: Iterable[Book]) -> None:
        """List again, between turns, the pods of apps that are not all there and settled."""
        now_s = self._clock.monotonic_s()
        due = [book for book in books if self._is_due(book, now_s)]
        # Whoever waits for longest goes first.
        due.sort(key=lambda book: book.listed_at_s)
        for book in due[: max(0, AT_ONCE - len(self._looking))]:
            task = asyncio.create_task(self._look(book))
            self._looking[book] = task
            task.add_done_callback(functools.partial(self._looked, book))

    async def looked(self) -> None:
        """Wait until every list that was begun between turns is over."""
        await asyncio.gather(*self._looking.values())

    async def close(self) -> None:
        """End what was begun between turns."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Looking.

    async def _look(self, book: Book) -> None:
        if await self.lister.list(book, _LOOK_TIMEOUT_S):
            self._act(book)

    def _looked(self, book: Book, _: asyncio.Task[None]) -> None:
        self._looking.pop(book, None)

    def _is_due(self, book: Book, now_s: float) -> bool:
        waits = now_s < book.listed_at_s + _LOOK_AGAIN_S or now_s < book.resizes.until_s
        if waits or book.resizing or book in self._looking:
            return False
        wanted = self._wanted(book)
        if wanted is None:
            return False
        resize, workload = wanted
        if book.sizes is None or self.lister.is_outdated(book, workload):
            return True
        return not resizes.settled(resize, book.sizes)

    # Acting.

    def _wanted(self, book: Book) -> tuple[Resize, Workload] | None:
        """The size decided on and the target as it is now, if pods may be resized at all."""
        view, app = book.view, book.app
        resize = view.outcome.resize if view else None
        if view is None or resize is None or not resize.acts or not isinstance(app, ChargedApp):
            return None
        workload = self._snapshot.workload(app.target)
        if not book.resize_turn or not isinstance(workload, Workload):
            return None
        if not self._gates.may_move(book, view.outcome.generation):
            return None
        return resize, workload

    def _act(self, book: Book) -> None:
        wanted = self._wanted(book)
        if wanted is None or book.sizes is None or book.resizing:
            return
        resize, workload = wanted
        writes = resizes.writes(resize, book.sizes, workload.min_available)
        if writes and self._clock.monotonic_s() >= book.resizes.until_s:
            book.resizing = True
            self._outbox.submit(Urgency.MOVE, functools.partial(self._carry_out, book, resize))

    async def _carry_out(self, book: Book, resize: Resize) -> None:
        try:
            writes = await self._due(book, resize)
            view = book.view
            if view is not None and writes:
                turn_id = book.resize_turn
                if not resize.moves or await self._announced(book, view, resize):
                    results = await self._write(book, resize, writes)
                    if self._concluded(book, turn_id, resize, results):
                        self._tell(book, view, resize)
        finally:
            book.resizing = False

    async def _due(self, book: Book, resize: Resize) -> Sequence[PodWrite]:
        """What to write now, to pods as they are now: on older versions it would be conflicts."""
        old = self._clock.monotonic_s() >= book.listed_at_s + _LOOK_AGAIN_S
        if old and not await self.lister.list(book, _LOOK_TIMEOUT_S):
            return ()
        workload = self._held(book, resize)
        if workload is None or book.sizes is None:
            return ()
        return resizes.writes(resize, book.sizes, workload.min_available)

    def _held(self, book: Book, resize: Resize) -> Workload | None:
        """The target, if what was decided for it is what is wanted, and allowed, still."""
        wanted = self._wanted(book)
        if wanted is None:
            return None
        newest, workload = wanted
        same = (newest.final, newest.give_back) == (resize.final, resize.give_back)
        return workload if same else None

    async def _announced(self, book: Book, view: View, resize: Resize) -> bool:
        """Write the size into the status. False: it must not be given to the pods."""
        result = await self._teller.announce_size(book, view)
        if self._teller.may_follow(book, result, raises=resize.reason is Reason.RAISED):
            return True
        book.resizes = book.resizes.after(result.outcome, self._clock.monotonic_s())
        return False

    async def _write(
        self, book: Book, resize: Resize, writes: Sequence[PodWrite]
    ) -> list[WriteResult]:
        app, results = book.app, list[WriteResult]()
        assert isinstance(app, ChargedApp)
        book.settled_at_s = None
        for begin in range(0, len(writes), AT_ONCE):
            if self._held(book, resize) is None:
                break
            results += await asyncio.gather(
                *(
                    self._cluster.resize_pod(app.target, one.pod, resize.container, one.size)
                    for one in writes[begin : begin + AT_ONCE]
                )
            )
        return results

    def _concluded(
        self, book: Book, turn_id: str, resize: Resize, results: Sequence[WriteResult]
    ) -> bool:
        """Remember what became of the writes; whether pods have a size that is new."""
        first: dict[WriteOutcome, WriteResult] = {}
        for result in results:
            self._metrics.writes.labels("resize", result.outcome.value).inc()
            self._metrics.resizes.labels(result.outcome.value).inc()
            first.setdefault(result.outcome, result)
        holds = self._held(book, resize) is not None
        known = self._decider.memory.apps.get(book.app.key)
        changed = known is not None and known.size != resize.final
        # Of many pods one stands for all with the same outcome.
        for outcome, result in first.items():
            # That an old spec's resize was refused, or one under a lost Lease, says nothing.
            if holds or outcome is not WriteOutcome.REFUSED:
                self._decider.resized(turn_id, book.app.key, resize, result)
        if holds and first:
            self._back_off(book, resize, first)
        return changed and WriteOutcome.WRITTEN in first

    def _back_off(
        self, book: Book, resize: Resize, first: Mapping[WriteOutcome, WriteResult]
    ) -> None:
        failed = next((one for one in _FAILURES if one in first), WriteOutcome.WRITTEN)
        book.resizes = book.resizes.after(failed, self._clock.monotonic_s())
        if failed is not WriteOutcome.WRITTEN:
            _log.warning(
                "app=%s %s: %s: %s", book.app.key, failed, resize.final, first[failed].detail
            )

    def _tell(self, book: Book, view: View, resize: Resize) -> None:
        key = book.app.key
        _log.info("app=%s decision=%s size: %s", key, resize.decision_id, resize.message)
        event = events.resized(view.outcome)
        if event is not None:
            self._teller.post(event)
