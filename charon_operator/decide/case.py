"""One app's way through a turn: what was sensed, and what is settled once the fleet is known.

Reads: facts and memory of one app. Gives: a `Case` before, a memory and an `Outcome` after. Never:
a look at another app (`blind` does that between the two).
"""

from dataclasses import dataclass, field, replace

from charon_operator.decide import (
    demand,
    limits,
    objectives,
    ownership,
    problems,
    quarantine,
    recall,
    wording,
)
from charon_operator.decide.demand import Wish
from charon_operator.decide.placement import bids, course, sentences, variants
from charon_operator.decide.placement.bids import Bid
from charon_operator.decide.placement.shares import Shares
from charon_operator.decide.placement.variants import Ground
from charon_operator.decide.problems import Usable
from charon_operator.decide.situation import Situation
from charon_operator.decide.sizes import delays, resizing
from charon_operator.decide.sizes.resizing import Footing
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Decision
from charon_operator.model.facts import AppFacts, Broken, Conflict, Outcome
from charon_operator.model.memory import AppMemory
from charon_operator.model.policy import Knob
from charon_operator.model.workload import Workload
from charon_operator.names import Reason
from charon_operator.settings import Safety


@dataclass(frozen=True, slots=True)
class Case:
    """One app in the middle of a turn.

    Attributes:
        memory: for the next turn, as far as it is known; None where nothing is remembered.
        usable: None where there is a problem, or the target has not been read.
        footing: what is known of the pods' size; None for an app whose pods are not resized.
        ground: how variants stand; None for an app without placement.
        bid: what such an app claims, once the fleet is known to see.
    """

    facts: AppFacts
    memory: AppMemory | None
    usable: Usable | None = None
    problem: Broken | None = None
    conflict: Conflict | None = None
    wishes: tuple[Wish, ...] = field(default=())
    footing: Footing | None = None
    ground: Ground | None = None
    bid: Bid | None = None


def sense(facts: AppFacts, memory: AppMemory | None, now_s: float, safety: Safety) -> Case:
    """Find out what stands in the way, who else acts, and what the objectives demand."""
    checked = problems.check(facts, safety)
    if isinstance(checked, Broken):
        return Case(facts, bids.without_share(recall.unjudged(memory)), problem=checked)
    if checked is None:
        return Case(facts, bids.without_share(recall.unjudged(memory)))
    app, workload = checked.app, checked.workload
    known = recall.meet(memory, app.uid, workload, facts.past, now_s)
    known, ground = variants.stand(app, facts, known, now_s)
    targets = ground.targets if ground else {"": workload}
    known = ownership.watched(known, app, targets, now_s, safety)
    conflict = ownership.conflict(app, tuple(targets.values()), facts.rivals, known)
    if conflict:
        known = recall.left_to_others(known, now_s)
    known, footing = resizing.stand(app.spec, facts.sizes, known, now_s)
    seen, per_pod, level = workload, footing.per_pod if footing else None, workload.replicas
    if ground:
        seen, per_pod = ground.seen_by_laws(workload), ground.per_pod
        level = variants.thousandths(ground.counted)
    else:
        known = _refused(known, workload, now_s)
    wishes = demand.wishes(app.spec, checked.controller, known.laws, facts.readings, seen, per_pod)
    if any(wish.replicas is not None for wish in wishes):
        known = recall.seeded(known, checked.policy.spec, level, now_s)
    known = _learnt(known, wishes, workload, now_s)
    failure = _law_failure(checked, wishes)
    if failure:
        known = bids.without_share(known) or known
    return Case(facts, known, checked, failure, conflict, wishes, footing, ground)


def claim(case: Case, now_s: float, safety: Safety, *, blind: bool) -> Case:
    """What an app with variants claims of the nodes, now that it is known who is blind."""
    usable, memory = case.usable, case.memory
    if usable is None or memory is None or case.ground is None or case.problem is not None:
        return case
    situation = _situation(case, usable, memory, (now_s, safety), blind=blind)
    situation = bids.situated(case.ground, situation, safety)
    memory, bid = bids.bid(
        case.facts, case.ground, case.wishes, situation, (_acts(case, usable), safety)
    )
    return replace(case, memory=memory, bid=bid)


def settle(
    case: Case,
    turn_id: str,
    now_s: float,
    safety: Safety,
    shares: Shares | None = None,
    *,
    blind: bool,
) -> tuple[AppMemory | None, Outcome]:
    """Decide, now that it is known whether the fleet is blind, and what is shared out."""
    identity = wording.decision_id(case.facts.app.uid, turn_id)
    usable, memory = case.usable, case.memory
    if usable is None or memory is None or case.problem is not None:
        decision = wording.held(identity, _replicas(case.facts), case.problem)
        still = sentences.still(case.facts, decision)
        return memory, replace(_outcome(case, decision, now_s, blind=blind), placing=still)
    if case.bid is not None:
        return _settle_variants(case, memory, case.bid, (turn_id, safety, shares))
    situation = _situation(case, usable, memory, (now_s, safety), blind=blind)
    acts = _acts(case, usable)
    if case.footing is not None:
        return _settle_both(case, situation, case.footing, (turn_id, acts))
    winner = demand.largest(case.wishes)
    wanted = situation.current if winner is None else winner.replicas or 0
    limited = limits.apply(situation, wanted)
    if winner is not None or limited.recommended != situation.current:
        memory = recall.wished(memory, limited.recommended, now_s)
    decision = wording.decided(identity, situation, winner, limited, acts)
    return memory, _outcome(case, decision, now_s, blind=blind)


def _settle_variants(
    case: Case, memory: AppMemory, bid: Bid, given: tuple[str, Safety, Shares | None]
) -> tuple[AppMemory, Outcome]:
    """Decide on the replicas of each variant."""
    (turn_id, safety, shares), now_s = given, bid.situation.now_s
    taken = course.course(bid, shares, now_s)
    identity = wording.decision_id(case.facts.app.uid, turn_id, sentences.PLACEMENT)
    decision = sentences.decided(identity, bid, taken)
    outcome = _outcome(case, decision, now_s, blind=bid.situation.blind)
    placed = sentences.placed(bid, taken, safety)
    return course.remembered(memory, bid, taken, now_s), replace(outcome, placing=placed)


def _acts(case: Case, usable: Usable) -> bool:
    return ownership.claims(usable.app) and not (case.conflict or case.facts.forced_advisory)


def _settle_both(
    case: Case, situation: Situation, footing: Footing, turn: tuple[str, bool]
) -> tuple[AppMemory, Outcome]:
    """Decide on replicas and size of an app whose pods are resized."""
    (turn_id, acts), now_s, facts = turn, situation.now_s, case.facts
    spec, uid = situation.spec, facts.app.uid
    winner = demand.largest(case.wishes)
    memory = resizing.learnt(situation, footing, facts.readings)
    situation = replace(situation, memory=memory)
    found = resizing.moves(situation, footing, winner, facts.readings)
    if winner is not None or found.replicas.recommended != situation.current:
        memory = recall.wished(memory, found.replicas.recommended, now_s)
    memory = resizing.wished(memory, found, now_s)
    decision = wording.decided(
        wording.decision_id(uid, turn_id), situation, winner, found.replicas, acts, found.plan
    )
    identity = wording.decision_id(uid, turn_id, Knob.RESOURCES)
    resize = replace(wording.resize(identity, situation, winner, footing, found), acts=acts)
    memory = resizing.observed(memory, spec, (decision, resize), (facts.readings, now_s))
    outcome = _outcome(case, decision, now_s, blind=situation.blind)
    took = delays.measured(memory.knobs.learnt) if memory.knobs else {}
    return memory, replace(outcome, resize=resize, delays=took)


def _situation(
    case: Case, usable: Usable, memory: AppMemory, given: tuple[float, Safety], *, blind: bool
) -> Situation:
    now_s, safety = given
    bounds = usable.app.spec.bounds
    high = min(bounds.max, safety.max_replicas)
    return Situation(
        spec=usable.app.spec,
        policy=usable.policy.spec,
        workload=usable.workload,
        memory=memory,
        now_s=now_s,
        current=usable.workload.replicas,
        low=min(bounds.min, high),
        high=high,
        missing=demand.missing(usable.app.spec, case.facts.readings),
        unknown=tuple(wish.objective for wish in case.wishes if wish.replicas is None),
        blind=blind,
    )


def crashed(facts: AppFacts, memory: AppMemory | None, error: Exception) -> Case:
    """The case of an app on which our own code failed: it is held, and the others go on."""
    app = facts.app
    problem = Broken(
        key=app.key,
        uid=app.uid,
        generation=app.generation,
        field="spec",
        message=f"the operator failed on this app ({type(error).__name__}: {error}); report it",
        reason=Reason.INTERNAL_ERROR,
    )
    # Whatever the failure came from, nothing of the app is looked at again.
    return Case(replace(facts, app=problem), bids.without_share(memory), problem=problem)


def _refused(memory: AppMemory, workload: Workload, now_s: float) -> AppMemory:
    refused = quarantine.refused(memory.refused, workload, memory.actions, now_s)
    return memory if refused == memory.refused else replace(memory, refused=refused)


def _learnt(
    memory: AppMemory, wishes: tuple[Wish, ...], workload: Workload, now_s: float
) -> AppMemory:
    """What the laws are at now, and whether all objectives could be judged."""
    lost_at_s, healthy_at_s = None, memory.healthy_at_s
    if any(wish.missing for wish in wishes):
        lost_at_s = now_s if memory.lost_at_s is None else min(memory.lost_at_s, now_s)
    else:
        healthy_at_s = now_s
    return replace(
        memory,
        laws={wish.objective: wish.memory for wish in wishes},
        lost_at_s=lost_at_s,
        healthy_at_s=healthy_at_s,
        target_generation=workload.generation,
    )


def _law_failure(usable: Usable, wishes: tuple[Wish, ...]) -> Broken | None:
    for wish in wishes:
        if wish.failure:
            return problems.broken(
                usable.app, f"spec.objectives[{wish.objective}]", wish.failure, Reason.LAW_FAILED
            )
    return None


def _replicas(facts: AppFacts) -> int:
    return facts.workload.replicas if isinstance(facts.workload, Workload) else 0


def _outcome(case: Case, decision: Decision, now_s: float, *, blind: bool) -> Outcome:
    facts, app = case.facts, case.facts.app
    spec = app.spec if isinstance(app, ChargedApp) else None
    return Outcome(
        key=app.key,
        uid=app.uid,
        generation=app.generation,
        decision=decision,
        objectives=objectives.states(
            spec.objectives if spec else (), facts.readings, facts.attainments, now_s
        ),
        problem=case.problem,
        conflict=case.conflict,
        missing=demand.missing(spec, facts.readings) if spec else {},
        blind_fleet=blind,
        settling=facts.workload.warming if isinstance(facts.workload, Workload) else 0,
    )
