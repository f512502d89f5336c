"""verify: each line can fail, and the exit code says so. reset: lists, asks, leaves nothing."""

import pytest

from tests.bootstrap.host import ALL, Host

_LINES = {
    'min(up{job="kubelet-cadvisor"})': "job kubelet-cadvisor up",
    'min(up{job="node-exporter"})': "job node-exporter up",
    'min(up{job="charon-operator"})': "job charon-operator up",
    "time() - max(timestamp(up))": "a sample younger than 15 s, from scrape to query",
    "max(charon_leader)": "the operator leads",
}


@pytest.fixture
def whole(host: Host) -> Host:
    host.succeed(*ALL)
    return host


def test_verify_when_all_is_well_then_every_line_is_ok(whole: Host) -> None:
    out = whole.succeed("verify")
    assert "FAIL" not in out
    assert out.count("  ok    ") == 9


@pytest.mark.parametrize(("query", "line"), _LINES.items())
def test_verify_when_mimir_answers_otherwise_then_that_line_fails(
    whole: Host, query: str, line: str
) -> None:
    whole.answer(query, "15" if query.startswith("time()") else "0")
    told = whole.run("verify")
    assert told.code == 1
    assert told.err == "charon-bootstrap: verify: 1 failed, see above\n"
    assert f"  FAIL  {line}: " in told.out


@pytest.mark.parametrize("states", ["", "False", "True Unknown"])
def test_verify_when_a_node_is_not_ready_then_it_fails(whole: Host, states: str) -> None:
    whole.say(ready=states)
    assert "FAIL  nodes Ready" in whole.run("verify").out


def test_verify_when_there_are_gpus_then_they_are_looked_at(gpu_host: Host) -> None:
    gpu_host.succeed(*ALL)
    out = gpu_host.succeed("verify")
    assert "ok    GPUs allocatable" in out
    assert "ok    job dcgm-exporter up" in out


def test_reset_when_not_told_yes_then_volumes_are_listed_and_nothing_goes(whole: Host) -> None:
    before = whole.state()
    told = whole.run("reset")
    assert told.code == 1
    assert "pvc-1 10Gi monitoring/data-mimir-0" in told.out
    assert told.err == "charon-bootstrap: reset deletes them and k3s from this host: say --yes\n"
    assert whole.state() == before


def test_reset_when_told_yes_then_nothing_is_left(whole: Host) -> None:
    others = whole.root / "usr/local/bin/other"
    others.touch()
    whole.succeed("--yes", "reset")
    assert set(whole.files()) == {"/usr/local/bin/other"}
    assert not list((whole.world / "units").iterdir())
    # Nothing to remove is no error.
    whole.succeed("--yes", "reset")


def test_reset_when_its_uninstall_was_interrupted_then_the_rest_goes_too(whole: Host) -> None:
    """The real one removes itself however it ends."""
    (whole.root / "usr/local/bin/k3s-uninstall.sh").unlink()
    (whole.root / "usr/local/bin/kubectl").symlink_to("k3s")
    for left in ("var/lib/rancher/k3s/storage/pvc-1/data", "run/flannel/subnet.env"):
        (whole.root / left).parent.mkdir(parents=True)
        (whole.root / left).touch()
    (whole.root / "etc/systemd/system/k3s.service.env").touch()
    whole.succeed("--yes", "reset")
    assert whole.files() == {}
    assert not list((whole.root / "usr/local/bin").iterdir())
