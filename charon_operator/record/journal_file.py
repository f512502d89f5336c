"""The journal in a file: written by a thread of its own, rotated, never in the way of control.

Reads: rows. Gives: lines in a file, and how many rows were lost. Never: an exception or a wait for
whoever appends; a disk that is full costs rows, not control. Nor a row that the rows before it in
the file do not explain: once some are lost, nothing is kept until a `start`.
"""

import contextlib
import json
import logging
import os
import queue
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from charon_operator import settings

_log = logging.getLogger(__name__)

# Rows, and the apps and nodes in them, that may wait for a disk that hangs: minutes of a thousand
# apps, and tens of megabytes, however large the fleet. One batch more is always taken.
_ENTRIES_WAITING: Final = 20_000
_END: Final = object()


class FileJournal:
    """Rows as lines of a file; `start` rows are where it may be rotated.

    Attributes:
        lost: rows that could not be kept so far.
    """

    keeps = True

    def __init__(self, file: settings.JournalFile, path: Path) -> None:
        self._limits = file
        self._path = path
        self._rows: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Entries so far; each of the two is changed by one thread only.
        self._given = self._taken = 0
        # Rows were lost, as whoever appends knows it, and as the file has it.
        self._broken = self._torn = False
        self._full = False
        self._size = 0
        self._out: BinaryIO | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self.lost = 0

    def __enter__(self) -> "FileJournal":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def wants_start(self) -> bool:
        """Whether the next row should be a `start`: the file is full, or rows were lost."""
        return self._full or self._broken

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep rows, in order; returns at once."""
        if not rows:
            return
        starts, waiting = _starts(rows), self._given - self._taken
        if waiting >= _ENTRIES_WAITING or (self._broken and not starts):
            self._lose(len(rows), "the disk is too slow")
            return
        if starts:
            self._full = self._broken = False
        self._given += _entries(rows)
        self._rows.put(rows)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what is waiting, as far as the time allows, and close the file."""
        self._rows.put(_END)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (rows := self._rows.get()) is not _END:
            self._keep(rows)
            self._taken += _entries(rows)
        self._abandon()

    def _keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._torn and not _starts(rows):
            self.lost += len(rows)
            return
        try:
            self._write(rows)
            self._torn = False
        except (OSError, ValueError) as error:
            self._lose(len(rows), str(error))
            self._torn = True
            self._abandon()

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        starts = _starts(rows)
        if self._out is None:
            self._open()
        if starts and self._size >= self._limits.max_bytes:
            self._rotate()
        text = "".join(encode(row) + "\n" for row in rows).encode()
        assert self._out is not None
        self._out.write(text)
        self._out.flush()
        self._size += len(text)
        if self._size >= self._limits.max_bytes and not starts:
            self._full = True

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._out = self._path.open("ab")
        self._size = self._out.tell()
        if self._size and not _ends_a_line(self._path):
            # The last life was killed in the middle of a row: it must not swallow ours.
            self._out.write(b"\n")

    def _rotate(self) -> None:
        self._abandon()
        for number in range(self._limits.backups, 0, -1):
            older = self._numbered(number)
            newer = self._numbered(number - 1) if number > 1 else self._path
            if newer.exists():
                os.replace(newer, older)
        if self._limits.backups == 0:
            self._path.unlink(missing_ok=True)
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _abandon(self) -> None:
        if self._out is not None:
            with contextlib.suppress(OSError):
                self._out.close()
            self._out = None

    def _lose(self, count: int, why: str) -> None:
        if not self._broken:
            _log.error("The journal %s cannot be written; rows are lost: %s", self._path, why)
        self.lost += count
        self._broken = True


class NoJournal:
    """Keeps nothing: for an operator without a journal file; its log tells of writes."""

    keeps = False
    lost = 0
    wants_start = False

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Let the rows go."""


def encode(row: Mapping[str, Any]) -> str:
    """A row as a line, without its end.

    Raises:
        ValueError: a number that JSON does not have.
    """
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _starts(rows: Sequence[Mapping[str, Any]]) -> bool:
    return bool(rows[0].get("kind") == "start")


def _entries(rows: Sequence[Mapping[str, Any]]) -> int:
    """Rows, and the apps and nodes in them: what they weigh in memory, more or less."""
    holders = [row.get("memory", row) for row in rows]
    held = (len(one.get(part, ())) for one in holders for part in ("apps", "nodes"))
    return len(rows) + sum(held)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
