"""Broken at every step and run again, it ends in the same state."""

from pathlib import Path

import pytest

from tests.bootstrap.host import ALL, Host, Told

# Some fifty runs of the script, on a machine that does other things too.
pytestmark = pytest.mark.timeout(400)

# A call that only waits or only looks is asked again within the same run.
_FEWEST_BREAKS = 30


def walk(host: Host, how: str, *verbs: str, stdin: str = "") -> list[Told]:
    """Runs again and again; each distinct call breaks once. Gives how each run ended."""
    (host.world / "broken").touch()
    (host.world / how).touch()
    ended: list[Told] = []
    while True:
        before = broken(host)
        ended.append(host.run(*verbs, stdin=stdin))
        if broken(host) == before:
            assert ended[-1].code == 0, ended[-1]
            return ended


def broken(host: Host) -> int:
    return len((host.world / "broken").read_text().splitlines())


@pytest.mark.parametrize("how", ["fail", "interrupt", "kill"])
def test_install_when_broken_at_every_step_then_it_ends_the_same(tmp_path: Path, how: str) -> None:
    undisturbed, host = Host(tmp_path / "undisturbed", gpu=True), Host(tmp_path / "host", gpu=True)
    for each in (undisturbed, host):
        each.config(GPU="yes", OPERATOR_IMAGE="charon-operator:1")
    undisturbed.succeed(*ALL, "verify")
    ended = [run for verb in (*ALL, "verify") for run in walk(host, how, verb)]
    assert broken(host) >= _FEWEST_BREAKS
    assert host.state() == undisturbed.state()
    if how == "interrupt":
        told = {run.err.splitlines()[-1] for run in ended if run.code}
        assert told == {"charon-bootstrap: interrupted: the same command goes on from here"}


def test_server_when_killed_before_each_small_tool_then_it_ends_the_same(tmp_path: Path) -> None:
    """Between any two commands: a file half written, a mode not set, a draft not moved."""
    undisturbed, host = Host(tmp_path / "undisturbed"), Host(tmp_path / "host")
    host.record_every_command()
    undisturbed.succeed("server")
    walk(host, "kill-small", "server")
    assert broken(host) >= _FEWEST_BREAKS
    assert host.state() == undisturbed.state()


@pytest.mark.parametrize("how", ["fail", "interrupt", "kill"])
def test_join_when_broken_at_every_step_then_it_ends_the_same(tmp_path: Path, how: str) -> None:
    undisturbed, host = Host(tmp_path / "undisturbed"), Host(tmp_path / "host")
    token = f"K10{'a' * 64}::b1a2b3.{'c' * 16}\n"
    for each in (undisturbed, host):
        each.config(SERVER_URL="https://10.0.0.5:6443")
    undisturbed.succeed("join", stdin=token)
    walk(host, how, "join", stdin=token)
    assert host.state() == undisturbed.state()


@pytest.mark.parametrize("how", ["fail", "interrupt", "kill"])
def test_reset_when_broken_at_every_step_then_nothing_is_left(host: Host, how: str) -> None:
    host.succeed(*ALL)
    walk(host, how, "--yes", "reset")
    assert host.files() == {}
