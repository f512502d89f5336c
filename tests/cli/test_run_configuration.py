"""`charon run` refuses a wrong configuration with one line and exit code 2 (reliability.md B22)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from charon_operator.cli import main

CASES = {
    "url without scheme": "mimir: {url: 'mimir:8080'}",
    "url with credentials": "mimir: {url: 'http://me:pw-canary@mimir/prometheus'}",
    "url with a port that is none": "mimir: {url: 'http://mimir:99999'}",
    "url with an address that is none": "mimir: {url: 'http://10.0.0.256'}",
    "missing ca file": "mimir: {ca_file: /nowhere/ca.pem}",
    "ca file that is none": "mimir: {ca_file: EMPTY}",
    "empty password file": "mimir: {username: me, password_file: EMPTY}",
    "password without user": "mimir: {password_file: EMPTY}",
    "unreadable token file": "mimir: {bearer_token_file: /nowhere/token}",
    "token file of two lines": "mimir: {bearer_token_file: LINES}",
    "certificate without key": "mimir: {certificate_file: EMPTY}",
    "tenant of several": "mimir: {scopes: [{tenant: 'a|b'}]}",
    "matcher that is none": "mimir: {scopes: [{matchers: ['namespace=']}]}",
    "matcher of two": """mimir: {scopes: [{matchers: ['a="b" or c="d"']}]}""",
    "unknown setting": "mimirr: {}",
    "not yaml": "mimir: [",
    "not a mapping": "- mimir",
    "journal nowhere": "journal: {path: EMPTY/deep/journal}",
    "lease times in disorder": "lease: {duration_seconds: 5, renew_deadline_seconds: 10}",
    "templates without placement": "placement: {templates: true}",
    "port out of range": "health: {port: 70000}",
}


@pytest.mark.parametrize("content", CASES.values(), ids=CASES.keys())
def test_configuration_when_wrong_then_one_line_and_exit_code_2(
    content: str, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    lines = tmp_path / "lines"
    lines.write_text("tok-canary\nmore\n")
    file = tmp_path / "charon.yaml"
    file.write_text(content.replace("EMPTY", str(empty)).replace("LINES", str(lines)))
    result = CliRunner().invoke(main, ["run", "--config", str(file), "--check-config"])
    assert result.exit_code == 2
    assert len(result.output.strip().splitlines()) == 1, result.output
    assert result.output.startswith("Error: ")
    assert "canary" not in result.output


def test_configuration_when_good_then_says_so(tmp_path: Path) -> None:
    file = tmp_path / "charon.yaml"
    file.write_text("mimir: {url: 'https://mimir/prometheus'}")
    result = CliRunner().invoke(main, ["run", "--config", str(file), "--check-config"])
    assert (result.exit_code, result.output) == (0, "The configuration is good.\n")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHARON_MIMIR__TIMEOUT_SECONDS", "soon"),
        ("CHARON_MIMIR__SCOPES", "not json"),
        ("CHARON_FORCE_MODE", "Active"),
    ],
)
def test_variable_when_of_the_wrong_type_then_one_line_and_exit_code_2(
    variable: str, value: str
) -> None:
    result = CliRunner().invoke(main, ["run", "--check-config"], env={variable: value})
    assert result.exit_code == 2
    assert len(result.output.strip().splitlines()) == 1, result.output


@pytest.mark.parametrize(
    "arguments",
    [["--kubeconfig", "/nowhere/kubeconfig"], ["--force-mode", "Loud"], ["--no-such-flag"]],
    ids=" ".join,
)
def test_process_when_it_cannot_start_then_ends_with_2_and_no_traceback(
    arguments: list[str],
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "charon_operator", "run", "--health-port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "CHARON_HEALTH__HOST": "127.0.0.1"},
        check=False,
    )
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_help_when_asked_then_shows_examples() -> None:
    result = CliRunner().invoke(main, ["run", "--help"])
    assert "charon run --config charon.yaml --check-config" in result.output
