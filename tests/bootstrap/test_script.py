"""The script as a whole: its size, what shellcheck says, and the plan that it prints."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bootstrap.host import ALL, BOOTSTRAP, Host

_SCRIPTS = [BOOTSTRAP / "charon-bootstrap", *sorted((BOOTSTRAP / "steps").iterdir())]


@pytest.mark.skipif(
    not shutil.which("shellcheck"), reason="shellcheck is not here: `apt install shellcheck`"
)
def test_scripts_have_nothing_for_shellcheck() -> None:
    player = Path(__file__).parent / "stand_in.bash"
    subprocess.run(["shellcheck", *_SCRIPTS, player], check=True, timeout=100)


def test_scripts_together_are_under_600_lines() -> None:
    assert sum(len(path.read_text().splitlines()) for path in _SCRIPTS) < 600
    assert os.access(_SCRIPTS[0], os.X_OK)


def test_help_when_printed_then_it_has_every_verb(host: Host) -> None:
    verbs = re.findall(r"(?m)^step_(\w+)\(\)", "\n".join(path.read_text() for path in _SCRIPTS))
    assert sorted(verbs) == sorted(re.findall(r"(?m)^  ([a-z]+)  ", host.succeed("--help")))


@pytest.mark.parametrize("verbs", [(*ALL, "verify"), ("join",), ("reset",)])
def test_dry_run_when_the_machine_is_bare_then_nothing_is_touched(
    host: Host, verbs: tuple[str, ...]
) -> None:
    before = host.state()
    host.config(SERVER_URL="https://10.0.0.5:6443", OPERATOR_IMAGE="charon-operator:1", GPU="yes")
    host.succeed("--dry-run", *verbs)
    assert host.state() == before
    asked = {line.split()[0] for line in host.log()}
    assert asked <= {"id", "uname", "nproc", "systemctl"}


def commands(printed: str) -> list[str]:
    """Those shown, but for apply, which tells what it did instead."""
    shown = [line for line in printed.splitlines() if line.startswith("+ ")]
    return [line for line in shown if line != "+ k3s kubectl apply -f -"]


def test_dry_run_when_run_for_real_then_the_plan_was_all_of_it_in_its_order(host: Host) -> None:
    plan = host.succeed("--dry-run", *ALL)
    assert commands(plan) == commands(host.succeed(*ALL))
    assert len(commands(plan)) > 12


def test_dry_run_when_there_are_gpus_then_every_change_was_in_the_plan(gpu_host: Host) -> None:
    gpu_host.config(GPU="yes", OPERATOR_IMAGE="charon-operator:1")
    plan = gpu_host.succeed("--dry-run", *ALL)
    gpu_host.log()
    done = gpu_host.succeed(*ALL)
    assert len(commands(done)) > 20
    # More is planned than done: whether k3s must be restarted for the runtime shows when it runs.
    assert not [line for line in commands(done) if line not in commands(plan)]
    written = re.findall(r"(?m)^wrote (\d+ \S+)$", done)
    assert len(written) > 10
    # The mark that a step is done is no part of what it does.
    assert not [one for one in written if f"write {one}" not in plan and ".applied" not in one]


def test_dry_run_when_checksums_are_missing_then_the_plan_says_which(host: Host) -> None:
    host.version("NODE_EXPORTER_SHA256", "")
    told = host.run("--dry-run", *ALL)
    assert told.code == 0
    assert told.err.startswith("would be refused: NODE_EXPORTER_SHA256 is empty")
    assert "helm upgrade --install charon-operator" in told.out


def test_dry_run_when_nothing_is_configured_then_the_plan_is_whole_and_says_what_lacks(
    host: Host,
) -> None:
    (host.checkout / "bootstrap/cluster.env").unlink()
    told = host.run("--dry-run", *ALL)
    assert told.code == 0
    assert [line.split(":")[1] for line in told.err.splitlines()] == [" OPERATOR_IMAGE"]
    assert [line for line in told.out.splitlines() if line.startswith("== ")] == [
        f"== {verb}" for verb in ALL
    ]
