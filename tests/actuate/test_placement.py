"""A placing becomes writes, raises apart from lowerings, and their results what came about."""

from dataclasses import replace

import pytest

from charon_operator.actuate import placement
from charon_operator.model.form import Form, Shape
from charon_operator.model.placing import FormChange, Placing, VariantFacts, VariantMove
from charon_operator.model.workload import Absent, Rollout, Target, Workload
from charon_operator.ports import WriteOutcome, WriteResult
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
    found = placement.writes(wanted, variants(fp16=1, fp32=3, cpu=2), {})
    assert told(found) == (
        ["Deployment workload/fp16 1 -> 2"],
        ["Deployment workload/fp32 3 -> 0"],
    )
    assert [
        one.scale.resource_version
        for one in (*found.raises, *found.lowerings)
        if isinstance(one, placement.Scaling)
    ] == ["10"] * 2


@pytest.mark.parametrize("there", [4, None], ids=["moved on", "gone"])
def test_a_variant_that_is_not_as_it_was_is_not_written(there: int | None) -> None:
    wanted = placing(fp16=(1, 2), fp32=(3, 1))
    found = placement.writes(wanted, variants(fp16=1, fp32=there), {})
    assert told(found) == (["Deployment workload/fp16 1 -> 2"], [])
    # Nor is anything given up for one that does not come.
    assert told(placement.writes(wanted, variants(fp16=there, fp32=3), {})) == ([], [])


def test_what_was_not_written_did_not_come_about() -> None:
    found = placement.made(placing(fp16=(1, 2), fp32=(3, 1)), {target("fp16")})
    assert [(one.name, one.final) for one in found.variants] == [("fp16", 2), ("fp32", 3)]


# Two variants of one Deployment, beside one that has its own.

FORMS = {"one": Form(container="app", gpus=1), "two": Form(container="app", gpus=2, product="T4")}
SHAPE = Shape(gpus=(("app", 1), ("side", 0)), product="A100", came_from=("one", 9))
CHANGE = FormChange("one", "two", 3, False, ("one", 3))


def shared(**cpu: int) -> tuple[Placing, dict[str, VariantFacts]]:
    """A change of form, and the count that the other variant has and is to have."""
    web = target("web")
    moves = (
        VariantMove("one", web, 3, 3, 0, 0, 0),
        VariantMove("two", web, 0, 0, 0, 3, 2),
        VariantMove("cpu", target("cpu"), cpu["asked"], 0, 0, cpu["final"], 0),
    )
    found = Placing(True, moves, True, "Enough", "", change=CHANGE)
    known = {
        "one": VariantFacts(samples.workload(3, "web"), shape=SHAPE),
        "two": VariantFacts(samples.workload(0, "web"), shape=SHAPE),
        **variants(cpu=cpu["asked"]),
    }
    return found, known


def test_a_change_of_form_is_one_write_between_raises_and_lowerings() -> None:
    up = placement.writes(*shared(asked=1, final=2), FORMS)
    down = placement.writes(*shared(asked=2, final=1), FORMS)
    change = ["Deployment workload/web one 3 -> two 3"]
    assert [[str(one) for one in part] for part in (up.raises, up.changes, up.lowerings)] == [
        ["Deployment workload/cpu 1 -> 2"], change, []
    ]  # fmt: skip
    assert [str(one) for one in (*down.changes, *down.lowerings)] == [
        *change, "Deployment workload/cpu 2 -> 1"
    ]  # fmt: skip
    (one,) = up.changes
    assert isinstance(one, placement.Reshaping)
    form = one.form
    assert (form.form, form.replicas, form.surges) == (FORMS["two"], 3, False)
    assert (form.came_from, form.resource_version) == (("one", 3), "10")


def test_without_its_deployment_a_form_is_not_changed_and_nothing_is_lowered() -> None:
    placing, known = shared(asked=2, final=1)
    known["one"] = VariantFacts(Absent(target("web"), "TargetNotFound", "gone"))
    found = placement.writes(placing, known, FORMS)
    assert (found.raises, found.changes, found.lowerings) == ((), (), ())


def test_a_change_that_was_written_is_known_before_the_informer_tells_of_it() -> None:
    (write,) = placement.writes(*shared(asked=1, final=1), FORMS).changes
    found = write.after(WriteResult(WriteOutcome.WRITTEN, "11"))
    assert found is not None
    workload, left = found
    assert (workload.replicas, workload.updated, workload.rollout) == (3, 0, Rollout.IN_FLIGHT)
    assert (workload.resource_version, workload.generation) == ("11", 2)
    assert left.shape == replace(
        SHAPE, gpus=(("app", 2), ("side", 0)), product="T4", surge=0, came_from=("one", 3)
    )
    assert write.after(WriteResult(WriteOutcome.CONFLICT)) is None


def test_a_change_that_was_not_written_did_not_come_about() -> None:
    placing, _ = shared(asked=1, final=2)
    found = placement.made(placing, {target("cpu")})
    assert found.change is None
    assert [(one.name, one.final) for one in found.variants] == [("one", 3), ("two", 0), ("cpu", 2)]
    assert placement.made(placing, {target("web")}).change == CHANGE
