"""The turn of apps with variants, played against a scheduler that places what fits."""

import json
import random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charon_operator.decide.placement import placing
from charon_operator.model import memory
from charon_operator.model.app import ChargedApp
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import FleetMemory
from charon_operator.model.reading import Missing
from charon_operator.model.workload import Rival
from charon_operator.settings import Safety
from tests.decide import build, gpus, stage
from tests.decide.stage import FP16, FP32, Stage, variant

SWAPS = {"minDwellSeconds": 0}
SLOW = stage.policy(behavior={"scaleDown": {"stabilizationWindowSeconds": 60}})


def eight(**changes: Any) -> Stage:
    return Stage(gpus.node("a", gpu=8), **changes)


def test_variants_are_raised_to_what_is_wanted() -> None:
    play = eight()
    play.enter(stage.app(FP32), 1500.0, {"fp32": 1})
    assert play.play(4) == [{"fp32": 3}]
    outcome = play.last[gpus.key("ptycho")]
    assert (outcome.decision.knob, outcome.decision.raw) == ("placement", 3)
    assert outcome.decision.reason == "Unchanged"
    assert play.placing().feasible is True
    assert play.placing().message == "1800 of 1500 units a second can be served."


def test_decision_says_what_moves_and_why() -> None:
    play = eight()
    play.enter(stage.app(FP32), 1500.0, {"fp32": 1})
    decision = play.turn().outcomes[0].decision
    assert decision.message == "Raised: freshness wants 1500 a second: fp32 1 -> 3."
    assert (decision.current, decision.final, decision.acts) == (1, 3, True)


def test_a_lowering_waits_for_its_window() -> None:
    play = eight()
    play.enter(stage.app(FP32, minDwellSeconds=0), 2400.0, {"fp32": 4}, policy=SLOW)
    play.play(2)
    play.played[gpus.key("ptycho")].arrivals = 600.0
    outcome = play.turn().outcomes[0]
    assert outcome.decision.reason == "Held"
    assert [clamp.limit for clamp in outcome.decision.clamps] == ["StabilizationWindow"]
    assert "the largest wish of the last 60 s was 2400000m" in outcome.decision.message
    assert play.play(6) == [{"fp32": 1}]


def test_a_cheaper_variant_takes_the_place_of_another_before_that_is_broken() -> None:
    play = eight()
    play.enter(stage.app(FP32, FP16, **SWAPS), 2400.0, {"fp32": 4})
    served = []
    first = play.turn().outcomes[0].decision
    for _ in range(6):
        play.turn()
        served.append(play.serves())
    assert first.reason == "Exchanged"
    assert first.message.endswith("fp16 0 -> 2 on the way to fp16 2.")
    assert play.has() == {"fp16": 2}
    assert min(served) >= 2400.0
    assert play.last[gpus.key("ptycho")].decision.reason == "Unchanged"


def test_a_restart_in_the_middle_of_an_exchange_goes_on_with_it() -> None:
    play = eight()
    play.enter(stage.app(FP32, FP16, **SWAPS), 2400.0, {"fp32": 4})
    assert play.play(1) == [{"fp32": 4, "fp16": 2}]
    play.memory = FleetMemory()
    assert play.play(6) == [{"fp16": 2}]


def test_a_mix_is_kept_for_its_dwell() -> None:
    play = eight()
    play.enter(stage.app(FP32, FP16, minDwellSeconds=60), 2400.0, {"fp32": 4})
    assert play.play(4) == []
    assert play.play(4)[-1] == {"fp16": 2}


@pytest.mark.parametrize("restarts", [False, True], ids=["one life", "a restart before every turn"])
def test_where_no_gpu_is_free_pods_are_broken_first_one_by_one(restarts: bool) -> None:
    play = Stage(gpus.node("a", gpu=2))
    only_one = [{**way, "replicas": {"min": 0, "max": 2}} for way in (FP32, FP16)]
    play.enter(stage.app(*only_one), 2400.0, {"fp32": 2})
    steps = []
    for _ in range(12):
        before = play.has()
        play.memory = FleetMemory() if restarts else play.memory
        play.turn()
        if play.has() != before:
            steps.append(play.has())
    assert steps == [{"fp32": 1}, {"fp32": 1, "fp16": 1}, {"fp16": 1}, {"fp16": 2}]


def test_pods_that_find_no_node_turn_a_move_back_and_the_wait_doubles() -> None:
    play = eight()
    play.unschedulable = {"ptycho-fp16"}
    play.enter(stage.app(FP16, pendingDeadlineSeconds=30), 2400.0, {"fp16": 0})
    waits, tried_at_s = [], None
    for _ in range(80):
        before = play.has()
        play.turn()
        if play.has() and not before:
            waits.append(play.now_s - tried_at_s if tried_at_s else 0.0)
        if before and not play.has():
            tried_at_s = play.now_s
            assert play.placing().feasible is False
            assert play.placing().reason == "RolledBack"
            assert "fp16 2 did not come about: 2 pod(s) of fp16 had no node for 30 s" in (
                play.placing().message
            )
    assert waits[1:4] == [60.0, 120.0, 240.0]
    assert play.serves() == 0.0


def test_what_did_not_come_about_is_replaced_by_what_does() -> None:
    play = eight()
    play.unschedulable = {"ptycho-fp16"}
    chosen = stage.app(FP32, FP16, pendingDeadlineSeconds=30, **SWAPS)
    play.enter(chosen, 1200.0, {"fp32": 1})
    assert play.play(6) == [{"fp32": 1, "fp16": 1}, {"fp32": 1}, {"fp32": 2}]
    assert play.placing().feasible is True


def test_pods_that_a_quota_forbids_are_turned_back_with_its_words() -> None:
    play = eight()
    play.quota = {"ptycho-fp32": 1}
    play.enter(stage.app(FP32, pendingDeadlineSeconds=30), 1200.0, {"fp32": 1})
    assert play.play(6) == [{"fp32": 2}, {"fp32": 1}]
    assert play.placing().reason == "RolledBack"
    assert "exceeded quota: gpus; tried again 60 s after that" in play.placing().message


def test_missing_metrics_lower_no_variant() -> None:
    play = eight()
    play.enter(stage.app(FP32, FP16, **SWAPS), 2400.0, {"fp32": 4})
    play.turn()
    play.turn()
    assert play.has() == {"fp32": 4, "fp16": 2}
    play.played[gpus.key("ptycho")].arrivals = None
    assert play.play(20) == []
    assert play.placing().feasible is None
    assert play.placing().reason == "DemandUnknown"
    assert "arrivals (NoData): nothing is lowered" in play.last[gpus.key("ptycho")].decision.message


def test_after_metrics_were_away_for_long_the_fallback_counts_the_smallest_variant() -> None:
    away = {"strategy": "AtLeast", "replicas": 3, "afterSeconds": 30}
    play = eight()
    play.enter(stage.app(FP32, FP16), None, {"fp32": 1}, policy=stage.policy(fallback=away))
    play.play(6)
    assert play.serves() >= 3 * 600.0


def test_a_blind_fleet_lowers_no_variant() -> None:
    play = Stage(*(gpus.node(f"n{n}", gpu=8) for n in range(4)))
    play.safety = Safety(blind_fleet_apps=2, blind_fleet_namespaces=1)
    for name in ("a", "b", "c"):
        play.enter(stage.app(FP32, name=name, **SWAPS), 2400.0, {"fp32": 4})
    play.play(3)
    for name in ("a", "b"):
        play.played[gpus.key(name)].arrivals = None
    play.played[gpus.key("c")].arrivals = 600.0
    play.play(4)
    assert play.has("c") == {"fp32": 4}
    assert play.last[gpus.key("c")].blind_fleet
    assert "monitoring is broken" in play.last[gpus.key("c")].decision.message


@pytest.mark.parametrize(
    ("direction", "arrivals", "moves"),
    [("Both", 2400.0, []), ("Both", 300.0, []), ("Up", 2400.0, []), ("Down", 300.0, []),
     ("Up", 300.0, [{"fp32": 1}]), ("Down", 2400.0, [{"fp32": 4}])],
)  # fmt: skip
def test_a_hold_stops_its_direction(
    direction: str, arrivals: float, moves: list[dict[str, int]]
) -> None:
    play = eight()
    holds = [{"name": "party", "direction": direction, "reason": "a demonstration"}]
    play.enter(stage.app(FP32, holds=holds, **SWAPS), arrivals, {"fp32": 2})
    assert play.play(4) == moves
    if not moves:
        assert "party (a demonstration)" in play.last[gpus.key("ptycho")].decision.message


@pytest.mark.parametrize(
    "changes",
    [{"mode": "Advisory"}, {"forced": "the namespace's label"}, {"rival": True}],
    ids=["Advisory", "forced", "an HPA"],
)
def test_who_does_not_act_is_told_what_would_be_and_takes_nothing(changes: Any) -> None:
    hpa = Rival("HorizontalPodAutoscaler", "workload", "web")
    facts = {"rivals": (hpa,)} if changes.pop("rival", False) else {}
    if "forced" in changes:
        facts = {"forced_advisory": changes.pop("forced")}
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, name="quiet", priority=90, **changes), 2400.0, {"fp32": 1})
    play.played[gpus.key("quiet")].changes = facts
    play.enter(stage.app(FP32, name="loud"), 1800.0, {"fp32": 1})
    outcome = play.turn().outcomes[0]
    assert (outcome.decision.acts, outcome.placing and outcome.placing.moves) == (False, False)
    assert "fp32 1 -> 3" in outcome.decision.message
    play.play(3)
    assert (play.has("quiet"), play.has("loud")) == ({"fp32": 1}, {"fp32": 3})


def test_two_apps_compete_by_priority_and_neither_hears_of_the_other() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, name="dear", priority=30), 1800.0, {"fp32": 1})
    play.enter(stage.app(FP32, name="cheap", priority=10), 1800.0, {"fp32": 1})
    play.play(8)
    assert (play.has("dear"), play.has("cheap")) == ({"fp32": 3}, {"fp32": 1})
    assert play.placing("dear").feasible is True
    assert play.placing("cheap").feasible is False
    for name, other in (("dear", "cheap"), ("cheap", "dear")):
        said = play.placing(name).message + play.last[gpus.key(name)].decision.message
        assert other not in said
    assert "600 of 1800 units a second can be served" in play.placing("cheap").message


def test_who_gives_way_is_told_so() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, name="cheap", priority=10, **SWAPS), 2400.0, {"fp32": 4})
    play.enter(stage.app(FP32, name="dear", priority=30), 1200.0)
    play.played[gpus.key("cheap")].attainments = {}
    play.played[gpus.key("cheap")].changes = {"readings": build.readings(
        play.now_s, queued=700.0, arrivals=1800.0)}  # fmt: skip
    outcomes = play.turn().outcomes
    assert outcomes[0].placing is not None
    assert outcomes[0].placing.reason == "GaveWay"
    assert "2 pod(s) gave way to a larger gain" in outcomes[0].placing.message
    play.play(4)
    assert (play.has("cheap"), play.has("dear")) == ({"fp32": 2}, {"fp32": 2})


def test_the_administrator_bounds_a_priority_and_says_so() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.safety = Safety(max_priority=10, max_priority_of={"workload": 5})
    play.enter(stage.app(FP32, priority=90), 1800.0)
    play.turn()
    assert play.placing().message.endswith("; priority 90 counts as 5, the most in workload.")


def test_fragmentation_is_named_as_such() -> None:
    play = Stage(gpus.node("a", gpu=2), gpus.node("b", gpu=2))
    for at in ("a", "b"):
        play.inventory.pod_put(gpus.pod(f"other-{at}", at, stage.ONE))
    play.enter(stage.app(variant("pair", "3000", "16")), 3000.0, needs={"pair": gpus.need(gpu=2)})
    play.turn()
    assert (play.placing().feasible, play.placing().reason) == (False, "Fragmented")
    assert "2 nvidia.com/gpu free on 2 node(s), a pod asks for 2 nvidia.com/gpu on one node" in (
        play.placing().message
    )


@pytest.mark.parametrize(
    ("node", "needs", "reason"),
    [
        (gpus.node("a", "T4", gpu=4), gpus.need("A100", gpu=1), "NoSuchProduct"),
        (gpus.node("a", gpu=4), gpus.need(gpu=8), "CanNeverFit"),
        (gpus.node("a", gpu=4, taints=(gpus.TAINT,)), stage.ONE, "Taints"),
        (gpus.node("a", gpu=4, ready=False), stage.ONE, "NodesNotReady"),
        (gpus.node("a", gpu=1), stage.ONE, "OutOfReach"),
    ],
)
def test_what_cannot_be_had_is_said_in_the_inventorys_words(
    node: Any, needs: Any, reason: str
) -> None:
    play = Stage(node)
    play.enter(stage.app(FP32), 1800.0, needs={"fp32": needs})
    play.turn()
    assert (play.placing().feasible, play.placing().reason) == (False, reason)


def test_while_the_nodes_are_not_known_nothing_moves_and_the_remedy_is_named() -> None:
    play = eight()
    play.knows_supply = False
    play.enter(stage.app(FP32), 1800.0, {"fp32": 1})
    assert play.play(3) == []
    assert (play.placing().feasible, play.placing().reason) == (None, "SupplyUnknown")
    assert "knobs.placement.enabled=true" in play.placing().message
    play.knows_supply = True
    assert play.play(2) == [{"fp32": 3}]


def test_an_app_that_is_not_due_keeps_its_claim() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, name="dear", priority=30), 1800.0, {"fp32": 1})
    play.enter(stage.app(FP32, name="cheap", priority=10), 1800.0)
    play.turn("dear")
    kept = play.memory.apps[gpus.key("dear")]
    play.turn("cheap")
    assert play.memory.apps[gpus.key("dear")] == kept
    assert play.has("cheap") == {"fp32": 1}


def test_a_cordoned_nodes_pods_go_on_serving() -> None:
    play = Stage(gpus.node("a", gpu=4))
    play.enter(stage.app(FP32, **SWAPS), 2400.0, {"fp32": 4})
    play.inventory.node_put(gpus.node("a", gpu=4, ready=False))
    assert play.play(4) == []
    assert play.placing().feasible is True


def test_what_somebody_else_asks_for_is_where_the_way_begins() -> None:
    play = eight()
    play.enter(stage.app(FP32, minDwellSeconds=0), 1200.0, {"fp32": 2})
    play.play(3)
    target = play.played[gpus.key("ptycho")].app.target
    play.asked[target], play.generation[target] = 4, 9
    decision = play.turn().outcomes[0].decision
    assert (decision.reason, decision.final) == ("Lowered", 2), "counted as any other lowering"
    assert [(one.start, one.to) for one in play.memory.apps[gpus.key("ptycho")].actions] == [
        (2_400_000, 1_200_000)
    ]


@pytest.mark.parametrize("fails", ["bid", "course", "share"])
def test_a_fault_of_ours_holds_the_apps_it_concerns_and_no_others(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(placing, fails)

    def explode(first: Any, *others: Any) -> Any:
        if fails == "share" or "bad" in str(first):
            raise RuntimeError("planted")
        return real(first, *others)

    play = eight()
    for name in ("bad", "good"):
        play.enter(stage.app(FP32, name=name), 1200.0, {"fp32": 1})
    monkeypatch.setattr(placing, fails, explode)
    plain = build.ratio_app("plain")
    result = build.turns(
        [
            play.facts(gpus.key("bad")),
            play.facts(gpus.key("good")),
            build.facts(
                plain, build.workload(3, of=plain), build.readings(play.now_s, queued=50.0)
            ),
        ],
        play.now_s,
        supply=play.supply(),
    )
    reasons = [outcome.decision.reason for outcome in result.outcomes]
    held = "InternalError"
    assert reasons == [held, held if fails == "share" else "Raised", "Raised"]


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


@pytest.mark.parametrize("seed", range(12))
def test_a_demand_that_stays_comes_to_rest(seed: int) -> None:
    play = crowded(random.Random(seed))
    for _ in range(40):
        play.turn()
    rests = dict(play.asked)
    for _ in range(8):
        play.turn()
        assert play.asked == rests
