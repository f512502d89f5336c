"""Mixes where nodes are short: of fewer pods, of pods that can be elsewhere, of all there is."""

from dataclasses import replace

import pytest

from charon_operator.decide.placement import allocate
from charon_operator.decide.placement.inventory import Stock
from charon_operator.model.claim import Claim, Counts
from charon_operator.names import GrantReason
from tests.decide import gpus

NOW_S = 10_000.0
GPU = gpus.need("A100", gpu=1)
# One GPU serves 64 or, for more than twice the price, 128; a pod for CPUs 16.
WAYS = (
    gpus.variant("fp32", GPU, 64.0, 8.0, 1.0, most=4),
    gpus.variant("fp16", GPU, 128.0, 18.0, 0.97, most=4),
    gpus.variant("cpu", gpus.need(cpu=8000), 16.0, 9.0, 1.0, most=8),
)


def stock() -> Stock:
    """Four GPUs, and room for eight pods of CPUs beside them."""
    return gpus.stock(gpus.node("a", gpu=4, cpu=37_000), gpus.node("p", "", cpu=37_000))


def claim(wanted: float, goal: Counts | None = None, **changes: object) -> Claim:
    whole = Claim(gpus.key(), 10.0, wanted, 0.95, WAYS, since_s=0.0, goal=goal)
    return replace(whole, **changes)  # type: ignore[arg-type]


def granted(one: Claim) -> tuple[tuple[int, ...], GrantReason]:
    """Replicas of fp32, fp16 and cpu, and why."""
    found = allocate.allocate([one], stock(), NOW_S)[one.key]
    return tuple(found.counts[way.name] for way in WAYS), found.reason


def goal(*counts: int) -> Counts:
    return dict(zip(("fp32", "fp16", "cpu"), counts, strict=True))


WANTED = [
    pytest.param(100, (2, 0, 0), id="the cheapest, while it is enough"),
    pytest.param(300, (3, 1, 0), id="one dearer pod instead of one GPU too many"),
    pytest.param(400, (0, 3, 1), id="and more of them"),
    pytest.param(540, (0, 4, 2), id="what no GPU is left for runs on CPUs"),
    pytest.param(640, (0, 4, 8), id="all there is"),
]


@pytest.mark.parametrize(("wanted", "counts"), WANTED)
def test_the_cheapest_mix_of_those_that_fit_is_found(
    wanted: float, counts: tuple[int, ...]
) -> None:
    assert granted(claim(wanted)) == (counts, GrantReason.ENOUGH)


@pytest.mark.parametrize("wanted", [650, 1000, 6000, 1e6])
@pytest.mark.parametrize("way", [None, goal(0, 4, 2), goal(4, 0, 0)])
def test_what_cannot_be_had_is_approached_as_near_as_it_can(
    wanted: float, way: Counts | None
) -> None:
    """Overload must not take fast pods away for slow ones."""
    assert granted(claim(wanted, way)) == ((0, 4, 8), GrantReason.OUT_OF_REACH)


@pytest.mark.parametrize("wanted", range(20, 760, 20))
def test_a_demand_that_trembles_moves_no_mix(wanted: int) -> None:
    counts, _ = granted(claim(wanted))
    for trembling in (0.99, 1.0):
        again, _ = granted(claim(wanted * trembling, goal(*counts)))
        assert again == counts


def test_a_mix_that_fits_is_left_for_a_cheaper_one_only_once_it_was_kept_for_the_dwell() -> None:
    """Cheaper still would be one that does not fit: that is no reason to hurry."""
    kept = goal(0, 3, 0)
    assert granted(claim(300, kept, since_s=NOW_S - 299)) == ((0, 3, 0), GrantReason.ENOUGH)
    assert granted(claim(300, kept)) == ((3, 1, 0), GrantReason.ENOUGH)
