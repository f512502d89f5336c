"""The second knob through whole turns: what is known of pods, both knobs, quarantine, undoing."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.loop.turn import resized
from charon_operator.model import memory
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Past, PendingAction, Resize
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import FleetMemory, Knobs
from charon_operator.model.reading import Missing, MissingReason, Reading
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes
from charon_operator.model.workload import Rollout
from charon_operator.ports import WriteOutcome
from tests.decide import build

# A tenth of a core serves 10 units a second; the Ratio law's replica of ten serves one replica.
RESOURCES: dict[str, Any] = {
    "container": "app",
    "mode": "InPlace",
    "cpu": {"min": "100m", "max": "1"},
    "curve": [{"cpu": "100m", "capacity": "10"}, {"cpu": "2", "capacity": "200"}],
}
MEMORY: dict[str, Any] = {"min": "64Mi", "max": "1Gi", "usage": "rss"}
MI = 2**20
# Where replicas cost nothing, nothing is gained by fewer and larger pods.
FREE = {"knobs": {"prices": {"replica": "0", "core": "1"}}}
# Wants what arrives, and what waits above the set point within ten seconds.
QUEUEING = {
    "type": "Queueing",
    "parameters": {"drainSeconds": "10", "startSeconds": "0", "headroom": "0"},
}


def sized(**changes: Any) -> ChargedApp:
    """The Ratio app of `build`, with the second knob."""
    spec = {
        "indicators": [{"name": name, "query": "q"} for name in ("queued", "arrivals", "rss")],
        "bindings": {"arrivals": "arrivals"},
        "resources": {**RESOURCES, **changes.pop("resources", {})},
    }
    return build.ratio_app(**{**spec, **changes})


def queue(
    count: int, arrivals: float | None, now_s: float, sizes: Sizes | None, **changes: Any
) -> AppFacts:
    """The app under the Queueing law: it wants what arrives."""
    bindings = {"backlog": "queued", "arrivals": "arrivals"}
    app = changes.pop("app", sized(bindings=bindings))
    rules = {**FREE, "controller": QUEUEING, **changes.pop("rules", {})}
    policy = build.policy(**{"lowering": {"cooldownSeconds": 0, "maxPerHour": 3600}, **rules})
    seen = {"arrivals": arrivals, **changes.pop("seen", {})}
    return facts(count, 0.0, now_s, sizes, app=app, policy=policy, seen=seen, **changes)


def pod(name: str, cpu_m: int = 200, **changes: Any) -> SizedPod:
    memory_b = changes.pop("memory_b", 256 * MI)
    size = Size(cpu_m, memory_b)
    return replace(SizedPod(name, f"uid-{name}", "1", True, True, size, size), **changes)


def pods(count: int, cpu_m: int = 200, **changes: Any) -> Sizes:
    found = tuple(pod(f"p{index}", cpu_m, **changes) for index in range(count))
    return Sizes(Size(200, 256 * MI), found)


def facts(
    count: int,
    queued: float | None,
    now_s: float,
    sizes: Sizes | None,
    **changes: Any,
) -> AppFacts:
    """The app at `count` replicas; it wants a tenth of what is queued, in replicas of now."""
    app = changes.pop("app", sized())
    at = changes.pop("workload", build.workload(count, of=app))
    changes = {"policy": build.policy(**FREE), **changes}
    values = {"queued": queued, "arrivals": 100.0, "rss": 200.0 * MI, **changes.pop("seen", {})}
    return build.facts(app, at, build.readings(now_s, **values), sizes=sizes, **changes)


def decided(given_facts: AppFacts, now_s: float, known: FleetMemory | None = None) -> Any:
    known, outcome = build.one(given_facts, now_s, known)
    assert outcome.resize is not None
    return known, outcome, outcome.resize


def wrote(known: FleetMemory, resize: Resize, now_s: float) -> FleetMemory:
    return resized(known, build.KEY, resize, WriteOutcome.WRITTEN, now_s)


def cpu(resize: Resize) -> int | None:
    return resize.final.cpu_m if resize.final else None


@pytest.mark.parametrize(
    ("count", "queued", "size", "replicas"),
    [
        pytest.param(2, 20.0, 200, 2, id="in balance"),
        pytest.param(2, 60.0, 600, 2, id="the size alone covers it"),
        pytest.param(2, 200.0, 1000, 4, id="beyond the ceiling of the pods that are there: both"),
        pytest.param(2, 10.0, 200, 1, id="less is needed: the count saves most"),
    ],
)
def test_both_knobs_serve_one_demand(count: int, queued: float, size: int, replicas: int) -> None:
    _, outcome, resize = decided(facts(count, queued, 1000.0, pods(count)), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (size, replicas)
    assert resize.acts


def test_reasons_name_the_demand_and_the_plan() -> None:
    _, outcome, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    wish = "freshness wants 120 a second, for now 2 of 600m."
    assert outcome.decision.message == f"Unchanged at 2: {wish}"
    assert resize.message == f"Raised from 200m to 600m: {wish}"
    assert resize.current == Size(200)
    assert resize.decision_id != outcome.decision.decision_id


def test_one_knob_is_lowered_at_a_time_and_each_after_the_cooldown() -> None:
    rules = {"lowering": {"cooldownSeconds": 60, "maxPerHour": 3600}}
    known, outcome, resize = decided(queue(2, 240.0, 1000.0, pods(2), rules=rules), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (1000, 3)
    known = build.wrote(wrote(known, resize, 1000.0), outcome, 1000.0)
    count, size, moves = 3, 1000, []
    for now_s in range(1010, 1400, 10):
        given_facts = queue(count, 10.0, float(now_s), pods(count, size), rules=rules)
        known, outcome, resize = decided(given_facts, float(now_s), known)
        if outcome.decision.moves:
            moves.append((now_s, "replicas"))
            known, count = build.wrote(known, outcome, now_s), outcome.decision.final
        if resize.moves:
            moves.append((now_s, "size"))
            known, size = wrote(known, resize, float(now_s)), cpu(resize) or 0
    assert (count, size) == (1, 100)
    assert {knob for _, knob in moves} == {"replicas", "size"}
    times = [1000, *(time_s for time_s, _ in moves)]
    assert all(late - early >= 60 for early, late in itertools.pairwise(times))


def test_a_demand_for_replicas_does_not_grow_with_the_pods() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    moving = pods(2, 600, actual=Size(200, 256 * MI), resizing=Resizing.IN_PROGRESS)
    again = replace(facts(2, 60.0, 1000.0, moving), sizes=moving)
    _, _, resize = decided(again, 1005.0, known)
    assert cpu(resize) == 600


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"arrivals": None}, "arrivals (NoData)", id="nothing to judge by"),
        pytest.param({"seen": {"rss": None}}, "rss (NoData)", id="any indicator"),
        pytest.param(
            {
                "app": sized(
                    bindings={"backlog": "queued", "arrivals": "arrivals"},
                    holds=[{"name": "pause", "direction": "Down"}],
                )
            },
            "paused at 800m by hold pause",
            id="hold",
        ),
        pytest.param({"rules": {"behavior": {}}}, "the largest wish", id="stabilisation window"),
        pytest.param(
            {"rules": {"lowering": {"cooldownSeconds": 3600}}}, "since the last", id="cooldown"
        ),
        pytest.param(
            {"workload": build.workload(1, rollout=Rollout.IN_FLIGHT)}, "a rollout", id="rollout"
        ),
    ],
)
def test_size_is_not_lowered_when_a_limit_forbids_it(changes: dict[str, Any], words: str) -> None:
    known, _, resize = decided(queue(1, 80.0, 1000.0, pods(1)), 1000.0)
    known = wrote(known, resize, 1000.0)
    known, _, resize = decided(queue(1, 80.0, 1990.0, pods(1, 800)), 1990.0, known)
    asked = {"count": 1, "arrivals": 20.0, "now_s": 2000.0, "sizes": pods(1, 800)}
    _, _, free = decided(queue(**asked), 2000.0, known)
    _, _, bound = decided(queue(**{**asked, **changes}), 2000.0, known)
    assert (cpu(free), cpu(bound)) == (200, 800)
    assert words in bound.message


def test_hold_up_stops_a_raise_of_the_size() -> None:
    app = sized(holds=[{"name": "pause", "direction": "Up"}])
    _, outcome, resize = decided(facts(2, 60.0, 1000.0, pods(2), app=app), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (200, 2)
    assert "paused at 200m by hold pause" in resize.message


@pytest.mark.parametrize(
    ("changes", "acts"),
    [
        ({}, True),
        ({"app": sized(mode="Advisory")}, False),
        ({"forced_advisory": "label"}, False),
    ],
)
def test_size_is_computed_whether_or_not_it_may_act(changes: dict[str, Any], acts: bool) -> None:
    _, _, resize = decided(facts(2, 60.0, 1000.0, pods(2), **changes), 1000.0)
    assert cpu(resize) == 600
    assert (resize.acts, resize.moves) == (acts, acts)


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(None, id="not asked"),
        pytest.param(Sizes(Size(), problem="there is no container app"), id="no such container"),
    ],
)
def test_nothing_is_guessed_when_sizes_are_not_known(sizes: Sizes | None) -> None:
    app = sized(capacityPerReplica=None)
    _, outcome, resize = decided(facts(2, 60.0, 1000.0, sizes, app=app), 1000.0)
    assert resize.final is None
    assert not resize.moves
    assert outcome.decision.final == 6
    assert (sizes.problem if sizes else "have not been read yet") in resize.message


def test_law_that_plans_capacity_waits_for_the_size_of_the_pods() -> None:
    app = sized(capacityPerReplica=None, bindings={"backlog": "queued", "arrivals": "arrivals"})
    _, outcome, _ = decided(queue(2, 120.0, 1000.0, None, app=app), 1000.0)
    assert outcome.problem is None
    assert (outcome.decision.final, outcome.decision.reason) == (2, "Held")
    _, outcome, resize = decided(queue(2, 120.0, 1000.0, pods(2), app=app), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (600, 2)


def test_pods_without_a_size_of_their_own_count_by_the_template() -> None:
    starting = pods(2, 300, running=False, ready=False)
    _, _, resize = decided(facts(2, 20.0, 1000.0, starting), 1000.0)
    assert resize.current == Size(200)


def test_app_whose_mode_is_off_is_driven_as_one_without_the_knob() -> None:
    off = sized(resources={"mode": "Off"})
    plain = sized()
    plain = replace(plain, spec=plain.spec.model_copy(update={"resources": None}))
    found = [build.one(facts(2, 200.0, 1000.0, None, app=app), 1000.0) for app in (off, plain)]
    assert found[0] == found[1]
    assert found[0][1].resize is None
    assert found[0][0].apps[build.KEY].knobs is None


def deferred(since_s: float, **changes: Any) -> Sizes:
    waiting: dict[str, Any] = {
        "actual": Size(200, 256 * MI),
        "resizing": Resizing.DEFERRED,
        "detail": "Node didn't have enough resource: cpu",
        "since_s": since_s,
        **changes,
    }
    return pods(2, 600, **waiting)


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        pytest.param(deferred(1000.0), "ResizeDeferred", id="put off for 60 s"),
        pytest.param(
            deferred(1060.0, resizing=Resizing.INFEASIBLE), "ResizeInfeasible", id="infeasible"
        ),
        pytest.param(deferred(1060.0, resizing=Resizing.FAILED), "ResizeError", id="error"),
    ],
)
def test_size_that_cannot_be_had_is_given_back_and_replicas_cover(
    sizes: Sizes, reason: str
) -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    _, outcome, resize = decided(facts(2, 60.0, 1060.0, sizes), 1060.0, known)
    assert resize.reason == reason
    assert resize.give_back == ("p0", "p1")
    assert cpu(resize) == 200
    assert outcome.decision.final == 6
    assert "pod p0 cannot have 600m" in resize.message
    assert "sizes are not raised for 60 s" in resize.message


def test_pods_that_may_not_be_resized_are_made_up_for_by_replicas() -> None:
    some = Sizes(Size(200), (pod("p0"), pod("p1", refusal="it has a GPU")))
    _, outcome, resize = decided(facts(2, 60.0, 1000.0, some), 1000.0)
    assert (cpu(resize), outcome.decision.final) == (200, 6)
    assert "not every pod may be resized: it has a GPU" in resize.message


def test_size_that_is_put_off_is_waited_for_first() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    _, outcome, resize = decided(facts(2, 60.0, 1029.0, deferred(1000.0)), 1029.0, known)
    assert (resize.give_back, cpu(resize), outcome.decision.final) == ((), 600, 2)


def test_quarantine_doubles_with_each_failure_and_ends_when_a_raise_is_had() -> None:
    known, now_s, lengths = None, 1000.0, []
    for _ in range(8):
        failing = deferred(now_s - 60)
        known, _, _ = decided(facts(2, 60.0, now_s, failing), now_s, known)
        failed = known.apps[build.KEY].quarantine
        lengths.append(failed.until_s - now_s)
        now_s = failed.until_s
    assert lengths == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    known, _, resize = decided(facts(2, 60.0, now_s, pods(2)), now_s, known)
    assert cpu(resize) == 600
    known = wrote(known, resize, now_s)
    known, _, _ = decided(facts(2, 20.0, now_s + 5, pods(2, 600)), now_s + 5, known)
    assert known.apps[build.KEY].quarantine is None


def test_pods_that_gave_back_are_left_alone_while_the_others_keep_their_size() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    stuck = deferred(1000.0).pods[0]
    mixed = Sizes(Size(200), (stuck, pod("big", 600)))
    known, _, resize = decided(facts(2, 60.0, 1060.0, mixed), 1060.0, known)
    assert (resize.give_back, cpu(resize)) == (("p0",), 600)
    given = Sizes(Size(200), (pod("p0", 200), pod("big", 600)))
    _, outcome, resize = decided(facts(2, 60.0, 1065.0, given), 1065.0, known)
    assert (resize.give_back, cpu(resize)) == (("p0",), 600)
    # Six replicas of now, of 400m on average: each of those to come may be as small.
    assert outcome.decision.final == 6


def test_refused_write_quarantines_the_size() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    refused = WriteOutcome.REFUSED
    known = resized(known, build.KEY, resize, refused, 1000.0, "exceeded quota: compute")
    again = resized(known, build.KEY, resize, refused, 1001.0, "exceeded quota: compute")
    assert again == known
    _, outcome, resize = decided(facts(2, 60.0, 1005.0, pods(2)), 1005.0, known)
    assert (resize.reason, cpu(resize), outcome.decision.final) == ("ResizeRefused", 200, 6)
    assert "exceeded quota: compute" in resize.message
    assert [clamp.limit for clamp in resize.clamps] == []


@pytest.mark.parametrize(
    ("result", "counts"),
    [
        (WriteOutcome.WRITTEN, True),
        (WriteOutcome.UNREACHABLE, True),
        (WriteOutcome.CONFLICT, False),
        (WriteOutcome.GONE, False),
    ],
)
def test_size_that_may_have_been_written_counts_as_an_act_once(
    result: WriteOutcome, counts: bool
) -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = resized(known, build.KEY, resize, result, 1001.0)
    after = known.apps[build.KEY]
    assert (after.acted_at_s == 1001.0, after.size == Size(600)) == (counts, counts)
    assert resized(known, build.KEY, resize, WriteOutcome.WRITTEN, 1001.0) == known or not counts
    assert resized(FleetMemory(), build.KEY, resize, result, 1001.0) == FleetMemory()


@pytest.mark.parametrize(
    ("changes", "undone"),
    [
        pytest.param({}, True, id="no more load"),
        pytest.param({"arrivals": 34.0}, False, id="more load explains it"),
        pytest.param({"arrivals": None}, False, id="the load is not known"),
        pytest.param({"seen": {"queued": 10.0}}, False, id="all is well"),
        pytest.param({"now_s": 1100.0}, False, id="long after"),
    ],
)
def test_lowering_that_did_harm_is_undone_once(changes: dict[str, Any], undone: bool) -> None:
    known, _, resize = decided(queue(1, 32.0, 1000.0, pods(1, 800)), 1000.0)
    assert cpu(resize) == 320
    known = wrote(known, resize, 1000.0)
    asked = {"count": 1, "arrivals": 32.0, "now_s": 1030.0, "sizes": pods(1, 320)}
    asked |= {"seen": {"queued": 11.0}, **changes}
    now_s = asked["now_s"]
    known, _, resize = decided(queue(**asked), now_s, known)
    assert (known.apps[build.KEY].knobs.undone is not None) is undone
    if undone:
        assert cpu(resize) == 800
        assert "got worse 30 s after a lowering from 800m" in resize.message
        known = wrote(known, resize, now_s)
        _, _, resize = decided(queue(1, 32.0, now_s + 5, pods(1, 800)), now_s + 5, known)
        assert cpu(resize) == 800
        assert resize.clamps[-1].limit == "LoweringUndone"
        _, _, resize = decided(queue(1, 32.0, now_s + 90, pods(1, 800)), now_s + 90, known)
        assert cpu(resize) == 320


def test_lowering_of_replicas_that_did_harm_is_undone_too() -> None:
    known, outcome, _ = decided(queue(3, 20.0, 1000.0, pods(3, 100)), 1000.0)
    assert outcome.decision.final == 2
    known = build.wrote(known, outcome, 1000.0)
    asked = queue(2, 20.0, 1030.0, pods(2, 100), seen={"queued": 11.0})
    known, outcome, _ = decided(asked, 1030.0, known)
    assert outcome.decision.final == 3
    assert "after a lowering from 3 replicas without more load" in outcome.decision.message


def test_nothing_is_exchanged_while_a_lowering_could_not_follow() -> None:
    dear = {"rules": {"knobs": {"prices": {"replica": "10", "core": "1"}}}}
    _, _, resize = decided(queue(2, 40.0, 1000.0, pods(2), **dear), 1000.0)
    assert cpu(resize) == 400
    app = sized(
        bindings={"backlog": "queued", "arrivals": "arrivals"},
        holds=[{"name": "pause", "direction": "Down"}],
    )
    _, _, resize = decided(queue(2, 40.0, 1000.0, pods(2), app=app, **dear), 1000.0)
    assert cpu(resize) == 200


@pytest.mark.parametrize(
    ("used", "changes", "size"),
    [
        pytest.param(200, {}, 256, id="fits with its head-room"),
        pytest.param(240, {}, 288, id="raised before it does not"),
        pytest.param(4000, {}, 1024, id="not above the maximum"),
        pytest.param(20, {}, 256, id="never lowered unasked"),
        pytest.param(100, {"lowering": "Allowed"}, 120, id="lowered where that is allowed"),
        pytest.param(20, {"lowering": "Allowed"}, 64, id="not below the minimum"),
        pytest.param(None, {"lowering": "Allowed"}, 256, id="usage missing: left alone"),
        pytest.param(
            200, {"lowering": "Allowed", "max": "128Mi"}, 240, id="not below what is used"
        ),
    ],
)
def test_memory_follows_what_is_used(used: int | None, changes: dict[str, Any], size: int) -> None:
    app = sized(resources={"memory": {**MEMORY, **changes}})
    seen = {"rss": None if used is None else float(used * MI)}
    _, _, resize = decided(facts(2, 20.0, 1000.0, pods(2), app=app, seen=seen), 1000.0)
    assert resize.final == Size(200, size * MI)


def test_memory_waits_while_another_knob_is_lowered() -> None:
    app = sized(resources={"memory": {**MEMORY, "lowering": "Allowed"}})
    seen = {"rss": 10.0 * MI}
    _, outcome, resize = decided(facts(2, 5.0, 1000.0, pods(2), app=app, seen=seen), 1000.0)
    assert outcome.decision.final == 1
    assert resize.final == Size(200, 256 * MI)


def test_size_is_what_the_status_told_before_a_restart() -> None:
    past = Past(PendingAction("id", "Resources", 200, 600, 990.0), True, size=Size(600))
    known, _, resize = decided(facts(2, 60.0, 1000.0, None, past=past), 1000.0)
    assert resize.current == Size(600)
    app = known.apps[build.KEY]
    assert (app.acted_at_s, app.actions) == (990.0, ())
    assert app.knobs is not None
    assert [(move.start, move.to) for move in app.knobs.moves] == [(200, 600)]


SAMPLED = st.one_of(
    st.builds(Reading, st.floats(0, 1e4), st.floats(0, 2e3)),
    st.builds(Missing, st.sampled_from(list(MissingReason))),
)
SEEN = st.fixed_dictionaries({}, optional=dict.fromkeys(("queued", "arrivals", "rss"), SAMPLED))
CPU = st.integers(10, 3000)
SIZE = st.builds(Size, st.none() | CPU, st.none() | st.integers(MI, 2**31))
PODS = st.builds(
    SizedPod,
    name=st.sampled_from(["a", "b", "c"]),
    uid=st.just("u"),
    resource_version=st.just("1"),
    running=st.booleans(),
    ready=st.booleans(),
    asked=SIZE,
    actual=st.none() | SIZE,
    resizing=st.sampled_from(list(Resizing)),
    since_s=st.none() | st.floats(0, 2e3),
    refusal=st.sampled_from(["", "it has a GPU"]),
)
SIZES = st.none() | st.builds(
    Sizes, SIZE, st.lists(PODS, max_size=3).map(tuple), st.sampled_from(["", "no container"])
)
APP = sized(resources={"memory": {**MEMORY, "lowering": "Allowed"}})


def played(steps: list[Any], policy: Any) -> list[tuple[Outcome, FleetMemory]]:
    known, found = FleetMemory(), []
    for index, (seen, sizes, count, ready, result) in enumerate(steps):
        now_s = 1000.0 + 30 * index
        target = build.workload(count, ready=min(ready, count))
        given_facts = AppFacts(APP, policy=policy, workload=target, readings=seen, sizes=sizes)
        known, outcome = build.one(given_facts, now_s, known)
        if outcome.resize and outcome.resize.acts:
            known = resized(known, build.KEY, outcome.resize, result, now_s)
        found.append((outcome, known))
    return found


@given(
    steps=st.lists(
        st.tuples(
            SEEN, SIZES, st.integers(1, 60), st.integers(0, 60), st.sampled_from(list(WriteOutcome))
        ),
        min_size=1,
        max_size=5,
    ),
    law=st.sampled_from([{"type": "Queueing"}, {"type": "Ratio"}, {"type": "PD"}]),
)
@settings(max_examples=150)
def test_whatever_pods_say_sizes_stay_in_bounds_and_are_not_lowered_blindly(
    steps: list[Any], law: dict[str, Any]
) -> None:
    policy = build.policy(controller=law)
    found = played(steps, policy)
    assert found == played(steps, policy)
    for (seen, _, _, _, _), (outcome, known) in zip(steps, found, strict=True):
        assert memory.load(json.loads(json.dumps(memory.dump(known)))) == known
        resize = outcome.resize
        if resize is None or resize.final is None or resize.current is None:
            continue
        current_m, final_m = resize.current.cpu_m, resize.final.cpu_m
        if current_m is not None and final_m is not None and final_m != current_m:
            assert 100 <= final_m <= 1000
            whole = all(isinstance(seen.get(n), Reading) for n in ("queued", "arrivals", "rss"))
            assert whole or final_m > current_m
        used, held_b = seen.get("rss"), resize.current.memory_b
        if held_b is not None and resize.final.memory_b is not None:
            assert isinstance(used, Reading) or resize.final.memory_b == held_b
            if isinstance(used, Reading) and resize.final.memory_b < held_b:
                assert resize.final.memory_b >= used.value * 1.15


def test_knobs_are_forgotten_with_their_time() -> None:
    known, _, resize = decided(facts(2, 60.0, 1000.0, pods(2)), 1000.0)
    known = wrote(known, resize, 1000.0)
    app = known.apps[build.KEY]
    late = memory.aged(app, 9000.0).knobs
    assert late == Knobs(size=Size(600))
    early = memory.aged(app, 500.0).knobs
    assert early is not None
    assert early.moves[0].time_s == 500.0
