"""One turn of the fleet: readings and memory of all apps in, decisions out. The order, once.

Reads: `FleetMemory` and the facts of the apps that are due. Gives: a new memory and an `Outcome`
for each of them. Never: a clock, chance, I/O, or an exception for anything a user wrote.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from charon_operator.decide import blind, case, quarantine
from charon_operator.decide.case import Case
from charon_operator.decide.placement import shares, variants
from charon_operator.decide.placement.shares import Shares
from charon_operator.model.claim import Written
from charon_operator.model.decision import Resize
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import Action, AppMemory, FleetMemory, Knobs
from charon_operator.model.placing import Placing, Supply
from charon_operator.model.sizes import Size
from charon_operator.model.workload import Key, Workload
from charon_operator.names import Reason
from charon_operator.ports import WriteOutcome
from charon_operator.settings import Safety


@dataclass(frozen=True, slots=True)
class Moment:
    """When a turn happens: its id, and the time in seconds since 1970."""

    turn_id: str
    now_s: float


@dataclass(frozen=True, slots=True)
class TurnResult:
    """What a turn leaves: the memory for the next one, and one outcome for each app, in order."""

    memory: FleetMemory
    outcomes: tuple[Outcome, ...]


def turn(
    memory: FleetMemory,
    moment: Moment,
    facts: Sequence[AppFacts],
    safety: Safety,
    supply: Supply | None = None,
) -> TurnResult:
    """Decide on every app in `facts`; the other apps keep their demand and their memory.

    Args:
        memory: of all apps.
        moment: of the turn.
        facts: of the apps that are due.
        safety: the operator's own bounds.
        supply: nodes and what is free on them; None while that is not known or not asked for.
    """
    # 1. Each app: what is wrong, who else acts, what its objectives demand.
    cases = [_sensed(fact, memory.apps.get(fact.key), moment, safety) for fact in facts]
    memory = memory.updated({item.facts.key: item.memory for item in cases if item.memory})
    # 2. The fleet: is it the apps that went quiet, or the monitoring?
    fleet_blind = blind.is_blind(memory.apps.items(), moment.now_s, safety)
    # 3. Each app with variants: its limits, and what it claims of the nodes.
    cases = [_claimed(item, moment, safety, fleet_blind) for item in cases]
    memory = memory.updated({item.facts.key: item.memory for item in cases if item.memory})
    # 4. The fleet: GPUs between all that is claimed, that of apps that are not due as it was.
    cases, shares = _shared(cases, memory, moment, supply)
    # 5. Each app: its limits, and the decision with its reasons; who counts most takes first.
    settled = {}
    for item in sorted(cases, key=_rank):
        settled[item.facts.key] = _settled(item, moment, safety, shares, fleet_blind)
    learnt = {key: known for key, (known, _) in settled.items() if known}
    return TurnResult(memory.updated(learnt), tuple(settled[item.facts.key][1] for item in cases))


def acted(memory: FleetMemory, key: Key, action: Action, outcome: WriteOutcome) -> FleetMemory:
    """Remember a write that was tried. One that may have been applied counts as an act.

    What it changed counts against `behavior` only once the target shows it: a raise that never
    came about must not delay the next one.
    """
    app = memory.apps.get(key)
    if app is None or outcome not in (WriteOutcome.WRITTEN, WriteOutcome.UNREACHABLE):
        return memory
    written = None
    if outcome is WriteOutcome.WRITTEN:
        written = Written(action.to, app.target_generation)
    else:
        action = replace(action, stood_on=app.target_generation)
    # Of several tries on one generation of the target at most one was applied.
    others = tuple(item for item in app.actions if item.stood_on != app.target_generation)
    actions = (*others, action)
    changed = replace(app, acted_at_s=action.time_s, actions=actions, written=written)
    return memory.updated({key: changed})


def resized(
    memory: FleetMemory,
    key: Key,
    resize: Resize,
    outcome: WriteOutcome,
    now_s: float,
    detail: str = "",
) -> FleetMemory:
    """Remember a size that was written to a pod, or was refused.

    The first write of a decision that moves counts as an act; the same size for further pods, and
    for pods born later, does not. A refusal quarantines the knob as a node's does.

    Args:
        memory: of the fleet.
        key: of the app.
        resize: as decided.
        outcome: of the write.
        now_s: when it was written, seconds since 1970.
        detail: the API server's words.
    """
    app = memory.apps.get(key)
    if app is None or resize.final is None:
        return memory
    known = app.knobs or Knobs()
    if outcome is WriteOutcome.REFUSED:
        if known.failed and known.failed.active_at(now_s):
            return memory
        why = (Reason.RESIZE_REFUSED, f"the API server refuses {resize.final}: {detail}")
        knobs = replace(known, failed=quarantine.begun(known.failed, why, now_s))
        return memory.updated({key: replace(app, knobs=knobs)})
    if outcome not in (WriteOutcome.WRITTEN, WriteOutcome.UNREACHABLE):
        return memory
    if known.size == resize.final:
        return memory
    knobs = replace(known, size=resize.final)
    if not resize.moves or resize.current is None:
        return memory.updated({key: replace(app, knobs=knobs)})
    action = _resize_action(resize, now_s)
    knobs = replace(knobs, moves=(*known.moves, action))
    return memory.updated({key: replace(app, acted_at_s=now_s, knobs=knobs)})


def placed(
    memory: FleetMemory, key: Key, placing: Placing, outcome: WriteOutcome, now_s: float
) -> FleetMemory:
    """Remember that variants were asked for other replicas.

    Args:
        memory: of the fleet.
        key: of the app.
        placing: as decided, with the variants that were written.
        outcome: of the writes.
        now_s: when they were written, seconds since 1970.
    """
    app = memory.apps.get(key)
    known = app.placing if app else None
    change = placing.change
    reshaped = (change.before, change.after) if change else ()
    moved = [one for one in placing.variants if one.final != one.asked or one.name in reshaped]
    if app is None or known is None or known.claim is None or known.handover is None or not moved:
        return memory
    if outcome not in (WriteOutcome.WRITTEN, WriteOutcome.UNREACHABLE):
        return memory
    asked, final = dict(known.claim.asked), {one.name: one.final for one in moved}
    start, to = variants.measured(known.claim.variants, known.handover, asked, {**asked, **final})
    if outcome is WriteOutcome.WRITTEN:
        written = {
            one.name: Written(one.final, known.generations.get(one.name, 0)) for one in moved
        }
        claim = replace(known.claim, asked={**asked, **final})
        known = replace(known, written={**known.written, **written}, claim=claim)
    if change:
        # It may have been made: no other before its dwell is over.
        known = replace(known, since_s=now_s)
    action = Action(now_s, variants.thousandths(start), variants.thousandths(to))
    actions = app.actions if action.start == action.to else (*app.actions, action)
    changed = replace(app, acted_at_s=now_s, actions=actions, placing=known)
    return memory.updated({key: changed})


def _resize_action(resize: Resize, now_s: float) -> Action:
    """The move in millicores, or in bytes where only memory moved."""
    start, to = resize.current or Size(), resize.final or Size()
    if start.cpu_m != to.cpu_m:
        return Action(now_s, start.cpu_m or 0, to.cpu_m or 0, restarts=resize.restarts)
    return Action(now_s, start.memory_b or 0, to.memory_b or 0, restarts=resize.restarts)


def _answered(app: AppMemory, target: Workload) -> AppMemory:
    """Learn from the target what came of writes that were not answered."""

    def learnt(action: Action) -> Action | None:
        if action.stood_on is None or target.generation <= action.stood_on:
            return action
        return None if target.replicas == action.start else replace(action, stood_on=None)

    if all(action.stood_on is None for action in app.actions):
        return app
    known = [learnt(action) for action in app.actions]
    return replace(app, actions=tuple(action for action in known if action is not None))


def _sensed(fact: AppFacts, known: AppMemory | None, moment: Moment, safety: Safety) -> Case:
    try:
        if known is not None and isinstance(fact.workload, Workload):
            known = _answered(known, fact.workload)
        return case.sense(fact, known, moment.now_s, safety)
    except Exception as error:  # a fault of ours on one app must not stop the others
        return case.crashed(fact, known, error)


def _claimed(item: Case, moment: Moment, safety: Safety, fleet_blind: bool) -> Case:
    try:
        return case.claim(item, moment.now_s, safety, blind=fleet_blind)
    except Exception as error:  # as above
        return case.crashed(item.facts, item.memory, error)


def _shared(
    cases: list[Case], memory: FleetMemory, moment: Moment, supply: Supply | None
) -> tuple[list[Case], Shares | None]:
    """What all are granted; None where nothing is known of the nodes, or nobody claims them."""
    due = [item.facts.key for item in cases if item.bid]
    if supply is None or not due:
        return cases, None
    claims = [
        app.placing.claim for app in memory.apps.values() if app.placing and app.placing.claim
    ]
    try:
        return cases, shares.share(claims, due, supply, moment.now_s)
    except Exception as error:  # a fault in what they share is one of all of them, and of no other
        return [
            case.crashed(item.facts, item.memory, error) if item.bid else item for item in cases
        ], None


def _rank(item: Case) -> tuple[float, Key]:
    return (-item.bid.claim.priority if item.bid else 0.0), item.facts.key


def _settled(
    item: Case, moment: Moment, safety: Safety, shares: Shares | None, fleet_blind: bool
) -> tuple[AppMemory | None, Outcome]:
    turn_id, now_s = moment.turn_id, moment.now_s
    try:
        return case.settle(item, turn_id, now_s, safety, shares, blind=fleet_blind)
    except Exception as error:  # as above
        failed = case.crashed(item.facts, item.memory, error)
        return case.settle(failed, turn_id, now_s, safety, blind=fleet_blind)
