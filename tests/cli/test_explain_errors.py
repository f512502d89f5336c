"""`charon explain` when there is nothing to explain: one line that says what to do."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from charon_operator.cli import main


def kubeconfig(folder: Path, port: int) -> str:
    file = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
    }
    file.write_text(json.dumps(content))
    return str(file)


def test_explain_when_nobody_listens_then_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        # Bound and not listening: whoever connects is refused.
        taken.bind(("127.0.0.1", 0))
        file = kubeconfig(tmp_path, taken.getsockname()[1])
        result = CliRunner().invoke(main, ["explain", "web", "-n", "ns", "--kubeconfig", file])
    assert result.exit_code == 1
    assert result.output.startswith("Error: the API server cannot be asked: ")
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize("content", ["", "{}", "nonsense", "users: ["], ids=repr)
def test_explain_when_the_kubeconfig_is_none_then_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(content)
    result = CliRunner().invoke(main, ["explain", "web", "--kubeconfig", str(file)])
    assert result.exit_code == 1, result.exception
    assert len(result.output.strip().splitlines()) == 1


def test_help_when_asked_then_shows_examples() -> None:
    result = CliRunner().invoke(main, ["explain", "--help"])
    assert "charon explain ptycho -n workload --journal journal.jsonl" in result.output
