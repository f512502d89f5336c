"""The cheapest mix against trying all, and when an app moves to it."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.decide.placement import mix
from charon_operator.decide.placement.mix import Aim, Mix
from charon_operator.model.claim import Counts, Patience, Variant
from tests.decide import gpus

ONE = gpus.need(gpu=1)
FP32 = gpus.variant("fp32", ONE, 100.0, 8.0, 1.0, most=4)
FP16 = gpus.variant("fp16", ONE, 200.0, 9.0, 0.9, most=4)
CPU = gpus.variant("cpu", gpus.need(), 10.0, 0.5, 1.0, most=20)
NOW_S = 10_000.0

variants = st.lists(
    st.builds(
        gpus.variant,
        st.just("v"),
        st.just(ONE),
        st.sampled_from([10.0, 25.0, 64.0, 100.0, 640.0]),
        st.sampled_from([0.0, 1.0, 2.0, 3.0, 8.0, 10.0]),
        st.sampled_from([0.9, 0.95, 0.97, 0.99, 1.0]),
        least=st.integers(0, 2),
        most=st.integers(2, 6),
    ),
    min_size=1,
    max_size=4,
).map(lambda found: [rename(one, f"v{number}") for number, one in enumerate(found)])
aims = st.builds(
    Aim,
    st.sampled_from([0.0, 5.0, 100.0, 300.0, 700.0, 1500.0]),
    st.sampled_from([0.0, 0.9, 0.95, 0.96, 0.98]),
)


def rename(one: Variant, name: str) -> Variant:
    return gpus.variant(
        name, one.need, one.capacity, one.cost, one.quality, least=one.least, most=one.most
    )


def all_mixes(found: list[Variant], aim: Aim) -> list[Mix]:
    ranges = [range(one.least, one.most + 1) for one in found]
    return [
        mix.mix(found, dict(zip((one.name for one in found), counts, strict=True)), aim)
        for counts in itertools.product(*ranges)
    ]


@settings(max_examples=200)
@given(variants, aims)
def test_no_mix_that_reaches_the_aim_is_cheaper(found: list[Variant], aim: Aim) -> None:
    cheapest = mix.cheapest(found, aim)
    known = all_mixes(found, aim)
    assert cheapest in known, "within the bounds"
    costs = [one.cost for one in known if one.reaches]
    assert cheapest.reaches is bool(costs)
    if costs:
        assert cheapest.cost <= min(costs) / 0.995 + 1e-9
    else:
        good = [one.capacity for one in known if one.quality >= aim.quality - 1e-9]
        if good:
            assert cheapest.quality >= aim.quality - 1e-9
            assert cheapest.capacity >= 0.98 * max(good)


def test_search_stays_short_where_variants_are_many_and_nearly_alike() -> None:
    chance = random.Random(1)
    found = [
        gpus.variant(
            f"v{number}", ONE, chance.uniform(1, 1000), chance.uniform(1, 20),
            chance.uniform(0.8, 1.0), most=1000,
        )
        for number in range(8)
    ]  # fmt: skip
    assert mix.cheapest(found, Aim(400_000.0, 0.9)).reaches


@pytest.mark.parametrize(
    ("aim", "counts"),
    [
        pytest.param(Aim(100, 0.0), {"cpu": 10}, id="the cheapest for its capacity"),
        pytest.param(Aim(350, 0.0), {"fp16": 1, "cpu": 15}, id="two variants together"),
        pytest.param(Aim(900, 0.0), {"fp16": 4, "cpu": 10}, id="as far as each goes"),
        pytest.param(
            Aim(600, 0.95), {"fp16": 1, "fp32": 2, "cpu": 20}, id="quality bounds the share of one"
        ),
        pytest.param(Aim(0, 0.95), {}, id="nothing is wanted"),
        pytest.param(
            Aim(9000, 0.0), {"fp32": 4, "fp16": 4, "cpu": 20}, id="all there is, out of reach"
        ),
        pytest.param(
            Aim(9000, 1.0), {"fp32": 4, "cpu": 20}, id="all there is of the quality, out of reach"
        ),
    ],
)
def test_cheapest_mix(aim: Aim, counts: Counts) -> None:
    found = mix.cheapest([FP32, FP16, CPU], aim)
    assert {name: count for name, count in found.counts.items() if count} == counts


def test_quality_is_weighted_by_what_each_variant_serves() -> None:
    found = mix.mix([FP32, FP16], {"fp32": 2, "fp16": 1}, Aim(400, 0.95))
    assert found.quality == pytest.approx((200 * 1.0 + 200 * 0.9) / 400)
    assert found.reaches
    assert not mix.mix([FP32, FP16], {"fp32": 1, "fp16": 1}, Aim(300, 0.95)).reaches


def chosen(aim: Aim, current: Counts, *, ago_s: float | None = 3600.0) -> dict[str, int]:
    since_s = None if ago_s is None else NOW_S - ago_s
    found = mix.chosen([FP32, FP16, CPU], aim, current, since_s, NOW_S, Patience(0.15, 300.0))
    return {name: count for name, count in found.counts.items() if count}


@pytest.mark.parametrize(
    ("wanted", "current", "ago_s", "counts"),
    [
        pytest.param(100, {"fp32": 1}, 3600, {"cpu": 10}, id="a third cheaper, and long enough"),
        pytest.param(100, {"fp32": 1}, 299, {"fp32": 1}, id="changed too recently"),
        pytest.param(100, {"fp32": 1}, None, {"fp32": 1}, id="changed at an unknown time"),
        pytest.param(
            200, {"fp16": 1}, 3600, {"fp16": 1}, id="what is there is the cheapest already"
        ),
        pytest.param(
            190, {"cpu": 20}, 3600, {"cpu": 20}, id="nine tenths of the cost is no reason to move"
        ),
        pytest.param(130, {"fp32": 1}, 1, {"fp32": 1, "cpu": 3}, id="a raise grows what is there"),
        pytest.param(0, {"fp32": 4, "cpu": 1}, 3600, {}, id="what nobody wants is given up"),
        pytest.param(
            1400, {"fp32": 4}, 1, {"fp32": 4, "fp16": 4, "cpu": 20}, id="out of reach: all of it"
        ),
    ],
)
def test_a_mix_is_left_for_a_cheaper_one_when_it_is_worth_it(
    wanted: float, current: Counts, ago_s: float | None, counts: Counts
) -> None:
    assert chosen(Aim(wanted, 0.0), current, ago_s=ago_s) == counts


def test_a_mix_that_cannot_reach_its_aim_is_left_at_once() -> None:
    assert chosen(Aim(100, 1.0), {"fp16": 1}, ago_s=1) == {"cpu": 10}
