"""`charon lab`: what a person types, and what comes back."""

import json
import pathlib
import signal
import subprocess
import sys

import click.testing
import pytest

from charon_operator import errors, testbed
from charon_operator.cli import lab_testbed
from charon_operator.testbed import layout, state
from tests.testbed_fixtures import wait_until


def lab(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(lab_testbed.lab, arguments)


@pytest.mark.parametrize("verb", ["up", "status", "down", "kubeconfig", "build"])
def test_lab_when_asked_for_help_then_every_verb_has_some(verb: str) -> None:
    shown = lab(verb, "--help")
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 5


def test_status_when_none_runs_then_says_how_to_start_one_and_exits_with_1(
    tmp_path: pathlib.Path,
) -> None:
    shown = lab("status", "--folder", str(tmp_path))
    assert (shown.exit_code, "charon lab up" in shown.output) == (1, True)
    told = lab("status", "--folder", str(tmp_path), "-o", "json")
    assert told.exit_code == 1
    assert json.loads(told.output) == {"folder": str(tmp_path), "up": False, "processes": []}


def test_down_when_none_runs_then_is_content(tmp_path: pathlib.Path) -> None:
    shown = lab("down", "--folder", str(tmp_path))
    assert (shown.exit_code, "No testbed runs" in shown.output) == (0, True)


def test_kubeconfig_when_none_runs_then_says_how_to_start_one(tmp_path: pathlib.Path) -> None:
    shown = lab("kubeconfig", "--folder", str(tmp_path))
    assert isinstance(shown.exception, errors.TestbedError)
    assert "charon lab up" in str(shown.exception)


@pytest.mark.testbed
def test_lab_when_a_testbed_runs_then_up_status_and_kubeconfig_tell_of_it(
    bed: testbed.Testbed,
) -> None:
    folder = f"--folder={bed.folder}"
    again = lab("up", folder)
    assert (again.exit_code, "Already up" in again.output) == (0, True)
    assert str(bed.kubeconfig) in again.output
    told = json.loads(lab("status", folder, "-o", "json").output)
    assert told["up"]
    assert {p["state"] for p in told["processes"]} == {"Running"}
    assert "kube-apiserver" in lab("status", folder).output
    assert lab("kubeconfig", folder).output.strip() == str(bed.kubeconfig)
    assert lab("kubeconfig", folder, "--raw").output.strip() == bed.kubeconfig.read_text().strip()
    refused = lab("down", folder + "-elsewhere", "--delete")
    assert refused.exit_code == 0


@pytest.mark.testbed
def test_up_when_interrupted_then_stops_everything_and_keeps_the_data(
    tmp_path: pathlib.Path,
) -> None:
    files = layout.Layout(tmp_path / "lab")
    program = "from charon_operator.cli.lab_testbed import lab; lab()"
    running = subprocess.Popen(
        [sys.executable, "-c", program, "up", "--folder", str(files.folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with running:
        up = wait_until(lambda: state.alive(files), "the testbed to be up", timeout_s=60)
        assert running.stdout is not None
        for line in running.stdout:
            if "kwok" in line:
                break
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
    assert "Stopping" in rest
    assert running.returncode == 0
    assert all(p.state == "Exited" for p in up.processes)
    assert state.alive(files) is None
    assert files.data("etcd").exists()
