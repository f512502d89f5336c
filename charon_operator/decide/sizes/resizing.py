"""The second knob's part of a case: what size the pods have, and what size they should have.

Reads: sizes of the pods, the app's memory, the winning wish. Gives: limited wishes for both knobs,
a `Resize`, a memory. Never: a size that is guessed; what is not known is left alone.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from charon_operator.decide import limits, quarantine
from charon_operator.decide.demand import Wish
from charon_operator.decide.limits import Limited
from charon_operator.decide.situation import Situation
from charon_operator.decide.sizes import chains, delays, knobs, sizing, usage
from charon_operator.decide.sizes.knobs import Ground, Plan
from charon_operator.model.app import ChargedAppSpec
from charon_operator.model.decision import Clamp, Decision, Resize
from charon_operator.model.memory import AppMemory, Knobs, Recommendation, recommended
from charon_operator.model.policy import Knob
from charon_operator.model.reading import Reading, Readings
from charon_operator.model.resources import MemoryLowering, Resources
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes
from charon_operator.names import LimitName

# Memory above what is used, and the share of it that a step of memory is at most.
_HEADROOM = 1.15
_STEPS_BITS = 4


@dataclass(frozen=True, slots=True)
class Footing:
    """What is known of the pods' size at a turn.

    Attributes:
        size: what pods were last meant to have; None where that is not known.
        per_pod: what one of the pods that are there serves on average, units a second, or None.
        give_back: names of pods that cannot have what they were asked to take.
        barred: pods are not raised: the knob is quarantined, or some pods may not be resized.
    """

    resources: Resources
    sizes: Sizes | None
    size: Size | None
    per_pod: float | None
    give_back: tuple[str, ...] = ()
    barred: bool = False

    @property
    def cpu_m(self) -> int | None:
        """The size in millicores, where CPU is managed and known."""
        return self.size.cpu_m if self.size else None


@dataclass(frozen=True, slots=True)
class Moves:
    """Where both knobs are to go: wishes, and what limits left of them.

    Attributes:
        plan: what was wished for; None where CPU is not managed or not known.
        cpu, memory: None where that resource is not managed or not known.
    """

    replicas: Limited
    plan: Plan | None
    cpu: Limited | None = None
    memory: Limited | None = None


def stand(
    spec: ChargedAppSpec, sizes: Sizes | None, memory: AppMemory, now_s: float
) -> tuple[AppMemory, Footing | None]:
    """Find out the size of the pods; None for an app whose pods are not resized."""
    resources = spec.sized
    if resources is None:
        return (replace(memory, knobs=None) if memory.knobs else memory), None
    if sizes is not None and sizes.problem:
        return replace(memory, knobs=Knobs()), Footing(resources, sizes, None, None)
    known = quarantine.judged(memory.knobs or Knobs(), resources, sizes, now_s)
    failed = known.failed is not None and known.failed.active_at(now_s)
    if failed and sizes is not None:
        known = replace(known, size=_largest(_actual(sizes.sized)) or known.size)
    size = _managed(resources, known.size, _seen(sizes))
    footing = Footing(
        resources,
        sizes,
        size,
        _per_pod(resources, sizes, size),
        _given_back(resources, sizes, size, now_s) if failed else (),
        barred=failed or _some_refuse(sizes),
    )
    return replace(memory, knobs=known), footing


def moves(situation: Situation, footing: Footing, winner: Wish | None, readings: Readings) -> Moves:
    """Arbitrate between the knobs, and pass each wish through its limits; one lowers at a time."""
    current = situation.current
    cpu_m, bounds = footing.cpu_m, footing.resources.cpu
    if cpu_m is None or bounds is None:
        replicas = limits.apply(situation, _counted(situation, winner))
        return Moves(replicas, None, None, _memory(situation, footing, readings, (replicas,)))
    ground = _ground(situation, footing)
    plan = _plan(situation, footing, ground, winner)
    sized = replace(
        _of_size(situation, cpu_m, (bounds.min, bounds.max), "m"),
        memory=replace(situation.memory, recommendations=_knobs(situation).wishes),
    )
    replicas = limits.apply(situation, plan.replicas)
    cpu = limits.apply(sized, plan.cpu_m, chains.SIZE)
    if replicas.final < current and cpu.final < cpu_m:
        if knobs.saves_most(ground, plan) is Knob.RESOURCES:
            kept = replace(situation, kept="the size of the pods is lowered first")
            replicas = limits.apply(kept, plan.replicas)
        else:
            kept = replace(sized, kept="replicas are lowered first")
            cpu = limits.apply(kept, plan.cpu_m, chains.SIZE)
    return Moves(replicas, plan, cpu, _memory(situation, footing, readings, (replicas, cpu)))


def learnt(situation: Situation, footing: Footing, readings: Readings) -> AppMemory:
    """Remember what this turn shows: what became of moves, what pods use."""
    spec, now_s, known = situation.spec, situation.now_s, _knobs(situation)
    found = delays.noted(situation.memory, situation.workload, footing.sizes, now_s)
    found = replace(found, usage=usage.noted(found.usage, spec, readings))
    known = quarantine.watched(known, spec, situation.policy, readings, now_s)
    return replace(situation.memory, knobs=replace(known, learnt=found))


def wished(memory: AppMemory, found: Moves, now_s: float) -> AppMemory:
    """Remember what entered the stabilisation window of the size."""
    if found.cpu is None or memory.knobs is None:
        return memory
    newest = Recommendation(now_s, found.cpu.recommended)
    wishes = recommended(memory.knobs.wishes, newest)
    return replace(memory, knobs=replace(memory.knobs, wishes=wishes))


def observed(
    memory: AppMemory,
    spec: ChargedAppSpec,
    decided: tuple[Decision, Resize],
    seen: tuple[Readings, float],
) -> AppMemory:
    """Begin to watch what is lowered at this turn: at most one of the knobs."""
    replicas, resize = decided
    if memory.knobs is None:
        return memory
    known = memory.knobs
    if replicas.moves:
        move = (Knob.REPLICAS, replicas.current, replicas.final)
        known = quarantine.observed(known, move, spec, seen)
    if resize.moves and resize.current and resize.final:
        start, to = resize.current.cpu_m or 0, resize.final.cpu_m or 0
        known = quarantine.observed(known, (Knob.RESOURCES, start, to), spec, seen)
    return replace(memory, knobs=known)


def final(footing: Footing, found: Moves) -> Size | None:
    """The size that follows; None when nothing is known."""
    if footing.size is None:
        return None
    return Size(
        found.cpu.final if found.cpu else footing.size.cpu_m,
        found.memory.final if found.memory else footing.size.memory_b,
    )


def clamps(found: Moves) -> tuple[Clamp, ...]:
    """What limits changed of the size."""
    return tuple(clamp for one in (found.cpu, found.memory) if one for clamp in one.clamps)


def restarts(footing: Footing, to: Size | None) -> bool:
    """Whether containers restart when their pods are brought to a size."""
    start, (on_cpu, on_memory) = footing.size, _restarting(footing)
    if start is None or to is None:
        return False
    return (on_cpu and to.cpu_m != start.cpu_m) or (on_memory and to.memory_b != start.memory_b)


def settled(footing: Footing) -> bool:
    """Whether every pod has the size it was asked to take; not known counts as not."""
    sizes = footing.sizes
    return sizes is not None and all(pod.resizing is Resizing.SETTLED for pod in sizes.sized)


def _restarting(footing: Footing) -> tuple[bool, bool]:
    """Whether containers restart for another CPU, and for another memory."""
    pods = footing.sizes.sized if footing.sizes else ()
    return any(pod.restarts_on_cpu for pod in pods), any(pod.restarts_on_memory for pod in pods)


def _knobs(situation: Situation) -> Knobs:
    return situation.memory.knobs or Knobs()


def _of_size(situation: Situation, current: int, bounds: tuple[int, int], unit: str) -> Situation:
    return replace(
        situation,
        knob=Knob.RESOURCES,
        current=current,
        low=bounds[0],
        high=bounds[1],
        unit=unit,
    )


def _ground(situation: Situation, footing: Footing) -> Ground:
    resources, cpu_m, workload = footing.resources, footing.cpu_m or 0, situation.workload
    assert resources.cpu is not None
    high = max(resources.cpu.min, cpu_m) if footing.barred else resources.cpu.max
    return Ground(
        now=Plan(situation.current, cpu_m),
        ready=min(workload.ready, situation.current),
        replicas=(situation.low, situation.high),
        cpu_m=(resources.cpu.min, min(high, resources.cpu.max)),
        curve=resources.points,
        knobs=situation.policy.knobs,
        restarts=_restarting(footing)[0],
        # Of pods that are barred the demand makes up for what they do not serve.
        per_pod=None if footing.barred else footing.per_pod,
        delays=delays.expected(situation.memory, situation.now_s),
        settled=settled(footing) and not workload.warming and _may_lower(situation),
    )


def _plan(situation: Situation, footing: Footing, ground: Ground, winner: Wish | None) -> Plan:
    """What both knobs are wished to be at: for one demand, or each for its own."""
    if footing.resources.by_usage:
        cores = usage.wanted(_knobs(situation).learnt.usage)
        now_m = ground.now.cpu_m
        size = now_m if cores is None else sizing.cpu_of(cores)
        return Plan(_counted(situation, winner), min(size, now_m) if footing.barred else size)
    if winner is None or winner.capacity is None:
        return ground.now
    return knobs.wanted(ground, winner.capacity * _shortfall(footing, ground.now.cpu_m))


def _counted(situation: Situation, winner: Wish | None) -> int:
    return winner.replicas or 0 if winner else situation.current


def _may_lower(situation: Situation) -> bool:
    """Whether a lowering could follow: an exchange of one knob for the other ends with one."""
    return not any(
        limit(situation, situation.current - 1)
        for name, limit in chains.SIZE
        if limit and name in (*limits.GUARDS, LimitName.HOLD)
    )


def _shortfall(footing: Footing, cpu_m: int) -> float:
    """How many times more is needed, as pods that could not be raised serve less than is meant."""
    meant = sizing.capacity(footing.resources.points, cpu_m)
    served = footing.per_pod if footing.barred else None
    return meant / served if served else 1.0


def _memory(
    situation: Situation, footing: Footing, readings: Readings, others: Iterable[Limited]
) -> Limited | None:
    bounds, size = footing.resources.memory, footing.size
    if bounds is None or size is None or size.memory_b is None:
        return None
    current, usage = size.memory_b, readings.get(bounds.usage)
    failed = situation.memory.quarantine
    barred = failed is not None and failed.active_at(situation.now_s)
    if barred or not isinstance(usage, Reading):
        # Without its usage nothing is known of what a pod needs: not even a bound moves it. What
        # failed may have been memory that was taken away.
        return Limited(current, current, ())
    needed = _stepped(usage.value * _HEADROOM)
    allowed = bounds.lowering is MemoryLowering.ALLOWED
    wish = needed if allowed else max(needed, current)
    starts = (situation.current, footing.cpu_m)
    lowered = any(
        one.final < start for one, start in zip(others, starts, strict=False) if start is not None
    )
    sized = _of_size(situation, current, (bounds.min, bounds.max), " bytes")
    if lowered:
        sized = replace(sized, kept="another knob is lowered first")
    limited = limits.apply(sized, wish, chains.MEMORY)
    least = min(current, needed) if allowed else current
    return limited if limited.final >= least else replace(limited, final=least)


def _stepped(size_b: float) -> int:
    """Rounded up so that usage that trembles moves no pods."""
    whole = math.ceil(max(0.0, size_b))
    step = 1 << max(0, whole.bit_length() - _STEPS_BITS)
    return -(-whole // step) * step


def _managed(resources: Resources, meant: Size | None, seen: Size | None) -> Size | None:
    """What pods were last meant to have, of what is managed; else what they are seen with."""
    meant, seen = meant or Size(), seen or Size()
    size = Size(
        (seen.cpu_m if meant.cpu_m is None else meant.cpu_m) if resources.cpu else None,
        (seen.memory_b if meant.memory_b is None else meant.memory_b) if resources.memory else None,
    )
    return None if size == Size() else size


def _seen(sizes: Sizes | None) -> Size | None:
    if sizes is None:
        return None
    return _largest(pod.asked for pod in sizes.sized) or sizes.template


def _actual(pods: Iterable[SizedPod]) -> Iterable[Size]:
    return (pod.actual for pod in pods if pod.actual is not None)


def _largest(found: Iterable[Size]) -> Size | None:
    sizes = list(found)
    if not sizes:
        return None
    return Size(
        max((size.cpu_m for size in sizes if size.cpu_m is not None), default=None),
        max((size.memory_b for size in sizes if size.memory_b is not None), default=None),
    )


def _per_pod(resources: Resources, sizes: Sizes | None, size: Size | None) -> float | None:
    if resources.cpu is None or not resources.points or size is None or size.cpu_m is None:
        return None
    ready = [pod for pod in sizes.pods if pod.running and pod.ready] if sizes else []
    served = [
        sizing.capacity(resources.points, has.cpu_m)
        for has in _actual(ready)
        if has.cpu_m is not None
    ]
    if not served:
        return sizing.capacity(resources.points, size.cpu_m)
    return sum(served) / len(served)


def _some_refuse(sizes: Sizes | None) -> bool:
    return sizes is not None and any(pod.running and pod.refusal for pod in sizes.pods)


def _given_back(
    resources: Resources, sizes: Sizes | None, size: Size | None, now_s: float
) -> tuple[str, ...]:
    if sizes is None or size is None:
        return ()
    failing = quarantine.failing(resources, sizes, now_s)
    return tuple(pod.name for pod in sizes.sized if pod in failing or _is_smaller(pod.actual, size))


def _is_smaller(actual: Size | None, meant: Size) -> bool:
    if actual is None:
        return False
    pairs = ((actual.cpu_m, meant.cpu_m), (actual.memory_b, meant.memory_b))
    return any(has is not None and wanted is not None and has < wanted for has, wanted in pairs)
