"""Words about a decision: from the status alone, and with the journal."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

from charon_operator.record import explain
from tests.record.test_journal_roundtrip import Rows, play


def stamp(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%H:%M:%S")


def rows() -> Sequence[Mapping[str, Any]]:
    kept = Rows()
    play(kept)
    return [json.loads(line) for line in kept.lines]


def test_words_when_a_status_is_empty_then_say_that_nothing_was_decided() -> None:
    assert explain.words({}) == ["No decision has been told yet."]


def test_words_when_a_limit_changed_the_wish_then_name_both() -> None:
    decision = {"time": "T", "message": "Held at 2.", "raw": 7, "to": 2, "decisionId": "d"}
    lines = explain.words({"lastDecision": {**decision, "limitedBy": ["Hold"]}})
    assert "The control law asked for 7; limits made it 2: Hold." in lines


def test_words_when_something_is_wrong_then_say_what_and_since_when() -> None:
    bad = {"status": "False", "reason": "R", "message": "M", "lastTransitionTime": "T"}
    well = {"status": "False", "reason": "SoleOwner", "message": "M", "lastTransitionTime": "T"}
    conditions = [{"type": "Ready", **bad}, {"type": "OwnershipConflict", **well}]
    lines = explain.words({"conditions": conditions})
    assert lines[1:] == ["Ready is False since T (R): M"]


def test_journal_when_searched_then_gives_the_last_change_with_its_inputs_and_write() -> None:
    found = explain.search(rows(), "workload/ptycho")
    text = "\n".join(explain.entry_words(found, stamp))
    assert found.moved is not None
    assert found.decided is not None
    assert text.startswith("The last change, decided at")
    assert "queued: " in text
    assert ": Written" in text
    assert "wants" in text


def test_journal_when_it_does_not_know_the_app_then_says_nothing() -> None:
    assert explain.entry_words(explain.search(rows(), "workload/nobody"), stamp) == []
