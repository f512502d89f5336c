"""What is remembered of an app at the start of a turn, and what is learnt about its metrics.

Reads: the memory of the last turn, the app and its target as they are. Gives: a memory that is
about this app and this target. Never: a history of somebody else.
"""

from dataclasses import replace

from charon_operator.decide import behavior
from charon_operator.model.decision import Past
from charon_operator.model.memory import (
    Action,
    AppMemory,
    Knobs,
    Recommendation,
    Yielded,
    aged,
    recommended,
)
from charon_operator.model.policy import ControlPolicySpec
from charon_operator.model.workload import Workload

# So many periods without a recommendation: what came before says little about now.
_PERIODS_OF_SILENCE = 3


def meet(
    memory: AppMemory | None,
    uid: str,
    workload: Workload,
    past: Past,
    now_s: float,
) -> AppMemory:
    """The memory of this app and target: the known one, aged, or a fresh one.

    Of an app that is met for the first time its status tells: an intent counts as acted, a field
    manager that was given way to is given way to still. Where it tells of any decision, lowerings
    before now are not all known; where it does not, we never acted on the app.
    """
    if memory and (memory.uid, memory.target_uid) == (uid, workload.uid):
        return aged(memory, now_s)
    fresh = AppMemory(uid, workload.uid, first_seen_s=now_s)
    if memory and memory.uid == uid:
        return fresh
    if past.decided:
        fresh = replace(fresh, counted_from_s=now_s)
    if past.yielded_to:
        yielded = Yielded(past.yielded_to, past.yielded_at, workload.replicas, now_s)
        fresh = replace(fresh, yielded=yielded)
    if past.size is not None:
        fresh = replace(fresh, knobs=Knobs(size=past.size))
    if past.pending is None:
        return fresh
    action = Action(min(past.pending.time_s, now_s), past.pending.start, past.pending.to)
    return aged(replace(fresh, acted_at_s=action.time_s, actions=(action,)), now_s)


def seeded(memory: AppMemory, policy: ControlPolicySpec, current: int, now_s: float) -> AppMemory:
    """Recommend what is there, at first sight and after a long silence, as the HPA starts."""
    window_s = behavior.window_s(policy.behavior.scale_down, behavior.DOWN_WINDOW_S)
    silence_s = max(window_s, _PERIODS_OF_SILENCE * policy.period_seconds)
    history = memory.recommendations
    if history and now_s - history[-1].time_s <= silence_s:
        return memory
    seed = Recommendation(now_s, current)
    return replace(memory, recommendations=recommended(history, seed))


def left_to_others(memory: AppMemory, now_s: float) -> AppMemory:
    """Somebody else owns the target: they may have moved it up to this moment."""
    return replace(memory, acted_at_s=now_s)


def unjudged(memory: AppMemory | None) -> AppMemory | None:
    """The objectives were not looked at: whether they could be judged last is not known."""
    return memory and replace(memory, healthy_at_s=None)


def wished(memory: AppMemory, wanted: int, now_s: float) -> AppMemory:
    """Remember what entered the stabilisation windows."""
    newest = Recommendation(now_s, wanted)
    return replace(memory, recommendations=recommended(memory.recommendations, newest))
