"""Rows lose nothing: facts, decisions and whole turns come back as they were."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator import settings
from charon_operator.loop import turn
from charon_operator.model.decision import Past
from charon_operator.model.facts import AppFacts, Broken
from charon_operator.model.memory import Action, FleetMemory
from charon_operator.model.reading import Attainment, Missing, MissingReason, Reading
from charon_operator.model.workload import Absent, Key, Rival
from charon_operator.ports import WriteOutcome, WriteResult
from charon_operator.record import journal, journal_file
from tests.record import samples

finite = st.floats(allow_nan=False, allow_infinity=False)
sampled = st.one_of(
    st.builds(Reading, finite, finite, st.none() | st.floats(0, 1)),
    st.builds(Missing, st.sampled_from(MissingReason), st.text(max_size=20)),
)


class Rows:
    """Keeps rows in memory, as lines, the way a file would."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.lines += [journal_file.encode(row) for row in rows]


def wire(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


@given(
    readings=st.dictionaries(st.sampled_from(["queued", "arrivals"]), sampled),
    attainment=st.builds(Attainment, st.none() | finite, finite, finite, finite),
    forced=st.text(max_size=10),
)
def test_facts_when_written_and_read_then_are_the_same(
    readings: dict[str, Any], attainment: Attainment, forced: str
) -> None:
    facts = AppFacts(
        app=samples.app(),
        policy=samples.policy(),
        workload=samples.workload(),
        rivals=(Rival("HorizontalPodAutoscaler", "a", "b", 1.5, "u"),),
        readings=readings,
        attainments={"freshness": attainment},
        forced_advisory=forced,
        past=Past(samples.pending(), decided=True, yielded_to="argocd", yielded_at=3),
    )
    assert journal.facts_from_json(wire(journal.facts_to_json(facts))) == facts


@pytest.mark.parametrize(
    "facts",
    [
        AppFacts(Broken(Key("a", "b"), "u", 3, "spec.replicas", "is missing")),
        AppFacts(
            samples.app(holds=[{"name": "pause", "until": "2026-11-24T10:00:00+01:00"}]),
            policy=Broken(Key("a", "p"), "u", 3, "spec.periodSeconds", "too small"),
            workload=Absent(samples.workload().target, "TargetNotFound", "gone"),
            broken_queries=(Broken(Key("a", "b"), "u", 3, "spec.indicators[q].query", "no"),),
        ),
    ],
    ids=["broken app", "broken policy, absent target"],
)
def test_broken_facts_when_written_and_read_then_are_the_same(facts: AppFacts) -> None:
    assert journal.facts_from_json(wire(journal.facts_to_json(facts))) == facts


def play(rows: Rows, *, anew: bool = False) -> FleetMemory:
    recorder, safety, memory = journal.Recorder(rows, "test"), settings.Safety(), FleetMemory()
    recorder.start(1000.0, safety, memory)
    replicas = 2
    for number, queued in enumerate([100.0, 900.0, 4000.1, 0.1 + 0.2]):
        now_s = 1000.0 + 5.0 * number
        facts = [samples.facts(queued, now_s, replicas)]
        result = turn.turn(memory, turn.Moment(f"t{number}", now_s), facts, safety)
        memory = result.memory
        recorder.turn(f"t{number}", now_s, facts, result.outcomes)
        decision = result.outcomes[0].decision
        if decision.moves:
            outcome = WriteOutcome.WRITTEN
            action = Action(now_s + 0.25, decision.current, decision.final)
            if anew:
                recorder.start(now_s + 0.125, safety, memory)
            memory = turn.acted(memory, facts[0].key, action, outcome)
            recorder.write(f"t{number}", now_s + 0.25, facts[0].key, decision, WriteResult(outcome))
            replicas = decision.final
    return memory


@pytest.mark.parametrize("anew", [False, True], ids=["one start", "begun anew during a move"])
def test_journal_when_replayed_then_gives_the_same_decisions_to_the_byte(anew: bool) -> None:
    rows = Rows()
    ended = play(rows, anew=anew)
    reader, memory, safety, writes, turns = journal.Reader(), FleetMemory(), None, 0, 0
    for line in rows.lines:
        match reader.read(json.loads(line)):
            case journal.Start() as start:
                memory, safety = start.memory, start.safety
            case journal.Turn() as played:
                assert safety is not None
                moment = turn.Moment(played.turn_id, played.now_s)
                result = turn.turn(memory, moment, played.facts, safety)
                memory, turns = result.memory, turns + 1
                again = [journal.decision_to_json(o.decision) for o in result.outcomes]
                assert json.dumps(again) == json.dumps(list(played.decisions))
            case journal.Write() as write:
                writes += 1
                memory = turn.acted(memory, write.key, write.action, write.outcome)
    assert (turns, memory) == (4, ended)
    assert writes >= 1


def test_spec_when_unchanged_then_is_written_once() -> None:
    rows = Rows()
    play(rows)
    kinds = [json.loads(line)["kind"] for line in rows.lines]
    assert (kinds.count("spec"), kinds.count("policy"), kinds[0]) == (1, 1, "start")


def test_row_when_of_another_schema_then_is_refused() -> None:
    with pytest.raises(ValueError, match="schema 7"):
        journal.Reader().read({"v": 7, "kind": "turn"})
