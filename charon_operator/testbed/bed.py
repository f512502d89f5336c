"""A running testbed: the processes it owns, and the faults they can be given.

Reads: processes the starter started. Gives: `Testbed`. Never: stops what it did not start.
"""

import pathlib
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from charon_operator import errors
from charon_operator.testbed import access, layout, process, state


class ProcessStatus(NamedTuple):
    """One line of `Testbed.status`."""

    name: str
    pid: int | None
    port: int
    state: str
    log: pathlib.Path


class Testbed(access.Access):
    """A testbed this process started; a context manager that stops it."""

    __test__ = False  # pytest takes names that begin with Test for tests

    def __init__(
        self,
        files: layout.Layout,
        address: access.Address,
        processes: dict[str, process.Process],
        release: Callable[[], None],
    ) -> None:
        super().__init__(files, address)
        self._processes = processes
        self._release = release

    def process(self, name: str) -> process.Process:
        """One of its processes, to be stopped, started, killed, paused or resumed.

        Raises:
            errors.TestbedError: there is none of that name; the text lists those there are.
        """
        try:
            return self._processes[name]
        except KeyError:
            there = ", ".join(self._processes) or "none"
            raise errors.TestbedError(f"no process {name!r} in this testbed: {there}") from None

    def status(self) -> list[ProcessStatus]:
        """The processes in the order in which they were started."""
        return [
            ProcessStatus(p.name, p.pid, p.program.port, p.state, p.program.log)
            for p in self._processes.values()
        ]

    def write_state(self) -> None:
        """Writes down, for other processes, who owns the testbed and what runs."""
        state.write(self.files, self.address, list(self._processes.values()))

    def stop(self) -> None:
        """Stops every process, those that depend on others first; may be called again."""
        stop_all(self._processes)
        state.remove(self.files)
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def stop_all(processes: dict[str, process.Process]) -> None:
    """Ends the processes in reverse order of their start, etcd after all that write to it."""
    for running in reversed(list(processes.values())):
        running.stop()
