"""What one run of the stream example was: the load, what Mimir told of it, pods and moves.

Reads: the consumers' cgroups while a block runs; the operator's journal. Gives: three CSV files.
Never: the store asked a second time: what Mimir told is what the operator was told, and decided on.
"""

import bisect
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from charon_operator import errors
from tests.benchmarks import table
from tests.node import journal
from tests.node.sampler import Sampler
from tests.node.stream import Stream

_EVERY_S = 0.5


@dataclass(frozen=True)
class Turn:
    """A turn of the operator; what Mimir did not tell is None."""

    time_s: float
    sent_per_s: float
    arrivals_per_s: float | None
    queued: float | None
    replicas: int


@dataclass(frozen=True)
class Granted:
    """A consumer at one moment, with the CPU that its cgroup grants."""

    time_s: float
    pod: str
    ready: bool
    restarts: int
    mcore: int


@dataclass(frozen=True)
class Run:
    """All of it; times are in seconds since the first consumer ran."""

    turns: list[Turn]
    pods: list[Granted]
    moves: list[journal.Move]


FILES = {"turns": Turn, "pods": Granted, "moves": journal.Move}
Row = TypeVar("Row", Turn, Granted, journal.Move)


class Recording:
    """A context manager around one that applies the example."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._sampler = Sampler(self._look, _EVERY_S)

    def __enter__(self) -> "Recording":
        self._sampler.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._sampler.__exit__(*error)

    def told(self, rows: Sequence[journal.Row]) -> Run:
        """The run so far, with what the journal has of it."""
        pods = list(self._sampler.rows)
        began_s = pods[0].time_s
        found = (self._turns(rows), pods, journal.moves(rows))
        return Run(*([_since(began_s, r) for r in one if r.time_s >= began_s] for one in found))

    def _look(self) -> Iterator[Granted]:
        for pod in self.stream.consumers():
            # It may have ended since it was listed.
            with contextlib.suppress(OSError, errors.TestbedError):
                mcore = (pod.cpu.quota_us or 0) // 100
                yield Granted(time.time(), pod.name, pod.ready, pod.restarts, mcore)

    def _turns(self, rows: Sequence[journal.Row]) -> Iterator[Turn]:
        rates = self.stream.rates
        for row in rows:
            if row["kind"] != "turn" or not row["apps"]:
                continue
            [app] = row["apps"]
            now_s = row["time"]
            sent = rates[bisect.bisect([since_s for since_s, _ in rates], now_s) - 1][1]
            seen = (_value(app, name) for name in ("arrivals", "queued"))
            yield Turn(now_s, sent, *seen, replicas=app["decision"]["current"])


def _value(app: journal.Row, indicator: str) -> float | None:
    """A reading, as the journal has it; what is missing is told as an object."""
    found = app.get("readings", {}).get(indicator)
    return found[0] if isinstance(found, list) else None


def _since(began_s: float, row: Row) -> Row:
    return dataclasses.replace(row, time_s=row.time_s - began_s)


def write(folder: Path, run: Run) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for field, kind in FILES.items():
        table.write(folder / f"{field}.csv", kind, getattr(run, field))


def load(folder: Path) -> Run:
    found = {name: list(table.read(folder / f"{name}.csv", kind)) for name, kind in FILES.items()}
    return Run(**found)
