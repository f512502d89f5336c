"""The way of a write: intent first, on the version that was decided on, and what its failure means.

Reads: what a turn said of an app. Gives: statuses, moves of targets and Events, through the outbox.
Never: a move whose intent was not written, while another one is under way, or that a gate forbids
at the very moment of writing.

    intent (status) -> scale, with the resourceVersion decided on -> written | refused: back off
                         └ 409 -> read again -> decide again -> at most `conflict_retries` times
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from charon_operator import ports, settings
from charon_operator.actuate import replicas
from charon_operator.actuate.backoff import Backoff
from charon_operator.actuate.replicas import ScaleWrite
from charon_operator.loop.assembly import Assembly, Ground
from charon_operator.loop.book import Book
from charon_operator.loop.decider import Decider
from charon_operator.loop.gates import Gates
from charon_operator.loop.outbox import Outbox, Urgency
from charon_operator.loop.snapshot import Snapshot
from charon_operator.loop.teller import Teller
from charon_operator.model.workload import Key, Workload
from charon_operator.ports import WriteOutcome, WriteResult
from charon_operator.record import events
from charon_operator.record.metrics import Metrics, View

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Move:
    """A move under way: whose, decided in which turn, on what, and until when it may begin."""

    book: Book
    turn_id: str
    view: View
    expires_s: float

    @property
    def workload(self) -> Workload:
        found = self.view.facts.workload
        assert isinstance(found, Workload)
        return found


class Writer:
    """Carries out what turns decide on replicas; `again` asks for a turn of an app at once."""

    def __init__(
        self,
        outbox: Outbox,
        world: tuple[ports.Cluster, Snapshot, ports.Clock],
        decider: Decider,
        judges: tuple[Gates, Assembly, settings.Safety],
        metrics: Metrics,
        again: Callable[[Key], None],
    ) -> None:
        self._outbox = outbox
        self._again = again
        self._cluster, self._snapshot, self._clock = world
        self._decider = decider
        self._gates, self._assembly, self._safety = judges
        self._metrics = metrics
        self.teller = Teller(outbox, world, self._gates, metrics)

    def follow(self, book: Book, turn_id: str, period_s: float) -> None:
        """Do what an app's last turn calls for: move its target, or tell its status, or nothing."""
        view = book.view
        if view is None or book.moving:
            return
        if view.outcome.placing is not None:
            # What is placed is the placer's to move.
            self.teller.tell(book)
            return
        if not view.outcome.decision.moves:
            # What was refused is not wanted any more.
            book.refused, book.moves = "", Backoff()
        wanted = view.outcome.decision.moves and not self._gates.rests(book, period_s)
        if not wanted or not self._gates.may_move(book, view.outcome.generation):
            self.teller.tell(book)
            return
        book.moving = True
        move = _Move(book, turn_id, view, self._gates.expires_s(period_s))
        self._outbox.submit(Urgency.MOVE, functools.partial(self._carry_out, move))

    async def _carry_out(self, move: _Move) -> None:
        book = move.book
        try:
            await self._attempt(move)
        finally:
            book.moving = False
        if book.refused:
            self.teller.tell(book)

    async def _attempt(self, move: _Move) -> None:
        announced: tuple[int, int] | None = None
        for attempt in range(self._safety.conflict_retries + 1):
            write = self._write_of(move)
            if write is None:
                return
            decision = move.view.outcome.decision
            if announced != (decision.current, decision.final):
                if not await self._announce(move):
                    return
                announced = (decision.current, decision.final)
                if not self._gates.may_move(move.book, move.view.outcome.generation):
                    return
            result = await self._scale(move, write)
            if result.outcome is not WriteOutcome.CONFLICT:
                self._conclude(move, write, result)
                return
            again = await self._decided_again(move, attempt + 1)
            if again is None:
                break
            move = again
        self._back_off(move, WriteOutcome.CONFLICT)

    def _write_of(self, move: _Move) -> ScaleWrite | None:
        """What to write now, if it still may be written at all."""
        outcome = move.view.outcome
        # Decided again, it may not be wanted any more, or its target be gone.
        if not outcome.decision.moves:
            return None
        if self._clock.monotonic_s() >= move.expires_s:
            # Its period may be an hour.
            self._again(move.book.app.key)
            return None
        if not self._gates.may_move(move.book, outcome.generation):
            return None
        return replicas.scale_write(outcome.decision, move.workload)

    async def _announce(self, move: _Move) -> bool:
        """Write the intent. False: the move must not be made."""
        result = await self.teller.announce(move.book, move.view)
        decision = move.view.outcome.decision
        if self.teller.may_follow(move.book, result, raises=decision.final > decision.current):
            return True
        self._back_off(move, result.outcome)
        return False

    async def _scale(self, move: _Move, write: ScaleWrite) -> WriteResult:
        result = await replicas.apply(self._cluster, write)
        self._metrics.writes.labels("scale", result.outcome.value).inc()
        decision = move.view.outcome.decision
        self._decider.acted(move.turn_id, move.book.app.key, decision, result)
        return result

    async def _decided_again(self, move: _Move, attempt: int) -> _Move | None:
        """Read the target afresh and decide again at once; None when it cannot, or may not, be.

        What is placed never comes here: one app alone cannot be decided on again.
        """
        book, target = move.book, move.workload.target
        found = await self._cluster.workload(target)
        if found is None:
            return None
        self._snapshot.put_workload(found)
        # The readings answer the queries of the spec that was decided on, and of no other.
        if not self._gates.may_move(book, move.view.outcome.generation):
            return None
        readings = move.view.facts.readings
        facts = self._assembly.facts(book, readings, self._decider.memory, Ground())
        turn_id = f"{move.turn_id}.{attempt}"
        (outcome,) = self._decider.decide(turn_id, [facts])
        book.view = View(facts, outcome, self._clock.wall_s())
        return replace(move, turn_id=turn_id, view=book.view)

    def _conclude(self, move: _Move, write: ScaleWrite, result: WriteResult) -> None:
        book, outcome, decision = move.book, move.view.outcome, move.view.outcome.decision
        change = f"{write.target} {decision.current} -> {decision.final}"
        if result.outcome is WriteOutcome.REFUSED and self._gates.may_move(
            book, outcome.generation
        ):
            _log.warning("app=%s Refused: %s: %s", book.app.key, change, result.detail)
            book.refused = f"{change} was refused: {result.detail}"
            self.teller.post(events.refused(outcome, decision, result.detail))
        if result.outcome is WriteOutcome.WRITTEN:
            _log.info(
                "app=%s decision=%s %s: %s",
                book.app.key,
                decision.decision_id,
                change,
                decision.message,
            )
            book.refused = ""
            self._note(move, write, result)
        self._back_off(move, result.outcome)

    def _note(self, move: _Move, write: ScaleWrite, result: WriteResult) -> None:
        seen = replicas.after(move.workload, write, result)
        if seen is not None:
            self._snapshot.put_workload(seen)
        if (sampled_at_s := move.view.sampled_at_s) is not None:
            self._metrics.metric_to_patch.observe(max(0.0, self._clock.wall_s() - sampled_at_s))
        self.teller.post(events.scaled(move.view.outcome))

    def _back_off(self, move: _Move, outcome: WriteOutcome) -> None:
        # What became of an old spec's move is no reason for a new one to wait.
        book = move.book
        if self._gates.may_move(book, move.view.outcome.generation):
            book.moves = book.moves.after(outcome, self._clock.monotonic_s())
