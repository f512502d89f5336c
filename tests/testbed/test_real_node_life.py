"""A real node leaves nothing behind: not when stopped, not when its owner is killed."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest

from charon_operator import testbed
from charon_operator.testbed import keeper, layout, state
from charon_operator.testbed.node import cgroups, machine, needs
from tests.testbed_fixtures import wait_until

OWNER = """
import json, os, pathlib, sys
from charon_operator import testbed
from tests.testbed import test_real_node_life, test_real_node
with testbed.start(test_real_node_life.small(pathlib.Path(sys.argv[1]))) as bed:
    test_real_node.run(bed, "default", "kept", ["sleep", "1000"])
    bed.kubectl("wait", "--for=condition=Ready", "pod/kept", "--timeout=60s")
    namespace = os.readlink(f"/proc/{bed.process('node').pid}/ns/pid_for_children")
    print(json.dumps([namespace, [entry.pid for entry in bed.status()]]), flush=True)
    sys.stdin.read()
"""


def small(folder: pathlib.Path) -> testbed.Config:
    return testbed.Config(
        folder=folder, nodes=[testbed.RealNode()], with_metrics=False, with_kwok=False
    )


def traces() -> dict[str, Any]:
    """What a node could leave on this machine."""
    rules = subprocess.run(
        [needs.tool("iptables-save")], capture_output=True, text=True, check=True
    ).stdout
    return {
        "mounts": pathlib.Path("/proc/self/mountinfo").read_text(),
        "links": sorted(p.name for p in pathlib.Path("/sys/class/net").iterdir()),
        "routes": pathlib.Path("/proc/net/route").read_text(),
        "rules": [line for line in rules.splitlines() if not line.startswith("#")],
        "cgroups": sorted(map(str, cgroups.all_of_testbeds())),
        "settings": pathlib.Path("/proc/sys/vm/overcommit_memory").read_text(),
        "folders": [
            path
            for path in ("/var/lib/kubelet", "/var/lib/cni", "/run/containerd", "/opt/containerd")
            if pathlib.Path(path).exists()
        ],
    }


def members(namespace: str) -> list[int]:
    """Processes of a process namespace: the node's own and the containers' parents."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(folder / "ns" / "pid") == namespace:
                found.append(int(folder.name))
    return found


def contained(folder: pathlib.Path) -> set[str]:
    """Processes in the containers of the testbed in a folder."""
    tops = cgroups.all_of_testbeds(machine.key(layout.Layout(folder)))
    files = [file for top in tops for file in top.rglob("cgroup.procs")]
    return {pid for file in files for pid in file.read_text().split()}


@pytest.mark.testbed
@pytest.mark.node
def test_testbed_when_killed_and_started_again_and_stopped_then_nothing_is_left(
    tmp_path: pathlib.Path,
) -> None:
    if needs.missing():
        pytest.skip(needs.missing())
    before = traces()
    folder = tmp_path / "bed"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        namespace, pids = json.loads(owner.stdout.readline())
        # The first process, containerd, kubelet, kube-proxy and the pod's shim.
        assert len(members(namespace)) == 5
        assert len(contained(folder)) == 2
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(state.started_at, pids)), "the children to die")
    wait_until(lambda: not members(namespace), "what ran in the node to die with them")
    wait_until(lambda: not contained(folder), "the containers to die, too")
    wait_until(lambda: traces()["links"] == before["links"], "the link to vanish")
    assert {**traces(), "cgroups": before["cgroups"]} == before

    with testbed.start(small(folder)) as again:
        # Its old container is gone: only a new one answers.
        entering = ("exec", "kept", "--", "echo", "back")
        wait_until(lambda: again.kubectl(*entering, check=False) == "back\n", "the pod to be back")
    assert traces() == before


@pytest.mark.testbed
@pytest.mark.node
def test_down_when_the_owner_was_killed_then_removes_what_it_left(tmp_path: pathlib.Path) -> None:
    if needs.missing():
        pytest.skip(needs.missing())
    files = layout.Layout(tmp_path / "bed")
    before = traces()
    cgroups.make(machine.key(files))
    assert traces() != before
    assert not keeper.down(files)
    assert traces() == before
