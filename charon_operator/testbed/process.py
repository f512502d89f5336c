"""One program of the testbed: starts, is waited for, can be stopped, killed, paused and resumed.

Reads: a command and a readiness question. Gives: its state, and its last words when it dies.
Never: leaves the program running when this process ends, however it ends (`child.py`).
"""

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from charon_operator import errors

_CHILD = pathlib.Path(__file__).parent / "child.py"
POLL_S = 0.05
_LAST_LINES = 12

# The kernel kills a child when the *thread* that started it ends: one thread that lives as long
# as the process starts them all.
_spawner = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """What to run: the command, where its log goes, its port, and when it counts as ready."""

    name: str
    command: Sequence[str | os.PathLike[str]]
    log: pathlib.Path
    port: int
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # A program that answers SIGTERM at leisure is killed after this long.
    stop_timeout_s: float = 10.0


class Process:
    """A program and the process that runs it, if any."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._running: subprocess.Popen[bytes] | None = None
        self._paused = False
        self._log_began = 0
        # Told of every new pid; the testbed writes it down for other processes.
        self.on_launch: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        return self._running.pid if self._running and self._running.poll() is None else None

    @property
    def state(self) -> str:
        """Running, Paused, Stopped, or Exited with its code."""
        if self._running is None:
            return "Stopped"
        code = self._running.poll()
        if code is not None:
            return f"Exited({code})"
        return "Paused" if self._paused else "Running"

    def launch(self) -> None:
        """Starts the program without waiting for it; nothing happens if it runs already."""
        if self.pid is None:
            self._paused = False
            self._running = _spawner.submit(self._spawn).result()
            self.on_launch()

    def wait_ready(self, timeout_s: float) -> None:
        """Waits until the program is ready.

        Raises:
            errors.TestbedError: it died or took too long; the text has its last log lines.
        """
        deadline = time.monotonic() + timeout_s
        while not self.program.is_ready():
            if self.pid is None:
                raise errors.TestbedError(f"{self.name} died at start ({self.state}){self.tail()}")
            if time.monotonic() > deadline:
                raise errors.TestbedError(
                    f"{self.name} is not ready after {timeout_s:.0f} s{self.tail()}"
                )
            time.sleep(POLL_S)

    def start(self, timeout_s: float = 60.0) -> None:
        """Starts the program on the same port and data, and waits until it is ready."""
        self.launch()
        self.wait_ready(timeout_s)

    def stop(self) -> None:
        """Asks the program to end, insists after a while, returns when it is gone."""
        if self._running is None:
            return
        self._ask_to_end(self._running)
        self._running = None

    def kill(self) -> None:
        """Ends the program at once, as a crash would."""
        if self._running is not None:
            _send(self._running, signal.SIGKILL)
            self._running.wait()
            self._running = None

    def pause(self) -> None:
        """Freezes the program: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Lets a frozen program go on."""
        self._signal(signal.SIGCONT)
        self._paused = False

    def tail(self, lines: int = _LAST_LINES) -> str:
        """The last log lines since it was started, ready to be put behind an error message."""
        try:
            with self.program.log.open(errors="replace") as log:
                log.seek(self._log_began)
                text = log.read()
        except OSError:
            return ""
        last = "\n  ".join(text.splitlines()[-lines:])
        return f"; the end of {self.program.log}:\n  {last}" if last else "; its log is empty"

    def clashed(self) -> bool:
        """True if it ended because its port was taken."""
        return self.pid is None and "address already in use" in self.tail(lines=50)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is None or self._running is None:
            raise errors.TestbedError(f"{self.name} does not run ({self.state})")
        _send(self._running, number)

    def _ask_to_end(self, running: subprocess.Popen[bytes]) -> None:
        if running.poll() is None:
            _send(running, signal.SIGCONT)
            _send(running, signal.SIGTERM)
        try:
            running.wait(self.program.stop_timeout_s)
        except subprocess.TimeoutExpired:
            _send(running, signal.SIGKILL)
            running.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.program.log.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-I", "-S", str(_CHILD), str(os.getpid())]
        with self.program.log.open("ab") as log:
            self._log_began = log.tell()
            return subprocess.Popen(
                [*guard, *self.program.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.program.environment},
                cwd=self.program.log.parent,
                # Ctrl-C in a terminal is for us: we stop the children in order.
                start_new_session=True,
            )


def _send(running: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signals the group: a program in a node's namespaces is a pair of processes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, number)
