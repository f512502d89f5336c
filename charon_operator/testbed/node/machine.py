"""The ground a node stands on: namespaces, a link, a cgroup, all of one testbed and named after it.

Reads: the testbed's folder. Gives: the program that makes the namespaces, and its removal without a
trace. Never: mounts, links or filters packets in the namespaces of this machine.

Whatever ends the testbed ends the first process of the namespaces, and the kernel ends the rest:
containers, their mounts, links and packet filter rules. Only empty cgroups can be left; `clear`
removes them, at the end and before the next start.
"""

import dataclasses
import functools
import hashlib
import pathlib
import sys

from charon_operator.testbed import layout, process
from charon_operator.testbed.node import cgroups, needs, network

NAME = "node"
_SCRIPTS = pathlib.Path(__file__).parent
_READY = "data/node/ready"


@dataclasses.dataclass(frozen=True)
class Machine:
    """What one node runs in; the same folder gives the same names."""

    files: layout.Layout
    net: network.Network

    @property
    def cgroup(self) -> str:
        return cgroups.name_of(key(self.files))

    def program(self, binaries: pathlib.Path) -> process.Program:
        """The first process of the namespaces; the others enter them by its pid."""
        ready = self.files.folder / _READY
        ready.parent.mkdir(parents=True, exist_ok=True)
        ready.unlink(missing_ok=True)
        first = [sys.executable, "-I", "-S", str(_SCRIPTS / "first.py")]
        arguments = [str(self.files.folder), str(binaries), _READY]
        return process.Program(
            name=NAME,
            command=[*needs.unshare(), *first, *arguments],
            log=self.files.log(NAME),
            port=0,
            is_ready=ready.exists,
        )

    def connect(self, pid: int) -> None:
        """Gives it its cgroup and its link."""
        cgroups.make(key(self.files))
        network.connect(self.net, _link(self.files), pid)

    def inside(self, path: pathlib.Path) -> pathlib.Path:
        """Where a file of the testbed's folder is seen by the node."""
        return pathlib.Path("/run/testbed") / path.relative_to(self.files.folder)


@functools.cache
def key(files: layout.Layout) -> str:
    """What tells the testbed of one folder from all others on this machine."""
    return hashlib.sha256(str(files.folder).encode()).hexdigest()[:8]


def clear(files: layout.Layout) -> None:
    """Removes what a node of this folder left on this machine, if it left anything."""
    network.disconnect(_link(files))
    cgroups.remove(key(files))


def entering(pid: int, program: str | pathlib.Path, *arguments: str) -> list[str]:
    """The command that runs a program in the namespaces which the process made."""
    enter = [sys.executable, "-I", "-S", str(_SCRIPTS / "enter.py"), str(pid)]
    return [*enter, str(program), *arguments]


def _link(files: layout.Layout) -> str:
    return f"charon{key(files)}"
