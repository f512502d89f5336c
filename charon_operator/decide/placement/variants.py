"""An app's variants as they stand at a turn: what each has, what all serve, the way they are on.

Reads: the spec, what is known of every variant, the app's memory. Gives: a `Ground`. Never: pods
that are on their way out counted twice: while one mix takes the other's place both are there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from charon_operator.decide.placement.handover import Standing
from charon_operator.model.app import ChargedApp
from charon_operator.model.claim import Counts, Handover, PlacingMemory, Variant
from charon_operator.model.memory import AppMemory
from charon_operator.model.placement import NewNodes, Placement
from charon_operator.model.placing import Holding, VariantFacts
from charon_operator.model.workload import Workload
from charon_operator.settings import Safety

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Ground:
    """What a decision on an app's variants stands on.

    Attributes:
        targets: workload of each variant, by its name.
        way: where it was going before this turn; at rest where nothing is remembered.
        awaited: the same of pods that wait for new nodes; None where nothing is remembered.
    """

    spec: Placement
    variants: tuple[Variant, ...]
    targets: Mapping[str, Workload]
    standings: Mapping[str, Standing]
    way: Handover
    awaited: Handover | None = None

    @property
    def asked(self) -> dict[str, int]:
        """Replicas asked for."""
        return {name: one.asked for name, one in self.standings.items()}

    def capacity(self, counts: Counts) -> float:
        """Units a second that so many replicas serve."""
        return capacity(self.variants, counts)

    @property
    def goal(self) -> Counts:
        """Where it is going, with those that waited for new nodes as far as they have come."""
        target = self.awaited.target if self.awaited else {}
        come = {name: min(count, len(self.standings[name].holding.nodes))
                for name, count in target.items() if name in self.standings}  # fmt: skip
        return {name: max(count, come.get(name, 0)) for name, count in self.way.target.items()}

    @property
    def counted(self) -> float:
        """Capacity of what is asked for, as lowerings and raises count from it."""
        return counted(self.variants, self.way, self.asked)

    @property
    def per_pod(self) -> float:
        """What one of the replicas that count serves on average; the largest where none is."""
        replicas = self._replicas
        if not replicas:
            return max(one.capacity for one in self.variants)
        return self.counted / replicas

    def seen_by_laws(self, together: Workload) -> Workload:
        """All of them as one, of replicas that serve `per_pod` each."""
        ready = self.capacity({name: one.ready for name, one in self.standings.items()})
        serving = min(self._replicas, math.floor(ready / self.per_pod + _SLACK))
        return replace(together, replicas=self._replicas, ready=serving)

    def within(self, counts: Counts) -> dict[str, int]:
        """Counts within the bounds of each variant."""
        return {
            one.name: max(one.least, min(one.most, counts.get(one.name, 0)))
            for one in self.variants
        }

    @property
    def _replicas(self) -> int:
        asked = self.asked
        whole, total = self.capacity(asked), sum(asked.values())
        if self.counted >= whole or not whole:
            return total
        return math.ceil(total * self.counted / whole - _SLACK)


def capacity(variants: Sequence[Variant], counts: Counts) -> float:
    """Units a second that so many replicas serve."""
    return sum(one.capacity * counts.get(one.name, 0) for one in variants)


def counted(variants: Sequence[Variant], way: Handover, counts: Counts) -> float:
    """Capacity, at most that of either end of the way: pods that are to go are there for a time."""
    ends = max(capacity(variants, way.start), capacity(variants, way.target))
    return min(capacity(variants, counts), ends)


def measured(
    variants: Sequence[Variant], way: Handover, asked: Counts, final: Counts
) -> tuple[float, float]:
    """Capacity before and after a step, as limits on lowerings count it.

    Pods that are to go do not count while their successors come, nor those that make room for them.
    """
    start = counted(variants, way, asked)
    goal = capacity(variants, way.target)
    return start, max(counted(variants, way, final), min(start, goal))


def thousandths(capacity: float) -> int:
    """Units a second in whole thousandths, rounded down: nothing is asked for over a rounding."""
    return math.floor(capacity * 1000 * (1 + _SLACK) + _SLACK)


def stand(
    app: ChargedApp, known: Mapping[str, VariantFacts], memory: AppMemory, now_s: float
) -> tuple[AppMemory, Ground | None]:
    """Find out how an app's variants stand; None for an app without placement."""
    placement = app.spec.placement
    if placement is None:
        return (replace(memory, placing=None) if memory.placing else memory), None
    remembered = memory.placing or PlacingMemory(since_s=now_s)
    targets = {
        name: one.workload for name, one in known.items() if isinstance(one.workload, Workload)
    }
    begun = {
        one.name: _begun(placement, known[one.name].holding, targets[one.name])
        for one in placement.variants
    }
    way = remembered.handover
    if (
        way is None
        or set(way.target) != set(begun)
        or _moved_by_others(remembered, targets, begun, way)
    ):
        way = Handover(begun, begun)
    generations = {str(one.target): one.generation for one in targets.values()}
    ground = Ground(
        spec=placement,
        variants=tuple(_variants(placement, known)),
        targets=targets,
        standings={one.name: _standing(known[one.name], targets[one.name])
                   for one in placement.variants},
        way=way,
        awaited=remembered.awaited,
    )  # fmt: skip
    return replace(memory, placing=replace(remembered, generations=generations)), ground


def bounded(
    variants: Sequence[Variant], safety: Safety, way: Handover, now_s: float
) -> tuple[Variant, ...]:
    """Within the operator's bound; what did not come about is not hoped for before its time."""
    failed = way.failed if way.failed is not None and now_s < way.retry_at_s else {}
    found = []
    for one in variants:
        most = min(one.most, safety.max_replicas)
        started = way.start.get(one.name, 0)
        if failed.get(one.name, 0) > started:
            most = min(most, max(started, one.least))
        found.append(one.within(most))
    return tuple(found)


def _variants(placement: Placement, known: Mapping[str, VariantFacts]) -> list[Variant]:
    found = []
    for one in placement.variants:
        need = known[one.name].need
        assert need is not None
        found.append(
            Variant(
                name=one.name,
                need=need,
                capacity=one.capacity_per_replica.value,
                cost=one.cost_per_replica,
                quality=one.quality,
                least=one.replicas.min,
                most=one.replicas.max,
            )
        )
    return found


def _standing(known: VariantFacts, target: Workload) -> Standing:
    holding = known.holding
    if not target.replica_failure or target.current >= target.replicas:
        return Standing(target.replicas, target.ready, holding)
    # Pods that a quota forbids wait like those that no node has room for.
    missing = target.replicas - target.current
    holding = replace(holding, pending=holding.pending + missing)
    return Standing(target.replicas, target.ready, holding, target.replica_failure)


def _begun(placement: Placement, holding: Holding, target: Workload) -> int:
    """Replicas that a way begins with: what may wait for new nodes is not counted as there."""
    waits = placement.new_nodes is NewNodes.AUTOSCALER
    return target.replicas - min(target.replicas, holding.pending if waits else 0)


def _moved_by_others(
    remembered: PlacingMemory, targets: Mapping[str, Workload], begun: Counts, way: Handover
) -> bool:
    """Whether somebody asked for other replicas since: then this is where the way begins."""
    for name, target in targets.items():
        written = remembered.written.get(str(target.target))
        if written is None:
            if begun[name] != way.start.get(name, 0):
                return True
        elif target.generation > written.generation and target.replicas != written.replicas:
            return True
    return False
