"""What a played host, and the cluster that runs as its k3s, have on this machine."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from charon_operator.testbed import layout
from charon_operator.testbed.node import cgroups, machine
from tests.bootstrap import cluster


def of(root: Path) -> dict[str, list[str]]:
    """Processes, mounts in whatever namespace, interfaces, cgroups and files of that host alone."""
    key = machine.key(layout.Layout(cluster.folder(root)))
    marks = (str(root), f"charon{key}", cgroups.name_of(key))

    def told(name: str) -> Iterator[tuple[str, str]]:
        """What each process says there about this host."""
        for process in Path("/proc").glob("[0-9]*"):
            # It may end at any moment; that which asks has the host's name in hand.
            with contextlib.suppress(OSError):
                text = (process / name).read_text(errors="replace").replace("\0", " ")
                if process.name != str(os.getpid()) and any(mark in text for mark in marks):
                    yield process.name, text

    processes = {pid: text for name in ("cgroup", "environ", "cmdline") for pid, text in told(name)}
    mounts = {
        line
        for _, text in told("mountinfo")
        for line in text.splitlines()
        if any(mark in line for mark in marks)
    }
    return {
        "processes": [f"{pid} {text}" for pid, text in processes.items()],
        "mounts": sorted(mounts),
        "interfaces": [path.name for path in Path("/sys/class/net").iterdir() if key in path.name],
        "cgroups": [str(path) for path in cgroups.all_of_testbeds(key)],
        "files": sorted(str(path.relative_to(root)) for path in root.rglob("*") if _lasts(path)),
    }


def _lasts(path: Path) -> bool:
    """Folders of a host's own, as /etc, are no trace."""
    return path.is_symlink() or not path.is_dir()
