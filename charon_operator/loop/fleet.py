"""The loop beside the informer: who is due, gather, turn, apply, record.

Reads: the snapshot, the metric store, the clock. Gives: turns, and what follows from them through
the writer. Never: a blocking call, a turn that waits for a write, an app that waits for another's
fault; deadlines are monotonic.

    every period, for all apps of one period and tenant together:
        roster -> queries, pods -> readings, sizes -> facts -> turn (journal) -> intents, writes,
        statuses
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from charon_operator import ports, settings
from charon_operator.loop.assembly import Assembly
from charon_operator.loop.book import Book
from charon_operator.loop.decider import Decider, Keeper
from charon_operator.loop.gates import Gates, Leading
from charon_operator.loop.outbox import Outbox
from charon_operator.loop.placer import Placer
from charon_operator.loop.resizer import Resizer
from charon_operator.loop.roster import Roster
from charon_operator.loop.schedule import Group
from charon_operator.loop.snapshot import Snapshot
from charon_operator.loop.writer import Writer
from charon_operator.model.facts import AppFacts
from charon_operator.model.reading import Reading, Readings
from charon_operator.model.workload import Key
from charon_operator.names import Metric
from charon_operator.observe import gather
from charon_operator.record.metrics import Metrics, View

_log = logging.getLogger(__name__)

# How long the loop sleeps at most: leadership and kill switches are noticed, the heart beats.
_TICK_S: Final = 1.0
# Changes of specs are collected for so long before they are looked at outside their period.
_COALESCE_S: Final = 0.5
# Of a period, what gathering may take: the rest is for deciding and writing.
_GATHER_SHARE: Final = 0.8
# A thousand new apps compile in a fraction of it.
_COMPILE_S: Final = 30.0
_GRACE_S: Final = 5.0
# An attainment speaks of the present until so many newer ones were due and did not come.
_ATTAINMENTS_DUE: Final = 3
_NOTHING: Final[Readings] = {}


class Fleet:
    """All apps under control.

    Attributes:
        metrics: of the operator; the health server shows them.
        heartbeat_s: when the loop last came round, monotonic.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        gatherer: gather.Gatherer,
        cluster: ports.Cluster,
        journal: Keeper,
        clock: ports.Clock,
        *,
        leader: Leading,
        configured: settings.Settings,
    ) -> None:
        self.metrics = Metrics()
        self.heartbeat_s = clock.monotonic_s()
        self._snapshot, self._gatherer, self._clock = snapshot, gatherer, clock
        self._leader, self._settings = leader, configured
        self._outbox = Outbox(configured.safety.write_concurrency)
        gates = Gates(snapshot, leader, clock, configured)
        safety = configured.safety
        self._decider = Decider(journal, safety, clock, self.metrics, leader.identity)
        self._assembly = Assembly(snapshot, gates, configured)
        self._roster = Roster(snapshot, clock, configured.mimir)
        world = (cluster, snapshot, clock)
        self._writer = Writer(
            self._outbox,
            world,
            self._decider,
            (gates, self._assembly, safety),
            self.metrics,
            self._roster.again,
        )
        tellers = (gates, self._writer.teller)
        self._resizer = Resizer(self._outbox, world, self._decider, tellers, self.metrics)
        self._placer = Placer(
            self._outbox,
            world,
            self._decider,
            (*tellers, safety),
            self.metrics,
            self._roster.again,
        )
        self._turning: dict[Group, asyncio.Task[None]] = {}
        self._attaining: set[asyncio.Task[None]] = set()
        self._prompt_at_s = 0.0
        # The term of leadership that all that is remembered belongs to.
        self._term: int | None = None
        self._blind = False
        self._publish()

    async def run(self, stop: asyncio.Event) -> None:
        """Control until `stop` is set; writes that are under way then are completed."""
        wake = asyncio.Event()
        unsubscribe = self._snapshot.wake(asyncio.get_running_loop(), wake)
        self._outbox.start()
        try:
            while not stop.is_set():
                wake.clear()
                self._tick()
                await self._sleep(stop, wake)
        finally:
            unsubscribe()
            await self._end()

    async def turn_once(self) -> None:
        """One turn over every app now, and every write that follows from it; for tests."""
        self._outbox.start()
        try:
            self._notice_leader()
            self._roster.refresh()
            groups = self._roster.schedule.gathered(self._roster.books)
            for group, keys in groups.items():
                await self._turn(group, keys)
            await self._attained()
            await self._outbox.drained()
        finally:
            await self._outbox.pause(_GRACE_S)

    async def look_once(self) -> None:
        """What is looked at between turns, now, and every write that follows; for tests."""
        self._outbox.start()
        try:
            self._resizer.look_again(self._roster.books.values())
            await self._resizer.looked()
            await self._outbox.drained()
        finally:
            await self._outbox.pause(_GRACE_S)

    # When.

    def _tick(self) -> None:
        now_s = self._clock.monotonic_s()
        self.heartbeat_s = now_s
        try:
            if not self._snapshot.synced or not self._notice_leader():
                return
            self._decider.forget(self._roster.refresh())
            self._roster.rouse()
            for due in self._roster.schedule.due(now_s):
                self.metrics.turn_late_seconds.observe(due.late_s)
                if not self._begin(due.group, due.keys):
                    self.metrics.turns_skipped.inc()
            self._prompt(now_s)
            self._resizer.look_again(self._roster.books.values())
        except Exception:
            # Whatever it is, the next tick is a second away and has nothing of this one.
            _log.exception("The fleet's loop failed; it goes on")

    def _notice_leader(self) -> bool:
        """Begin anew with a new term, as others may have acted; whether to think at all."""
        term = self._leader.term
        if self._leader.leading and term is not None and term != self._term:
            self._term = term
            self._decider.begin_anew()
            self._roster.begin_anew()
        return self._thinks

    @property
    def _thinks(self) -> bool:
        """While leading, and after that for as long as nobody else is known to have led."""
        return self._term is not None and self._leader.term == self._term

    def _prompt(self, now_s: float) -> None:
        """Look at apps that are new or changed at once, together."""
        if not self._roster.changed or now_s < self._prompt_at_s:
            return
        self._prompt_at_s = now_s + _COALESCE_S
        # Whose target is being moved has its turn after that.
        still = [book.app.key for book in self._roster.of(self._roster.changed) if not book.moving]
        for group, keys in self._roster.schedule.gathered(still).items():
            if self._begin(group, keys):
                self._roster.changed.difference_update(keys)

    def _begin(self, group: Group, keys: Sequence[Key]) -> bool:
        """Start a turn of a group, unless its last one is not over: a missed turn is not piled."""
        if group in self._turning:
            return False
        task = asyncio.create_task(self._turn(group, keys))
        self._turning[group] = task
        task.add_done_callback(lambda _: self._turning.pop(group, None))
        return True

    async def _sleep(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        now_s = self._clock.monotonic_s()
        most_s = max(0.05, self._prompt_at_s - now_s) if self._roster.changed else _TICK_S
        wait_s = self._roster.schedule.wait_s(now_s, min(most_s, _TICK_S))
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, wake)]
        await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        if wake.is_set() and not stop.is_set():
            # A storm of changes is looked at twenty times a second, not thousands of times.
            await asyncio.sleep(0.05)

    async def _end(self) -> None:
        tasks = [*self._turning.values(), *self._attaining]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._resizer.close()
        await self._outbox.close(_GRACE_S)

    # What.

    async def _turn(self, group: Group, keys: Sequence[Key]) -> None:
        began_s = self._clock.monotonic_s()
        try:
            books = [book for book in self._roster.of(keys) if not book.moving]
            await self._compile(books)
            asked = {book.app.key: book.app for book in books if not self._assembly.is_stale(book)}
            readings, _ = await asyncio.gather(
                self._read(group, books), self._resizer.lister.read(books, self._timeout_s(group))
            )
            # Meanwhile an app may have gone or changed: an answer to its old queries says nothing
            # of the new ones. What has changed has a prompt turn of its own.
            books = [
                book
                for book in self._roster.of(keys)
                if not book.moving and book.app is asked.get(book.app.key)
            ]
            self._decide(group, books, readings)
            self._attain(group, books)
        except Exception:
            _log.exception("A turn of %d apps failed; the next one is its own", len(keys))
        self.metrics.turn_seconds.observe(self._clock.monotonic_s() - began_s)

    async def _compile(self, books: Iterable[Book]) -> None:
        stale = [book for book in books if self._assembly.is_stale(book)]
        if not stale:
            return
        try:
            async with asyncio.timeout(_COMPILE_S):
                await asyncio.to_thread(self._assembly.compile, stale)
        except TimeoutError:
            # Those that are compiled have their turn; the others are tried again with the next.
            _log.error("Queries of %d apps were not compiled in %.0f s", len(stale), _COMPILE_S)

    async def _read(self, group: Group, books: Sequence[Book]) -> Mapping[Key, Readings]:
        asks = self._asks(books)
        if not asks:
            return {}
        timeout_s = self._timeout_s(group)
        try:
            async with asyncio.timeout(timeout_s + 1.0):
                return await self._gatherer.readings(asks, self._clock.wall_s(), timeout_s)
        except Exception:
            # Nothing read is a state that the turn knows: it holds, and may raise.
            _log.exception("Gathering failed")
            return {}

    def _timeout_s(self, group: Group) -> float:
        return min(self._settings.mimir.timeout_seconds, _GATHER_SHARE * group.period_s)

    def _asks(self, books: Iterable[Book]) -> list[gather.Ask]:
        found = []
        for book in books:
            with self._apart(book):
                ask = self._assembly.ask(book)
                if ask is not None:
                    found.append(ask)
        return found

    def _decide(
        self, group: Group, books: Sequence[Book], readings: Mapping[Key, Readings]
    ) -> None:
        if not books:
            return
        memory = self._decider.memory
        ground = self._assembly.ground(books, self._roster.books.values())
        facts = [
            self._assembly.facts(book, readings.get(book.app.key, _NOTHING), memory, ground)
            for book in books
        ]
        turn_id = self._decider.next_turn()
        outcomes = self._decider.decide(turn_id, facts, ground.supply)
        now_s = self._clock.wall_s()
        self._blind = any(outcome.blind_fleet for outcome in outcomes)
        for book, one, outcome in zip(books, facts, outcomes, strict=True):
            with self._apart(book):
                book.view = View(one, outcome, now_s)
                self._watch_ages(book, one, now_s)
                self._placer.follow(book, turn_id, group.period_s)
                self._writer.follow(book, turn_id, group.period_s)
                self._resizer.follow(book, turn_id, group.period_s)

    def _watch_ages(self, book: Book, facts: AppFacts, now_s: float) -> None:
        """The pipeline's own dead time: how old a sample is when it is first decided on."""
        for name, one in facts.readings.items():
            if isinstance(one, Reading) and book.sampled.get(name) != one.sampled_at_s:
                book.sampled[name] = one.sampled_at_s
                self.metrics.dead_time.observe(max(0.0, now_s - one.sampled_at_s))

    # Attainment, once a minute, in nobody's way.

    def _attain(self, group: Group, books: Sequence[Book]) -> None:
        now_s, period_s = self._clock.monotonic_s(), self._settings.attainment_period_seconds
        # Half a turn early is better than half a turn late.
        before_s = now_s - period_s + min(period_s, group.period_s) / 2
        due = [
            book
            for book in books
            if not self._assembly.is_stale(book)
            and (book.attained_at_s is None or book.attained_at_s <= before_s)
        ]
        asks = self._asks(due)
        if not asks:
            return
        for book in due:
            book.attained_at_s = now_s
        asked_of = {book.app.key: book.compiled for book in due}
        fresh_s = _ATTAINMENTS_DUE * max(period_s, group.period_s)
        task = asyncio.create_task(self._fetch_attainments(asks, asked_of, fresh_s))
        self._attaining.add(task)
        task.add_done_callback(self._attaining.discard)

    async def _fetch_attainments(
        self,
        asks: Sequence[gather.Ask],
        asked_of: Mapping[Key, tuple[str, int] | None],
        fresh_s: float,
    ) -> None:
        timeout_s, now_s = self._settings.mimir.timeout_seconds, self._clock.wall_s()
        try:
            found = await self._gatherer.attainments(asks, now_s, timeout_s, fresh_s)
        except Exception:
            _log.exception("Attainments could not be gathered")
            return
        for key, attainments in found.items():
            book = self._roster.books.get(key)
            if book is None or asked_of[key] != (book.app.uid, book.app.generation):
                continue  # the answer is about another spec
            if attainments:
                book.attainments = {**book.attainments, **attainments}

    async def _attained(self) -> None:
        await asyncio.gather(*self._attaining)

    # Around it.

    @contextlib.contextmanager
    def _apart(self, book: Book) -> Iterator[None]:
        """A fault of ours on one app stays with it."""
        try:
            yield
        except Exception:
            _log.exception("app=%s the operator failed on it", book.app.key)

    def _views(self) -> Collection[View]:
        # Two processes that tell of one app would be two series, and an HPA obeys the larger.
        books = list(self._roster.books.values()) if self._thinks else ()
        return [book.view for book in books if book.view is not None]

    def _publish(self) -> None:
        metrics = self.metrics
        metrics.apps(self._views, self._clock.wall_s)
        metrics.asked(self._gatherer.counters)
        metrics.gauge(Metric.LEADER, "1: this process leads.", lambda: self._leader.leading)
        metrics.gauge(Metric.FLEET_BLIND, "1: lowering is blocked fleet-wide.", lambda: self._blind)
        metrics.gauge(
            Metric.INFORMER_SYNCED,
            "1: every watched kind is listed.",
            lambda: self._snapshot.synced,
        )
