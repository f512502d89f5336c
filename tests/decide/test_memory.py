"""Memory survives JSON to the byte, stays small, and is about this app and this target only."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.decide import recall
from charon_operator.model import body, memory
from charon_operator.model.claim import (
    Claim,
    Handover,
    Patience,
    PlacingMemory,
    Variant,
    Written,
)
from charon_operator.model.decision import Demand, Past, PendingAction
from charon_operator.model.memory import (
    Action,
    AppMemory,
    FleetMemory,
    LawMemory,
    Recommendation,
    Revert,
    Yielded,
)
from charon_operator.model.workload import Key, Target
from tests.decide import build
from tests.model.test_gpu_json import NEEDS

TIMES = st.floats(0, 2e9, allow_nan=False)
COUNTS = st.integers(0, 1000)
LAWS = st.builds(
    LawMemory,
    law=st.sampled_from(["Queueing", "PD"]),
    parameters=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    inputs=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    state=st.dictionaries(st.text(max_size=3), st.lists(COUNTS, max_size=3), max_size=2),
    stepped_at_s=st.none() | TIMES,
    demand=st.none()
    | st.builds(
        Demand,
        replicas=TIMES,
        terms=st.dictionaries(st.text(max_size=3), TIMES, max_size=2),
        sampled_at_s=TIMES,
    ),
)
NAMES = st.sampled_from(["fp32", "fp16"])
MIXES = st.dictionaries(NAMES, COUNTS, max_size=2)
TARGETS = st.builds(Target, st.just("Deployment"), st.just("workload"), NAMES)
VARIANTS = st.builds(Variant, NAMES, NEEDS, TIMES, TIMES, TIMES, COUNTS, COUNTS)
CLAIMS = st.builds(
    Claim,
    key=st.builds(Key, st.text(max_size=3), st.text(max_size=3)),
    priority=TIMES,
    wanted=st.none() | TIMES,
    quality=TIMES,
    variants=st.lists(VARIANTS, max_size=2).map(tuple),
    held=st.dictionaries(NAMES, st.lists(st.text(max_size=3), max_size=2).map(tuple), max_size=2),
    targets=st.dictionaries(NAMES, TARGETS, max_size=2),
    asked=MIXES,
    goal=st.none() | MIXES,
    since_s=st.none() | TIMES,
    patience=st.builds(Patience, TIMES, TIMES),
    keeps=st.booleans(),
    acts=st.booleans(),
)
HANDOVERS = st.builds(
    Handover,
    start=MIXES,
    target=MIXES,
    stuck_since_s=st.none() | TIMES,
    failed=st.none() | MIXES,
    failures=COUNTS,
    retry_at_s=TIMES,
    why=st.text(max_size=5),
)
PLACINGS = st.builds(
    PlacingMemory,
    since_s=TIMES,
    claim=st.none() | CLAIMS,
    handover=st.none() | HANDOVERS,
    written=st.dictionaries(st.text(max_size=3), st.builds(Written, COUNTS, COUNTS), max_size=2),
    generations=st.dictionaries(st.text(max_size=3), COUNTS, max_size=2),
    awaited=st.none() | HANDOVERS,
)
APPS = st.builds(
    AppMemory,
    uid=st.text(max_size=5),
    target_uid=st.text(max_size=5),
    first_seen_s=TIMES,
    acted_at_s=st.none() | TIMES,
    lost_at_s=st.none() | TIMES,
    laws=st.dictionaries(st.text(max_size=3), LAWS, max_size=2),
    recommendations=st.lists(st.builds(Recommendation, TIMES, COUNTS), max_size=3).map(tuple),
    actions=st.lists(st.builds(Action, TIMES, COUNTS, COUNTS), max_size=3).map(tuple),
    written=st.none() | st.builds(Written, COUNTS, COUNTS),
    reverts=st.lists(st.builds(Revert, TIMES, st.text(max_size=3)), max_size=2).map(tuple),
    yielded=st.none() | st.builds(Yielded, st.text(max_size=3), COUNTS, COUNTS, TIMES),
    placing=st.none() | PLACINGS,
)
KEYS = st.builds(Key, st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]))
FLEETS = st.dictionaries(KEYS, APPS, max_size=3).map(FleetMemory)


@given(fleet=FLEETS)
def test_memory_is_the_same_after_json(fleet: FleetMemory) -> None:
    content = json.loads(json.dumps(memory.dump(fleet)))
    assert memory.load(content) == fleet
    assert memory.dump(memory.load(content)) == content


def test_memory_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="drop it"):
        memory.load({"version": 0, "apps": {}})


def test_histories_are_forgotten_when_no_window_can_ask_for_them() -> None:
    old = AppMemory(
        "u",
        "t",
        first_seen_s=0.0,
        recommendations=(Recommendation(1.0, 5), Recommendation(5000.0, 6)),
        actions=(Action(1.0, 1, 2), Action(5000.0, 2, 3)),
    )
    aged = memory.aged(old, 5001.0)
    assert aged.recommendations == (Recommendation(5000.0, 6),)
    assert aged.actions == (Action(5000.0, 2, 3),)


def test_clock_that_was_set_back_makes_an_action_now_and_not_in_the_future() -> None:
    app = AppMemory("u", "t", 5000.0, acted_at_s=5000.0, actions=(Action(5000.0, 1, 2),))
    aged = memory.aged(app, 1400.0)
    assert aged.acted_at_s == 1400.0
    assert aged.actions == (Action(1400.0, 1, 2),)


def test_clock_that_was_set_back_makes_no_wait_of_a_placing_longer() -> None:
    way = Handover({"a": 1}, {"a": 2}, 5000.0, {"a": 2}, 3, 8600.0, "why")
    app = AppMemory("u", "t", 0.0, placing=PlacingMemory(5000.0, handover=way, awaited=way))
    aged = memory.aged(app, 1400.0).placing
    assert aged is not None
    assert aged.handover is not None
    assert (aged.since_s, aged.handover.stuck_since_s) == (1400.0, 1400.0)
    assert aged.handover.retry_at_s == 5000.0
    assert aged.awaited == aged.handover


def test_what_failed_long_ago_is_tried_as_if_for_the_first_time() -> None:
    way = Handover({"a": 1}, {"a": 1}, None, {"a": 2}, 3, 8600.0, "why")
    app = AppMemory("u", "t", 0.0, placing=PlacingMemory(0.0, handover=way, awaited=way))
    for now_s, left in ((8600.0 + 3599.0, way), (8600.0 + 3600.0, Handover({"a": 1}, {"a": 1}))):
        aged = memory.aged(app, now_s).placing
        assert aged is not None
        assert aged.handover == aged.awaited == left


def test_target_with_another_uid_is_met_anew() -> None:
    known = AppMemory("u", "uid-workload-consumer", 0.0, acted_at_s=1.0)
    target = build.workload(3)
    assert recall.meet(known, "u", target, Past(), 10.0).acted_at_s == 1.0
    for changed in (replace(known, target_uid="old"), replace(known, uid="old")):
        fresh = recall.meet(changed, "u", target, Past(), 10.0)
        assert (fresh.first_seen_s, fresh.acted_at_s) == (10.0, None)


def test_intent_found_in_the_status_counts_as_acted() -> None:
    intent = PendingAction("id", "replicas", 9, 4, 100.0)
    fresh = recall.meet(None, "u", build.workload(3), Past(intent, decided=True), 110.0)
    assert fresh.acted_at_s == 100.0
    assert fresh.actions == (Action(100.0, 9, 4),)
    assert fresh.counted_from_s == 110.0


def test_intent_from_the_future_counts_as_acted_now() -> None:
    intent = PendingAction("id", "replicas", 9, 4, 9e9)
    assert (
        recall.meet(None, "u", build.workload(3), Past(intent, decided=True), 110.0).acted_at_s
        == 110.0
    )


def test_current_count_is_recommended_at_first_sight_and_after_silence() -> None:
    policy = build.policy(periodSeconds=15, behavior={}).spec
    fresh = AppMemory("u", "t", 0.0)
    seeded = recall.seeded(fresh, policy, 7, 1000.0)
    assert seeded.recommendations == (Recommendation(1000.0, 7),)
    assert recall.seeded(seeded, policy, 9, 1300.0) == seeded
    late = recall.seeded(seeded, policy, 9, 1301.0)
    assert late.recommendations[-1] == Recommendation(1301.0, 9)


@pytest.mark.parametrize(
    ("to", "start"),
    [
        pytest.param(4, 9, id="a move whose intent was taken back still counts as acted"),
        pytest.param(9, None, id="a decision to stay says nothing: a full cooldown"),
    ],
)
def test_last_move_of_the_status_counts_as_acted(to: int, start: int | None) -> None:
    last = {
        "decisionId": "id",
        "knob": "replicas",
        "from": 9,
        "to": to,
        "time": "2026-11-01T12:00:00.000000Z",
    }
    found = body.pending({"pendingAction": None, "lastDecision": last}, 2e9)
    assert (found and found.start) == start


def test_app_that_was_decided_on_before_has_lowerings_that_are_not_known() -> None:
    held = {"lastDecision": {"decisionId": "id", "knob": "replicas", "from": 9, "to": 9}}
    for status, counted_from_s in ((held, 110.0), ({}, 0.0), ({"lastDecision": "junk"}, 0.0)):
        past = body.past(status, 110.0)
        fresh = recall.meet(None, "u", build.workload(3), past, 110.0)
        assert (fresh.counted_from_s, fresh.acted_at_s) == (counted_from_s, None)


def test_first_sight_of_an_app_after_a_restart_spaces_its_lowerings() -> None:
    policy = build.policy(lowering={"cooldownSeconds": 0, "maxPerHour": 20})
    facts = build.facts(
        build.ratio_app(), build.workload(9), build.readings(1000.0, queued=10.0), policy=policy
    )
    assert build.one(facts, 1000.0)[1].decision.final == 1
    again = replace(facts, past=Past(decided=True))
    decision = build.one(again, 1000.0)[1].decision
    assert decision.final == 9
    assert [clamp.limit for clamp in decision.clamps] == ["LoweringsPerHour"]
