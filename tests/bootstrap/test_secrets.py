"""No secret in an argument, a log or a file that others can read; no download but a checked one."""

import re

import pytest

from tests.bootstrap.host import ALL, BOOTSTRAP, Host

_SCRIPTS = [BOOTSTRAP / "charon-bootstrap", *sorted((BOOTSTRAP / "steps").iterdir())]


def secrets_of(host: Host) -> list[str]:
    """What must be seen nowhere: both tokens and Grafana's password, or what was joined with."""
    files = [host.root / "etc/rancher/k3s" / name for name in ("token", "agent-token")]
    found = [path.read_text().strip() for path in files if path.exists()]
    if (host.world / "secret").exists():
        found += re.findall(r'admin-password: "(\w+)"', (host.world / "secret").read_text())
    return found


def seen(host: Host, *printed: str) -> str:
    """All arguments of all commands, all that was printed, all that others can read."""
    calls = [(host.world / name).read_text() for name in ("log", "small")]
    readable = [text for mode, text in host.files().values() if int(mode[-1]) & 4]
    applied = [
        path.read_text()
        for place in ("objects", "releases")
        for path in (host.world / place).iterdir()
    ]
    return "\n".join([*calls, *readable, *applied, *printed])


def test_install_when_run_then_no_secret_is_seen(gpu_host: Host) -> None:
    gpu_host.record_every_command()
    printed = [gpu_host.succeed("server")]
    # A second run, one by a changed file, and one that fails print as little.
    gpu_host.config(NODE_IP="10.0.0.5", OPERATOR_IMAGE="charon-operator:1")
    printed += [gpu_host.succeed(*ALL, "verify"), gpu_host.succeed("--dry-run", *ALL)]
    gpu_host.say(ready="False")
    printed.append(gpu_host.run("verify").out)
    canaries = secrets_of(gpu_host)
    assert [len(canary) for canary in canaries] == [64, 64, 64]
    assert len(set(canaries)) == 3
    everything = seen(gpu_host, *printed)
    assert "sha256sum" in everything
    assert not [canary for canary in canaries if canary in everything]


@pytest.mark.parametrize("token", [f"K10{'a' * 64}::b1a2b3.canary", "canary"])
def test_join_when_run_then_the_token_is_not_seen(host: Host, token: str) -> None:
    host.record_every_command()
    host.config(SERVER_URL="https://10.0.0.5:6443")
    told = host.run("join", stdin=f"{token}\n")
    again = host.run("--dry-run", "join", stdin=f"{token}\n")
    assert "canary" not in seen(host, told.out, told.err, again.out, again.err)


def test_files_when_written_then_a_draft_of_a_secret_is_never_readable_by_others() -> None:
    # A draft is made under the script's own mask, before its mode is set.
    assert "\numask 077\n" in _SCRIPTS[0].read_text()
    lines = [line for path in _SCRIPTS for line in path.read_text().splitlines()]
    loosened = [line for line in lines if "umask 022" in line]
    assert all("mkdir -p" in line or "run env INSTALL_K3S" in line for line in loosened)


def test_downloads_when_listed_then_each_goes_through_the_check() -> None:
    text = "\n".join(path.read_text() for path in _SCRIPTS)
    assert re.findall(r"(?m)^\s*run curl .*", text) == [
        '        run curl -fsSL --proto =https --retry 3 -o "$file.draft" "$url"'
    ]
    assert not re.search(r"curl[^'\n]*\|\s*(ba)?sh\b|wget|helm repo add|:latest", text)


def test_versions_when_read_then_each_artefact_has_its_checksum(host: Host) -> None:
    text = (BOOTSTRAP / "versions.env").read_text()
    found = dict(re.findall(r"(?m)^(\w+)=(.*)$", text))
    for name, value in found.items():
        if name.endswith("_URL"):
            assert found[name.replace("_URL", "_VERSION")] in value
            assert name.replace("_URL", "_SHA256") in found
        elif name.endswith("_IMAGE"):
            assert f"{name}_DIGEST" in found
        elif name.endswith("_SHA256"):
            assert re.fullmatch(r"[0-9a-f]{64}", value), name
        elif name.endswith("_DIGEST"):
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", value), name
