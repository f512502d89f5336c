"""The second knob stays in bounds: memory by what is used, and whatever pods say."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charon_operator.loop.turn import resized
from charon_operator.model import memory
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import FleetMemory
from charon_operator.model.reading import Missing, MissingReason, Reading
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes
from charon_operator.ports import WriteOutcome
from tests.decide import build
from tests.decide.sizes.sized import MEMORY, MI, decided, facts, pods, sized


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
