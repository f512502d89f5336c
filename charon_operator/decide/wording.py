"""Decisions as data with words: why a count or a size is wanted, in one sentence.

Reads: the winning wish, the limits that changed it. Gives: a `Decision`, a `Resize`. Never: a
number that is not in the decision.
"""

import hashlib
from typing import Final

from charon_operator.decide import guards
from charon_operator.decide.demand import Wish
from charon_operator.decide.limits import Limited
from charon_operator.decide.situation import Situation
from charon_operator.decide.sizes import resizing, usage
from charon_operator.decide.sizes.knobs import Plan
from charon_operator.decide.sizes.resizing import Footing, Moves
from charon_operator.model.decision import Decision, Resize
from charon_operator.model.facts import Broken
from charon_operator.model.quantity import render_cpu
from charon_operator.model.sizes import Size
from charon_operator.names import Reason

REPLICAS: Final = "replicas"


def decision_id(uid: str, turn_id: str, knob: str = REPLICAS) -> str:
    """The same for the same app, turn and knob."""
    return hashlib.sha256(f"{uid}/{turn_id}/{knob}".encode()).hexdigest()[:16]


def decided(
    identity: str,
    situation: Situation,
    winner: Wish | None,
    limited: Limited,
    acts: bool,
    plan: Plan | None = None,
) -> Decision:
    """The decision that follows from a wish and its limits.

    Args:
        identity: as `decision_id` gives it.
        situation: of the replicas.
        winner: the wish for most.
        limited: what limits left of it.
        acts: it may be carried out.
        plan: what the wish came to where pods are resized, too.
    """
    demand = winner.demand if winner else None
    raw = winner.replicas if winner else None
    if winner and plan:
        raw = plan.replicas
    reason = _reason(situation.current, raw, limited)
    return Decision(
        decision_id=identity,
        knob=REPLICAS,
        acts=acts,
        current=situation.current,
        raw=raw,
        final=limited.final,
        reason=reason,
        message=_message(situation, _wish(situation, winner, plan), limited, reason),
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


def _message(situation: Situation, wish: str, limited: Limited, reason: Reason) -> str:
    current, final = situation.current, limited.final
    move = f"at {current}" if final == current else f"from {current} to {final}"
    why = "".join(f"; {clamp.detail}" for clamp in limited.clamps)
    return f"{reason} {move}: {wish}{why}."


def _wish(situation: Situation, winner: Wish | None, plan: Plan | None) -> str:
    if winner is None:
        bound = guards.metrics(situation, situation.current)
        return bound.detail if bound else "nothing is demanded"
    if plan is None or winner.capacity is None:
        return f"{winner.objective} wants {winner.replicas}"
    pods = f"{plan.replicas} of {render_cpu(plan.cpu_m)}"
    why = f"; {plan.why}" if plan.why else ""
    return f"{winner.objective} wants {winner.capacity:.6g} a second, for now {pods}{why}"


def _used(situation: Situation) -> str:
    known = situation.memory.knobs
    cores = usage.wanted(known.learnt.usage if known else None)
    if cores is None:
        return "what pods use has not been seen yet"
    most = f"pods use at most {cores / usage.MARGIN:.3g} cores {usage.PERCENTILE:.0%} of the time"
    return f"{most}, {cores:.3g} with {usage.MARGIN - 1:.0%} on top"


def resize(
    identity: str, situation: Situation, winner: Wish | None, footing: Footing, found: Moves
) -> Resize:
    """What follows for the size of the pods; it acts only where the caller says so."""
    current, final = footing.size, resizing.final(footing, found)
    reason = _size_reason(situation, footing, current, final)
    return Resize(
        decision_id=identity,
        acts=False,
        container=footing.resources.container,
        current=current,
        final=final,
        reason=reason,
        message=_size_message(situation, winner, footing, found, (reason, final)),
        clamps=resizing.clamps(found),
        give_back=footing.give_back,
        restarts=resizing.restarts(footing, final),
    )


def _size_reason(
    situation: Situation, footing: Footing, current: Size | None, final: Size | None
) -> Reason:
    failed = situation.memory.quarantine
    if failed and failed.active_at(situation.now_s):
        return Reason(failed.reason)
    if current is None or final is None:
        return Reason.HELD
    if final == current:
        return Reason.UNCHANGED
    before, after = (size.cpu_m or 0 for size in (current, final))
    if before == after:
        before, after = (size.memory_b or 0 for size in (current, final))
    return Reason.RAISED if after > before else Reason.LOWERED


def _size_message(
    situation: Situation,
    winner: Wish | None,
    footing: Footing,
    found: Moves,
    what: tuple[Reason, Size | None],
) -> str:
    reason, final = what
    if final is None:
        problem = footing.sizes.problem if footing.sizes else "the pods have not been read yet"
        return f"{reason}: {problem or 'nothing is set'}."
    current = footing.size
    move = f"at {current}" if final == current else f"from {current} to {final}"
    why = [clamp.detail for clamp in resizing.clamps(found)]
    failed = situation.memory.quarantine
    if failed and failed.active_at(situation.now_s) and failed.detail not in why:
        why.append(failed.detail)
    if resizing.restarts(footing, final):
        why.append("containers restart for it (resizePolicy RestartContainer), one pod at a time")
    refusals = sorted({pod.refusal for pod in footing.sizes.pods} - {""}) if footing.sizes else []
    if refusals:
        why.append(f"not raised, as not every pod may be resized: {refusals[0]}")
    by_usage = footing.resources.by_usage and found.plan is not None
    wish = _used(situation) if by_usage else _wish(situation, winner, found.plan)
    return f"{reason} {move}: {'; '.join([wish, *why])}."
