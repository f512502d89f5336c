"""The cgroup below which everything of one node lies, in every hierarchy of this machine.

Reads: /proc/self/mountinfo, the kernel's cgroup files; versions 1 and 2 alike. Gives: the cgroup
made, found, or removed with all below it; what CPU a container in it may use and has used. Never:
touches a cgroup of another name.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import time
from collections.abc import Iterator

from charon_operator import errors

_PREFIX = "charon-"
_KINDS = {"cgroup", "cgroup2"}
_EMPTY_TIMEOUT_S = 20.0
_POLL_S = 0.05
_NO_QUOTA = ("-1", "max")


@dataclasses.dataclass(frozen=True)
class Cpu:
    """The kernel's account of one container's CPU."""

    quota_file: pathlib.Path
    usage_file: pathlib.Path

    @property
    def quota_us(self) -> int | None:
        """CPU time the kernel grants it in each period of 100 ms; None without a limit."""
        granted = self.quota_file.read_text().split()[0]
        return None if granted in _NO_QUOTA else int(granted)

    @property
    def used_s(self) -> float:
        """CPU time it has used since it began."""
        told = self.usage_file.read_text().split()
        # Version 1 tells nanoseconds and nothing else, version 2 names what it tells.
        if len(told) == 1:
            return int(told[0]) / 1e9
        return int(told[told.index("usage_usec") + 1]) / 1e6


def cpu_of(container: str) -> Cpu:
    """The account of a container that runs in a testbed of this machine.

    Args:
        container: its id, without the runtime's name before it.

    Raises:
        errors.TestbedError: no such container runs.
    """
    folders = [found for top in all_of_testbeds() for found in top.rglob(container)]

    def file(*names: str) -> pathlib.Path:
        paths = (folder / name for name in names for folder in folders)
        if found := next((path for path in paths if path.exists()), None):
            return found
        raise errors.TestbedError(f"no container {container} runs on a real node of this machine")

    return Cpu(file("cpu.cfs_quota_us", "cpu.max"), file("cpuacct.usage", "cpu.stat"))


def name_of(key: str) -> str:
    """The name of the cgroup of the testbed with that key."""
    return f"{_PREFIX}{key}"


def make(key: str) -> None:
    """Makes it in every hierarchy.

    Raises:
        errors.TestbedError: this machine does not let us.
    """
    for root in _roots():
        _pass_controllers_on(root)
        try:
            (root / name_of(key)).mkdir(exist_ok=True)
        except OSError as error:
            raise errors.TestbedError(
                f"a real node needs cgroups that may be written, which {root} is not: "
                f"{error.strerror}"
            ) from None


def all_of_testbeds(key: str = "*") -> list[pathlib.Path]:
    """The folders that are there for a testbed, or for any, one a hierarchy."""
    return [folder for root in _roots() for folder in root.glob(name_of(key))]


def remove(key: str) -> None:
    """Ends what runs in it and removes it; nothing happens if it is not there.

    Raises:
        errors.TestbedError: a process in it does not die.
    """
    deadline = time.monotonic() + _EMPTY_TIMEOUT_S
    while left := [
        folder for top in all_of_testbeds(key) for folder in _bottom_up(top) if not _gone(folder)
    ]:
        for pid in {pid for folder in left for pid in _processes(folder)}:
            _kill(pid)
        if time.monotonic() > deadline:
            raise errors.TestbedError(f"the cgroup {left[-1]} cannot be removed: it is in use")
        time.sleep(_POLL_S)


def _pass_controllers_on(root: pathlib.Path) -> None:
    """Version 2 only: what the root does not pass on, nothing below it has."""
    controllers = root / "cgroup.controllers"
    for name in controllers.read_text().split() if controllers.exists() else ():
        # Some cannot be passed on by every kernel; kubelet says if it lacks one it needs.
        with contextlib.suppress(OSError):
            (root / "cgroup.subtree_control").write_text(f"+{name}")


def _roots() -> Iterator[pathlib.Path]:
    """The mount points of the hierarchies."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, source = line.partition(" - ")
        if source.split()[0] in _KINDS:
            yield pathlib.Path(fields.split()[4])


def _bottom_up(top: pathlib.Path) -> Iterator[pathlib.Path]:
    for folder, _, _ in os.walk(top, topdown=False):
        yield pathlib.Path(folder)


def _gone(folder: pathlib.Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _processes(folder: pathlib.Path) -> list[int]:
    try:
        return [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _kill(pid: int) -> None:
    try:
        # 0 stands for a process of a namespace we do not see.
        if pid > 0:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
