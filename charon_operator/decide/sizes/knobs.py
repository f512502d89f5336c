"""Arbitration: how many replicas, of which size, for one demand in capacity.

Reads: the demand, what is there, bounds, prices. Gives: a `Plan` to end up at, and the step towards
it that may be made now. Never: a step down that leaves less than is demanded.

    the load grows     the knob that is asked first covers what it can, the other one the rest;
                       one that is slow is not waited for, both cover it
    it is covered      one knob at a time goes towards the cheapest pair (n, cpu) that covers it
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from charon_operator.decide.sizes import sizing
from charon_operator.decide.sizes.delays import USUAL
from charon_operator.model.policy import Knob, Knobs
from charon_operator.model.resources import CurvePoint

# A cheaper pair is worth two moves, of which one is a raise, only when it saves this much.
WORTHWHILE: Final = 0.1
# A knob is late when it takes longer than the other one, and so many times what is usual for it.
_LATE: Final = 2
_SLACK: Final = 1e-9
_RESTARTS: Final = (
    "replicas go first, as containers restart for another size (resizePolicy RestartContainer)"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Replicas, and the size of each in millicores.

    Attributes:
        why: what decided between the knobs besides the demand and the order, in words; or empty.
    """

    replicas: int
    cpu_m: int
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Ground:
    """What an arbitration stands on.

    Attributes:
        now: replicas asked for and the size pods were last meant to have.
        ready: replicas that serve now.
        replicas, cpu_m: bounds, both included.
        curve: what a pod serves at a size.
        settled: no pod is starting, no size is on its way, and nothing forbids to lower.
        restarts: containers restart for another size (`resizePolicy` RestartContainer), so sizes
            are raised only for what replicas cannot cover.
        per_pod: what a ready pod serves now on average, units a second, where sizes that were asked
            for have not come; None where it is what the size says.
        delays: seconds from a raise to its effect, by knob.
    """

    now: Plan
    ready: int
    replicas: tuple[int, int]
    cpu_m: tuple[int, int]
    curve: Sequence[CurvePoint]
    knobs: Knobs
    settled: bool
    restarts: bool = False
    per_pod: float | None = None
    delays: Mapping[Knob, float] = field(default_factory=lambda: USUAL)

    @property
    def late(self) -> Knob | None:
        """The knob asked first, if it takes longer than the other one, and than is usual for it."""
        first, other = Knob.RESOURCES, Knob.REPLICAS
        if not self.sizes_first:
            first, other = other, first
        slow = self.delays[first] > max(self.delays[other], _LATE * USUAL[first])
        # Replicas that come late are no reason to restart those that serve.
        return first if slow and not self.restarts else None

    @property
    def each(self) -> float:
        """Units a second to count on of a ready pod: of the size it is soon to have, or has."""
        meant = self.serves(self.now.cpu_m)
        if self.per_pod is None or self.late is not Knob.RESOURCES:
            return meant
        return min(meant, self.per_pod)

    @property
    def sizes_first(self) -> bool:
        """Whether the size is asked before replicas."""
        return self.knobs.first(Knob.RESOURCES) and not self.restarts

    def serves(self, cpu_m: int) -> float:
        """Units a second of one pod of that size."""
        return sizing.capacity(self.curve, cpu_m)

    def size_for(self, demand: float, replicas: int) -> int:
        """The size at which so many pods serve the demand, or the largest of use."""
        return sizing.cpu_for(self.curve, demand / max(1, replicas), *self.cpu_m)

    def count_for(self, demand: float, cpu_m: int) -> int:
        """How many pods of that size serve the demand, within bounds."""
        return self.count_of(demand, self.serves(cpu_m))

    def count_of(self, demand: float, each: float) -> int:
        """How many pods that serve `each` units a second serve the demand, within bounds."""
        low, high = self.replicas
        wanted = math.ceil(min(demand / max(each, _SLACK), float(high)) - _SLACK)
        return max(low, min(high, wanted))

    def cost(self, plan: Plan) -> float:
        """Price of a plan, in the policy's currency."""
        prices = self.knobs.prices
        return plan.replicas * (prices.replica + prices.core * plan.cpu_m / 1000)


def cheapest(ground: Ground, demand: float) -> Plan:
    """The cheapest pair within bounds that serves the demand; the most there is if none does."""
    largest, smallest = ground.size_for(math.inf, 1), ground.cpu_m[0]
    fewest = ground.count_for(demand, largest)
    # More pods than this stay at the smallest size, so they only cost more.
    most = max(fewest, ground.count_for(demand, smallest))
    pairs = [Plan(n, ground.size_for(demand, n)) for n in range(fewest, most + 1)]
    # What is asked first bears the load where the price is the same.
    sign = 1 if ground.sizes_first else -1
    return min(pairs, key=lambda plan: (round(ground.cost(plan), 9), sign * plan.replicas))


def wanted(ground: Ground, demand: float) -> Plan:
    """What each knob is to be at now, on the way to the plan; either may be lower than now.

    Where both are lower, only one of them may be lowered (`saves_most`): each is right only if the
    other one stays.
    """
    plan = cheapest(ground, demand)
    if ground.ready * ground.each < demand * (1 - _SLACK):
        return _raised(ground, demand, plan)
    now = ground.now
    if plan.replicas <= now.replicas and plan.cpu_m <= now.cpu_m:
        return Plan(
            max(plan.replicas, min(now.replicas, ground.count_of(demand, ground.each))),
            max(plan.cpu_m, min(now.cpu_m, ground.size_for(demand, ground.ready))),
        )
    return _exchanged(ground, demand, plan)


def saves_most(ground: Ground, plan: Plan) -> Knob:
    """Of two knobs that may both be lowered to a plan, the one that saves more."""
    now = ground.now
    by_size = ground.cost(Plan(now.replicas, plan.cpu_m))
    by_count = ground.cost(Plan(plan.replicas, now.cpu_m))
    if by_size == by_count:
        return Knob.RESOURCES if ground.sizes_first else Knob.REPLICAS
    return Knob.RESOURCES if by_size < by_count else Knob.REPLICAS


def _raised(ground: Ground, demand: float, plan: Plan) -> Plan:
    """More is needed now: the first knob as far as it goes, the other one for the rest."""
    now, serving = ground.now, max(1, ground.ready)
    size = max(now.cpu_m, ground.size_for(demand, serving))
    if ground.sizes_first:
        covered = serving * ground.serves(size) >= demand * (1 - _SLACK)
        count = now.replicas if covered else max(now.replicas, plan.replicas)
        both = max(count, ground.count_of(demand, ground.each)) if ground.late else count
        return Plan(both, size, _slow(ground, "replicas are") if both > count else "")
    return _raised_by_count(ground, demand, size)


def _raised_by_count(ground: Ground, demand: float, size: int) -> Plan:
    """The same where replicas are asked first; `size` would make up for those that start."""
    now = ground.now
    count = max(now.replicas, ground.count_for(demand, now.cpu_m))
    # Replicas are on their way or can be had: the size makes up for what they can never reach.
    covered = count * ground.serves(now.cpu_m) >= demand * (1 - _SLACK)
    if covered and ground.late and size > now.cpu_m:
        return Plan(count, size, _slow(ground, "the size is"))
    size = now.cpu_m if covered else max(now.cpu_m, ground.size_for(demand, count))
    yields = ground.restarts and ground.knobs.first(Knob.RESOURCES) and count > now.replicas
    return Plan(count, size, _RESTARTS if yields else "")


def _slow(ground: Ground, other: str) -> str:
    knob = ground.late or Knob.RESOURCES
    what = "a size takes" if knob is Knob.RESOURCES else "replicas take"
    return f"{what} {ground.delays[knob]:.0f} s to come, so {other} raised as well"


def _exchanged(ground: Ground, demand: float, plan: Plan) -> Plan:
    """All is served, and a cheaper pair has more of one knob and less of the other."""
    now = ground.now
    saves = ground.cost(plan) < ground.cost(now) * (1 - WORTHWHILE)
    if plan.cpu_m < now.cpu_m:
        size = min(now.cpu_m, max(plan.cpu_m, ground.size_for(demand, ground.ready)))
        if size < now.cpu_m:
            return Plan(now.replicas, size)
        return Plan(plan.replicas if saves and ground.settled else now.replicas, now.cpu_m)
    count = min(now.replicas, max(plan.replicas, ground.count_of(demand, ground.each)))
    if count < now.replicas:
        return Plan(count, now.cpu_m)
    # A lower price is not worth a restart of every container.
    grows = saves and ground.settled and not ground.restarts
    return Plan(now.replicas, plan.cpu_m if grows else now.cpu_m)
