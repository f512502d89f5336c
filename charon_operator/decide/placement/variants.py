"""An app's variants as they stand at a turn: what each has, what all serve, the way they are on.

Reads: the spec, what is known of every variant, the app's memory. Gives: a `Ground`. Never: pods
that are on their way out counted twice: while one mix takes the other's place both are there.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from charon_operator.decide.placement.handover import Standing
from charon_operator.model.app import ChargedApp
from charon_operator.model.claim import Counts, Handover, PlacingMemory, Variant
from charon_operator.model.facts import AppFacts
from charon_operator.model.form import Shape
from charon_operator.model.memory import AppMemory
from charon_operator.model.placement import NewNodes, Placement
from charon_operator.model.placing import Holding, VariantFacts
from charon_operator.model.workload import Rollout, Workload
from charon_operator.settings import Safety

_SLACK = 1e-9
_STUCK = "the rollout has exceeded its progress deadline"


@dataclass(frozen=True, slots=True)
class Forms:
    """A Deployment that may run as several variants.

    Attributes:
        live: the variant that it runs as.
        others: those that it could be changed to, with bounds of their own.
    """

    live: str
    shape: Shape
    others: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """What a decision on an app's variants stands on.

    Attributes:
        variants: all of them; of one that its Deployment does not run as there may be no replica.
        targets: workload of each variant, by its name.
        way: where it was going before this turn; at rest where nothing is remembered.
        awaited: the same of pods that wait for new nodes; None where nothing is remembered.
        forms: Deployments that may be changed from variant to variant.
        fixed: the administrator does not let them be changed.
    """

    spec: Placement
    variants: tuple[Variant, ...]
    targets: Mapping[str, Workload]
    standings: Mapping[str, Standing]
    way: Handover
    awaited: Handover | None = None
    forms: tuple[Forms, ...] = ()
    fixed: bool = False

    @property
    def absent(self) -> frozenset[str]:
        """Variants that their Deployment does not run as."""
        return frozenset(other.name for one in self.forms for other in one.others)

    @property
    def changing(self) -> frozenset[str]:
        """Variants whose pods may be of another form, as their Deployments replace them.

        Of a rollout that is stuck that is so only if a change of form began it.
        """
        return frozenset(
            one.live
            for one in self.forms
            if self.targets[one.live].rollout is Rollout.IN_FLIGHT
            or (self.standings[one.live].rolls and _names(self.way.start, self.absent))
        )

    @property
    def returns(self) -> bool:
        """Whether a change of form that did not come about is still to be taken back."""
        return _names(self.way.target, self.absent)

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

    @property
    def kept(self) -> dict[str, int]:
        """Replicas that a PodDisruptionBudget keeps: a pod that has no node is not available."""
        return {
            name: min(self.targets[name].min_available or 0, one.asked, len(one.holding.nodes))
            for name, one in self.standings.items()
        }

    def within(self, counts: Counts) -> dict[str, int]:
        """Counts within the bounds of each variant, and no less than is kept."""
        kept = self.kept
        return {
            one.name: max(one.least, kept[one.name], min(one.most, counts.get(one.name, 0)))
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


def most(ground: Ground, allowed: Sequence[Variant], each: int) -> float:
    """Units a second that may be served at most, by whatever form serves most.

    Args:
        ground: how the variants stand.
        allowed: the variants within all bounds.
        each: replicas that the operator allows a variant.
    """
    serves = {one.name: one.capacity * one.most for one in allowed}
    for forms in () if ground.fixed else ground.forms:
        others = (one.capacity * min(one.most, each) for one in forms.others)
        serves[forms.live] = max(serves[forms.live], *others, 0.0)
    return sum(serves.values())


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
    app: ChargedApp, facts: AppFacts, memory: AppMemory, now_s: float
) -> tuple[AppMemory, Ground | None]:
    """Find out how an app's variants stand; None for an app without placement."""
    placement, known = app.spec.placement, facts.variants
    if placement is None:
        return (replace(memory, placing=None) if memory.placing else memory), None
    remembered = memory.placing or PlacingMemory(since_s=now_s)
    targets = {
        name: one.workload for name, one in known.items() if isinstance(one.workload, Workload)
    }
    targets = {one.name: targets[one.name] for one in placement.variants}
    whole = _variants(placement, known)
    forms = _forms(placement, known, whole)
    absent = {other.name for one in forms for other in one.others}
    standings = {name: _standing(known[name], one, name in absent) for name, one in targets.items()}
    placed = {name: _placed(placement, known[name].holding, one) for name, one in standings.items()}
    way, changed = _way(remembered, placed, targets, forms)
    ground = Ground(
        spec=placement,
        variants=tuple(one.within(0) if one.name in absent else one for one in whole),
        targets=targets,
        standings=standings,
        way=way,
        awaited=remembered.awaited,
        forms=forms,
        fixed=facts.fixed_forms,
    )
    return replace(
        memory,
        placing=replace(
            remembered,
            # A form that somebody else gave it is kept as long as one that we did.
            since_s=now_s if changed else remembered.since_s,
            generations={name: one.generation for name, one in targets.items()},
        ),
    ), ground


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


def _forms(
    placement: Placement, known: Mapping[str, VariantFacts], whole: Sequence[Variant]
) -> tuple[Forms, ...]:
    found = []
    for one in placement.variants:
        shape = known[one.name].shape
        if shape is None or one.template is None or not shape.is_in(one.template):
            continue
        others = tuple(
            variant
            for other, variant in zip(placement.variants, whole, strict=True)
            if other is not one and other.scale_target_ref == one.scale_target_ref
        )
        found.append(Forms(one.name, shape, others))
    return tuple(found)


def _way(
    remembered: PlacingMemory,
    placed: Counts,
    targets: Mapping[str, Workload],
    forms: Sequence[Forms],
) -> tuple[Handover, bool]:
    """Where it is going, and whether somebody else has given a Deployment another form.

    Args:
        remembered: of the app.
        placed: replicas of each variant that a new way begins with.
        targets: workload of each variant.
        forms: Deployments of several variants.
    """
    way = remembered.handover
    if way is None or set(way.target) != set(placed):
        return Handover(_begun(placed, targets, forms), placed), False
    absent = {other.name for one in forms for other in one.others}
    begun = way.start
    if _names(begun, absent) and remembered.claim is not None:
        # In the middle of a change of form what was asked for then is not asked for now.
        begun = remembered.claim.asked
    if _moved_by_others(remembered, placed, targets, begun):
        known = {name for end in (way.start, way.target) for name, count in end.items() if count}
        changed = any(one.live not in known and placed[one.live] for one in forms)
        return Handover(_begun(placed, targets, forms), placed), changed
    if _names(way.target, absent) and not _names(way.start, absent):
        # A change of form that was not written is decided again, from what there is.
        return replace(way, start=placed, target=placed, stuck_since_s=None), False
    return way, False


def _names(counts: Counts, names: Collection[str]) -> bool:
    return any(counts.get(name) for name in names)


def _begun(asked: Counts, targets: Mapping[str, Workload], forms: Sequence[Forms]) -> Counts:
    """Where a way began that nothing is remembered of: a change of form says so itself."""
    found = dict(asked)
    for one in forms:
        came_from, replicas = one.shape.came_from or ("", 0)
        before = {other.name: other for other in one.others}.get(came_from)
        target = targets[one.live]
        rolls = target.rollout is not Rollout.SETTLED
        # Until its controller has looked, a mere change of replicas looks like a rollout, too.
        if before is not None and rolls and target.observed_generation >= target.generation:
            found |= {one.live: 0, before.name: min(replicas, before.most)}
    return found


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


def _standing(known: VariantFacts, target: Workload, absent: bool) -> Standing:
    rolls = known.shape is not None and not absent and target.rollout is not Rollout.SETTLED
    there, holding = target.updated if rolls else target.current, known.holding
    if target.replica_failure and there < target.replicas:
        # Pods that a quota forbids wait like those that no node has room for.
        holding = replace(holding, pending=holding.pending + target.replicas - there)
        return Standing(target.replicas, target.ready, holding, target.replica_failure, rolls)
    if rolls and target.rollout is Rollout.STUCK:
        # So do those that are on a node and never get ready.
        holding = replace(holding, pending=max(1, holding.pending))
        return Standing(target.replicas, target.ready, holding, _STUCK, rolls)
    return Standing(target.replicas, target.ready, holding, rolls=rolls)


def _placed(placement: Placement, holding: Holding, one: Standing) -> int:
    """Replicas that a way begins with: what may wait for new nodes is not counted as there.

    What waits while a Deployment replaces its pods is not waited for beyond the deadline.
    """
    waits = placement.new_nodes is NewNodes.AUTOSCALER and not one.rolls
    return one.asked - min(one.asked, holding.pending if waits else 0)


def _moved_by_others(
    remembered: PlacingMemory, placed: Counts, targets: Mapping[str, Workload], begun: Counts
) -> bool:
    """Whether somebody asked for other replicas since: then this is where the way begins."""
    for name, target in targets.items():
        written = remembered.written.get(name)
        if written is None:
            if placed[name] != begun.get(name, 0):
                return True
        elif target.generation > written.generation and target.replicas != written.replicas:
            return True
    return False
