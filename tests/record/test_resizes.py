"""The second knob as it is told: journal rows, status, condition, words, Events, metrics."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator import settings
from charon_operator.lab import replay
from charon_operator.loop import turn
from charon_operator.model import body
from charon_operator.model.facts import AppFacts
from charon_operator.model.memory import FleetMemory
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes, Span
from charon_operator.model.status import ChargedAppStatus
from charon_operator.names import Metric
from charon_operator.ports import WriteOutcome, WriteResult
from charon_operator.record import events, explain, journal, status
from charon_operator.record.conditions import Standing
from charon_operator.record.metrics import Metrics, View
from tests.record import samples
from tests.record.test_journal_roundtrip import Rows, wire
from tests.record.test_metrics import values

NOW_S = 1764000000.0
RESOURCES = {
    "container": "app",
    "mode": "InPlace",
    "cpu": {"min": "100m", "max": "1"},
    "curve": [{"cpu": "100m", "capacity": "10"}, {"cpu": "2", "capacity": "200"}],
}
SIZED = samples.app(resources=RESOURCES)
# Where replicas cost nothing, nothing is gained by fewer and larger pods.
POLICY = samples.policy(knobs={"prices": {"replica": "0", "core": "1"}})


def pod(name: str = "p0", cpu_m: int = 200, **changes: Any) -> SizedPod:
    size = Size(cpu_m)
    return replace(SizedPod(name, f"uid-{name}", "1", True, True, size, size), **changes)


def sizes(*pods: SizedPod, **changes: Any) -> Sizes:
    return replace(Sizes(Size(200), pods or (pod("p0"), pod("p1"))), **changes)


def facts(queued: float = 900.0, now_s: float = NOW_S, **changes: Any) -> AppFacts:
    return samples.facts(
        queued, now_s, **{"app": SIZED, "policy": POLICY, "sizes": sizes(), **changes}
    )


def standing(memory: FleetMemory | None = None, **changes: Any) -> Standing:
    given_facts = facts(**changes)
    moment = turn.Moment("t", NOW_S)
    result = turn.turn(memory or FleetMemory(), moment, [given_facts], settings.Safety())
    return Standing(given_facts, result.outcomes[0])


def told(found: Standing, before: Any = None) -> dict[str, Any]:
    return status.compose(found, before or {}, NOW_S)


def condition(found: Standing) -> Any:
    every = {one["type"]: one for one in told(found)["conditions"]}
    return every.get("ResizeSettled")


maybe = st.none() | st.integers(0, 2**40)
seen = st.none() | st.floats(0, 2e9)
size = st.builds(Size, maybe, maybe)
pods = st.builds(
    SizedPod,
    st.text(max_size=5),
    st.text(max_size=5),
    st.text(max_size=5),
    st.booleans(),
    st.booleans(),
    size,
    st.none() | size,
    st.sampled_from(Resizing),
    st.text(max_size=5),
    seen,
    st.integers(0, 9),
    st.text(max_size=5),
    st.booleans(),
    st.booleans(),
    st.builds(Span, maybe, maybe),
    st.builds(Span, maybe, maybe),
)


@given(
    found=st.builds(Sizes, size, st.lists(pods, max_size=3).map(tuple), st.text(max_size=5), seen)
)
def test_sizes_when_written_and_read_then_are_the_same(found: Sizes) -> None:
    whole = facts(sizes=found)
    assert journal.facts_from_json(wire(journal.facts_to_json(whole))) == whole


def play(rows: Rows) -> FleetMemory:
    """A raise that one pod cannot have, and that another write refuses."""
    recorder, safety, memory = journal.Recorder(rows, "test"), settings.Safety(), FleetMemory()
    recorder.start(NOW_S, safety, memory)
    stuck = pod("p0", 900, actual=Size(200), resizing=Resizing.DEFERRED, since_s=NOW_S)
    seen = [sizes(), sizes(pod("p1", 900), stuck), sizes(pod("p1", 900), pod("p0")), None]
    outcomes = [WriteOutcome.WRITTEN, WriteOutcome.UNREACHABLE, WriteOutcome.REFUSED]
    for number, found in enumerate(seen):
        now_s = NOW_S + 70.0 * number
        given_facts = [facts(100.0 + 800 * number, now_s, sizes=found)]
        result = turn.turn(memory, turn.Moment(f"t{number}", now_s), given_facts, safety)
        memory = result.memory
        recorder.turn(f"t{number}", now_s, given_facts, result.outcomes)
        resize = result.outcomes[0].resize
        assert resize is not None
        for at_s, outcome in enumerate(outcomes[: number + 1]):
            when_s = now_s + at_s
            written = WriteResult(outcome, detail="quota")
            memory = turn.resized(memory, SIZED.key, resize, outcome, when_s, "quota")
            recorder.resize(f"t{number}", when_s, SIZED.key, resize, written)
    return memory


def test_journal_when_replayed_then_gives_the_same_sizes_to_the_byte(tmp_path: Path) -> None:
    rows = Rows()
    ended = play(rows)
    file = tmp_path / "journal.jsonl"
    file.write_text("".join(f"{line}\n" for line in rows.lines))
    found = replay.replay(file)
    assert (found.mismatches, found.turns, found.writes) == ([], 4, 9)
    reader, memory = journal.Reader(), FleetMemory()
    for line in rows.lines:
        match reader.read(json.loads(line)):
            case journal.Turn() as one:
                moment = turn.Moment(one.turn_id, one.now_s)
                memory = turn.turn(memory, moment, one.facts, settings.Safety()).memory
            case journal.Resized() as one:
                given_write = (one.key, one.resize, one.outcome, one.now_s, one.detail)
                memory = turn.resized(memory, *given_write)
    assert memory == ended


def test_replay_when_a_size_came_out_otherwise_then_says_so(tmp_path: Path) -> None:
    rows = Rows()
    play(rows)
    file = tmp_path / "journal.jsonl"
    altered = [
        line.replace('"container":"app","current"', '"container":"b","current"')
        for line in rows.lines
    ]
    file.write_text("".join(f"{line}\n" for line in altered))
    assert len(replay.replay(file).mismatches) == 4


def test_rows_of_an_app_without_the_knob_do_not_mention_it() -> None:
    rows, plain = Rows(), samples.facts(900.0, NOW_S)
    recorder, safety = journal.Recorder(rows, "test"), settings.Safety()
    result = turn.turn(FleetMemory(), turn.Moment("t", NOW_S), [plain], safety)
    recorder.turn("t", NOW_S, [plain], result.outcomes)
    entry = json.loads(rows.lines[-1])["apps"][0]
    assert not {"resize", "sizes"} & set(entry)
    recorder.start(NOW_S, safety, result.memory)
    assert "knobs" not in json.loads(rows.lines[-1])["memory"]["apps"]["workload/ptycho"]
    found = Standing(plain, result.outcomes[0])
    assert told(found)["resources"] is None
    assert condition(found) is None


def test_status_tells_the_size_before_it_is_given_and_after_a_restart() -> None:
    found = told(standing())
    ChargedAppStatus.model_validate(found)
    assert found["resources"] == {
        "container": "app",
        "cpu": "500m",
        "template": {"cpu": "200m"},
        "pods": 2,
        "settled": 0,
    }
    assert body.past(found, NOW_S).size == Size(500)
    unread = told(standing(sizes=None), found)
    assert unread["resources"] == found["resources"]


@pytest.mark.parametrize(
    "forged", ["much", 5, None, {"cpu": "1e9", "memory": "100m"}, {"cpu": 200}, {}]
)
def test_size_in_a_forged_status_counts_as_none(forged: Any) -> None:
    assert body.past({"resources": forged}, NOW_S).size is None
    status.patch({"resources": forged}, told(standing()), 1.0)


def test_new_size_is_told_at_once_and_how_many_have_it_is_not() -> None:
    before = told(standing())
    assert status.patch(before, told(standing(queued=2000.0)), 1.0) is not None
    same = {**before, "resources": {**before["resources"], "settled": 1}}
    assert status.patch(before, same, 59.0) is None
    assert set(status.patch(before, same, 60.0) or {}) == {"resources"}


def deferred() -> Sizes:
    waiting = {"actual": Size(200), "resizing": Resizing.DEFERRED, "detail": "no room"}
    return sizes(pod("p0", 900, since_s=NOW_S - 100, **waiting))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"queued": 400.0}, ("True", "Settled", "Every pod"), id="as wanted"),
        pytest.param({}, ("False", "Resizing", "taking the size"), id="on its way"),
        pytest.param({"sizes": None}, ("Unknown", "NotYetAsked", "not been read"), id="not asked"),
        pytest.param(
            {"sizes": Sizes(Size(), problem="there is no container app")},
            ("Unknown", "NotYetAsked", "there is no container app"),
            id="no such container",
        ),
        pytest.param(
            {"sizes": deferred()},
            ("False", "ResizeDeferred", "pod p0 cannot have 900m: no room"),
            id="given back",
        ),
        pytest.param(
            {"queued": 400.0, "sizes": sizes(pod("p0"), pod("p1", refusal="it has a GPU"))},
            ("False", "ResizeRefused", "it has a GPU"),
            id="a pod that may not be",
        ),
        pytest.param(
            {"app": samples.app(resources={**RESOURCES, "mode": "Off"})},
            ("True", "ResizeOff", "left alone"),
            id="off",
        ),
    ],
)
def test_condition_says_how_sizes_stand(
    changes: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    found = condition(standing(**changes))
    assert (found["status"], found["reason"]) == expected[:2]
    assert expected[2] in found["message"]


def test_words_name_the_size_and_every_move() -> None:
    rows = Rows()
    play(rows)
    found = explain.search([json.loads(line) for line in rows.lines], "workload/ptycho")
    text = "\n".join(explain.entry_words(found, str))
    assert "Size of app: " in text
    assert "Written: quota" in text
    lines = explain.words(told(standing()))
    assert "Size of app: 500m (0 of 2 pods have it; the template says 200m)." in lines


def test_event_of_a_resize_names_the_decision() -> None:
    outcome = standing().outcome
    assert outcome.resize is not None
    event = events.resized(outcome)
    assert event is not None
    assert (event.reason, event.warning) == ("Resized", False)
    assert event.message.startswith("Raised from 200m to 500m: freshness wants")
    assert outcome.resize.decision_id in event.message
    plain = samples.facts(900.0, NOW_S)
    result = turn.turn(FleetMemory(), turn.Moment("t", NOW_S), [plain], settings.Safety())
    assert events.resized(result.outcomes[0]) is None


def metrics_of(found: Standing) -> dict[str, float]:
    metrics = Metrics()
    metrics.apps(lambda: [View(found.facts, found.outcome, NOW_S)], lambda: NOW_S)
    return values(metrics)


def test_metrics_show_sizes_of_apps_that_have_the_knob() -> None:
    shown = metrics_of(standing(sizes=sizes(pod("p0", resizing=Resizing.IN_PROGRESS))))
    app = "ptycho,workload"
    assert shown[f"{Metric.CURRENT_CPU},{app}"] == 0.2
    assert shown[f"{Metric.DESIRED_CPU},{app}"] == 0.5
    assert shown[f"{Metric.UNSETTLED_RESIZES},{app}"] == 1
    assert not [name for name in shown if name.startswith(Metric.RESIZE_QUARANTINED)]


def test_metrics_show_what_the_smallest_pod_has() -> None:
    small, large = (pod(actual=Size(cpu_m, cpu_m << 20)) for cpu_m in (100, 200))
    shown = metrics_of(standing(sizes=sizes(large, small, pod(actual=None))))
    assert shown[f"{Metric.ACTUAL_CPU},ptycho,workload"] == 0.1
    assert shown[f"{Metric.ACTUAL_MEMORY},ptycho,workload"] == 100 << 20


@pytest.mark.parametrize(
    "found", [None, sizes(pod(actual=None))], ids=["not read", "the kubelet does not say"]
)
def test_metrics_when_it_is_not_known_what_pods_have_then_do_not_say(found: Sizes | None) -> None:
    shown = metrics_of(standing(sizes=found))
    actual = (Metric.ACTUAL_CPU, Metric.ACTUAL_MEMORY)
    assert not [name for name in shown if name.startswith(actual)]


def test_metrics_when_a_resize_failed_then_show_why_it_is_not_tried_again() -> None:
    shown = metrics_of(standing(sizes=deferred()))
    assert shown[f"{Metric.RESIZE_QUARANTINED},ptycho,workload,ResizeDeferred"] == 1


def test_metrics_show_what_limits_each_knob() -> None:
    paused = samples.app(resources=RESOURCES, holds=[{"name": "pause", "direction": "Both"}])
    shown = metrics_of(standing(queued=9000.0, app=paused))
    for knob in ("Replicas", "Resources"):
        assert shown[f"{Metric.LIMITED_BY},{knob},Hold,ptycho,workload"] == 1
