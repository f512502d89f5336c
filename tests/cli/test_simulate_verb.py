"""`charon simulate` as a person calls it."""

import json

import pytest
from click.testing import CliRunner

from charon_operator.cli import main, simulate
from tests.lab import stream

EXAMPLE = str(stream.EXAMPLE)


def call(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


def test_example_when_simulated_then_a_scorecard_a_picture_and_a_journal_come_out(tmp_path) -> None:
    plot, journal = tmp_path / "new" / "run.png", tmp_path / "run.jsonl"
    done = call("simulate", EXAMPLE, "--plot", str(plot), "--journal", str(journal))
    assert done.exit_code == 0, done.output
    assert "times the optimum's" in done.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    again = call("replay", str(journal), "-o", "json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["mismatches"] == 0


def test_several_seeds_when_asked_for_as_json_then_there_is_one_card_each() -> None:
    done = call("simulate", EXAMPLE, "--seeds", "2", "--seed", "5", "-o", "json")
    assert done.exit_code == 0, done.output
    assert [card["seed"] for card in json.loads(done.stdout)] == [5, 6]


def test_another_law_when_named_then_it_is_played() -> None:
    chosen = ["--law", "PD", "--parameter", "unitsPerReplica=64", "--parameter", "kp=1"]
    done = call("simulate", EXAMPLE, *chosen, "-o", "json")
    assert done.exit_code == 0, done.output
    assert {"PD", "PD of 2024", "optimum"} <= json.loads(done.stdout)[0].keys()


def test_parameter_when_the_law_stays_then_the_others_of_the_policy_stay() -> None:
    own = stream.played().policy.spec.controller
    same = simulate.example_of(stream.EXAMPLE, None, ("drainSeconds=7",)).policy.spec.controller
    assert own.parameters.keys() > {"drainSeconds"}
    assert same.parameters == {**own.parameters, "drainSeconds": "7"}
    other = simulate.example_of(stream.EXAMPLE, "PD", ("kp=1", "unitsPerReplica=64"))
    assert other.policy.spec.controller.parameters == {"kp": "1", "unitsPerReplica": "64"}


WRONG = {
    "unknown law": (["--law", "Magic"], "not a control law; choose one of"),
    "unknown parameter": (["--parameter", "speed=1"], "speed: is not a parameter"),
    "parameter without a value": (["--parameter", "kp"], "NAME=VALUE"),
    "no such arrivals": (["--arrivals", "none.csv"], "none.csv: cannot be read"),
    "no such plant": (["--plant", "none.json"], "--plant"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_option_when_given_then_one_line_says_what_to_do(case: str) -> None:
    options, words = WRONG[case]
    done = call("simulate", EXAMPLE, *options)
    assert done.exit_code == 1
    assert words in done.output
    assert "Traceback" not in done.output


def test_path_that_is_not_there_when_simulated_then_is_wrong_usage() -> None:
    assert call("simulate", "nowhere").exit_code == 2


def test_help_when_asked_for_then_shows_examples() -> None:
    assert "charon simulate examples/01-hold-a-queue" in call("simulate", "--help").output
