"""The scripts of .ci on a made-up project: exit codes, what is left behind, an end by signal."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.ship.chart import ROOT
from tests.testbed_fixtures import wait_until

SCRIPTS = sorted((ROOT / ".ci").iterdir())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_bash_that_parses_and_is_executable(script: Path) -> None:
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True, timeout=30)


@pytest.mark.skipif(
    not shutil.which("shellcheck"), reason="shellcheck is not here: `apt install shellcheck`"
)
def test_scripts_have_nothing_for_shellcheck() -> None:
    subprocess.run(["shellcheck", "--severity=warning", *SCRIPTS], check=True, timeout=60)


def project(folder: Path, recipe: str) -> Path:
    """A project whose `make test` is one line of shell."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    (folder / "Makefile").write_text(f"test:\n\t@{recipe}\n")
    return folder / ".ci" / "run"


@pytest.mark.parametrize(("recipe", "code"), [("echo fine", 0), ("exit 3", 2)])
def test_exit_code_is_that_of_make_test(tmp_path: Path, recipe: str, code: int) -> None:
    done = subprocess.run([project(tmp_path, recipe)], timeout=60, capture_output=True)
    assert done.returncode == code, done.stderr


def test_what_a_bare_machine_lacks_is_installed(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    # All that this machine has but for one tool, and a package manager that only notes its orders.
    for folder in os.get_exec_path():
        for path in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if path.name not in ("shellcheck", "apt-get", "sudo"):
                with contextlib.suppress(FileExistsError):
                    (programs / path.name).symlink_to(path)
    (programs / "apt-get").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    (programs / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    for name in ("apt-get", "sudo"):
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": str(programs)}
    subprocess.run([project(tmp_path, "true")], check=True, timeout=60, env=environment)
    update, install = (tmp_path / "asked").read_text().splitlines()
    assert update == "update -qq"
    assert install.split()[-1] == "shellcheck"


def test_what_is_left_running_fails_the_run_and_is_ended(tmp_path: Path) -> None:
    # A process in the middle of its exec has no environment to be found by: make waits for it.
    through = "until grep -q ^sleep /proc/$$!/cmdline; do :; done"
    recipe = f"setsid sleep 300 >/dev/null 2>&1 & echo $$! > pid; {through}"
    done = subprocess.run([project(tmp_path, recipe)], timeout=60, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Left running:" in done.stderr
    assert "sleep 300" in done.stderr
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not _alive(pid), "the end of what was left")


def test_a_signal_ends_the_whole_run(tmp_path: Path) -> None:
    recipe = "echo $$$$ > pid; exec sleep 300"
    running = subprocess.Popen([project(tmp_path, recipe)])
    file = tmp_path / "pid"
    wait_until(lambda: file.exists() and file.read_text().strip(), "make to start")
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 143
    wait_until(lambda: not _alive(int(file.read_text())), "the end of make's child")


def test_a_signal_ends_the_stage_that_runs(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "stages", tmp_path / ".ci" / "stages")
    programs, file = tmp_path / ".venv" / "bin", tmp_path / "pid"
    programs.mkdir(parents=True)
    for name in ("charon", "mypy", "pytest", "ruff"):
        body = "echo $$ > pid; exec sleep 300" if name == "pytest" else "exit 0"
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen([tmp_path / ".ci" / "stages"], env=environment)
    wait_until(lambda: file.exists() and file.read_text().strip(), "a stage to start")
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 143
    wait_until(lambda: not _alive(int(file.read_text())), "the end of the stage's program")


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False
