"""Sends frames to the broker at a programmed rate.

Reads: a rate, a step or a CSV file. Gives: frames of noise, each with the time it was sent.
Never: waits for those who serve them, as a detector does not: what is a second late is skipped.
"""

import argparse
import asyncio
import csv
import itertools
import logging
import math
import pathlib
import random
import time
from collections.abc import Iterator

from prometheus_client import Counter

import command
import exposure
import wire

_EXAMPLES = """\
  python source.py --broker 127.0.0.1:5000 --rate 20
  python source.py --broker 127.0.0.1:5000 --rate 10 --step 60:30:120
  python source.py --broker 127.0.0.1:5000 --arrivals load.csv --exit-at-end
"""
_LATE_S = 1.0
_MOST_PER_S = 1e5
_SENT = Counter("frames_sent", "Frames sent to the broker")
_SKIPPED = Counter("frames_skipped", "Frames that were due and not sent: the broker was not there")

Piece = tuple[float, float, float]  # from, to (s), frames a second


def read_csv(text: str) -> list[Piece]:
    """An argument that names a CSV file of `seconds,frames_per_second`.

    A rate holds until the next row, the last one as long as the one before it: the files are
    those that `charon lab plant --arrivals` reads.
    """
    try:
        rows = [row for row in csv.reader(pathlib.Path(text).read_text().splitlines()) if row]
        body = rows[0 if rows and _is_number(rows[0][0]) else 1 :]
        points = [(float(row[0]), float(row[1])) for row in body]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error}") from None
    except (ValueError, IndexError):
        raise argparse.ArgumentTypeError(f"{text}: a row needs seconds,frames_per_second") from None
    if len(points) < 2:
        raise argparse.ArgumentTypeError(f"{text} needs at least two rows of numbers")
    if not all(earlier[0] < later[0] for earlier, later in itertools.pairwise(points)):
        raise argparse.ArgumentTypeError(f"{text}: seconds in the first column must ascend")
    if not all(time_s >= 0 and 0 <= rate <= _MOST_PER_S for time_s, rate in points):
        raise argparse.ArgumentTypeError(
            f"{text}: seconds must not be negative, rates from 0 to {_MOST_PER_S:g} a second"
        )
    end_s = 2 * points[-1][0] - points[-2][0]
    ends = [*(time_s for time_s, _ in points[1:]), end_s]
    return [(start, end, rate) for (start, rate), end in zip(points, ends, strict=True)]


def step(text: str) -> Piece:
    """An argument RATE:START:SECONDS."""
    try:
        rate, start_s, length_s = (float(part) for part in text.split(":"))
    except ValueError:
        rate = start_s = length_s = math.nan
    if not (0 <= rate <= _MOST_PER_S and 0 <= start_s < math.inf and 0 < length_s < math.inf):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not RATE:START:SECONDS, as 60:30:120 is (60/s from 30 s on, 120 s long)"
        )
    return start_s, start_s + length_s, rate


def programme(options: argparse.Namespace) -> list[Piece]:
    """What is to be sent, piece by piece."""
    if options.arrivals:
        return list(options.arrivals)
    if not options.step:
        return [(0.0, math.inf, options.rate)]
    start_s, end_s, _ = options.step
    return [(0.0, start_s, options.rate), options.step, (end_s, math.inf, options.rate)]


def due_times(pieces: list[Piece]) -> Iterator[float]:
    """When each frame is due; the fraction left over by a piece goes into the next."""
    due = 0.0
    for start_s, end_s, rate in pieces:
        for count in itertools.count(1) if rate else ():
            at_s = start_s + (count - due) / rate
            if at_s > end_s:
                due += (end_s - start_s) * rate - (count - 1)
                break
            yield at_s


async def send(options: argparse.Namespace, frames: list[bytes], link: "Link") -> None:
    """Sends each frame when it is due; begins when the broker is there first."""
    await link.restore()
    began = time.monotonic()
    for due_s, pixels in zip(due_times(programme(options)), itertools.cycle(frames), strict=False):
        if (wait_s := began + due_s - time.monotonic()) > 0:
            await asyncio.sleep(wait_s)
        elif wait_s < -_LATE_S:
            _SKIPPED.inc()
            continue
        try:
            await link.write(pixels)
        except ConnectionError as error:
            logging.warning("lost the broker: %s", error)
            _SKIPPED.inc()
            await link.restore()


class Link:
    """The connection to the broker."""

    def __init__(self, broker: tuple[str, int], side: int) -> None:
        self._broker, self._side = broker, side
        self._writer: asyncio.StreamWriter | None = None

    @property
    def up(self) -> bool:
        return self._writer is not None and not self._writer.is_closing()

    async def restore(self) -> None:
        self.close()
        _, self._writer = await wire.connect(self._broker, wire.Kind.SOURCE)

    async def write(self, pixels: bytes) -> None:
        """Sends a frame, as fast as the broker takes it."""
        if not self.up or self._writer is None:
            raise ConnectionError("the connection is closed")
        self._writer.write(wire.frame(time.time(), self._side, pixels))
        await self._writer.drain()
        _SENT.inc()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


async def run(options: argparse.Namespace, stop: asyncio.Event) -> None:
    chance = random.Random(0)
    frames = [chance.randbytes(2 * options.side**2) for _ in range(8)]
    link = Link(options.broker, options.side)
    async with exposure.served(options, lambda: link.up):
        sending = asyncio.create_task(send(options, frames, link))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            logging.info("the programme is over")
            sending.result()
            if not options.exit_at_end:
                await stopping
        sending.cancel()
        stopping.cancel()
        link.close()


def arguments() -> argparse.ArgumentParser:
    parser = command.parser("Send frames to the broker at a programmed rate.", _EXAMPLES)
    add = parser.add_argument
    rate = command.number(0, _MOST_PER_S)
    add("--broker", type=command.address, required=True, metavar="HOST:PORT", help="where to send")
    add("--rate", type=rate, default=20.0, help="frames a second (%(default)s)")
    add("--step", type=step, metavar="RATE:START:SECONDS", help="another rate for a while")
    add("--arrivals", type=read_csv, metavar="FILE", help="a CSV file instead of rate and step")
    add(
        "--side", type=command.whole(1, 1024), default=128, help="pixels, of a square (%(default)s)"
    )
    add("--exit-at-end", action="store_true", help="end with the programme, not stay silent")
    return parser


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdecimal()


if __name__ == "__main__":
    command.main("source", arguments(), run)
