"""GPUs between apps: the rules one by one, and the sum of them against the best there is."""

import random
import re
import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.decide.placement import allocate
from charon_operator.decide.placement.claims import Grant
from charon_operator.decide.placement.inventory import Stock
from charon_operator.model.claim import Claim, Patience
from charon_operator.model.workload import Key
from charon_operator.names import GrantReason, Shortage
from tests.decide import gpus
from tests.decide.exact import Exact

NOW_S = 10_000.0
PATIENCE = Patience(saving=0.1, dwell_s=300.0)
ONE = gpus.need(gpu=1)


def claim(name: str, wanted: float | None, **changes: Any) -> Claim:
    """An app whose one variant serves 100 a GPU, and whose mix has been as it is for long."""
    variants = changes.pop("variants", None) or (gpus.variant("gpu", ONE, **changes.pop("of", {})),)
    whole = Claim(gpus.key(name), 10.0, wanted, 0.0, variants, since_s=0.0, patience=PATIENCE)
    return replace(whole, **changes)


def held(*nodes: str) -> dict[str, tuple[str, ...]]:
    return {"gpu": nodes}


def shared(stock: Stock, *claims: Claim) -> dict[str, Grant]:
    """Grants by name; pods that are held are taken from the free ones first."""
    return {key.name: found for key, found in granted(stock, *claims).items()}


def granted(stock: Stock, *claims: Claim) -> dict[Key, Grant]:
    left = stock.copy()
    for one in claims:
        for variant in one.variants:
            for node in one.held.get(variant.name, ()):
                left.put(node, variant.need.requests)
    return allocate.allocate(claims, left, NOW_S)


def counts(found: Mapping[str, Grant]) -> dict[str, int]:
    return {name: sum(grant.counts.values()) for name, grant in found.items()}


def four(**changes: Any) -> Stock:
    return gpus.stock(gpus.node("a", gpu=4, **changes))


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param([claim("a", 200), claim("b", 200)], {"a": 2, "b": 2}, id="enough for all"),
        pytest.param(
            [claim("a", 400, of={"least": 1}), claim("b", 400, priority=20.0)],
            {"a": 1, "b": 3},
            id="a minimum comes before the priority of others",
        ),
        pytest.param(
            [claim("a", 300), claim("b", 300, priority=20.0)],
            {"a": 1, "b": 3},
            id="priority decides",
        ),
        pytest.param(
            [claim("a", 100), claim("b", 400)],
            {"a": 1, "b": 3},
            id="a pod that adds a larger share of its demand comes first",
        ),
        pytest.param(
            [claim("a", 300), claim("b", 9000, priority=1000.0)],
            {"a": 3, "b": 1},
            id="what no amount can meet is served with what is left",
        ),
        pytest.param(
            [claim("a", 400, held=held(*"aaaa"), is_met=True), claim("b", 100, priority=99.0)],
            {"a": 4, "b": 0},
            id="an app within its objective is not robbed",
        ),
        pytest.param(
            [claim("a", 400, held=held(*"aaaa")), claim("b", 100, priority=99.0)],
            {"a": 3, "b": 1},
            id="one that is not gives way to a larger gain",
        ),
        pytest.param(
            [claim("a", 400, held=held(*"aaaa")), claim("b", 400, priority=10.5)],
            {"a": 4, "b": 0},
            id="and not to one that is hardly larger",
        ),
        pytest.param(
            [
                claim("a", 400, held=held(*"aaaa"), since_s=NOW_S - 299),
                claim("b", 1, priority=99.0),
            ],
            {"a": 4, "b": 0},
            id="nor before its mix has been kept for the dwell",
        ),
        pytest.param(
            [claim("a", 400, held=held(*"aaaa"), since_s=None), claim("b", 1, priority=99.0)],
            {"a": 4, "b": 0},
            id="since when it is kept is not known: it has just changed",
        ),
        pytest.param(
            [claim("a", None, held=held(*"aaa")), claim("b", 400, priority=99.0)],
            {"a": 3, "b": 1},
            id="a demand that is not known gives nothing and takes nothing",
        ),
        pytest.param(
            [claim("a", 400, held=held(*"aaaa"), is_met=True), claim("b", 100, of={"least": 1})],
            {"a": 3, "b": 1},
            id="only a minimum robs an app within its objective",
        ),
        pytest.param(
            [
                claim("a", 200, held=held(*"aa"), is_met=True),
                claim("c", 200, held=held(*"aa")),
                claim("b", 100, of={"least": 1}),
            ],
            {"a": 2, "c": 1, "b": 1},
            id="and it robs others first",
        ),
        pytest.param(
            [claim("a", 400, held=held(*"aaaa"), of={"least": 4}), claim("b", 1, of={"least": 1})],
            {"a": 4, "b": 0},
            id="no minimum is robbed, even by a minimum",
        ),
        pytest.param(
            [claim("a", 100, held=held(*"aaa")), claim("b", 300)],
            {"a": 1, "b": 3},
            id="what an app has no use for goes to others",
        ),
    ],
)
def test_gpus_are_shared_by_the_rules(claims: list[Claim], expected: dict[str, int]) -> None:
    assert counts(shared(four(), *claims)) == expected
    assert counts(shared(four(), *reversed(claims))) == expected


def test_what_is_free_on_several_nodes_is_not_taken_for_room_on_one() -> None:
    stock = gpus.stock(*(gpus.node(name, gpu=1) for name in "abcd"))
    pair = gpus.variant("pair", gpus.need(gpu=2))
    found = shared(stock, claim("large", 100, variants=(pair,), priority=99.0), claim("small", 400))
    assert counts(found) == {"large": 0, "small": 4}
    assert found["large"].reason is GrantReason.OUT_OF_REACH


def test_what_is_refused_is_replaced_by_the_next_best_mix() -> None:
    stock = gpus.stock(gpus.node("a", "A100", gpu=1), gpus.node("t", "T4", gpu=4))
    ways = (
        gpus.variant("a100", gpus.need("A100", gpu=1), 400.0, 1.0),
        gpus.variant("t4", gpus.need("T4", gpu=1), 100.0, 1.0),
    )
    found = shared(stock, claim("first", 400, variants=ways, priority=20.0),
                   claim("second", 400, variants=ways))  # fmt: skip
    assert found["first"].counts == {"a100": 1, "t4": 0}
    assert found["second"].counts == {"a100": 0, "t4": 4}


def test_a_mix_is_swapped_for_another_on_the_same_gpu() -> None:
    ways = (gpus.variant("fp32", ONE, 100.0, most=4), gpus.variant("fp16", ONE, 300.0, 2.0, most=4))
    kept = claim("other", 300, held=held(*"aaa"), is_met=True)
    grows = claim("grows", 250, variants=ways, held={"fp32": ("a",)}, since_s=NOW_S)
    assert shared(four(), kept, grows)["grows"].counts == {"fp32": 0, "fp16": 1}


def test_what_pods_of_no_app_take_up_is_not_there_now_and_may_be_another_time() -> None:
    stock = four()
    stock.put("a", (("nvidia.com/gpu", 3),))
    grant = allocate.allocate([claim("a", 300)], stock, NOW_S)[gpus.key("a")]
    assert (grant.reason, grant.shortage) == (GrantReason.LIMITED, Shortage.BUSY_NOW)
    assert grant.counts == {"gpu": 1}
    never = allocate.allocate([claim("a", 500)], stock, NOW_S)[gpus.key("a")]
    assert (never.reason, never.counts) == (GrantReason.OUT_OF_REACH, {"gpu": 1})


@pytest.mark.parametrize("dear", [7.0, 10.0], ids=["cheaper for its speed", "dearer"])
@pytest.mark.parametrize("others", [0, 2])
def test_where_gpus_are_short_fewer_and_dearer_pods_reach_what_many_cannot(
    dear: float, others: int
) -> None:
    """Two of one kind and one of the other are the cheapest, and one GPU too many."""
    ways = (
        gpus.variant("fp32", ONE, 100.0, 4.0, most=2),
        gpus.variant("fp16", ONE, 200.0, dear, most=2),
    )
    stock = gpus.stock(gpus.node("a", gpu=2 + others))
    kept = claim("other", 100.0 * others, held=held(*"a" * others), is_met=True)
    for there in ({}, {"fp32": ("a", "a")}):
        found = shared(stock, kept, claim("grows", 400, variants=ways, held=there))["grows"]
        assert (found.reason, found.counts) == (GrantReason.ENOUGH, {"fp32": 0, "fp16": 2})


def test_room_is_made_on_one_node_where_the_pods_are_worth_least() -> None:
    stock = gpus.stock(gpus.node("a", gpu=2), gpus.node("b", gpu=2))
    claims = [
        claim("dear", 200, held=held("a", "a"), priority=30.0),
        claim("cheap", 200, held=held("b", "b"), priority=1.0),
        claim("new", 100, variants=(gpus.variant("pair", gpus.need(gpu=2)),), priority=20.0),
    ]
    assert counts(shared(stock, *claims)) == {"dear": 2, "cheap": 0, "new": 1}


REASONS = [
    (claim("a", 200), GrantReason.ENOUGH, "200 of 200 units a second can be served"),
    (claim("a", None), GrantReason.DEMAND_UNKNOWN, "nothing is given or taken"),
    (
        claim("a", 900),
        GrantReason.OUT_OF_REACH,
        "300 of 900 .*, more never on these nodes: served last",
    ),
    (claim("a", 400), GrantReason.LIMITED, "300 of 400 .*; gpu: BusyNow: 0 of 1 pods fit"),
    (claim("a", 400, held=held(*"aaaa")), GrantReason.GAVE_WAY, "1 pod.s. gave way"),
    (claim("a", 100, of={"least": 4}), GrantReason.MINIMUM_DOES_NOT_FIT, "gpu: BusyNow"),
]


@pytest.mark.parametrize(("of", "reason", "detail"), REASONS, ids=[str(r) for _, r, _ in REASONS])
def test_every_app_is_told_why_and_of_no_other(of: Claim, reason: GrantReason, detail: str) -> None:
    rival = claim("secret-tenant", 100, priority=99.0, of={"least": 1})
    grant = shared(four(), of, rival)["a"]
    assert grant.reason is reason
    assert re.search(detail, grant.detail), grant.detail
    assert "secret" not in grant.detail
    assert rival.key.namespace not in grant.detail


def case(chance: random.Random) -> tuple[list[Claim], Stock]:
    """Two or three apps that want too much of two or three nodes; some hold something already."""
    products = ("A100", "T4")
    stock = gpus.stock(
        *(
            gpus.node(f"n{number}", products[number % 2], gpu=chance.choice((1, 2, 4)))
            for number in range(chance.randint(2, 3))
        )
    )
    left = stock.copy()
    claims = []
    for number in range(chance.randint(2, 3)):
        variants = tuple(
            gpus.variant(
                f"v{way}", gpus.need(chance.choice(("", *products)), gpu=chance.choice((1, 1, 2))),
                chance.choice((50.0, 100.0, 130.0, 300.0)), chance.choice((1.0, 2.0, 3.0)),
                chance.choice((0.9, 1.0)), most=chance.randint(1, 3),
            )
            for way in range(chance.randint(1, 2))
        )  # fmt: skip
        had = {}
        for one in variants:
            placed = [left.place(one.need) for _ in range(chance.choice((0, 0, 0, 1, 2)))]
            had[one.name] = tuple(node for node in placed[: one.most] if node)
        whole = claim(f"app-{number}", chance.choice((50.0, 100.0, 200.0, 400.0)), held=had)
        claims.append(
            replace(
                whole, variants=variants, priority=chance.choice((5.0, 10.0, 20.0)),
                quality=chance.choice((0.0, 0.95)),
            )
        )  # fmt: skip
    return claims, stock


def ratio(seed: int) -> float:
    """What the greedy allocation is worth, as a share of the best one, on one small cluster."""
    claims, stock = case(random.Random(seed))
    exact = Exact(claims, stock)
    found = granted(stock, *claims)
    shares = {key: grant.counts for key, grant in found.items()}
    assert exact.packs(shares)
    best = exact.best()
    return exact.value(shares) / best if best else 1.0


def test_greedy_allocation_is_near_the_best_there_is() -> None:
    """Of these 400, 381 are the best; the mean is 0.989, the worst 0.5 of it.

    Worst are clusters where a pod that is there, and could run elsewhere, holds the only node that
    another could run on: pods are not moved. A plan that needs one of them gone and not another is
    none, as its controller takes which it likes: it would be asked for and taken back in turns.
    """
    found = [ratio(seed) for seed in range(400)]
    assert max(found) <= 1 + 1e-9
    assert statistics.mean(found) >= 0.98
    assert sum(one >= 1 - 1e-9 for one in found) >= 0.94 * len(found)
    assert min(found) >= 0.5


@settings(max_examples=150)
@given(st.integers(0, 10**9), st.data())
def test_rules_hold_on_any_cluster(seed: int, data: st.DataObject) -> None:
    claims, stock = case(random.Random(seed))
    protected = data.draw(st.sets(st.integers(0, len(claims) - 1)))
    claims = [replace(one, is_met=n in protected) for n, one in enumerate(claims)]
    found = granted(stock, *claims)
    shares = {key: grant.counts for key, grant in found.items()}
    assert Exact(claims, stock).packs(shares)
    assert granted(stock, *reversed(claims)) == found, "whatever the order"
    for number, one in enumerate(claims):
        assert all(0 <= shares[one.key][way.name] <= way.most for way in one.variants)
        assert number not in protected or found[one.key].reason is not GrantReason.GAVE_WAY
