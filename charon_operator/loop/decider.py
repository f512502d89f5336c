"""The pure turn with its memory and its journal: whatever changes the memory is a row, in order.

Reads: facts. Gives: outcomes. Never: a change of memory that a replay of the journal would miss.
"""

import contextlib
import itertools
import logging
import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from charon_operator import ports, settings
from charon_operator.loop import turn
from charon_operator.model.decision import Decision, Resize
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import Action, FleetMemory
from charon_operator.model.placing import Placing, Supply
from charon_operator.model.workload import Key
from charon_operator.record import journal
from charon_operator.record.metrics import Metrics

_log = logging.getLogger(__name__)


class Keeper(ports.Journal, Protocol):
    """A journal that says when it needs to begin anew."""

    @property
    def wants_start(self) -> bool:
        """Whether the next row should be a `start`."""

    @property
    def keeps(self) -> bool:
        """Whether rows are kept at all; if not, none are made."""


class Decider:
    """Decides, remembers, records.

    Attributes:
        memory: of the fleet.
    """

    def __init__(
        self,
        keeper: Keeper,
        safety: settings.Safety,
        clock: ports.Clock,
        metrics: Metrics,
        identity: str,
    ) -> None:
        self._keeper = keeper
        self._recorder = journal.Recorder(keeper, identity, idle=not keeper.keeps)
        self._safety = safety
        self._clock = clock
        self._metrics = metrics
        self._life = uuid.uuid4().hex[:8]
        self._turns = itertools.count(1)
        self._gone: list[Key] = []
        self._begun = False
        self.memory = FleetMemory()

    def begin_anew(self) -> None:
        """Forget everything: somebody else may have acted since."""
        self.memory = FleetMemory()
        self._begun = False
        self._gone = []

    def next_turn(self) -> str:
        """An id that no other turn has, of this life or another."""
        return f"{self._life}-{next(self._turns)}"

    def forget(self, keys: Collection[Key]) -> None:
        """Drop apps that are gone; the next turn's row says so."""
        known = [key for key in keys if key in self.memory.apps]
        if known:
            self.memory = self.memory.forgetting(known)
            self._gone += known

    def decide(
        self, turn_id: str, facts: Sequence[AppFacts], supply: Supply | None = None
    ) -> tuple[Outcome, ...]:
        """One turn over these apps, now."""
        now_s = self._clock.wall_s()
        with self._recording():
            if not self._begun or self._keeper.wants_start:
                self._recorder.start(now_s, self._safety, self.memory)
                self._begun, self._gone = True, []
        moment = turn.Moment(turn_id, now_s)
        result = turn.turn(self.memory, moment, facts, self._safety, supply)
        self.memory = result.memory
        with self._recording():
            self._recorder.turn(turn_id, now_s, facts, result.outcomes, self._gone, supply)
        self._gone = []
        self._metrics.decided(result.outcomes)
        return result.outcomes

    def acted(self, turn_id: str, key: Key, decision: Decision, result: ports.WriteResult) -> None:
        """Remember and record a write that was tried."""
        now_s = self._clock.wall_s()
        action = Action(now_s, decision.current, decision.final)
        self.memory = turn.acted(self.memory, key, action, result.outcome)
        with self._recording():
            self._recorder.write(turn_id, now_s, key, decision, result)

    def resized(self, turn_id: str, key: Key, resize: Resize, result: ports.WriteResult) -> None:
        """Remember and record a size that pods were asked to take."""
        now_s = self._clock.wall_s()
        told = (result.outcome, now_s, result.detail)
        self.memory = turn.resized(self.memory, key, resize, *told)
        with self._recording():
            self._recorder.resize(turn_id, now_s, key, resize, result)

    def placed(
        self, turn_id: str, outcome: Outcome, placing: Placing, result: ports.WriteResult
    ) -> None:
        """Remember and record what of a step between variants was tried with one outcome."""
        now_s = self._clock.wall_s()
        self.memory = turn.placed(self.memory, outcome.key, placing, result.outcome, now_s)
        with self._recording():
            self._recorder.place(turn_id, now_s, outcome, placing, result)

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        """A journal that fails is begun anew, and never stops control."""
        try:
            yield
        except Exception:
            self._begun = False
            _log.exception("The journal's rows could not be made")
