"""`charon replay` as a person calls it."""

import json

from click.testing import CliRunner

from charon_operator.cli import main
from charon_operator.lab import simulate
from tests.lab import stream


def journal(tmp_path, alter=False):
    one = stream.played()
    rows = json.loads(json.dumps(simulate.run(one.app, one.policy, stream.scene()).rows))
    if alter:
        turns = [row for row in rows if row["kind"] == "turn"]
        turns[9]["apps"][0]["decision"]["message"] = "something else"
    file = tmp_path / "journal.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_journal_when_it_replays_then_the_counts_are_shown(tmp_path) -> None:
    done = CliRunner().invoke(main, ["replay", str(journal(tmp_path))])
    assert done.exit_code == 0, done.output
    assert "0 differ" in done.stdout


def test_journal_when_a_decision_differs_then_exit_is_1_and_both_are_shown(tmp_path) -> None:
    done = CliRunner().invoke(main, ["replay", str(journal(tmp_path, alter=True))])
    assert done.exit_code == 1
    assert "1 differ" in done.stdout
    assert "something else" in done.stdout


def test_json_when_asked_for_then_names_the_first_difference(tmp_path) -> None:
    done = CliRunner().invoke(main, ["replay", str(journal(tmp_path, alter=True)), "-o", "json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["first"]["app"] == "workload/ptycho"


def test_file_that_is_no_journal_when_replayed_then_one_line_says_so(tmp_path) -> None:
    file = tmp_path / "x"
    file.write_text("hello\n")
    done = CliRunner().invoke(main, ["replay", str(file)])
    assert done.exit_code == 1
    assert "no start row" in done.output
