"""What was decided and done about one app, in order: the short form that scores need.

Reads: turns and writes, or the rows of a journal. Gives: `Story`. Never: a judgement.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from charon_operator.model.decision import Decision
from charon_operator.model.facts import AppFacts
from charon_operator.model.reading import Reading
from charon_operator.model.workload import Key
from charon_operator.ports import WriteOutcome
from charon_operator.record import encoding, journal


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """One decision.

    Attributes:
        sampled_s: when the oldest reading under it was sampled, seconds since 1970; None if any
            was missing.
    """

    time_s: float
    sampled_s: float | None
    decision: Decision


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """One write that took effect; `sampled_s` as of the decision behind it."""

    time_s: float
    start: int
    to: int
    sampled_s: float | None


@dataclasses.dataclass(slots=True)
class Story:
    """Decisions and writes of one app, each ascending in time (seconds since 1970).

    Attributes:
        resized: pods that were set to another size, counted each time.
    """

    decided: list[Decided] = dataclasses.field(default_factory=list)
    done: list[Done] = dataclasses.field(default_factory=list)
    resized: int = 0

    @classmethod
    def read(cls, rows: Iterable[Mapping[str, Any]], app: Key) -> Self:
        """The story of one app out of a journal's rows."""
        story, reader = cls(), journal.Reader()
        for row in rows:
            match reader.read(row):
                case journal.Turn(now_s=now_s, facts=facts, decisions=decisions):
                    for fact, decision in zip(facts, decisions, strict=True):
                        if fact.key == app:
                            story.decide(now_s, fact, encoding.decision_from_json(decision))
                case journal.Write(key=key) as write if key == app:
                    story.write(write)
                case journal.Resized(key=key, outcome=WriteOutcome.WRITTEN) if key == app:
                    story.resized += 1
        return story

    def decide(self, time_s: float, facts: AppFacts, decision: Decision) -> None:
        """Keep a decision and the age of what it stood on."""
        times = [item.sampled_at_s for item in facts.readings.values() if isinstance(item, Reading)]
        whole = bool(times) and len(times) == len(facts.readings)
        self.decided.append(Decided(time_s, min(times) if whole else None, decision))

    def write(self, write: journal.Write) -> None:
        """Keep a write, if it took effect."""
        if write.outcome is not WriteOutcome.WRITTEN:
            return
        behind, action = self.behind(write), write.action
        sampled_s = behind.sampled_s if behind else None
        self.done.append(Done(action.time_s, action.start, action.to, sampled_s))

    def behind(self, write: journal.Write) -> Decided | None:
        """The decision that a write carried out; None when it was not recorded."""
        made = (d for d in reversed(self.decided) if d.decision.decision_id == write.decision_id)
        return next(made, None)

    def replicas(self, times_s: Sequence[float]) -> list[int]:
        """Replicas asked for at these ascending times, as the writes tell."""
        if not self.done:
            first = self.decided[0].decision.current if self.decided else 0
            return [first] * len(times_s)
        wanted, following, now = [], 0, self.done[0].start
        for time_s in times_s:
            while following < len(self.done) and self.done[following].time_s <= time_s:
                now = self.done[following].to
                following += 1
            wanted.append(now)
        return wanted
