"""One turn of the fleet: readings and memory of all apps in, decisions out.

Reads: `FleetMemory` and the facts of the apps that are due. Gives: a new memory and an `Outcome`
for each of them. Never: a clock, chance, I/O, or an exception for anything a user wrote.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from charon_operator.model.decision import Decision
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import FleetMemory
from charon_operator.model.workload import Key, Workload
from charon_operator.names import Reason
from charon_operator.ports import WriteOutcome
from charon_operator.settings import Safety

KNOB_REPLICAS = "replicas"


@dataclass(frozen=True, slots=True)
class Moment:
    """When a turn happens: its id, and the time in seconds since 1970."""

    turn_id: str
    now_s: float


@dataclass(frozen=True, slots=True)
class TurnResult:
    """What a turn leaves: the memory for the next one, and one outcome for each app."""

    memory: FleetMemory
    outcomes: tuple[Outcome, ...]


def turn(
    memory: FleetMemory, moment: Moment, facts: Sequence[AppFacts], safety: Safety
) -> TurnResult:
    """Decide on every app in `facts`."""
    return TurnResult(memory, tuple(_held(fact, moment) for fact in facts))


def acted(
    memory: FleetMemory, key: Key, decision: Decision, now_s: float, outcome: WriteOutcome
) -> FleetMemory:
    """Remember a write that was tried."""
    return memory


def _held(fact: AppFacts, moment: Moment) -> Outcome:
    current = fact.workload.replicas if isinstance(fact.workload, Workload) else 0
    digest = hashlib.sha256(f"{fact.app.uid}/{moment.turn_id}/{KNOB_REPLICAS}".encode())
    decision = Decision(
        decision_id=digest.hexdigest()[:16],
        knob=KNOB_REPLICAS,
        acts=False,
        current=current,
        raw=None,
        final=current,
        reason=Reason.HELD,
        message="Nothing is demanded.",
    )
    return Outcome(fact.key, fact.app.uid, fact.app.generation, decision)
