"""The limits a wanted replica count or size passes, in the order of `names.LimitName`.

Reads: a `Situation` and a wish. Gives: what is left of the wish, and a `Clamp` with a sentence for
each limit that changed it. Never: a write outside the bounds, a lowering that a guard forbids.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from charon_operator.decide import behavior, guards
from charon_operator.decide.guards import Bound
from charon_operator.decide.situation import Situation
from charon_operator.model.decision import Clamp
from charon_operator.model.hold import Direction
from charon_operator.model.policy import FallbackStrategy
from charon_operator.model.quarantine import Quarantine
from charon_operator.names import LimitName

Limit = Callable[[Situation, int], Bound | None]
Chain = Sequence[tuple[LimitName, Limit | None]]


@dataclass(frozen=True, slots=True)
class Limited:
    """A wish after all limits; `recommended` is what entered the stabilisation windows."""

    final: int
    recommended: int
    clamps: tuple[Clamp, ...]


def apply(situation: Situation, wanted: int, chain: Chain | None = None) -> Limited:
    """Pass a wish through every limit of a chain; that of replicas unless another is given."""
    recommended, guarded, clamps = wanted, 0, []
    for name, limit in chain or CHAIN:
        if name is LimitName.STABILIZATION:
            recommended = wanted
        bound = bounds(situation, wanted, guarded) if limit is None else limit(situation, wanted)
        if bound is None:
            continue
        if name in GUARDS and bound.floor is not None:
            guarded = max(guarded, bound.floor)
        after = bound.applied(wanted)
        if after != wanted:
            clamps.append(Clamp(name, wanted, after, bound.detail))
            wanted = after
    return Limited(wanted, recommended, tuple(clamps))


def fallback(situation: Situation, wanted: int) -> Bound | None:
    """Raise to a safe count after metrics were away for long."""
    rule, lost_at_s = situation.policy.fallback, situation.memory.lost_at_s
    if rule.strategy is not FallbackStrategy.AT_LEAST or rule.replicas is None or lost_at_s is None:
        return None
    away_s = situation.now_s - lost_at_s
    if away_s < rule.after_seconds:
        return None
    detail = (
        f"metrics have been missing for {away_s:.0f} s, after {rule.after_seconds} s there are "
        f"to be at least {rule.replicas}"
    )
    return Bound(floor=rule.replicas * situation.of_one, detail=detail)


def stabilization(situation: Situation, wanted: int) -> Bound | None:
    """The smallest wish of the up window, the largest of the down window."""
    rules, history = situation.policy.behavior, situation.memory.recommendations
    current, now_s = situation.current, situation.now_s
    if wanted > current:
        window_s = behavior.window_s(rules.scale_up, behavior.UP_WINDOW_S)
        low = behavior.smallest_within(history, wanted, now_s, window_s)
        detail = f"the smallest wish of the last {window_s} s was {low}{situation.unit}"
        return Bound(ceiling=max(current, low), detail=detail)
    window_s = behavior.window_s(rules.scale_down, behavior.DOWN_WINDOW_S)
    high = behavior.largest_within(history, wanted, now_s, window_s)
    detail = f"the largest wish of the last {window_s} s was {high}{situation.unit}"
    return Bound(floor=min(current, high), detail=detail)


def scale_up_policy(situation: Situation, wanted: int) -> Bound:
    """How fast `behavior.scaleUp` lets replicas rise."""
    rules = situation.policy.behavior.scale_up
    limit = behavior.most(rules, situation.current, situation.memory.actions, situation.now_s)
    return Bound(ceiling=limit, detail=f"behavior.scaleUp allows at most {limit} now")


def scale_down_policy(situation: Situation, wanted: int) -> Bound:
    """How fast `behavior.scaleDown` lets replicas fall."""
    rules = situation.policy.behavior.scale_down
    limit = behavior.least(rules, situation.current, situation.memory.actions, situation.now_s)
    return Bound(floor=limit, detail=f"behavior.scaleDown allows at least {limit} now")


def bounds(situation: Situation, wanted: int, guarded: int) -> Bound:
    """The app's bounds within the operator's, unless a guard forbids to go down to them."""
    low, high, unit = situation.low, situation.high, situation.unit
    if high < guarded:
        current = situation.current
        detail = (
            f"at most {high}{unit} are allowed, but a limit above forbids to go below "
            f"{guarded}{unit}"
        )
        return Bound(floor=current, ceiling=current, detail=detail)
    return Bound(
        floor=low, ceiling=high, detail=f"between {low}{unit} and {high}{unit} are allowed"
    )


def hold(situation: Situation, wanted: int) -> Bound | None:
    """What people have paused."""
    active = [item for item in situation.spec.holds if item.active_at(situation.now_s)]
    up = [item for item in active if item.direction is not Direction.DOWN]
    down = [item for item in active if item.direction is not Direction.UP]
    moving = up if wanted > situation.current else down
    if not moving:
        return None
    names = ", ".join(f"{item.name} ({item.reason or 'no reason given'})" for item in moving)
    return Bound(
        floor=situation.current if down else None,
        ceiling=situation.current if up else None,
        detail=f"paused at {situation.current}{situation.unit} by hold {names}",
    )


def undone(situation: Situation, wanted: int) -> Bound | None:
    """Back to where a lowering began that did harm, and not below it for a while."""
    known = situation.memory.knobs
    past = _about(situation, known.undone if known else None)
    return Bound(floor=past.level, detail=past.detail) if past else None


def quarantine(situation: Situation, wanted: int) -> Bound | None:
    """What could not be had is not asked for again for a while."""
    failed = _about(situation, situation.memory.quarantine)
    return Bound(ceiling=situation.current, detail=failed.detail) if failed else None


def refused(situation: Situation, wanted: int) -> Bound | None:
    """No more than could be made, for a while; what was asked for in vain is taken back.

    That takes no pod away, so nothing but an unknown demand keeps it.
    """
    known = _about(situation, situation.memory.refused)
    if known is None:
        return None
    unknown = situation.missing or situation.unknown or situation.blind
    most = situation.current if unknown else min(situation.current, max(known.level, situation.low))
    return Bound(ceiling=most, detail=known.detail)


def _about(situation: Situation, found: Quarantine | None) -> Quarantine | None:
    if found is None or found.knob != situation.knob or not found.active_at(situation.now_s):
        return None
    return found


# In the order of LimitName; None stands for the bounds, which must know what the guards forbid.
CHAIN: Final[Chain] = (
    (LimitName.METRICS, guards.metrics),
    (LimitName.BLIND_FLEET, guards.blind_fleet),
    (LimitName.FALLBACK, fallback),
    (LimitName.STABILIZATION, stabilization),
    (LimitName.SCALE_UP_POLICY, scale_up_policy),
    (LimitName.SCALE_DOWN_POLICY, scale_down_policy),
    (LimitName.COOLDOWN, guards.cooldown),
    (LimitName.LOWERINGS_PER_HOUR, guards.lowerings_per_hour),
    (LimitName.WARMING, guards.warming),
    (LimitName.ROLLOUT, guards.rollout),
    (LimitName.DISRUPTION_BUDGET, guards.disruption_budget),
    (LimitName.ONE_KNOB, guards.one_knob),
    (LimitName.UNDONE, undone),
    (LimitName.PODS_REFUSED, refused),
    (LimitName.BOUNDS, None),
    (LimitName.HOLD, hold),
)
# Of variants together: `behavior` counts pods, and which pods go is decided by the way to a mix.
PLACEMENT_CHAIN: Final[Chain] = (
    (LimitName.METRICS, guards.metrics),
    (LimitName.BLIND_FLEET, guards.blind_fleet),
    (LimitName.FALLBACK, fallback),
    (LimitName.STABILIZATION, stabilization),
    (LimitName.COOLDOWN, guards.cooldown),
    (LimitName.LOWERINGS_PER_HOUR, guards.lowerings_per_hour),
    (LimitName.ROLLOUT, guards.rollout),
    (LimitName.BOUNDS, None),
    (LimitName.HOLD, hold),
)

# Even a smaller maximum waits for these. It does not wait for behaviour, as with the HPA, nor for
# pods that warm up: they may never get ready, and the Deployment takes those away first.
GUARDS: Final = frozenset(
    {
        LimitName.METRICS,
        LimitName.BLIND_FLEET,
        LimitName.COOLDOWN,
        LimitName.LOWERINGS_PER_HOUR,
        LimitName.ROLLOUT,
        LimitName.DISRUPTION_BUDGET,
        LimitName.ONE_KNOB,
    }
)
