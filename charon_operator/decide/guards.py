"""The limits that forbid lowering: blindness, haste, pods that are not settled, disruption.

Reads: a `Situation`. Gives: a `Bound` whose floor is at most the current count. Never: a raise, or
anything that delays one.
"""

from dataclasses import dataclass
from typing import Final

from charon_operator.decide.situation import Situation
from charon_operator.model.memory import HISTORY_S
from charon_operator.model.workload import Rollout


@dataclass(frozen=True, slots=True)
class Bound:
    """What a limit allows: between floor and ceiling, and why, in words with numbers."""

    floor: int | None = None
    ceiling: int | None = None
    detail: str = ""

    def applied(self, wanted: int) -> int:
        """The wish within the bound."""
        if self.floor is not None:
            wanted = max(wanted, self.floor)
        return wanted if self.ceiling is None else min(wanted, self.ceiling)


_NAMED: Final = 3


def metrics(situation: Situation, wanted: int) -> Bound | None:
    """Nothing is lowered while any indicator has no usable value."""
    if not situation.missing and not situation.unknown:
        return None
    named = [f"{name} ({why.reason})" for name, why in sorted(situation.missing.items())]
    shown = ", ".join(named[:_NAMED] or situation.unknown[:_NAMED])
    more = len(named) - _NAMED
    tail = f" and {more} more" if more > 0 else ""
    return Bound(situation.current, detail=f"no usable value of {shown}{tail}: nothing is lowered")


def blind_fleet(situation: Situation, wanted: int) -> Bound | None:
    """Nothing is lowered while many apps have lost their metrics together."""
    if not situation.blind:
        return None
    detail = (
        "many apps lost their metrics together, so the monitoring is broken: nothing is lowered"
    )
    return Bound(situation.current, detail=detail)


def cooldown(situation: Situation, wanted: int) -> Bound | None:
    """Nothing is lowered soon after a change of ours; an unknown one counts as first seen now."""
    memory, cooldown_s = situation.memory, situation.policy.lowering.cooldown_seconds
    known = memory.acted_at_s is not None
    since_s = memory.acted_at_s if memory.acted_at_s is not None else memory.first_seen_s
    elapsed_s = situation.now_s - since_s
    if elapsed_s >= cooldown_s:
        return None
    what = "the last change" if known else "the app was first seen"
    detail = f"{elapsed_s:.0f} s since {what}, lowered after {cooldown_s} s at the earliest"
    return Bound(situation.current, detail=detail)


def lowerings_per_hour(situation: Situation, wanted: int) -> Bound | None:
    """At most so many lowerings and restarts an hour; evenly spaced while not all are known."""
    memory, allowed = situation.memory, situation.policy.lowering.max_per_hour
    since_s = situation.now_s - HISTORY_S
    moves = (*memory.actions, *(memory.knobs.moves if memory.knobs else ()))
    # What restarts containers disturbs as what takes pods away does.
    made = [item for item in moves if item.disturbs and item.time_s > since_s]
    if len(made) >= allowed:
        how = "lowered or restarted" if any(item.restarts for item in made) else "lowered"
        detail = f"{how} {len(made)} times in the last hour, {allowed} are allowed"
        return Bound(situation.current, detail=detail)
    apart_s = HISTORY_S / allowed
    last_s = max((item.time_s for item in made), default=memory.counted_from_s)
    if memory.counted_from_s > since_s and situation.now_s - last_s < apart_s:
        detail = (
            f"lowerings of the last hour are not all known, so they are {apart_s:.0f} s apart "
            f"({allowed} an hour)"
        )
        return Bound(situation.current, detail=detail)
    return None


def warming(situation: Situation, wanted: int) -> Bound | None:
    """While pods warm up, no ready pod is taken away.

    A Deployment takes pods that are not ready first, so it may go down to the ready ones: that only
    cancels starts. A StatefulSet takes the highest ordinals, ready or not: it waits.
    """
    workload = situation.workload
    if not workload.warming:
        return None
    counts = f"{workload.ready} of {workload.replicas} pods are ready"
    if workload.target.kind == "StatefulSet":
        return Bound(situation.current, detail=f"{counts}: a StatefulSet is not lowered")
    floor = min(situation.current, workload.ready)
    return Bound(floor, detail=f"{counts}: no ready pod is taken away")


def rollout(situation: Situation, wanted: int) -> Bound | None:
    """Nothing is lowered while the target's pods are not those of its newest template."""
    workload = situation.workload
    if workload.rollout is Rollout.SETTLED:
        if workload.observed_generation >= workload.generation:
            return None
        detail = (
            f"the target's controller has seen generation {workload.observed_generation} of "
            f"{workload.generation}: nothing is lowered"
        )
        return Bound(situation.current, detail=detail)
    word = "is stuck" if workload.rollout is Rollout.STUCK else "is in flight"
    counts = f"{workload.updated} of {workload.replicas} pods updated"
    return Bound(situation.current, detail=f"a rollout {word}, {counts}: nothing is lowered")


def disruption_budget(situation: Situation, wanted: int) -> Bound | None:
    """Never below a PodDisruptionBudget's minAvailable, which itself binds evictions only."""
    least = situation.workload.min_available
    if least is None:
        return None
    detail = f"a PodDisruptionBudget keeps {least} available"
    return Bound(min(situation.current, least), detail=detail)


def one_knob(situation: Situation, wanted: int) -> Bound | None:
    """Of several knobs one is lowered at a time: each is right only if the others stay."""
    return Bound(situation.current, detail=situation.kept) if situation.kept else None
