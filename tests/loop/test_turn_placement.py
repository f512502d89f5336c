"""The turn of apps with variants, played against a scheduler that places what fits."""

from types import ModuleType
from typing import Any

import pytest

from charon_operator.decide.placement import bids, course, shares
from charon_operator.model.memory import FleetMemory
from charon_operator.settings import Safety
from tests.decide import build, gpus, stage
from tests.decide.stage import FP16, FP32, SWAPS, Stage

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


def test_while_the_nodes_are_not_known_nothing_moves_and_the_remedy_is_named() -> None:
    play = eight()
    play.knows_supply = False
    play.enter(stage.app(FP32), 1800.0, {"fp32": 1})
    assert play.play(3) == []
    assert (play.placing().feasible, play.placing().reason) == (None, "SupplyUnknown")
    assert "knobs.placement.enabled=true" in play.placing().message
    play.knows_supply = True
    assert play.play(2) == [{"fp32": 3}]


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


@pytest.mark.parametrize(
    ("room", "fails"),
    [(bids, "bid"), (course, "course"), (shares, "share")],
    ids=["bid", "course", "share"],
)
def test_a_fault_of_ours_holds_the_apps_it_concerns_and_no_others(
    room: ModuleType, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(room, fails)

    def explode(first: Any, *others: Any) -> Any:
        if fails == "share" or "bad" in str(first):
            raise RuntimeError("planted")
        return real(first, *others)

    play = eight()
    for name in ("bad", "good"):
        play.enter(stage.app(FP32, name=name), 1200.0, {"fp32": 1})
    monkeypatch.setattr(room, fails, explode)
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
