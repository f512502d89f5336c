"""What is decided on variants as data with words: a `Decision`, a `Placing`.

Reads: what an app claimed, was granted and does of it. Gives: one sentence for each. Never: a word
of another app; replicas and units a second are the app's own.
"""

from charon_operator.decide import guards
from charon_operator.decide.placement import bids, budgets, handover, mix, variants
from charon_operator.decide.placement.bids import Bid
from charon_operator.decide.placement.course import Course
from charon_operator.decide.placement.mix import Aim
from charon_operator.decide.placement.variants import Ground
from charon_operator.decide.problems import SUPPLY_UNKNOWN
from charon_operator.model import body
from charon_operator.model.app import ChargedApp
from charon_operator.model.claim import Counts, Handover
from charon_operator.model.decision import Decision
from charon_operator.model.facts import AppFacts
from charon_operator.model.placing import Placing, VariantMove
from charon_operator.model.workload import Workload
from charon_operator.names import GrantReason, Reason, Shortage
from charon_operator.settings import Safety

PLACEMENT = "placement"

Verdict = tuple[bool | None, str, str]
"""Whether what is wanted can be had, the reason, and the same in words."""


def decided(identity: str, found: Bid, taken: Course) -> Decision:
    """The decision on all variants together."""
    found = budgets.told(found, taken)
    demand = found.winner.demand if found.winner else None
    asked, final = found.ground.asked, taken.counts
    reason = _reason(found, taken)
    return Decision(
        decision_id=identity,
        knob=PLACEMENT,
        acts=found.claim.acts,
        current=sum(asked.values()),
        raw=_raw(found),
        final=sum(final.values()),
        reason=reason,
        message=_message(found, taken, reason),
        objective=found.winner.objective if found.winner else "",
        clamps=found.limited.clamps,
        terms=demand.terms if demand else {},
        demand_age_s=max(0.0, found.situation.now_s - demand.sampled_at_s) if demand else None,
    )


def placed(found: Bid, taken: Course, safety: Safety) -> Placing:
    """What each variant is to be, and whether what is wanted can be had."""
    ground = found.ground
    feasible, reason, message = _verdict(found, taken)
    counts = bids.priority(found.claim.key, ground, safety)
    if counts < ground.spec.priority:
        namespace = found.claim.key.namespace
        message += f"; priority {ground.spec.priority} counts as {counts}, the most in {namespace}"
    message += "".join(f"; {one}" for one in (taken.note, _fixed(ground)) if one)
    return Placing(
        acts=found.claim.acts,
        variants=tuple(_move(found, taken, one.name) for one in ground.variants),
        feasible=feasible,
        reason=reason,
        message=f"{message}.",
        capacity=ground.capacity(taken.counts),
        wanted=found.claim.wanted,
        change=taken.change,
    )


def _fixed(ground: Ground) -> str:
    """That a Deployment could be changed to other variants if it were allowed, else empty."""
    if not ground.fixed or not ground.absent:
        return ""
    names = ", ".join(one.name for one in ground.variants if one.name in ground.absent)
    return (
        f"nothing is changed to {names}, as the operator may not change pod templates "
        "(set knobs.placement.templates=true in its values)"
    )


def still(facts: AppFacts, decision: Decision) -> Placing | None:
    """Of an app that is held: its variants as they are; None where nothing is known of any."""
    app, moves = facts.app, []
    if not isinstance(app, ChargedApp) or app.spec.placement is None:
        return None
    for name, known in facts.variants.items():
        if isinstance(known.workload, Workload):
            asked, ready = known.workload.replicas, known.workload.ready
            target, waiting = known.workload.target, known.holding.pending
            moves.append(VariantMove(name, target, asked, ready, waiting, asked, asked))
    if not moves:
        return None
    return Placing(False, tuple(moves), None, decision.reason, decision.message)


def _move(found: Bid, taken: Course, name: str) -> VariantMove:
    ground, stands = found.ground, found.ground.standings[name]
    return VariantMove(
        name=name,
        target=ground.targets[name].target,
        asked=stands.asked,
        ready=stands.ready,
        waiting=stands.holding.pending,
        final=taken.counts[name],
        goal=taken.goal[name],
    )


def _raw(found: Bid) -> int | None:
    capacity = found.winner.capacity if found.winner else None
    if capacity is None:
        return None
    wanted = mix.cheapest(found.ground.variants, Aim(capacity, found.claim.quality))
    return sum(wanted.counts.values())


def _reason(found: Bid, taken: Course) -> Reason:
    asked = found.ground.asked
    if taken.counts == asked:
        rests = taken.granted == asked == taken.goal and not found.limited.clamps
        return Reason.UNCHANGED if found.winner and taken.grant and rests else Reason.HELD
    start, to = variants.measured(found.ground.variants, taken.way, asked, taken.counts)
    if start == to and _only_awaited(asked, taken):
        start, to = sum(asked.values()), sum(taken.counts.values())
    if start == to:
        return Reason.EXCHANGED
    return Reason.RAISED if to > start else Reason.LOWERED


def _only_awaited(asked: Counts, taken: Course) -> bool:
    """Whether no variant moves but those that wait for new nodes, or have waited in vain."""
    way = taken.awaited.way
    known = {*way.target, *(way.failed or ())} if way else set()
    return all(count == asked[name] or name in known for name, count in taken.counts.items())


def _message(found: Bid, taken: Course, reason: Reason) -> str:
    asked, counts = found.ground.asked, taken.counts
    moves = [f"{name} {asked[name]} -> {n}" for name, n in counts.items() if n != asked[name]]
    way = f"on the way to {_said(taken.goal)}" if taken.goal != counts else ""
    move = ", ".join(moves) or f"at {_said(asked)}"
    parts = [_wish(found), " ".join(part for part in (move, way) if part)]
    why = [clamp.detail for clamp in found.limited.clamps]
    why += [part for part in (taken.detail, _waits(found, taken), _short(taken)) if part]
    return f"{reason}: {': '.join(parts)}{''.join(f'; {one}' for one in why)}."


def _wish(found: Bid) -> str:
    winner = found.winner
    if winner is None or winner.capacity is None:
        bound = guards.metrics(found.situation, found.situation.current)
        return bound.detail if bound else "nothing is demanded"
    return f"{winner.objective} wants {winner.capacity:.6g} a second"


def _short(taken: Course) -> str:
    """Why less is granted than is wanted, else empty."""
    if taken.grant is None:
        return SUPPLY_UNKNOWN
    enough = taken.grant.reason in (GrantReason.ENOUGH, GrantReason.DEMAND_UNKNOWN)
    return "" if enough else taken.grant.detail


def _verdict(found: Bid, taken: Course) -> Verdict:
    grant, way = taken.grant, taken.way
    if grant is None:
        return None, Reason.SUPPLY_UNKNOWN, SUPPLY_UNKNOWN
    back = _back(found, way)
    if back and (grant.reason is not GrantReason.ENOUGH or _again(taken)):
        return False, Reason.ROLLED_BACK, back
    if grant.reason is GrantReason.DEMAND_UNKNOWN:
        return None, grant.reason, grant.detail
    waits, vain = _waits(found, taken), _back(found, taken.awaited.way)
    besides = "".join(f"; {part}" for part in (waits, vain) if part)
    if grant.reason is not GrantReason.ENOUGH:
        reason = _lack(taken)
        if waits or vain:
            reason = Reason.WAITING_FOR_NODES if waits else Reason.ROLLED_BACK
        return False, reason, f"{grant.detail}{besides}"
    deadline_s = float(found.ground.spec.pending_deadline_seconds)
    since_s = way.stuck_since_s
    if since_s is not None and found.situation.now_s - since_s >= deadline_s:
        stuck = handover.stuck(taken.awaited.standings, deadline_s)
        return False, Reason.WAITING_FOR_PODS, stuck
    return True, grant.reason, f"{grant.detail}{besides}"


def _back(found: Bid, way: Handover | None) -> str:
    """What did not come about and is not tried again yet, else empty."""
    if way is None or way.failed is None or found.situation.now_s >= way.retry_at_s:
        return ""
    return f"{_said(way.failed)} did not come about: {way.why}"


def _waits(found: Bid, taken: Course) -> str:
    """Which pods wait for new nodes, and until when, else empty."""
    counts, way = taken.awaited.counts, taken.awaited.way
    if not counts or way is None:
        return ""
    pods = ", ".join(f"{count} pod(s) of {name}" for name, count in counts.items())
    told = f"{pods} wait for a node that an autoscaler is to bring"
    if all(way.target[one.name] <= one.least for one in found.ground.variants
           if one.name in counts):  # fmt: skip
        return f"{told}, as the minimum asks"
    deadline_s = found.ground.spec.pending_deadline_seconds
    if way.stuck_since_s is None:
        return f"{told}, for {deadline_s} s at most"
    return f"{told}, until {body.meta_time(way.stuck_since_s + deadline_s)}"


def _again(taken: Course) -> bool:
    """Whether what failed is what would be granted again."""
    return taken.granted == taken.way.failed


def _lack(taken: Course) -> str:
    grant = taken.grant
    assert grant is not None
    # All that there is would not do: that it is busy now is not why.
    never = grant.reason is GrantReason.OUT_OF_REACH and grant.shortage is Shortage.BUSY_NOW
    return grant.reason if grant.shortage is None or never else grant.shortage


def _said(counts: Counts) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "nothing"
