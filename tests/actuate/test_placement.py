"""A placing becomes writes, raises apart from lowerings, and their results what came about."""

import pytest

from charon_operator.actuate import placement
from charon_operator.model.placing import Placing, VariantFacts, VariantMove
from charon_operator.model.workload import Absent, Target, Workload
from tests.record import samples

NAMES = ("fp16", "fp32", "cpu")


def target(name: str) -> Target:
    return samples.workload(name=name).target


def placing(**counts: tuple[int, int]) -> Placing:
    """What is asked for, and is to be asked for, by variant."""
    moves = (
        VariantMove(name, target(name), asked, asked, 0, final, final)
        for name, (asked, final) in counts.items()
    )
    return Placing(True, tuple(moves), True, "Enough", "")


def variants(**replicas: int | None) -> dict[str, VariantFacts]:
    """Replicas there are, by variant; None where the target is gone."""

    def workload(name: str, count: int | None) -> Workload | Absent:
        if count is None:
            return Absent(target(name), "TargetNotFound", "gone")
        return samples.workload(count, name)

    return {name: VariantFacts(workload(name, count)) for name, count in replicas.items()}


def told(found: placement.Writes) -> tuple[list[str], list[str]]:
    return [str(one) for one in found.raises], [str(one) for one in found.lowerings]


def test_writes_are_of_variants_that_move_on_the_version_decided_on() -> None:
    wanted = placing(fp16=(1, 2), fp32=(3, 0), cpu=(2, 2))
    found = placement.writes(wanted, variants(fp16=1, fp32=3, cpu=2))
    assert told(found) == (
        ["Deployment workload/fp16 1 -> 2"],
        ["Deployment workload/fp32 3 -> 0"],
    )
    assert [one.scale.resource_version for one in (*found.raises, *found.lowerings)] == ["10"] * 2


@pytest.mark.parametrize("there", [4, None], ids=["moved on", "gone"])
def test_a_variant_that_is_not_as_it_was_is_not_written(there: int | None) -> None:
    wanted = placing(fp16=(1, 2), fp32=(3, 1))
    found = placement.writes(wanted, variants(fp16=1, fp32=there))
    assert told(found) == (["Deployment workload/fp16 1 -> 2"], [])
    # Nor is anything given up for one that does not come.
    assert told(placement.writes(wanted, variants(fp16=there, fp32=3))) == ([], [])


def test_what_was_not_written_did_not_come_about() -> None:
    found = placement.made(placing(fp16=(1, 2), fp32=(3, 1)), {target("fp16")})
    assert [(one.name, one.final) for one in found.variants] == [("fp16", 2), ("fp32", 3)]
