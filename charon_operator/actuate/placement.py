"""Placement: a placing becomes writes of scale, and their results what came about of it.

Reads: a `Placing` and the variants that it was decided on. Gives: what to write, raises apart from
lowerings, each on the version that was decided on. Never: a write for a variant that has moved on.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from charon_operator.actuate import replicas
from charon_operator.actuate.replicas import ScaleWrite
from charon_operator.model.placing import Placing, VariantFacts, VariantMove
from charon_operator.model.workload import Target, Workload


@dataclass(frozen=True, slots=True)
class Write:
    """One write, and the variant's target as it was decided on."""

    workload: Workload
    scale: ScaleWrite

    def __str__(self) -> str:
        return f"{self.scale.target} {self.workload.replicas} -> {self.scale.replicas}"


@dataclass(frozen=True, slots=True)
class Writes:
    """The writes of one step; no lowering may go before every raise was made."""

    raises: tuple[Write, ...]
    lowerings: tuple[Write, ...]


def writes(placing: Placing, variants: Mapping[str, VariantFacts]) -> Writes:
    """What to write for a placing.

    Args:
        placing: as the turn decided it.
        variants: as the turn saw them, by name.
    """
    up = [one for one in placing.variants if one.final > one.asked]
    down = [one for one in placing.variants if one.final < one.asked]
    raises = _writes(up, variants)
    # What is given up was decided on together with what comes in its place.
    return Writes(raises, _writes(down, variants) if len(raises) == len(up) else ())


def made(placing: Placing, written: Collection[Target]) -> Placing:
    """A placing as far as it came about: variants whose targets were not written stay."""
    variants = tuple(
        one if one.target in written else replace(one, final=one.asked) for one in placing.variants
    )
    return replace(placing, variants=variants)


def _writes(
    moves: Iterable[VariantMove], variants: Mapping[str, VariantFacts]
) -> tuple[Write, ...]:
    found = []
    for move in moves:
        workload = variants[move.name].workload
        if isinstance(workload, Workload):
            scale = replicas.variant_write(move, workload)
            found += [Write(workload, scale)] if scale else []
    return tuple(found)
