"""Decisions as data with words: why a count is wanted, in one sentence.

Reads: the winning wish, the limits that changed it. Gives: a `Decision`. Never: a number that is
not in the decision.
"""

import hashlib
from typing import Final

from charon_operator.decide import guards
from charon_operator.decide.demand import Wish
from charon_operator.decide.limits import Limited
from charon_operator.decide.situation import Situation
from charon_operator.model.decision import Decision
from charon_operator.model.facts import Broken
from charon_operator.names import Reason

REPLICAS: Final = "replicas"


def decision_id(uid: str, turn_id: str) -> str:
    """The same for the same app, turn and knob."""
    return hashlib.sha256(f"{uid}/{turn_id}/{REPLICAS}".encode()).hexdigest()[:16]


def decided(
    identity: str, situation: Situation, winner: Wish | None, limited: Limited, acts: bool
) -> Decision:
    """The decision that follows from a wish and its limits."""
    demand = winner.demand if winner else None
    raw = winner.replicas if winner else None
    reason = _reason(situation.current, raw, limited)
    return Decision(
        decision_id=identity,
        knob=REPLICAS,
        acts=acts,
        current=situation.current,
        raw=raw,
        final=limited.final,
        reason=reason,
        message=_message(situation, winner, limited, reason),
        objective=winner.objective if winner else "",
        clamps=limited.clamps,
        terms=demand.terms if demand else {},
        demand_age_s=max(0.0, situation.now_s - demand.sampled_at_s) if demand else None,
    )


def held(identity: str, current: int, problem: Broken | None) -> Decision:
    """The decision to leave things alone because of a problem, or as the target is not known."""
    if problem is None:
        reason, message = Reason.HELD, "Held: the target has not been read yet."
    else:
        reason, message = problem.reason, f"Held: {problem.field}: {problem.message}."
    return Decision(identity, REPLICAS, False, current, None, current, reason, message)


def _reason(current: int, raw: int | None, limited: Limited) -> Reason:
    if limited.final != current:
        return Reason.RAISED if limited.final > current else Reason.LOWERED
    return Reason.UNCHANGED if raw == current else Reason.HELD


def _message(situation: Situation, winner: Wish | None, limited: Limited, reason: Reason) -> str:
    current, final = situation.current, limited.final
    move = f"at {current}" if final == current else f"from {current} to {final}"
    if winner is None:
        bound = guards.metrics(situation, current)
        wish = bound.detail if bound else "nothing is demanded"
    else:
        wish = f"{winner.objective} wants {winner.replicas}"
    why = "".join(f"; {clamp.detail}" for clamp in limited.clamps)
    return f"{reason} {move}: {wish}{why}."
