"""Takes frames from the broker and burns real CPU on them, in batches.

Reads: frames. Gives: what it does, in metrics. Never: takes frames after SIGTERM: what is queued by
then is lost, or served within a grace (--on-stop drain).
"""

import argparse
import asyncio
import logging

import command
import exposure
import wire
from session import QUEUED, Session

_EXAMPLES = """\
  python consumer.py --broker 127.0.0.1:5000 --metrics-port 9102
  python consumer.py --broker 127.0.0.1:5000 --process-cpu-ms 4 --on-stop drain
"""


class Consumer:
    """Keeps a session with the broker, and ends as told."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._session = Session(options)
        self._writer: asyncio.StreamWriter | None = None
        self._stopping = False
        QUEUED.set_function(lambda: len(self._session))

    @property
    def ready(self) -> bool:
        return self._writer is not None and not self._stopping

    async def work(self) -> None:
        """Serves one session after the other, until one ends because we asked for it."""
        while not self._stopping:
            reader, writer = await wire.connect(self._options.broker, wire.Kind.CONSUMER)
            self._session = Session(self._options)
            try:
                if (await wire.receive(reader))[0] is not wire.Kind.WELCOME:
                    raise wire.ProtocolError("this broker does not welcome consumers")
                self._writer = writer
                await self._session.run(reader, writer)
            except ConnectionError as error:
                logging.warning("lost the broker: %s", error)
                await asyncio.sleep(wire.RETRY_S)
            finally:
                self._writer = None
                writer.close()

    async def stop(self, working: "asyncio.Task[None]") -> None:
        """Takes no more frames; serves what is queued if told to, as long as the grace lasts."""
        self._stopping = True
        if self._writer and self._options.on_stop == "drain":
            self._writer.write(wire.message(wire.Kind.STOP))
            await asyncio.wait({working}, timeout=self._options.grace)
        logging.info("ends; frames lost in its queue: %d", len(self._session))
        working.cancel()


async def run(options: argparse.Namespace, stop: asyncio.Event) -> None:
    consumer = Consumer(options)
    async with exposure.served(options, lambda: consumer.ready):
        working = asyncio.create_task(consumer.work())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        await consumer.stop(working)


def arguments() -> argparse.ArgumentParser:
    parser = command.parser("Take frames from the broker and burn CPU on them.", _EXAMPLES)
    add = parser.add_argument
    count, cost = command.whole(1, 1_000_000), command.number(0, 10_000)
    seconds = command.number(0, 3600)
    add("--broker", type=command.address, required=True, metavar="HOST:PORT", help="who deals")
    add("--receive-cpu-ms", type=cost, default=2.3, help="CPU to take a frame in (%(default)s)")
    add("--process-cpu-ms", type=cost, default=11.7, help="CPU to process a frame (%(default)s)")
    add("--batch", type=count, default=8, help="frames processed together (%(default)s)")
    add("--linger", type=seconds, default=1.0, help="s until a batch goes unfilled (%(default)s)")
    add("--queue-frames", type=count, default=5000, help="taken in at most (%(default)s)")
    add("--on-stop", choices=("lose", "drain"), default="lose", help="the queue (%(default)s)")
    add("--grace", type=seconds, default=25.0, help="s that a drain may take (%(default)s)")
    return parser


if __name__ == "__main__":
    command.main("consumer", arguments(), run)
