"""What holds of every turn of apps with variants, whatever is there and whatever is asked."""

import json
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charon_operator.model import memory
from charon_operator.model.app import ChargedApp
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.reading import Missing
from charon_operator.model.workload import Workload
from tests.decide import build, gpus, stage
from tests.decide.stage import Stage, variant

WAYS = st.lists(
    st.tuples(
        st.sampled_from(["100", "600", "1200.5"]),
        st.sampled_from(["1", "8", "10"]),
        st.sampled_from(["0.9", "1"]),
        st.integers(0, 2),
        st.integers(0, 4),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=3,
)

CONTROLLERS = st.sampled_from(
    [
        stage.SERVE,
        {"type": "Queueing"},
        {"type": "PD", "parameters": {"unitsPerReplica": "10"}},
        {"type": "Ratio", "parameters": {"metricType": "Value"}},
        {"type": "Hold"},
    ]
)

SEEN = st.one_of(st.none(), st.floats(0.0, 1e6), st.just(1e300))


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    """One to three apps of several variants on a few nodes, some of whose pods find no node."""
    counts = draw(st.lists(st.sampled_from([1, 2, 4]), min_size=1, max_size=3))
    play = Stage(*(gpus.node(f"n{n}", gpu=count) for n, count in enumerate(counts)))
    for number in range(draw(st.integers(1, 3))):
        ways, has = [], {}
        for place, way in enumerate(draw(WAYS)):
            capacity, cost, quality, least, more, asked = way
            name = f"v{place}"
            ways.append(
                variant(name, capacity, cost, quality=quality, least=least, most=least + more)
            )
            has[name] = asked
        qualities = [way["quality"] for way in ways if way["replicas"]["max"]]
        assume(qualities)  # a spec that allows no replica is refused
        chosen = stage.app(
            *ways,
            name=f"app-{number}",
            priority=draw(st.sampled_from([1, 10, 200])),
            minQuality=draw(st.sampled_from(["0", max(qualities, key=float)])),
            minDwellSeconds=draw(st.sampled_from([0, 30])),
            pendingDeadlineSeconds=draw(st.sampled_from([10, 30])),
            mode=draw(st.sampled_from(["Active", "Active", "Advisory"])),
        )
        controlled = stage.policy(
            controller=draw(CONTROLLERS),
            fallback={"strategy": "AtLeast", "replicas": 2, "afterSeconds": 1},
        )
        play.enter(chosen, draw(SEEN), has, policy=controlled)
        if draw(st.booleans()):
            play.unschedulable.add(f"app-{number}-v0")
        if draw(st.booleans()):
            play.budgets[f"app-{number}-v0"] = draw(st.integers(0, 3))
    return play


@given(play=stages(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_no_variant_leaves_its_bounds_and_none_is_lowered_blindly(
    play: Stage, data: st.DataObject
) -> None:
    for _ in range(data.draw(st.integers(1, 8))):
        for played in play.played.values():
            played.arrivals = data.draw(SEEN)
        play.knows_supply = data.draw(st.integers(0, 4)) > 0
        due = data.draw(st.lists(st.sampled_from([key.name for key in play.played]), unique=True))
        supply, now_s, before = play.supply(), play.now_s, play.memory
        facts = [play.facts(key) for key in play.played if not due or key.name in due]
        result = play.turn(*due)
        stored = memory.load(json.loads(json.dumps(memory.dump(before), allow_nan=False)))
        for known in (before, stored):
            again = build.turns(facts, now_s, known, play.safety, supply)
            assert again == result, "the same facts and memory give the same turn"
        for fact, outcome in zip(facts, result.outcomes, strict=True):
            _judge(fact, outcome, play.knows_supply)


def _judge(fact: AppFacts, outcome: Outcome, knows_supply: bool) -> None:
    assert isinstance(fact.app, ChargedApp)
    assert fact.app.spec.placement is not None
    found = outcome.placing
    assert found is not None
    if outcome.problem is not None:
        assert outcome.problem.reason == "LawFailed"
        assert not found.moves
        return
    bounds = {one.name: one.replicas for one in fact.app.spec.placement.variants}
    missing = any(isinstance(one, Missing) for one in fact.readings.values())
    for one in found.variants:
        asked = one.asked
        assert min(asked, bounds[one.name].min) <= one.final <= max(asked, bounds[one.name].max)
        assert one.final >= asked or not missing
        known = fact.variants[one.name]
        assert isinstance(known.workload, Workload)
        kept = min(known.workload.min_available or 0, len(known.holding.nodes))
        assert one.final >= min(asked, kept)
        assert one.final == asked or knows_supply
    assert outcome.decision.acts == found.acts == (fact.app.spec.mode == "Active")
    assert outcome.decision.final == sum(one.final for one in found.variants)
    for other in ("app-0", "app-1", "app-2"):
        said = found.message + outcome.decision.message
        assert other == fact.app.key.name or other not in said


def crowded(chance: random.Random) -> Stage:
    """Up to three apps of variants, without minima, for GPUs of two products."""
    sizes = [chance.choice([1, 2, 4, 8]) for _ in range(chance.randint(1, 4))]
    nodes = [gpus.node(f"n{n}", chance.choice(["A100", "T4"]), gpu=size)
             for n, size in enumerate(sizes)]  # fmt: skip
    play = Stage(*nodes)
    for number in range(chance.randint(1, 3)):
        ways, needs, has = [], {}, {}
        for place in range(chance.randint(1, 3)):
            name = f"v{place}"
            capacity, cost = chance.choice(["100", "300", "600", "1200"]), chance.choice("128")
            ways.append(variant(name, capacity, cost, most=chance.randint(1, 6)))
            needs[name] = gpus.need(chance.choice(["", "A100", "T4"]), gpu=chance.choice([1, 1, 2]))
            has[name] = chance.choice([0, 0, 1, 2])
        chosen = stage.app(
            *ways,
            name=f"app-{number}",
            priority=chance.choice([5, 10, 20]),
            minDwellSeconds=chance.choice([0, 60]),
        )
        play.enter(chosen, chance.choice([100.0, 500.0, 900.0, 2000.0, 4000.0]), has, needs=needs)
    return play


@pytest.mark.parametrize("keeps", [0, 2], ids=["", "with budgets"])
@pytest.mark.parametrize("seed", range(12))
def test_a_demand_that_stays_comes_to_rest(seed: int, keeps: int) -> None:
    play = crowded(random.Random(seed))
    play.budgets = {target.name: keeps for target in play.asked}
    for _ in range(40):
        play.turn()
    rests = dict(play.asked)
    for _ in range(8):
        play.turn()
        assert play.asked == rests
