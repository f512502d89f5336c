"""The third knob's part of a turn: what each app claims, what it is granted, what is to move now.

Reads: apps with variants, their demand, what is free on the nodes. Gives: a `Bid` of each app, the
`Shares` of all, a `Placing` and a memory. Never: a variant lowered while a metric is missing; a
word of one app about another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from charon_operator.decide import demand, limits, objectives, recall
from charon_operator.decide.demand import Wish
from charon_operator.decide.limits import Limited
from charon_operator.decide.placement import allocate, handover, newnodes, variants
from charon_operator.decide.placement.claims import Grant
from charon_operator.decide.placement.handover import Standing
from charon_operator.decide.placement.inventory import Stock
from charon_operator.decide.placement.newnodes import Awaited, Due
from charon_operator.decide.placement.variants import Ground
from charon_operator.decide.situation import Situation
from charon_operator.model.app import ChargedApp
from charon_operator.model.claim import Claim, Counts, Handover, Patience, PlacingMemory, Variant
from charon_operator.model.facts import AppFacts, ObjectiveVerdict
from charon_operator.model.hold import Direction
from charon_operator.model.memory import AppMemory
from charon_operator.model.placing import Supply
from charon_operator.model.workload import Key
from charon_operator.names import GrantReason
from charon_operator.settings import Safety

# A mix that may not be left at this turn.
_FOR_GOOD = Patience(saving=1.0, dwell_s=1e9)


@dataclass(frozen=True, slots=True)
class Bid:
    """What an app goes into the allocation with.

    Attributes:
        situation: of all variants together, in thousandths of a unit a second.
        winner: the wish for most.
        limited: what limits left of it.
        claim: what follows.
        may_raise, may_lower: replicas of any variant, at this turn.
    """

    ground: Ground
    situation: Situation
    winner: Wish | None
    limited: Limited
    claim: Claim
    may_raise: bool
    may_lower: bool


@dataclass(frozen=True, slots=True)
class Shares:
    """What all apps are granted at a turn.

    Attributes:
        grants: by app; of the apps that were asked about.
        stock: what is left for new pods; apps take from it as their steps are decided.
        due: what apps are still to get.
    """

    grants: Mapping[Key, Grant]
    stock: Stock
    due: tuple[Due, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """What an app does of what it was granted.

    Attributes:
        grant: None where nothing is known of the nodes.
        granted: replicas of the grant, within bounds.
        way: after this turn.
        goal: where it goes, within bounds.
        counts: replicas to ask for now.
        awaited: what of it waits for new nodes.
        detail: what is waited for, else empty.
    """

    grant: Grant | None
    granted: Counts
    way: Handover
    goal: Counts
    counts: Counts
    awaited: Awaited
    detail: str = ""


def bid(
    facts: AppFacts,
    ground: Ground,
    wishes: tuple[Wish, ...],
    situation: Situation,
    given: tuple[bool, Safety],
) -> tuple[AppMemory, Bid]:
    """What an app claims, its limits applied; whoever does not act takes nothing from others.

    Args:
        facts: of the app.
        ground: how its variants stand.
        wishes: of its objectives.
        situation: as `situated` gives it.
        given: whether its writes may be carried out, and the operator's bounds.
    """
    (acts, safety), memory, now_s = given, situation.memory, situation.now_s
    winner = demand.largest(wishes)
    capacity = winner.capacity if winner else None
    wanted = situation.current if capacity is None else variants.thousandths(capacity)
    limited = limits.apply(situation, wanted, limits.PLACEMENT_CHAIN)
    if winner is not None or limited.recommended != situation.current:
        memory = recall.wished(memory, limited.recommended, now_s)
    known = memory.placing or PlacingMemory(since_s=now_s)
    up, down = _held(situation)
    blind = bool(situation.missing or situation.unknown or situation.blind)
    asked_nothing = winner is None and limited.final == situation.current
    claim = Claim(
        key=facts.key,
        priority=float(priority(facts.key, ground, safety)),
        wanted=None if asked_nothing else limited.final / 1000,
        quality=ground.spec.min_quality,
        variants=_hoped(ground, safety, now_s, raised=not up),
        held={name: one.holding.nodes for name, one in ground.standings.items()},
        targets={name: one.target for name, one in ground.targets.items()},
        asked=ground.asked,
        goal=ground.goal,
        is_met=_is_met(facts, now_s),
        since_s=known.since_s,
        patience=_FOR_GOOD if down or blind else _patience(ground),
        keeps=down or blind,
        acts=acts and not (up and down),
    )
    memory = replace(memory, placing=replace(known, claim=claim))
    found = Bid(ground, situation, winner, limited, claim, not up, not (down or blind))
    return memory, found


def situated(ground: Ground, situation: Situation, safety: Safety) -> Situation:
    """The situation of all variants together: what they serve, in thousandths of units a second."""
    allowed = variants.bounded(ground.variants, safety, Handover({}, {}), situation.now_s)
    high = variants.thousandths(sum(one.capacity * one.most for one in allowed))
    low = variants.thousandths(sum(one.capacity * one.least for one in allowed))
    return replace(
        situation,
        current=variants.thousandths(ground.counted),
        low=low,
        high=high,
        unit="m",
        of_one=variants.thousandths(min(one.capacity for one in ground.variants)),
    )


def priority(key: Key, ground: Ground, safety: Safety) -> int:
    """What the app's priority counts, within what the administrator allows its namespace."""
    most = safety.max_priority_of.get(key.namespace, safety.max_priority)
    return min(ground.spec.priority, most)


def without_share(memory: AppMemory | None) -> AppMemory | None:
    """The app is not decided on: what it has it keeps, and it takes nothing."""
    if memory is None or memory.placing is None or memory.placing.claim is None:
        return memory
    claim = replace(memory.placing.claim, acts=False, keeps=True)
    return replace(memory, placing=replace(memory.placing, claim=claim))


def share(claims: Iterable[Claim], due: Iterable[Key], supply: Supply, now_s: float) -> Shares:
    """Share out what is free between all apps, and tell those that do not act what they would get.

    Args:
        claims: of all apps, the last of those that are not due.
        due: apps that are decided on.
        supply: nodes and what is free on them.
        now_s: seconds since 1970.
    """
    known = [_up_to_date(one, supply) for one in claims]
    known.sort(key=lambda one: (-one.priority, one.key))
    stock = Stock(supply)
    grants = allocate.allocate([replace(one, keeps=one.keeps or not one.acts) for one in known],
                               stock, now_s)  # fmt: skip
    asking = set(due)
    still = {one.key for one in known if not one.acts and one.key in asking}
    if still:
        others = [replace(one, acts=not one.acts, keeps=one.keeps or one.acts) for one in known]
        would = allocate.allocate(others, stock, now_s)
        grants.update({key: would[key] for key in still})
    for one in known:
        _set_apart(one, stock)
    due_pods = newnodes.due(known, grants, stock)
    return Shares({key: grant for key, grant in grants.items() if key in asking}, stock, due_pods)


def course(found: Bid, shares: Shares | None, now_s: float) -> Course:
    """Where the app goes, and its next step; new pods are taken from what is left for others."""
    ground, claim = found.ground, found.claim
    asked, way = ground.asked, ground.way
    grant = shares.grants.get(claim.key) if shares else None
    if shares is None or grant is None:
        nothing = Awaited({}, ground.standings, ground.awaited)
        return Course(None, asked, way, ground.within(way.target), asked, nothing)
    granted: Counts = way.target
    if grant.reason is not GrantReason.DEMAND_UNKNOWN:
        granted = ground.within(grant.counts)
        way = handover.toward(way, granted, now_s)
    ahead = newnodes.awaited(ground, claim, grant, shares.due, shares.stock, now_s)
    standings, deadline_s = ahead.standings, float(ground.spec.pending_deadline_seconds)
    way = handover.seen(way, standings, now_s, deadline_s)
    goal = ground.within(way.target)
    step = handover.step(
        ground.variants, standings, goal, _must_serve(found, grant, goal), shares.stock
    )
    fits = {name: _allowed(found, standings[name].asked, n) for name, n in step.counts.items()}
    if claim.acts:
        _take(found, fits, standings, shares.stock)
    counts = {name: _allowed(found, asked[name], n) for name, n in ahead.on_top_of(fits).items()}
    return Course(grant, granted, way, ahead.beyond(goal), counts, ahead, step.detail)


def remembered(memory: AppMemory, found: Bid, taken: Course, now_s: float) -> AppMemory:
    """The memory after a turn; of an app that does not act no way is remembered."""
    known = memory.placing
    if known is None:
        return memory
    if not found.claim.acts:
        return replace(memory, placing=replace(known, handover=None, awaited=None))
    before, after = found.ground.way.target, taken.way.target
    since_s = now_s if _exchanges(before, after) else known.since_s
    known = replace(known, handover=taken.way, awaited=taken.awaited.way, since_s=since_s)
    return replace(memory, placing=known)


def _held(situation: Situation) -> tuple[bool, bool]:
    """Whether people have paused raises, and lowerings."""
    active = [one for one in situation.spec.holds if one.active_at(situation.now_s)]
    up = any(one.direction is not Direction.DOWN for one in active)
    down = any(one.direction is not Direction.UP for one in active)
    return up, down


def _hoped(ground: Ground, safety: Safety, now_s: float, *, raised: bool) -> tuple[Variant, ...]:
    """What the app may hope for of each variant; no more than there is where nothing is raised."""
    found = variants.bounded(ground.variants, safety, ground.way, now_s)
    if raised:
        return found
    return tuple(one.within(ground.asked[one.name]) for one in found)


def _patience(ground: Ground) -> Patience:
    return Patience(ground.spec.saving_percent / 100, float(ground.spec.min_dwell_seconds))


def _is_met(facts: AppFacts, now_s: float) -> bool:
    """Whether all objectives are within their target, as far as the window is known, else now."""
    app = facts.app
    if not isinstance(app, ChargedApp):
        return False
    found = objectives.states(app.spec.objectives, facts.readings, facts.attainments, now_s)
    return all(
        one.verdict is ObjectiveVerdict.MET
        or (one.verdict is ObjectiveVerdict.UNKNOWN and one.good_now is True)
        for one in found
    )


def _must_serve(found: Bid, grant: Grant, goal: Counts) -> float | None:
    """What must stay served on the way: what is wanted, less what others were given."""
    wanted = found.claim.wanted
    if wanted is None or not grant.robbed:
        return wanted
    return min(wanted, found.ground.capacity(goal))


def _allowed(found: Bid, asked: int, count: int) -> int:
    if count > asked:
        return count if found.may_raise else asked
    return count if found.may_lower else asked


def _take(found: Bid, counts: Counts, standings: Mapping[str, Standing], stock: Stock) -> None:
    for one in sorted(found.ground.variants, key=lambda one: -one.capacity):
        for _ in range(counts[one.name] - standings[one.name].asked):
            stock.place(one.need)


def _up_to_date(claim: Claim, supply: Supply) -> Claim:
    """With what it holds by now: pods may have come or gone since the app was last decided on."""
    held = {
        name: supply.held.get(claim.targets[name], nodes) if name in claim.targets else nodes
        for name, nodes in claim.held.items()
    }
    return replace(claim, held=held)


def _set_apart(claim: Claim, stock: Stock) -> None:
    """Room for pods that were asked for and are on no node yet."""
    for one in claim.variants:
        for _ in range(claim.asked.get(one.name, 0) - len(claim.held.get(one.name, ()))):
            stock.place(one.need)


def _exchanges(before: Counts, after: Counts) -> bool:
    """Whether one variant takes another's place: that begins a dwell, a mere raise does not."""
    moved = [after.get(name, 0) - before.get(name, 0) for name in {*before, *after}]
    return min(moved, default=0) < 0 < max(moved, default=0)
