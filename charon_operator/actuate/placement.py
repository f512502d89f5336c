"""Placement: a placing becomes writes, and their results what came about of it.

Reads: a `Placing` and the variants that it was decided on. Gives: what to write, raises apart from
lowerings, each on the version that was decided on. Never: a write for a variant that has moved on.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from charon_operator.actuate import replicas
from charon_operator.actuate.replicas import ScaleWrite
from charon_operator.model.form import Form, FormWrite
from charon_operator.model.placing import FormChange, Placing, VariantFacts, VariantMove
from charon_operator.model.workload import Rollout, Target, Workload
from charon_operator.ports import Cluster, WriteResult

_Seen = tuple[Workload, VariantFacts]


@dataclass(frozen=True, slots=True)
class Scaling:
    """One write of replicas, and the variant as it was decided on."""

    workload: Workload
    known: VariantFacts
    scale: ScaleWrite

    KIND: ClassVar[str] = "scale"

    def __str__(self) -> str:
        return f"{self.target} {self.workload.replicas} -> {self.scale.replicas}"

    @property
    def target(self) -> Target:
        """What is written."""
        return self.scale.target

    async def make(self, cluster: Cluster) -> WriteResult:
        """Make the write."""
        return await replicas.apply(cluster, self.scale)

    def after(self, result: WriteResult) -> _Seen | None:
        """Target and variant as the write left them; None when that is not known."""
        seen = replicas.after(self.workload, self.scale, result)
        return None if seen is None else (seen, self.known)


@dataclass(frozen=True, slots=True)
class Reshaping:
    """One change of a Deployment's form, and both its variants as it was decided on.

    Attributes:
        known: the variant that it becomes.
    """

    workload: Workload
    known: VariantFacts
    change: FormChange
    form: FormWrite

    KIND: ClassVar[str] = "template"

    def __str__(self) -> str:
        left, comes = self.change.before, self.change.after
        return f"{self.target} {left} {self.workload.replicas} -> {comes} {self.form.replicas}"

    @property
    def target(self) -> Target:
        """What is written."""
        return self.workload.target

    async def make(self, cluster: Cluster) -> WriteResult:
        """Make the write."""
        return await cluster.set_form(self.target, self.form)

    def after(self, result: WriteResult) -> _Seen | None:
        """Target and variant as the write left them; None when that is not known."""
        scale = ScaleWrite(self.target, self.form.replicas, self.form.resource_version)
        seen = replicas.after(self.workload, scale, result)
        if seen is None or self.known.shape is None:
            return None
        left = replace(self.known, shape=self.known.shape.after(self.form))
        return replace(seen, updated=0, rollout=Rollout.IN_FLIGHT), left


Write = Scaling | Reshaping


@dataclass(frozen=True, slots=True)
class Writes:
    """The writes of one step, in their order; none may go before all before it were made."""

    raises: tuple[Write, ...]
    changes: tuple[Write, ...]
    lowerings: tuple[Write, ...]


def writes(
    placing: Placing, variants: Mapping[str, VariantFacts], forms: Mapping[str, Form]
) -> Writes:
    """What to write for a placing.

    Args:
        placing: as the turn decided it.
        variants: as the turn saw them, by name.
        forms: that Deployments may be given, by name of a variant.
    """
    change = placing.change
    scaled = [one for one in placing.variants if not _is_part(change, one)]
    up = [one for one in scaled if one.final > one.asked]
    down = [one for one in scaled if one.final < one.asked]
    raises, changes = _writes(up, variants), _changes(change, variants, forms)
    # What is given up was decided on together with what comes in its place.
    whole = len(raises) == len(up) and bool(changes) == (change is not None)
    return Writes(raises, changes, _writes(down, variants) if whole else ())


def made(placing: Placing, written: Collection[Target]) -> Placing:
    """A placing as far as it came about: variants whose targets were not written stay."""
    change = placing.change
    if not any(_is_part(change, one) and one.target in written for one in placing.variants):
        change = None
    variants = tuple(
        one if one.target in written else replace(one, final=one.asked) for one in placing.variants
    )
    return replace(placing, variants=variants, change=change)


def _is_part(change: FormChange | None, one: VariantMove) -> bool:
    """Whether a change of form moves a variant."""
    return change is not None and one.name in (change.before, change.after)


def _changes(
    change: FormChange | None, variants: Mapping[str, VariantFacts], forms: Mapping[str, Form]
) -> tuple[Write, ...]:
    workload = variants[change.before].workload if change else None
    if change is None or not isinstance(workload, Workload):
        return ()
    write = FormWrite(
        form=forms[change.after],
        replicas=change.replicas,
        surges=change.surges,
        came_from=change.came_from,
        resource_version=workload.resource_version,
    )
    return (Reshaping(workload, variants[change.after], change, write),)


def _writes(
    moves: Iterable[VariantMove], variants: Mapping[str, VariantFacts]
) -> tuple[Write, ...]:
    found: list[Write] = []
    for move in moves:
        known = variants[move.name]
        if isinstance(known.workload, Workload):
            scale = replicas.variant_write(move, known.workload)
            found += [Scaling(known.workload, known, scale)] if scale else []
    return tuple(found)
