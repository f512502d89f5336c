"""The README's commands, as they stand there, on three played hosts; each does what it says."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.bootstrap.host import BOOTSTRAP, IMAGE, Host

_README = (BOOTSTRAP / "README.md").read_text()
_BLOCKS = re.findall(r"```sh\n(.*?)```", _README, re.DOTALL)
_SSH = """#!/bin/bash
. "$HOSTS/$1"
cd "$CHECKOUT" && exec bash -c "$2"
"""


@pytest.fixture
def hosts(tmp_path: Path) -> dict[str, Host]:
    """a, b and c, each reached by ssh from each; sudo changes nothing. a has GPUs."""
    hosts = {name: Host(tmp_path / name, gpu=name == "a") for name in "abc"}
    for name, host in hosts.items():
        programs = [f"{host.programs}", f"{host.root}/usr/local/bin", "/usr/bin", "/bin"]
        reached = {
            "PATH": ":".join(programs),
            "WORLD": host.world,
            "CHECKOUT": host.checkout,
            "CHARON_BOOTSTRAP_ROOT": host.root,
            "CHARON_VERIFY_PATIENCE_S": "0",
            "HOSTS": tmp_path,
        }
        text = "".join(f"export {key}={value}\n" for key, value in reached.items())
        (tmp_path / f"{name}.env").write_text(text)
        for program, body in {"ssh": _SSH, "sudo": '#!/bin/bash\nexec "$@"\n'}.items():
            path = host.programs / program
            path.write_text(body.replace('"$HOSTS/$1"', '"$HOSTS/$1.env"'))
            path.chmod(0o755)
    for name in "bc":
        hosts[name].config(SERVER_URL="https://10.0.0.5:6443")
    return hosts


def say(host: Host, command: str) -> subprocess.CompletedProcess[str]:
    """Runs it on that host as its user would."""
    return subprocess.run(
        ["bash", "-o", "pipefail", host.programs / "ssh", host.root.parent.name, command],
        env={"HOSTS": str(host.root.parents[1]), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )


def commands(block: str) -> list[str]:
    return [line.split("  #")[0].strip() for line in block.splitlines()]


def test_commands_when_said_as_they_stand_there_then_each_does_what_it_says(
    hosts: dict[str, Host],
) -> None:
    a = hosts["a"]
    for line in [line for block in _BLOCKS for line in commands(block)]:
        told = say(a, line)
        if line.endswith("charon-bootstrap reset"):
            assert told.stderr.endswith("say --yes\n")
        else:
            assert told.returncode == 0, (line, told.stdout, told.stderr)
        if line.startswith("cp "):
            a.config(OPERATOR_IMAGE=IMAGE)
    for name in "bc":
        assert (hosts[name].world / "units/k3s-agent").exists()
    assert set((a.world / "units").iterdir()) == set()


def test_table_of_changes_when_read_then_every_place_written_is_below_one_it_names(
    host: Host,
) -> None:
    host.succeed("server", "stack", "operator")
    [table] = re.findall(r"(?s)\| what \| where \|\n(.*?)\n\n", _README)
    places = re.findall(r"`(/[\w/-]+)`", table)
    assert not [path for path in host.files() if not path.startswith(tuple(places))]
