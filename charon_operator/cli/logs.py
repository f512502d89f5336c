"""The operator's log: key=value lines on stderr, written by a thread, without secrets.

Reads: log records, files that hold secrets. Gives: lines. Never: a secret's value, a wait of the
loop for whoever reads the log.
"""

import contextlib
import datetime
import json
import logging
import logging.handlers
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_LINES_WAITING: Final = 10_000
_LOOK_AGAIN_S: Final = 5.0
# Shorter texts occur by chance; nobody's token is that short.
_SHORTEST: Final = 6
_REDACTED: Final = "[redacted]"
# They tell of every request and of every connection.
_QUIET: Final = ("httpx", "httpcore", "aiohttp.access", "kubernetes", "asyncio")


class Secrets:
    """Values that must not be seen: given ones, and contents of files, which may change."""

    def __init__(self, values: Iterable[str] = (), files: Iterable[Path] = ()) -> None:
        self._given = [value for value in values if len(value) >= _SHORTEST]
        self._files = tuple(files)
        self._values: list[str] = []
        self._read_at_s = float("-inf")

    def redacted(self, text: str) -> str:
        """The text without them."""
        now_s = time.monotonic()
        if now_s - self._read_at_s > _LOOK_AGAIN_S:
            self._read_at_s = now_s
            # Longest first: one may be part of another. An old value stays secret.
            known = {*self._given, *self._values, *self._contents()}
            self._values = sorted(known, key=len, reverse=True)
        for value in self._values:
            if value in text:
                text = text.replace(value, _REDACTED)
        return text

    def _contents(self) -> Iterator[str]:
        for file in self._files:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                content = file.read_text(encoding="utf-8").strip()
                if len(content) >= _SHORTEST:
                    yield content


class KeyValueFormatter(logging.Formatter):
    """`time=… level=… logger=… message="…"`, on one line, redacted."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; a traceback is part of its message."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        line = (
            f"time={stamp} level={record.levelname.lower()} logger={record.name} "
            f"message={json.dumps(message, ensure_ascii=False)}"
        )
        return self._secrets.redacted(line)


class _DroppingHandler(logging.handlers.QueueHandler):
    """Hands records over; when nobody takes them they are lost, and nothing waits."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


@contextlib.contextmanager
def to_stderr(level: str, secrets: Secrets) -> Iterator[None]:
    """Log to stderr while entered.

    Args:
        level: name of the lowest level shown.
        secrets: what must not be seen.
    """
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_LINES_WAITING)
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(KeyValueFormatter(secrets))
    listener = logging.handlers.QueueListener(lines, out)
    root, handler = logging.getLogger(), _DroppingHandler(lines)
    before = root.handlers[:], root.level
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    listener.start()
    try:
        yield
    finally:
        root.handlers[:], _ = before
        root.setLevel(before[1])
        # A reader that does not read must not keep the process from ending.
        ending = threading.Thread(target=listener.stop, daemon=True)
        ending.start()
        ending.join(2.0)
