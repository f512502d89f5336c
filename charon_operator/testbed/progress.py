"""Shows what is being done and how far it is: a bar on a terminal, plain lines elsewhere.

Reads: calls of the builder and the starter. Gives: text on a stream. Never: decides anything.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol, TextIO


class Progress(Protocol):
    """What the builder and the starter tell while they work."""

    def say(self, text: str) -> None:
        """One line for a person."""

    def begin(self, what: str, total: int) -> None:
        """A piece of work of `total` steps starts; the one before is done."""

    def advance(self, detail: str) -> None:
        """One more step is done."""

    def finish(self) -> None:
        """The work that began last is done."""


class Silent:
    """Shows nothing: for tests and for calls from other code."""

    def say(self, text: str) -> None: ...

    def begin(self, what: str, total: int) -> None: ...

    def advance(self, detail: str) -> None: ...

    def finish(self) -> None: ...


class Lines:
    """Plain lines for pipes and logs: at the start, every `every_s` seconds, at the end."""

    def __init__(self, stream: TextIO | None = None, every_s: float = 20.0) -> None:
        self._stream = stream or sys.stderr
        self._every_s = every_s
        self._what, self._total, self._done = "", 0, 0
        self._began = self._told = 0.0

    def say(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def begin(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._began = self._told = time.monotonic()
        self.say(what)

    def advance(self, detail: str) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._told >= self._every_s:
            self._told = now
            self.say(f"{self._what}: {self._done} of {self._total}, {detail}")

    def finish(self) -> None:
        self.say(f"{self._what}: done in {time.monotonic() - self._began:.0f} s")


class Bar:
    """A bar on a terminal, drawn by rich."""

    def __init__(self) -> None:
        import rich.console
        import rich.progress

        self._drawn = rich.progress.Progress(
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=30),
            rich.progress.TaskProgressColumn(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("[dim]{task.fields[detail]}"),
            console=rich.console.Console(stderr=True),
        )
        self._task: rich.progress.TaskID | None = None
        self._total = 0

    def say(self, text: str) -> None:
        self._drawn.console.print(text, highlight=False)

    def begin(self, what: str, total: int) -> None:
        self._total = total
        self._task = self._drawn.add_task(what, total=total, detail="")
        self._drawn.start()

    def advance(self, detail: str) -> None:
        if self._task is not None:
            short = detail if len(detail) <= 48 else "…" + detail[-47:]
            self._drawn.update(self._task, advance=1, detail=short)

    def finish(self) -> None:
        if self._task is not None:
            self._drawn.update(self._task, completed=self._total, detail="")
            self._task = None

    def close(self) -> None:
        self._drawn.stop()


@contextlib.contextmanager
def shown() -> Iterator[Progress]:
    """The progress that suits stderr: a bar on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    bar = Bar()
    try:
        yield bar
    finally:
        bar.close()
