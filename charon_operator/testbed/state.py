"""The state file of a testbed's folder: who owns it, and how others reach it.

Reads: `testbed.json` and /proc. Gives: whether the owner still lives, an Access for anybody.
Never: trusts a pid alone: a number is used again, a start time is not.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, TextIO

from charon_operator import errors
from charon_operator.testbed import access, claim, kubeconfigs, layout, process


@dataclasses.dataclass(frozen=True)
class Owned:
    """One process of a testbed as its owner wrote it down."""

    name: str
    pid: int | None
    port: int
    log: str

    @property
    def state(self) -> str:
        """Running, Paused or Exited, as the kernel sees it now."""
        letter = "" if self.pid is None else _fields(self.pid)[:1]
        return {"": "Exited", "Z": "Exited", "T": "Paused"}.get("".join(letter), "Running")


@dataclasses.dataclass(frozen=True)
class State:
    """What the owner of a testbed wrote down."""

    owner_pid: int
    owner_started: str
    address: access.Address
    processes: tuple[Owned, ...]

    @property
    def is_alive(self) -> bool:
        return started_at(self.owner_pid) == self.owner_started


def started_at(pid: int) -> str:
    """The start time of a process in clock ticks since boot; empty if there is none."""
    fields = _fields(pid)
    return fields[19] if fields and fields[0] != "Z" else ""


def _fields(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; empty if there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    # The program's name may hold spaces and brackets: fields are counted after the last one.
    return text.rpartition(")")[2].split()


def write(
    files: layout.Layout, address: access.Address, processes: Sequence[process.Process]
) -> None:
    """Writes down that this process owns the testbed."""
    pid = os.getpid()
    owned = [Owned(p.name, p.pid, p.program.port, str(p.program.log)) for p in processes]
    document = State(pid, started_at(pid), address, tuple(owned))
    text = json.dumps(dataclasses.asdict(document), indent=1)
    kubeconfigs.write_private(files.state, text + "\n")


def read(files: layout.Layout) -> State | None:
    """What is written down, None if nothing is or it is of another version."""
    try:
        document: dict[str, Any] = json.loads(files.state.read_text())
        return State(
            owner_pid=document["owner_pid"],
            owner_started=document["owner_started"],
            address=access.Address(**document["address"]),
            processes=tuple(Owned(**entry) for entry in document["processes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def alive(files: layout.Layout) -> State | None:
    """What is written down if its owner still lives."""
    written = read(files)
    return written if written and written.is_alive else None


def refuse_if_owned(files: layout.Layout) -> None:
    """Refuses to start a second testbed in one folder."""
    owner = alive(files)
    if owner:
        raise errors.TestbedError(
            f"a testbed runs in {files.folder} already (process {owner.owner_pid}): "
            "use it, stop it with `charon lab down`, or name another --folder"
        )


def take(files: layout.Layout) -> TextIO:
    """Makes the folder and has it for this process alone, until what is given back is closed.

    Raises:
        errors.TestbedError: a testbed runs there, or another process starts or deletes one.
    """
    refuse_if_owned(files)
    files.make()
    return claim.take(
        files.lock,
        f"another process starts, stops or deletes a testbed in {files.folder}: "
        "wait for it, or name another --folder",
    )


def remove(files: layout.Layout) -> None:
    """Forgets the owner, if it is this process."""
    written = read(files)
    if written and written.owner_pid == os.getpid():
        files.state.unlink(missing_ok=True)


def attach(folder: pathlib.Path) -> access.Access:
    """A handle on a testbed another process owns.

    Raises:
        errors.TestbedError: none runs in that folder.
    """
    files = layout.Layout(folder.expanduser().resolve())
    owner = alive(files)
    if owner is None:
        raise errors.TestbedError(
            f"no testbed runs in {files.folder}: start one with `charon lab up --detach`"
        )
    return access.Access(files, owner.address)
