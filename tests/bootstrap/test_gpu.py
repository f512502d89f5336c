"""gpu: skipped without one, proved by a pod with one, and careful with what runs on it."""

import pytest

from tests.bootstrap.host import Host
from tests.bootstrap.test_server import changes
from tests.bootstrap.test_stack import releases


def test_gpu_when_there_is_none_then_nothing_is_done(host: Host) -> None:
    host.succeed("server")
    host.log()
    assert "no GPU here: nothing to do" in host.succeed("gpu")
    assert changes(host) == []


def test_gpu_when_it_must_be_there_and_is_not_then_it_fails(host: Host) -> None:
    host.succeed("server")
    host.config(GPU="yes")
    told = host.run("gpu")
    assert told.code == 1
    assert told.err.startswith("charon-bootstrap: GPU: yes, but nvidia-smi lists none")


def test_gpu_when_there_is_one_then_a_pod_proves_it(gpu_host: Host) -> None:
    gpu_host.succeed("server")
    gpu_host.log()
    gpu_host.succeed("gpu")
    lines = changes(gpu_host)
    assert releases(lines) == ["nvidia-device-plugin", "dcgm-exporter"]
    assert all("--namespace gpu-system" in line for line in lines if line.startswith("helm upg"))
    assert lines[0] == "k3s kubectl label node host-a nvidia.com/gpu.present=true --overwrite"
    assert [line for line in lines if "gpu-probe" in line][-2:] == [
        "k3s kubectl logs gpu-probe --namespace gpu-system",
        "k3s kubectl delete pod gpu-probe --namespace gpu-system --ignore-not-found",
    ]
    config = gpu_host.files()["/etc/rancher/k3s/config.yaml"][1]
    assert "node-label: [nvidia.com/gpu.present=true]" in config


def test_gpu_when_run_again_then_no_pod_is_run_again(gpu_host: Host) -> None:
    gpu_host.succeed("server", "gpu")
    gpu_host.log()
    before = gpu_host.touched()
    assert "gpu: proved before" in gpu_host.succeed("gpu")
    assert not [line for line in gpu_host.log() if "gpu-probe" in line or "restart" in line]
    assert gpu_host.touched() == before


def test_gpu_when_the_pod_sees_none_then_it_fails(gpu_host: Host) -> None:
    gpu_host.say(phase="Failed")
    gpu_host.succeed("server")
    told = gpu_host.run("gpu")
    assert told.code == 1
    assert "saw no GPU" in told.err


def test_gpu_when_k3s_started_before_the_toolkit_then_it_is_restarted(gpu_host: Host) -> None:
    runtime = gpu_host.root / "usr/bin/nvidia-container-runtime"
    runtime.chmod(0o644)
    gpu_host.config(GPU="no")
    gpu_host.succeed("server")
    gpu_host.log()
    runtime.chmod(0o755)
    gpu_host.config()
    gpu_host.succeed("gpu")
    assert changes(gpu_host)[0] == "systemctl restart k3s"


def test_server_when_the_gpu_has_no_runtime_then_k3s_is_not_begun(gpu_host: Host) -> None:
    (gpu_host.root / "usr/bin/nvidia-container-runtime").unlink()
    told = gpu_host.run("server")
    assert told.code == 1
    assert "FAIL  the GPU's container runtime: install nvidia-container-toolkit" in told.out
    assert changes(gpu_host) == []


@pytest.mark.parametrize(("version", "held"), [("1.17.8", True), ("1.18.0", False), ("", True)])
def test_server_when_gpus_are_in_use_and_the_toolkit_is_old_then_it_asks(
    gpu_host: Host, version: str, held: bool
) -> None:
    gpu_host.say(toolkit=f"NVIDIA Container Toolkit CLI version {version}\n", processes="4711\n")
    told = gpu_host.run("server")
    assert ("warn  nvidia-container-toolkit below 1.18" in told.out) == held
    assert (told.code == 1) == held
    assert ("end them, or say --yes" in told.err) == held
    gpu_host.succeed("--yes", "server")


def test_gpu_when_only_a_joined_node_has_one_then_the_server_installs_for_it(host: Host) -> None:
    host.succeed("server")
    (host.world / "labelled").touch()
    host.log()
    host.succeed("gpu")
    lines = changes(host)
    assert releases(lines) == ["nvidia-device-plugin", "dcgm-exporter"]
    assert not [line for line in lines if "label node" in line]
