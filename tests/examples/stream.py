"""The stream example as tests run it: its programs as they are, on free ports of loopback.

Reads: their logs (where they listen), their /metrics. Gives: `Stream`, a context manager that
starts programs and ends them all. Never: leaves one running, however the test ends.
"""

import contextlib
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client import parser

from charon_operator.testbed import process
from tests.testbed_fixtures import wait_until

FOLDER = Path(__file__).parents[2] / "examples" / "stream"
# A frame's cost in tests: enough to measure, little enough for a machine that does other things.
LIGHT = ("--receive-cpu-ms=0.5", "--process-cpu-ms=2")
_START_S = 20.0


class Program:
    """One of the three, running."""

    def __init__(self, name: str, log: Path, arguments: tuple[str, ...]) -> None:
        self._log = log
        command = [sys.executable, str(FOLDER / f"{name}.py"), *arguments]
        wanted = process.Program(
            name=name,
            command=command,
            log=log,
            port=0,
            is_ready=lambda: self._logged("metrics") != "",
        )
        self._process = process.Process(wanted)
        self._process.start(_START_S)

    @property
    def listening(self) -> str:
        return self._logged("listening")

    @property
    def exit_code(self) -> int | None:
        found = re.fullmatch(r"Exited\((-?\d+)\)", self._process.state)
        return int(found[1]) if found else None

    @property
    def ready(self) -> bool:
        with contextlib.suppress(urllib.error.HTTPError):
            return self._get("/ready") == "ready\n"
        return False

    def terminate(self) -> None:
        """SIGTERM, without waiting for what comes of it."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self._process.stop()

    def samples(self) -> dict[str, float]:
        """Its metrics, summed over labels but those of a histogram's buckets."""
        found: dict[str, float] = {}
        for family in parser.text_string_to_metric_families(self._get("/metrics")):
            for sample in family.samples:
                name = sample.name + sample.labels.get("le", "")
                found[name] = found.get(name, 0.0) + sample.value
        return found

    def __getitem__(self, metric: str) -> float:
        return self.samples()[metric]

    def _get(self, path: str) -> str:
        url = f"http://{self._logged('metrics')}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    def _logged(self, what: str) -> str:
        text = self._log.read_text() if self._log.exists() else ""
        found = re.search(rf"{what} at (\S+)\n", text)
        return found[1] if found else ""


class Stream:
    """A broker, and what a test starts around it."""

    def __init__(self, folder: Path, *broker: str) -> None:
        self._folder = folder
        self._programs: list[Program] = []
        self.broker = self._start("broker", "--listen=127.0.0.1:0", *broker)

    def source(self, *arguments: str) -> Program:
        return self._start("source", f"--broker={self.broker.listening}", "--side=32", *arguments)

    def consumer(self, *arguments: str) -> Program:
        """A consumer that the broker deals to."""
        before = self.broker["consumers"]
        started = self._start("consumer", f"--broker={self.broker.listening}", *arguments)
        wait_until(lambda: self.broker["consumers"] > before, "the broker to know the consumer")
        return started

    def _start(self, name: str, *arguments: str) -> Program:
        log = self._folder / f"{len(self._programs)}-{name}.log"
        started = Program(name, log, arguments)
        self._programs.append(started)
        return started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Sources first, the broker last: nobody reports a peer that was ended on purpose.
        for program in reversed(self._programs):
            program.end()
