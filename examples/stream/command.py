"""The three programs as commands: arguments, the log, how they end.

Reads: the command line, SIGTERM and Ctrl-C. Gives: checked options, a stop event, one line for what
is wrong. Never: a traceback for bad input.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

Run = Callable[[argparse.Namespace, asyncio.Event], Awaitable[None]]


def parser(description: str, examples: str) -> argparse.ArgumentParser:
    """A parser that shows the examples, with the options that all three have."""
    made = argparse.ArgumentParser(
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--metrics-host", default="127.0.0.1", metavar="HOST", help="of HTTP (%(default)s)")
    port = "of /metrics and /ready; 0: a free one, named in the log (%(default)s)"
    add("--metrics-port", type=whole(0, 65535), default=0, metavar="PORT", help=port)
    return made


def main(name: str, arguments: argparse.ArgumentParser, run: Run) -> None:
    """Runs a program until it is done or told to stop."""
    logging.basicConfig(level=logging.INFO, format=f"{name}: %(message)s")
    options = arguments.parse_args()
    try:
        asyncio.run(_stoppable(options, run))
    except OSError as error:
        sys.exit(f"{name}: {error}")


async def _stoppable(options: argparse.Namespace, run: Run) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    await run(options, stop)


def address(text: str) -> tuple[str, int]:
    """An argument HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, as 127.0.0.1:5000 is")
    return host, int(port)


def number(least: float, most: float) -> Callable[[str], float]:
    """The type of an argument that is a number within bounds."""

    def parsed(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least:g} to {most:g}")
        return value

    return parsed


def whole(least: int, most: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number within bounds."""

    def parsed(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return parsed
