"""The turn as a whole: what must hold for any readings, any policy and any restart."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator import names
from charon_operator.loop.turn import acted
from charon_operator.model import memory
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import FleetMemory
from charon_operator.model.reading import Missing, MissingReason, Reading
from charon_operator.model.workload import Rollout
from charon_operator.ports import WriteOutcome
from tests.decide import build

HUGE = st.floats(-1e300, 1e300, allow_nan=False, allow_infinity=False)
SAMPLED = st.one_of(
    st.builds(Reading, HUGE, st.floats(0, 1e10, allow_nan=False)),
    st.builds(Missing, st.sampled_from(list(MissingReason))),
)
SEEN = st.fixed_dictionaries({}, optional={"queued": SAMPLED, "arrivals": SAMPLED})
CONTROLLERS = st.sampled_from(
    [
        {"type": "Queueing"},
        {"type": "PD", "parameters": {"unitsPerReplica": "0.000001", "kp": "1000000"}},
        {"type": "Ratio", "parameters": {"metricType": "Value"}},
        {"type": "Ratio"},
        {"type": "Hold"},
        {"type": "Nothing"},
    ]
)
POLICIES = st.builds(
    lambda controller, cooldown, fallback: build.policy(
        controller=controller,
        lowering={"cooldownSeconds": cooldown},
        fallback={"strategy": "AtLeast", "replicas": fallback, "afterSeconds": 1},
    ),
    CONTROLLERS,
    st.sampled_from([0, 60]),
    st.integers(1, 60),
)
WORKLOADS = st.builds(
    lambda replicas, ready, rollout, least: build.workload(
        replicas, ready=min(ready, replicas), rollout=rollout, min_available=least
    ),
    st.integers(0, 80),
    st.integers(0, 80),
    st.sampled_from(list(Rollout)),
    st.none() | st.integers(0, 60),
)
BOUNDS = st.tuples(st.integers(1, 30), st.integers(0, 30)).map(
    lambda pair: {"min": pair[0], "max": pair[0] + pair[1]}
)


@given(
    policy=POLICIES,
    bounds=BOUNDS,
    steps=st.lists(st.tuples(SEEN, WORKLOADS), min_size=1, max_size=5),
)
@settings(max_examples=200)
def test_turn_never_raises_never_leaves_bounds_and_never_lowers_blindly(
    policy: Any, bounds: dict[str, int], steps: list[Any]
) -> None:
    app = build.app(replicas=bounds)
    known = FleetMemory()
    for index, (seen, target) in enumerate(steps):
        now_s = 1000.0 + 30 * index
        facts = AppFacts(app, policy=policy, workload=target, readings=seen)
        known, outcome = build.one(facts, now_s, known)
        decision = outcome.decision
        assert decision.current == target.replicas
        if outcome.problem is None and decision.final != decision.current:
            assert bounds["min"] <= decision.final <= bounds["max"]
        whole = all(isinstance(seen.get(name), Reading) for name in ("queued", "arrivals"))
        if not whole or target.rollout is not Rollout.SETTLED:
            assert decision.final >= decision.current
        known = build.wrote(known, outcome, now_s) if decision.moves else known
        assert memory.load(json.loads(json.dumps(memory.dump(known)))) == known


@given(
    wishes=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 40)), min_size=2, max_size=20),
    restarts=st.sets(st.integers(0, 19)),
    cooldown_s=st.sampled_from([30, 60, 100]),
)
@settings(max_examples=200)
def test_no_two_lowerings_within_the_cooldown_over_restarts(
    wishes: list[tuple[int, int]], restarts: set[int], cooldown_s: int
) -> None:
    policy = build.policy(lowering={"cooldownSeconds": cooldown_s, "maxPerHour": 3600})
    now_s, current, known = 1000.0, 30, FleetMemory()
    changes: list[tuple[float, bool]] = []
    for index, (value, gap_s) in enumerate(wishes):
        now_s += gap_s
        if index in restarts:
            known = memory.load(json.loads(json.dumps(memory.dump(known))))
        seen = build.readings(now_s, queued=float(value))
        facts = build.facts(build.ratio_app(), build.workload(current), seen, policy=policy)
        known, outcome = build.one(facts, now_s, known)
        if outcome.decision.moves:
            lowers = outcome.decision.final < current
            if lowers:
                assert all(now_s - past_s >= cooldown_s for past_s, _ in changes)
            changes.append((now_s, lowers))
            known, current = build.wrote(known, outcome, now_s), outcome.decision.final


@given(seen=SEEN, target=WORKLOADS, policy=POLICIES)
def test_same_facts_and_memory_give_the_same_turn(seen: Any, target: Any, policy: Any) -> None:
    facts = AppFacts(build.app(), policy=policy, workload=target, readings=seen)
    first = build.turns([facts], 1000.0)
    second = build.turns([facts], 1000.0)
    assert first == second
    restored = memory.load(json.loads(json.dumps(memory.dump(first.memory))))
    assert build.turns([facts], 1010.0, first.memory) == build.turns([facts], 1010.0, restored)


def ratio(current: int, value: float | None, now_s: float, **changes: Any) -> AppFacts:
    """An app of `current` replicas that wants a tenth of the value."""
    app = changes.pop("app", build.ratio_app())
    seen = build.readings(now_s, queued=value)
    return build.facts(app, build.workload(current, of=app), seen, **changes)


def test_decision_says_what_is_wanted_and_why() -> None:
    _, outcome = build.one(ratio(3, 80.0, 1000.0), 1002.0)
    decision = outcome.decision
    assert (decision.current, decision.raw, decision.final) == (3, 8, 8)
    assert decision.reason == "Raised"
    assert decision.message == "Raised from 3 to 8: freshness wants 8."
    assert decision.objective == "freshness"
    assert decision.demand_age_s == 2.0
    assert decision.terms["usageMilli"] == 80000
    assert decision.moves


def test_decision_names_what_is_missing_when_nothing_can_be_judged() -> None:
    _, outcome = build.one(ratio(3, None, 1000.0), 1000.0)
    assert outcome.decision.reason == "Held"
    assert outcome.decision.raw is None
    assert "queued (NoData)" in outcome.decision.message
    assert list(outcome.missing) == ["queued"]


def test_indicator_that_was_not_asked_yet_is_missing() -> None:
    facts = replace(ratio(3, 80.0, 1000.0), readings={})
    _, outcome = build.one(facts, 1000.0)
    assert outcome.decision.reason == "Held"
    assert list(outcome.missing) == ["queued"]


def test_decision_ids_differ_by_app_and_turn_and_are_the_same_on_replay() -> None:
    apps = [build.ratio_app("a"), build.ratio_app("b")]
    given_facts = [ratio(3, 80.0, 1000.0, app=app) for app in apps]
    ids = [
        outcome.decision.decision_id
        for now_s in (1000.0, 1015.0, 1000.0)
        for outcome in build.turns(given_facts, now_s).outcomes
    ]
    assert ids[:2] == ids[4:]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("changes", "acts"),
    [
        pytest.param({}, True, id="Active and alone"),
        pytest.param({"app": build.ratio_app(mode="Advisory")}, False, id="Advisory"),
        pytest.param(
            {"app": build.ratio_app(replicas={"min": 1, "max": 50, "actuation": "Metric"})},
            False,
            id="only publishes",
        ),
        pytest.param({"forced_advisory": "label"}, False, id="forced"),
    ],
)
def test_everything_is_computed_whether_or_not_it_may_act(
    changes: dict[str, Any], acts: bool
) -> None:
    _, outcome = build.one(ratio(3, 80.0, 1000.0, **changes), 1000.0)
    assert outcome.decision.final == 8
    assert outcome.decision.acts is acts
    assert outcome.decision.moves is acts


@pytest.mark.parametrize(
    ("result", "counts"),
    [
        (WriteOutcome.WRITTEN, True),
        (WriteOutcome.UNREACHABLE, True),
        (WriteOutcome.CONFLICT, False),
        (WriteOutcome.REFUSED, False),
        (WriteOutcome.GONE, False),
    ],
)
def test_write_that_may_have_been_applied_counts_as_acted(
    result: WriteOutcome, counts: bool
) -> None:
    known, outcome = build.one(ratio(3, 80.0, 1000.0), 1000.0)
    after = acted(known, outcome.key, build.tried(outcome, 1001.0), result).apps[build.KEY]
    assert (after.acted_at_s == 1001.0) is counts
    assert bool(after.actions) is counts
    assert (after.written is not None) is (result is WriteOutcome.WRITTEN)


@pytest.mark.parametrize(
    ("generation", "replicas", "most"),
    [(1, 2, 9), (2, 9, 9), (2, 2, 9), (2, 5, 5)],
    ids=["not applied", "applied", "lost behind another change", "applied, then changed"],
)
def test_raise_that_was_not_answered_counts_once_the_target_shows_it(
    generation: int, replicas: int, most: int
) -> None:
    slow = {"policies": [{"type": "Pods", "value": 7, "periodSeconds": 600}]}
    policy = build.policy(behavior={"scaleUp": slow})
    known, outcome = build.one(ratio(2, 900.0, 1000.0, policy=policy), 1000.0)
    for again_s in (1001.0, 1002.0):
        tried = build.tried(outcome, again_s)
        known = acted(known, outcome.key, tried, WriteOutcome.UNREACHABLE)
    known = memory.load(json.loads(json.dumps(memory.dump(known))))
    seen = ratio(replicas, 900.0, 1010.0, policy=policy)
    at = build.workload(replicas, generation=generation)
    known, outcome = build.one(replace(seen, workload=at), 1010.0, known)
    assert outcome.decision.final == most
    assert known.apps[build.KEY].acted_at_s == 1002.0


def test_raise_that_was_answered_at_the_second_try_counts_once() -> None:
    slow = {"policies": [{"type": "Pods", "value": 7, "periodSeconds": 600}]}
    policy = build.policy(behavior={"scaleUp": slow})
    known, outcome = build.one(ratio(2, 900.0, 1000.0, policy=policy), 1000.0)
    tried = build.tried(outcome, 1001.0)
    known = acted(known, outcome.key, tried, WriteOutcome.UNREACHABLE)
    known = build.wrote(known, outcome, 1002.0)
    assert [(item.time_s, item.stood_on) for item in known.apps[build.KEY].actions] == [
        (1002.0, None)
    ]


def test_write_for_an_app_that_is_not_remembered_changes_nothing() -> None:
    known, outcome = build.one(ratio(3, 80.0, 1000.0), 1000.0)
    gone = known.forgetting([build.KEY])
    assert gone.apps == {}
    assert build.wrote(gone, outcome, 1000.0) == gone


def test_apps_that_are_not_due_keep_their_memory() -> None:
    apps = [build.ratio_app("a"), build.ratio_app("b")]
    first = build.turns([ratio(3, 80.0, 1000.0, app=app) for app in apps], 1000.0)
    second = build.turns([ratio(3, 90.0, 1015.0, app=apps[0])], 1015.0, first.memory)
    assert second.memory.apps[apps[1].key] == first.memory.apps[apps[1].key]
    assert len(second.outcomes) == 1


def test_old_demand_does_not_raise_when_its_data_went_missing() -> None:
    slow = build.policy(
        behavior={"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}}
    )
    known, outcome = build.one(ratio(3, 80.0, 1000.0, policy=slow), 1000.0)
    known = build.wrote(known, outcome, 1000.0)
    assert outcome.decision.final == 4
    _, outcome = build.one(ratio(4, None, 1015.0, policy=slow), 1015.0, known)
    assert outcome.decision.final == 4


def test_law_starts_anew_when_its_parameters_change() -> None:
    def pd(kd: str) -> Any:
        return build.policy(
            controller={"type": "PD", "parameters": {"unitsPerReplica": "10", "kd": kd}}
        )

    known, _ = build.one(ratio(3, 80.0, 1000.0, policy=pd("0")), 1000.0)
    derivatives = []
    for now_s, value in [(1015.0, 900.0), (1030.0, 930.0), (1045.0, 960.0)]:
        known, outcome = build.one(ratio(3, value, now_s, policy=pd("9")), now_s, known)
        derivatives.append(outcome.decision.terms["derivative"])
    assert derivatives == [0.0, 0.0, 9 * 2.0]


@pytest.mark.parametrize(
    ("back_s", "desired"),
    [
        pytest.param(4.0, 8, id="within the skew of clocks: waits for a newer sample"),
        pytest.param(3600.0, 9, id="an hour: begins anew at once"),
    ],
)
def test_law_goes_on_when_the_clock_is_set_back(back_s: float, desired: int) -> None:
    known, outcome = build.one(ratio(3, 80.0, 10000.0), 10000.0)
    assert outcome.decision.final == 8
    now_s = 10000.0 - back_s
    _, outcome = build.one(ratio(3, 90.0, now_s), now_s, known)
    assert outcome.decision.raw == desired


def test_revert_is_seen_and_ends_in_yielding_by_name() -> None:
    known, outcome = build.one(ratio(3, 80.0, 1000.0), 1000.0)
    conflicts: list[Outcome] = []
    for index in range(3):
        now_s = 1000.0 + 15 * index
        known = build.wrote(known, outcome, now_s)
        fought = build.workload(3, generation=3 + 2 * index, last_scaler="argocd")
        fought = replace(fought, observed_generation=fought.generation)
        facts = replace(ratio(3, 80.0, now_s + 5), workload=fought)
        known, outcome = build.one(facts, now_s + 5, known)
        conflicts.append(outcome)
    assert [item.conflict is not None for item in conflicts] == [False, True, True]
    assert conflicts[-1].conflict is not None
    assert conflicts[-1].conflict.manager == "argocd"
    assert not conflicts[-1].decision.moves


def test_our_own_write_is_no_revert() -> None:
    known, outcome = build.one(ratio(3, 80.0, 1000.0), 1000.0)
    known = build.wrote(known, outcome, 1000.0)
    ours = build.workload(8, generation=2, observed_generation=2, last_scaler=names.FIELD_MANAGER)
    facts = replace(ratio(8, 80.0, 1015.0), workload=ours)
    known, outcome = build.one(facts, 1015.0, known)
    assert known.apps[build.KEY].reverts == ()
    assert outcome.decision.reason == "Unchanged"
