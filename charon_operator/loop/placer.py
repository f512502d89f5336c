"""The way of a step between variants: raises first, each on the version that was decided on.

Reads: what a turn said of an app with placement. Gives: moves of its targets through the outbox.
Never: a lowering before every raise of the same step was made, a step while another move of the app
is under way, or a write that a gate forbids at its very moment.

No intent is written before it: a step stands only on what is there, so that after a crash the next
turn goes on from where this one came to.

    raises -> all written? -> a change of form -> written? -> lowerings -> remembered
       └ 409 -> read again -> the next turn decides again, with all apps that want the same devices
"""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from charon_operator import ports, settings
from charon_operator.actuate import placement
from charon_operator.actuate.backoff import Backoff
from charon_operator.actuate.placement import Write
from charon_operator.loop.book import Book
from charon_operator.loop.decider import Decider
from charon_operator.loop.gates import Gates
from charon_operator.loop.outbox import Outbox, Urgency
from charon_operator.loop.snapshot import Snapshot
from charon_operator.loop.teller import Teller
from charon_operator.model.app import ChargedApp
from charon_operator.model.facts import AppFacts
from charon_operator.model.form import Form
from charon_operator.model.placing import Placing
from charon_operator.model.workload import Key
from charon_operator.ports import WriteOutcome, WriteResult
from charon_operator.record import events
from charon_operator.record.metrics import Metrics, View

_log = logging.getLogger(__name__)

# Of several writes of a step the worst says how long to wait.
_WORST_FIRST: Final = (
    WriteOutcome.REFUSED,
    WriteOutcome.UNREACHABLE,
    WriteOutcome.CONFLICT,
    WriteOutcome.GONE,
    WriteOutcome.WRITTEN,
)


@dataclass(frozen=True, slots=True)
class _Step:
    """A step under way: whose, decided in which turn, on what, and until when it may go on."""

    book: Book
    turn_id: str
    view: View
    placing: Placing
    expires_s: float

    @property
    def key(self) -> Key:
        return self.book.app.key


@dataclass(frozen=True, slots=True)
class _Tried:
    """A write, and what came of it."""

    write: Write
    result: WriteResult

    @property
    def outcome(self) -> WriteOutcome:
        return self.result.outcome


class Placer:
    """Carries out what turns decide on variants; `again` asks for a turn of an app at once."""

    def __init__(
        self,
        outbox: Outbox,
        world: tuple[ports.Cluster, Snapshot, ports.Clock],
        decider: Decider,
        judges: tuple[Gates, Teller, settings.Safety],
        metrics: Metrics,
        again: Callable[[Key], None],
    ) -> None:
        self._outbox = outbox
        self._cluster, self._snapshot, self._clock = world
        self._decider = decider
        self._gates, self._teller, self._safety = judges
        self._metrics = metrics
        self._again = again

    def follow(self, book: Book, turn_id: str, period_s: float) -> None:
        """Do what an app's last turn calls for: move its variants, or nothing."""
        view = book.view
        placing = view.outcome.placing if view else None
        if view is None or placing is None or book.moving:
            return
        if not placing.moves:
            # What was refused is not wanted any more.
            book.refused, book.moves = "", Backoff()
            return
        if self._gates.rests(book, period_s):
            return
        if not self._gates.may_move(book, view.outcome.generation):
            return
        book.moving = True
        step = _Step(book, turn_id, view, placing, self._gates.expires_s(period_s))
        self._outbox.submit(Urgency.MOVE, functools.partial(self._carry_out, step))

    async def _carry_out(self, step: _Step) -> None:
        try:
            await self._attempt(step)
        finally:
            step.book.moving = False
        self._teller.tell(step.book)

    async def _attempt(self, step: _Step) -> None:
        facts = step.view.facts
        wanted = placement.writes(step.placing, facts.variants, _forms(facts))
        tried: list[_Tried] = []
        for writes in (wanted.raises, wanted.changes, wanted.lowerings):
            now = await self._written(step, writes)
            tried += now
            if [one.outcome for one in now] != [WriteOutcome.WRITTEN] * len(writes):
                break
        if tried:
            await self._conclude(step, tried)

    async def _written(self, step: _Step, writes: Sequence[Write]) -> list[_Tried]:
        """Make writes one after the other, for as long as they may be made."""
        tried: list[_Tried] = []
        for write in writes:
            if self._clock.monotonic_s() >= step.expires_s:
                # Its period may be an hour.
                self._again(step.key)
                break
            if not self._gates.may_move(step.book, step.view.outcome.generation):
                break
            tried.append(_Tried(write, await self._make(write)))
        return tried

    async def _make(self, write: Write) -> WriteResult:
        result = await write.make(self._cluster)
        self._metrics.writes.labels(write.KIND, result.outcome.value).inc()
        seen = write.after(result)
        if seen is not None:
            self._snapshot.put_workload(*seen)
        return result

    async def _conclude(self, step: _Step, tried: Sequence[_Tried]) -> None:
        self._remember(step, tried)
        self._note(step, tried)
        # What became of an old spec's step is no reason for a new one to wait.
        if self._gates.may_move(step.book, step.view.outcome.generation):
            self._refuse(step, tried)
            self._back_off(step, tried)
        for one in tried:
            if one.outcome is WriteOutcome.CONFLICT:
                found = await self._cluster.workload(one.write.target)
                if found is not None:
                    self._snapshot.put_workload(found)

    def _remember(self, step: _Step, tried: Sequence[_Tried]) -> None:
        """One act for all that was written: what was exchanged was not given up."""
        for outcome in WriteOutcome:
            same = [one for one in tried if one.outcome is outcome]
            if same:
                placing = placement.made(step.placing, {one.write.target for one in same})
                told = (step.turn_id, step.view.outcome, placing, same[0].result)
                self._decider.placed(*told)

    def _note(self, step: _Step, tried: Sequence[_Tried]) -> None:
        made = [str(one.write) for one in tried if one.outcome is WriteOutcome.WRITTEN]
        if not made:
            return
        identity, message = step.view.outcome.decision.decision_id, step.placing.message
        _log.info("app=%s decision=%s %s: %s", step.key, identity, ", ".join(made), message)
        if (sampled_at_s := step.view.sampled_at_s) is not None:
            self._metrics.metric_to_patch.observe(max(0.0, self._clock.wall_s() - sampled_at_s))
        self._teller.post(events.placed(step.view.outcome))

    def _refuse(self, step: _Step, tried: Sequence[_Tried]) -> None:
        """Say what was refused, if anything was."""
        book, outcome = step.book, step.view.outcome
        if all(one.outcome is WriteOutcome.WRITTEN for one in tried):
            book.refused = ""
        for one in tried:
            if one.outcome is WriteOutcome.REFUSED:
                book.refused = f"{one.write} was refused: {one.result.detail}"
                _log.warning("app=%s %s", step.key, book.refused)
                detail = f"{one.write}: {one.result.detail}"
                self._teller.post(events.refused(outcome, outcome.decision, detail))

    def _back_off(self, step: _Step, tried: Sequence[_Tried]) -> None:
        book, outcomes = step.book, {one.outcome for one in tried}
        worst = next(one for one in _WORST_FIRST if one in outcomes)
        moves = book.moves.after(worst, self._clock.monotonic_s())
        if worst is WriteOutcome.CONFLICT and moves.failures <= self._safety.conflict_retries:
            # It is not the target that refuses: what is read now is decided on at once.
            moves = replace(moves, until_s=0.0)
            self._again(step.key)
        book.moves = moves


def _forms(facts: AppFacts) -> Mapping[str, Form]:
    """The forms that an app's Deployments may be given, by name of a variant."""
    placement = facts.app.spec.placement if isinstance(facts.app, ChargedApp) else None
    variants = placement.variants if placement else ()
    return {one.name: one.template for one in variants if one.template is not None}
