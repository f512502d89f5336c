"""`charon explain` when there is nothing to explain: one line that says what to do."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from charon_operator.cli import main
from tests.cli.conftest import Serving, kubeconfig


def test_explain_when_nobody_listens_then_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        # Bound and not listening: whoever connects is refused.
        taken.bind(("127.0.0.1", 0))
        file = kubeconfig(tmp_path, taken.getsockname()[1])
        result = CliRunner().invoke(main, ["explain", "web", "-n", "ns", "--kubeconfig", file])
    assert result.exit_code == 1
    assert "cannot be asked: Connection refused; try kubectl" in result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize("content", ["", "{}", "nonsense", "users: ["], ids=repr)
def test_explain_when_the_kubeconfig_is_none_then_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(content)
    result = CliRunner().invoke(main, ["explain", "web", "--kubeconfig", str(file)])
    assert result.exit_code == 1, result.exception
    assert len(result.output.strip().splitlines()) == 1


def test_explain_when_the_context_is_unknown_then_names_those_there_are(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, 9)
    result = CliRunner().invoke(main, ["explain", "web", "--kubeconfig", file, "--context", "zz"])
    assert result.exit_code == 1
    assert result.output == f"Error: {file} has no context 'zz'; it has: c\n"


def app(status: object) -> bytes:
    return json.dumps({"metadata": {"namespace": "ns"}, "status": status}).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "answers like no Kubernetes API server"),
        (b"[]", "answers like no Kubernetes API server"),
        (app({"conditions": ["x"]}), "ns/web: status is not as this version writes it"),
        (app("x"), "ns/web: status is not as this version writes it"),
    ],
    ids=["no JSON", "no object", "conditions of text", "status of text"],
)
def test_explain_when_the_answer_is_none_then_one_line(
    tmp_path: Path, serving: Serving, content: bytes, words: str
) -> None:
    file = kubeconfig(tmp_path, serving(lambda _: content))
    result = CliRunner().invoke(main, ["explain", "web", "--kubeconfig", file])
    assert result.exit_code == 1, result.exception
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"\xff\xfe\x00 no text\n", 0, "says nothing of it"),
        (b'{"kind": "turn", "apps": [{"app": "ns/web"}]}\n', 1, "is not as this version writes it"),
    ],
    ids=["not UTF-8", "a row without its fields"],
)
def test_explain_when_the_journal_is_damaged_then_says_so(
    tmp_path: Path, serving: Serving, content: bytes, code: int, words: str
) -> None:
    file, journal = kubeconfig(tmp_path, serving(lambda _: app({}))), tmp_path / "journal.jsonl"
    journal.write_bytes(content)
    arguments = ["explain", "web", "--kubeconfig", file, "--journal", str(journal)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.exception
    assert words in result.output


def test_help_when_asked_then_shows_examples() -> None:
    result = CliRunner().invoke(main, ["explain", "--help"])
    assert "charon explain ptycho -n workload --journal journal.jsonl" in result.output
