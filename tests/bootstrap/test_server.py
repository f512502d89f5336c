"""server: exactly which files, modes and commands; again, nothing; a change restarts once."""

import pytest

from tests.bootstrap.host import Host

_RELEASES = "https://github.com/k3s-io/k3s/releases/download"
_RAW = "https://raw.githubusercontent.com/k3s-io/k3s"
_CURL = "curl -fsSL --proto =https --retry 3 -o"
_READ_ONLY = ("id ", "uname ", "nproc", "nvidia-", "systemctl is-active", "k3s kubectl get ")
_CONFIG = """\
node-name: host-a
token-file: /etc/rancher/k3s/token
agent-token-file: /etc/rancher/k3s/agent-token
cluster-cidr: 10.31.0.0/16
service-cidr: 10.32.0.0/16
cluster-dns: 10.32.0.10
flannel-backend: vxlan
secrets-encryption: true
disable: [traefik, servicelb]
write-kubeconfig-mode: "0600"

"""


def changes(host: Host) -> list[str]:
    """The calls that may change something."""
    return [line for line in host.log() if not line.startswith(_READ_ONLY)]


def test_server_when_host_is_bare_then_exactly_these_commands(host: Host) -> None:
    host.succeed("server")
    versions = {name: text.replace("+", "%2B") for name, text in host.versions().items()}
    assert changes(host) == [
        f"{_CURL} /usr/local/bin/k3s.draft {_RELEASES}/{versions['K3S_VERSION']}/k3s",
        f"{_CURL} /var/lib/charon-bootstrap/install.sh.draft "
        f"{_RAW}/{versions['K3S_INSTALL_VERSION']}/install.sh",
        "install.sh",
        "systemctl restart k3s",
    ]


def test_server_when_host_is_bare_then_exactly_these_files(host: Host) -> None:
    host.succeed("server")
    files = host.files()
    written = {path: mode for path, (mode, _) in files.items() if "containerd" not in path}
    assert written == {
        "/etc/rancher/k3s/agent-token": "0600",
        "/etc/rancher/k3s/config.yaml": "0600",
        "/etc/rancher/k3s/token": "0600",
        "/etc/systemd/system/k3s.service": "0600",
        "/usr/local/bin/k3s": "0755",
        "/usr/local/bin/k3s-killall.sh": "0755",
        "/usr/local/bin/k3s-uninstall.sh": "0755",
        "/var/lib/charon-bootstrap/install.sh": "0755",
        "/var/lib/charon-bootstrap/k3s.applied": "0600",
    }
    assert files["/etc/rancher/k3s/config.yaml"][1] == _CONFIG
    assert files["/etc/rancher/k3s/token"][1] == "65 characters"


def test_server_when_run_again_then_nothing_is_changed(host: Host) -> None:
    host.succeed("server")
    host.log()
    before = host.touched()
    assert "k3s: nothing changed" in host.succeed("server")
    assert changes(host) == []
    assert host.touched() == before


def test_server_when_a_field_changes_then_k3s_is_restarted_once(host: Host) -> None:
    host.succeed("server")
    host.log()
    host.config(KUBECONFIG_GROUP="root", NODE_IP="10.0.0.5", NODE_NAME="first")
    host.succeed("server")
    assert changes(host) == ["install.sh", "systemctl restart k3s"]
    config = host.files()["/etc/rancher/k3s/config.yaml"][1]
    assert "node-name: first\nnode-ip: 10.0.0.5\n" in config
    assert 'write-kubeconfig-mode: "0640"\nwrite-kubeconfig-group: root\n' in config
    host.succeed("server")
    assert changes(host) == []


def test_server_when_a_mode_was_loosened_then_it_is_put_right(host: Host) -> None:
    host.succeed("server")
    (host.root / "etc/rancher/k3s/config.yaml").chmod(0o644)
    host.succeed("server")
    assert host.files()["/etc/rancher/k3s/config.yaml"][0] == "0600"


def test_server_when_the_unit_was_stopped_then_it_is_started(host: Host) -> None:
    host.succeed("server")
    (host.world / "units/k3s").unlink()
    host.succeed("server")
    assert (host.world / "units/k3s").exists()


def test_server_when_its_caller_has_k3s_variables_then_the_unit_does_not(host: Host) -> None:
    host.run("server", K3S_URL="https://elsewhere:6443", K3S_TOKEN="canary")
    assert host.files()["/etc/systemd/system/k3s.service"][1] == "server\n"


def test_server_when_a_download_is_not_what_was_pinned_then_it_is_not_used(host: Host) -> None:
    (host.world / "served/k3s").write_bytes(b"something else")
    told = host.run("server")
    assert told.code == 1
    assert told.err.endswith("/k3s: its sha256 is not K3S_AMD64_SHA256 of versions.env\n")
    assert not any("/usr/local/bin" in path for path in host.files())


def test_server_when_a_checksum_is_empty_then_nothing_is_downloaded(host: Host) -> None:
    host.version("K3S_AMD64_SHA256", "")
    told = host.run("server")
    assert told.code == 1
    assert told.err.startswith("charon-bootstrap: K3S_AMD64_SHA256 is empty in versions.env.")
    assert f"curl -fsSL '{_RELEASES}" in told.err
    assert not [line for line in host.log() if line.startswith("curl")]


@pytest.mark.parametrize("verbs", [(), ("serve",), ("--force", "server")])
def test_script_when_called_wrongly_then_nothing_is_done(host: Host, verbs: tuple[str]) -> None:
    told = host.run(*verbs)
    assert told.code != 0
    assert host.files() == {}
    assert host.log() == []


def test_preflight_when_the_host_is_unfit_then_each_reason_is_a_line(host: Host) -> None:
    host.say(uid="1000")
    host.config(KUBECONFIG_GROUP="no-such-group", GPU="yes", NODE_NAME="localhost")
    told = host.run("preflight")
    assert told.code == 1
    failed = [line[8:].split(":")[0] for line in told.out.splitlines() if "  FAIL  " in line]
    assert failed == ["root", "a name of its own", "KUBECONFIG_GROUP", "a GPU, as GPU=yes says"]
    assert told.err == "charon-bootstrap: preflight: 4 failed, see above\n"


def test_preflight_when_a_firewall_is_active_then_it_says_what_must_pass(host: Host) -> None:
    (host.world / "units/ufw").touch()
    out = host.succeed("preflight")
    assert "a firewall is active: admit 6443/tcp" in out
    assert "10.31.0.0/16 and 10.32.0.0/16" in out
