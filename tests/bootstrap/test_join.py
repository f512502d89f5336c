"""join: the token's ways in, what is refused, and that a second run needs none."""

import pytest

from tests.bootstrap.host import Host
from tests.bootstrap.test_server import changes

_TOKEN = f"K10{'a' * 64}::b1a2b3.{'c' * 16}"
_SERVER = "https://10.0.0.5:6443"


def test_join_when_the_token_is_piped_in_then_the_agent_runs(host: Host) -> None:
    host.config(SERVER_URL=_SERVER)
    host.succeed("join", stdin=f"{_TOKEN}\n")
    files = host.files()
    assert (host.root / "etc/rancher/k3s/token").read_text() == f"{_TOKEN}\n"
    assert files["/etc/rancher/k3s/token"][0] == "0600"
    assert files["/etc/rancher/k3s/config.yaml"] == (
        "0600",
        f"server: {_SERVER}\nnode-name: host-a\ntoken-file: /etc/rancher/k3s/token\n",
    )
    assert files["/etc/systemd/system/k3s-agent.service"][1] == "agent\n"
    assert changes(host)[-2:] == ["install.sh", "systemctl restart k3s-agent"]


def test_join_when_run_again_then_no_token_is_needed_and_nothing_changes(host: Host) -> None:
    host.config(SERVER_URL=_SERVER)
    host.succeed("join", stdin=f"{_TOKEN}\n")
    host.log()
    before = host.touched()
    host.succeed("join")
    assert changes(host) == []
    assert host.touched() == before


def test_join_when_the_token_lies_in_a_file_of_root_then_it_is_read(host: Host) -> None:
    file = host.world / "its-token"
    file.write_text(f"{_TOKEN}\n")
    file.chmod(0o600)
    host.config(SERVER_URL=_SERVER, TOKEN_FILE=str(file))
    host.succeed("join")
    assert (host.root / "etc/rancher/k3s/token").read_text() == f"{_TOKEN}\n"


def test_join_when_others_can_read_the_file_then_it_is_refused(host: Host) -> None:
    file = host.world / "its-token"
    file.write_text(f"{_TOKEN}\n")
    file.chmod(0o644)
    host.config(SERVER_URL=_SERVER, TOKEN_FILE=str(file))
    told = host.run("join")
    assert told.code == 1
    assert told.err.endswith("can be read by others: chmod 0600 it\n")


@pytest.mark.parametrize("token", ["", "short-token", "K10 half"])
def test_join_when_the_token_does_not_tell_the_server_then_no_file_is_written(
    host: Host, token: str
) -> None:
    host.config(SERVER_URL=_SERVER)
    told = host.run("join", stdin=token)
    assert told.code == 1
    assert told.err.startswith("charon-bootstrap: TOKEN_FILE: the token must be one that")
    assert not token or token not in told.err
    assert "/etc/rancher/k3s/token" not in host.files()


def test_join_when_there_is_no_server_then_the_field_is_named(host: Host) -> None:
    told = host.run("join", stdin=_TOKEN)
    assert told.code == 1
    assert told.err.startswith("charon-bootstrap: SERVER_URL: empty;")
    assert host.log() == []
