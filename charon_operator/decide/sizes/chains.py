"""The limits that a wanted size passes, in the order of `names.LimitName`.

Reads: a `Situation` and a wish. Gives: chains for `limits.apply`. Never: a limit that counts pods.
"""

from typing import Final

from charon_operator.decide import guards, limits
from charon_operator.decide.guards import Bound
from charon_operator.decide.limits import Chain
from charon_operator.decide.situation import Situation
from charon_operator.decide.sizes import usage
from charon_operator.names import LimitName


def usage_history(situation: Situation, wanted: int) -> Bound | None:
    """A size that follows usage is not lowered before enough of it was seen."""
    resources, known = situation.spec.sized, situation.memory.knobs
    if resources is None or not resources.by_usage:
        return None
    seen_s = usage.seen_s(known.learnt.usage if known else None, situation.now_s)
    if seen_s >= usage.ENOUGH_S:
        return None
    detail = (
        f"usage has been seen for {seen_s / 60:.0f} min, lowered after "
        f"{usage.ENOUGH_S / 60:.0f} min at the earliest"
    )
    return Bound(floor=situation.current, detail=detail)


# Of a size: `behavior` counts pods, and pods that are resized are not taken away.
SIZE: Final[Chain] = (
    (LimitName.METRICS, guards.metrics),
    (LimitName.BLIND_FLEET, guards.blind_fleet),
    (LimitName.STABILIZATION, limits.stabilization),
    (LimitName.COOLDOWN, guards.cooldown),
    (LimitName.LOWERINGS_PER_HOUR, guards.lowerings_per_hour),
    (LimitName.ROLLOUT, guards.rollout),
    (LimitName.ONE_KNOB, guards.one_knob),
    (LimitName.USAGE_HISTORY, usage_history),
    (LimitName.UNDONE, limits.undone),
    (LimitName.QUARANTINE, limits.quarantine),
    (LimitName.BOUNDS, None),
    (LimitName.HOLD, limits.hold),
)
# Memory has no load to swing with: it follows what is used.
MEMORY: Final[Chain] = tuple(
    (name, limit)
    for name, limit in SIZE
    if name not in (LimitName.STABILIZATION, LimitName.USAGE_HISTORY, LimitName.UNDONE)
)
