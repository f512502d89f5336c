"""Sends frames to the broker at a programmed rate.

Reads: a rate, a step or a CSV file. Gives: frames of noise, each with the time it was sent.
Never: waits for those who serve them, as a detector does not: what is too late is skipped.
"""

import argparse
import asyncio
import itertools
import logging
import random
import time

from prometheus_client import Counter

import command
import exposure
import programme
import wire

_EXAMPLES = """\
  python source.py --broker 127.0.0.1:5000 --rate 20
  python source.py --broker 127.0.0.1:5000 --rate 10 --step 60:30:120
  python source.py --broker 127.0.0.1:5000 --arrivals load.csv --exit-at-end
"""
_SENT = Counter("frames_sent", "Frames sent to the broker")
_SKIPPED = Counter("frames_skipped", "Frames that were due and not sent: the broker was not there")


async def send(options: argparse.Namespace, frames: list[bytes], link: "Link") -> None:
    """Sends each frame when it is due; begins when the broker is there first."""
    due_times = programme.due_times(programme.pieces(options))
    await link.restore()
    began = time.monotonic()
    for due_s, pixels in zip(due_times, itertools.cycle(frames), strict=False):
        if (wait_s := began + due_s - time.monotonic()) > 0:
            await asyncio.sleep(wait_s)
        elif wait_s < -options.late:
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
    rate = command.number(0, programme.MOST_PER_S)
    add("--broker", type=command.address, required=True, metavar="HOST:PORT", help="where to send")
    add("--rate", type=rate, default=20.0, help="frames a second (%(default)s)")
    changing = parser.add_mutually_exclusive_group().add_argument
    again = "another rate for a while"
    changing("--step", type=programme.step, metavar="RATE:START:SECONDS", help=again)
    columns = "rates of a CSV file, columns t_s and arrivals_per_s, instead of one rate"
    changing("--arrivals", type=programme.read_csv, metavar="FILE", help=columns)
    side = command.whole(1, 1024)
    add("--side", type=side, default=128, help="pixels, of a square (%(default)s)")
    late = "s behind its time that a frame is still sent (%(default)s)"
    add("--late", type=command.number(0, 3600), default=1.0, help=late)
    add("--exit-at-end", action="store_true", help="end with the programme, not stay silent")
    return parser


if __name__ == "__main__":
    command.main("source", arguments(), run)
