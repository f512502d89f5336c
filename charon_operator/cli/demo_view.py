"""What the demo shows while it runs: a live table in a terminal, plain lines elsewhere.

Reads: `demo_play.Now`. Gives: text. Never: anything that is not on the wire or in the journal.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import rich.console
import rich.live
import rich.panel
import rich.table
import rich.text

from charon_operator.cli.demo_play import Now

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_WIDTH: Final = 60
_EVERY_S: Final = 5.0


@contextlib.contextmanager
def shown(threshold: float, unit: str) -> Iterator[Callable[[Now], None]]:
    """A function that shows the state it is given."""
    console = rich.console.Console()
    if not console.is_terminal:
        yield _Lines(console, threshold, unit)
        return
    with rich.live.Live(console=console, refresh_per_second=4) as live:
        panel = _Panel(threshold, unit)
        yield lambda now: live.update(panel(now))


class _Lines:
    """A line every few seconds, and whenever the reason changes."""

    def __init__(self, console: rich.console.Console, threshold: float, unit: str) -> None:
        self._console = console
        self._threshold = threshold
        self._unit = unit
        self._next_s = float("-inf")
        self._last = ("", "")

    def __call__(self, now: Now) -> None:
        news = (now.said, now.reason if now.wanted else "")
        if news == self._last and now.seconds < self._next_s:
            return
        if news[0] != self._last[0]:
            self._console.print(now.said, highlight=False)
        self._last, self._next_s = news, now.seconds + _EVERY_S
        self._console.print(
            f"{now.seconds:6.1f} s  queue {now.queue:5d} of {self._threshold:g} {self._unit}  "
            f"replicas wanted {now.wanted:2d} ready {now.ready:2d}  {now.reason}",
            highlight=False,
            soft_wrap=True,
        )


class _Panel:
    """A table with the queue's course under it."""

    def __init__(self, threshold: float, unit: str) -> None:
        self._threshold = threshold
        self._unit = unit
        self._queue: list[int] = []

    def __call__(self, now: Now) -> rich.panel.Panel:
        self._queue.append(now.queue)
        good = now.queue <= self._threshold
        table = rich.table.Table.grid(padding=(0, 2))
        table.add_row("since the step", f"{now.seconds:.1f} s   {now.said}")
        table.add_row("arrivals", f"{now.arrivals:.0f} {self._unit}/s")
        table.add_row(
            "queue",
            rich.text.Text(
                f"{now.queue} {self._unit} (objective: at most {self._threshold:g})",
                style="green" if good else "bold red",
            ),
        )
        table.add_row("", rich.text.Text(_spark(self._queue), style="cyan"))
        table.add_row("replicas", f"{now.wanted} wanted, {now.ready} ready")
        table.add_row("why", now.reason)
        return rich.panel.Panel(table, title="charon holds a queue", expand=True)


def _spark(values: list[int]) -> str:
    """The last values as blocks, newest at the right; each stands for several where there are many.

    The scale ends at the largest.
    """
    step = max(1, -(-len(values) // _WIDTH))
    shown_values = [max(values[at : at + step]) for at in range(0, len(values), step)]
    most = max(max(shown_values), 1)
    return "".join(_BLOCKS[min(7, value * 8 // (most + 1))] for value in shown_values)
