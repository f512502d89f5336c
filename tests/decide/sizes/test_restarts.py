"""Containers that restart for another size: asked last, counted as lowerings, named in words."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from charon_operator.decide.sizes import knobs
from charon_operator.decide.sizes.knobs import Ground, Plan
from charon_operator.loop.turn import resized
from charon_operator.model import memory
from charon_operator.model.decision import Resize
from charon_operator.model.memory import Action, AppMemory, FleetMemory
from charon_operator.model.policy import Knobs
from charon_operator.model.sizes import Size, SizedPod, Sizes
from charon_operator.ports import WriteOutcome
from charon_operator.record import encoding
from tests.decide import build
from tests.decide.sizes.test_knobs import DEAR_REPLICAS, REPLICAS_FIRST, ground

MI = 2**20
RESTARTS = {"restarts": True}
CPU_APP: dict[str, Any] = {
    "container": "app",
    "mode": "InPlace",
    "cpu": {"min": "100m", "max": "1"},
    "curve": [{"cpu": "100m", "capacity": "10"}, {"cpu": "2", "capacity": "200"}],
}
MEMORY_APP: dict[str, Any] = {
    "container": "app",
    "mode": "InPlace",
    "memory": {"min": "64Mi", "max": "1Gi", "usage": "rss"},
}


@pytest.mark.parametrize(
    ("here", "demand", "wanted", "words"),
    [
        pytest.param(
            ground(Plan(1, 200), **RESTARTS), 60.0, Plan(5, 200), "replicas go first", id="a raise"
        ),
        pytest.param(
            ground(Plan(1, 200), replicas=(1, 3), **RESTARTS),
            60.0,
            Plan(3, 310),
            "replicas go first",
            id="more than replicas can cover",
        ),
        pytest.param(
            ground(Plan(3, 200), replicas=(1, 3), **RESTARTS),
            60.0,
            Plan(3, 310),
            "",
            id="replicas are at their bound",
        ),
        pytest.param(
            ground(Plan(1, 200), knobs=REPLICAS_FIRST, **RESTARTS),
            60.0,
            Plan(5, 200),
            "",
            id="replicas were first anyway",
        ),
        pytest.param(
            ground(Plan(5, 100), knobs=DEAR_REPLICAS, **RESTARTS),
            30.0,
            Plan(5, 100),
            "",
            id="fewer and larger pods would save much",
        ),
        pytest.param(ground(Plan(2, 500), **RESTARTS), 60.0, Plan(2, 500), "", id="in balance"),
    ],
)
def test_size_is_raised_only_for_what_replicas_cannot_cover(
    here: Ground, demand: float, wanted: Plan, words: str
) -> None:
    found = knobs.wanted(here, demand)
    assert found == wanted
    assert found.why.startswith(words) if words else not found.why


@given(
    demand=st.floats(0, 1e4),
    count=st.integers(1, 10),
    cpu_m=st.integers(100, 1000),
    ready=st.integers(0, 10),
    prices=st.sampled_from([Knobs(), DEAR_REPLICAS, REPLICAS_FIRST]),
)
def test_no_container_is_restarted_for_what_replicas_could_cover(
    demand: float, count: int, cpu_m: int, ready: int, prices: Knobs
) -> None:
    now = Plan(count, cpu_m)
    here = ground(now, ready=min(ready, count), knobs=prices, **RESTARTS)
    assume(here.replicas[1] * here.serves(cpu_m) >= demand)
    assert knobs.wanted(here, demand).cpu_m <= cpu_m


def pods(count: int, cpu_m: int = 200, **changes: Any) -> Sizes:
    size = Size(cpu_m, changes.pop("memory_b", 256 * MI))
    pod = replace(SizedPod("p", "u", "1", True, True, size, size), **changes)
    found = tuple(replace(pod, name=f"p{n}", uid=f"u{n}") for n in range(count))
    return Sizes(Size(200, 256 * MI), found)


def after(
    queued: float,
    sizes: Sizes,
    now_s: float = 1000.0,
    known: FleetMemory | None = None,
    **changes: Any,
) -> tuple[FleetMemory, Any, Resize]:
    indicators = [{"name": name, "query": "q"} for name in ("queued", "rss")]
    app = build.ratio_app(indicators=indicators, resources=changes.pop("resources", CPU_APP))
    rules = {
        "knobs": {"prices": {"replica": "0", "core": "1"}},
        "lowering": {"cooldownSeconds": 0, "maxPerHour": 3600},
        **changes.pop("rules", {}),
    }
    facts = build.facts(
        app,
        build.workload(len(sizes.pods), of=app),
        build.readings(now_s, **{"queued": queued, "rss": 200.0 * MI, **changes}),
        sizes=sizes,
        policy=build.policy(**rules),
    )
    known, outcome = build.one(facts, now_s, known)
    assert outcome.resize is not None
    return known, outcome, outcome.resize


def test_replicas_are_raised_first_and_both_decisions_say_why() -> None:
    _, outcome, resize = after(60.0, pods(2, restarts_on_cpu=True))
    assert (outcome.decision.final, resize.final) == (6, Size(200))
    why = (
        "replicas go first, as containers restart for another size (resizePolicy RestartContainer)"
    )
    assert why in outcome.decision.message
    assert why in resize.message
    assert not resize.restarts
    _, outcome, resize = after(60.0, pods(2, restarts_on_memory=True))
    assert (outcome.decision.final, resize.final) == (2, Size(600))


@pytest.mark.parametrize(
    ("sizes", "changes", "restarts"),
    [
        pytest.param(pods(50, restarts_on_cpu=True), {"queued": 2500.0}, True, id="CPU"),
        pytest.param(pods(50, restarts_on_memory=True), {"queued": 2500.0}, False, id="the other"),
        pytest.param(
            pods(2, restarts_on_memory=True),
            {"queued": 20.0, "rss": 500.0 * MI, "resources": MEMORY_APP},
            True,
            id="memory",
        ),
        pytest.param(
            pods(2, restarts_on_cpu=True),
            {"queued": 20.0, "rss": 500.0 * MI, "resources": MEMORY_APP},
            False,
            id="memory, where CPU restarts",
        ),
    ],
)
def test_resize_says_whether_containers_restart_for_it(
    sizes: Sizes, changes: dict[str, Any], restarts: bool
) -> None:
    _, _, resize = after(changes.pop("queued"), sizes, **changes)
    assert resize.moves
    assert resize.restarts is restarts
    words = "containers restart for it (resizePolicy RestartContainer), one pod at a time"
    assert (words in resize.message) is restarts
    again = encoding.resize_from_json(json.loads(json.dumps(encoding.resize_to_json(resize))))
    assert again == resize


@pytest.mark.parametrize(("restarts", "count"), [(True, 50), (False, 1)])
def test_raise_that_restarts_counts_as_a_lowering(restarts: bool, count: int) -> None:
    rules = {"lowering": {"cooldownSeconds": 0, "maxPerHour": 1}}
    known, _, resize = after(2500.0, pods(50, restarts_on_cpu=restarts), 9000.0, rules=rules)
    known = resized(known, build.KEY, resize, WriteOutcome.WRITTEN, 9000.0)
    larger = pods(50, 1000, restarts_on_cpu=restarts)
    _, outcome, _ = after(1.0, larger, 9100.0, known, rules=rules)
    assert outcome.decision.final == count
    words = "lowered or restarted 1 times in the last hour, 1 are allowed"
    assert (words in outcome.decision.message) is restarts


@given(
    action=st.builds(
        Action,
        st.floats(0, 2e9),
        st.integers(0, 1000),
        st.integers(0, 1000),
        st.none() | st.integers(0, 9),
        st.booleans(),
    )
)
def test_restart_survives_json(action: Action) -> None:
    fleet = FleetMemory({build.KEY: AppMemory("u", "t", 0.0, actions=(action,))})
    assert memory.load(json.loads(json.dumps(memory.dump(fleet)))) == fleet
