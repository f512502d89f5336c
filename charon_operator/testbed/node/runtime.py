"""containerd as the node runs it, and the network its pods are joined to.

Reads: a Machine, the tools of this machine. Gives: its Program and its configuration. Never: pulls
an image: what pods run is imported.
"""

import json
import pathlib
import socket
from typing import Any

from charon_operator.testbed import process
from charon_operator.testbed.node import machine, needs

_SOCKET = "/run/containerd/containerd.sock"
ENDPOINT = f"unix://{_SOCKET}"

# What a node without a registry and without other snapshotters can do without.
# `opt` would make a folder on this machine.
_UNUSED = (
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
)


def program(ground: machine.Machine, pid: int, sandbox_image: str) -> process.Program:
    """The program containerd in the namespaces that the process `pid` made."""
    files = ground.files
    file = files.config / "containerd.toml"
    networks = files.config / "cni"
    networks.mkdir(exist_ok=True)
    (networks / "pods.conflist").write_text(json.dumps(_network(ground), indent=1))
    file.write_text(_config(ground, networks, sandbox_image))
    flags = f"--config={ground.inside(file)}"
    return process.Program(
        name="containerd",
        command=machine.entering(pid, needs.tool("containerd"), flags),
        log=files.log("containerd"),
        port=0,
        is_ready=lambda: _answers(address(pid)),
        environment={"PATH": needs.SEARCHED},
    )


def address(pid: int) -> str:
    """Where this machine reaches the containerd in the namespaces of a process."""
    return f"/proc/{pid}/root{_SOCKET}"


def _answers(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as trial:
            trial.connect(path)
    except OSError:
        return False
    return True


def _config(ground: machine.Machine, networks: pathlib.Path, sandbox_image: str) -> str:
    return f"""\
version = 2
root = "{ground.inside(ground.files.data("node"))}/containerd"
disabled_plugins = {json.dumps(_UNUSED)}
[grpc]
  address = "{_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox_image}"
  # Lowering a score needs CAP_SYS_RESOURCE, which root in a virtual machine may lack.
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{needs.plugins()}"
  conf_dir = "{ground.inside(networks)}"
"""


def _network(ground: machine.Machine) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        # A pod that calls its own Service comes back by the way it went out.
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": ground.net.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": "/run/addresses",
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}
