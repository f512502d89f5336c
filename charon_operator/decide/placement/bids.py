"""What each app claims of the nodes at a turn.

Reads: an app with variants, its demand, its limits. Gives: a `Bid`, and a memory. Never: a variant
lowered while a metric is missing; a claim on others by an app that does not act.
"""

from dataclasses import dataclass, replace

from charon_operator.decide import demand, limits, objectives, recall
from charon_operator.decide.demand import Wish
from charon_operator.decide.limits import Limited
from charon_operator.decide.placement import variants
from charon_operator.decide.placement.variants import Ground
from charon_operator.decide.situation import Situation
from charon_operator.model.app import ChargedApp
from charon_operator.model.claim import Claim, Handover, Patience, PlacingMemory, Variant
from charon_operator.model.facts import AppFacts, ObjectiveVerdict
from charon_operator.model.hold import Direction
from charon_operator.model.memory import AppMemory
from charon_operator.model.workload import Key
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
        held=_held_by(ground),
        targets={
            name: one.target
            for name, one in ground.targets.items()
            if name not in ground.absent | ground.changing
        },
        asked=ground.asked,
        goal=ground.goal,
        is_met=_is_met(facts, now_s),
        since_s=known.since_s,
        patience=_FOR_GOOD if down or blind else _patience(ground),
        keeps=down or blind or bool(ground.changing),
        acts=acts and not (up and down),
    )
    memory = replace(memory, placing=replace(known, claim=claim))
    found = Bid(ground, situation, winner, limited, claim, not up, not (down or blind))
    return memory, found


def situated(ground: Ground, situation: Situation, safety: Safety) -> Situation:
    """The situation of all variants together: what they serve, in thousandths of units a second."""
    allowed = variants.bounded(ground.variants, safety, Handover({}, {}), situation.now_s)
    high = variants.thousandths(variants.most(ground, allowed, safety.max_replicas))
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


def _held_by(ground: Ground) -> dict[str, tuple[str, ...]]:
    """Nodes of its pods; those that a rollout has beside them are not there to stay."""
    found = {name: one.holding.nodes for name, one in ground.standings.items()}
    return found | {name: found[name][: ground.asked[name]] for name in ground.changing}


def _held(situation: Situation) -> tuple[bool, bool]:
    """Whether people have paused raises, and lowerings."""
    active = [one for one in situation.spec.holds if one.active_at(situation.now_s)]
    up = any(one.direction is not Direction.DOWN for one in active)
    down = any(one.direction is not Direction.UP for one in active)
    return up, down


def _hoped(ground: Ground, safety: Safety, now_s: float, *, raised: bool) -> tuple[Variant, ...]:
    """What the app may hope for of each variant, at least what is kept.

    No more than there is where nothing is raised.
    """
    found = variants.bounded(ground.variants, safety, ground.way, now_s)
    if not raised:
        found = tuple(one.within(ground.asked[one.name]) for one in found)
    kept = ground.kept
    return tuple(one.keeping(kept[one.name]) for one in found)


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
