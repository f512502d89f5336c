"""Deals the frames of sources to the consumers that are registered.

Reads: frames. Gives: each frame to one consumer: in turn and for good, or (--shared-queue) to
whoever has room. Never: holds a source up for a slow consumer: what finds no room is dropped.

At any time, of the frames received: received = dealt + dropped + queued here, and
dealt = done + lost + in flight.
"""

import argparse
import asyncio
import collections
import logging

from prometheus_client import Counter, Gauge

import command
import exposure
import wire
from dealing import DROPPED, Queue, Registered

_EXAMPLES = """\
  python broker.py --listen 127.0.0.1:5000 --metrics-port 9101
  python broker.py --listen 0.0.0.0:5000 --shared-queue --queue-frames 5000
"""
_RECEIVED = Counter("frames_received", "Frames that sources sent")
_LOST = Counter("frames_lost", "Frames dealt to a consumer that ended before it was done")
_QUEUED = Gauge("frames_queued", "Frames waiting here for a consumer to take them in")
_IN_FLIGHT = Gauge("frames_in_flight", "Frames dealt and neither done nor lost")
_CONSUMERS = Gauge("consumers", "Consumers that take frames")


class Broker:
    """Who is registered, and whose turn it is."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._shared = Queue(options.queue_frames) if options.shared_queue else None
        self._turns: collections.deque[Registered] = collections.deque()
        self._all: set[Registered] = set()
        self._serving: set[asyncio.Task[None]] = set()
        _CONSUMERS.set_function(lambda: len(self._turns))
        _QUEUED.set_function(lambda: sum(len(queue.frames) for queue in self._queues()))
        _IN_FLIGHT.set_function(lambda: sum(consumer.owed for consumer in self._all))

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from what it says it is to its end."""
        wire.tune(writer)
        host, port = writer.get_extra_info("peername")[:2]
        try:
            match (await wire.receive(reader))[0]:
                case wire.Kind.SOURCE:
                    await self._take(reader)
                case wire.Kind.CONSUMER:
                    await self._keep(reader, writer)
                case kind:
                    raise wire.ProtocolError(f"{kind.name} is no greeting")
        except ConnectionError as error:
            logging.info("%s:%d left: %s", host, port, error)
        finally:
            writer.close()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        while True:
            kind, frame = await wire.receive(reader)
            if kind is not wire.Kind.FRAME:
                raise wire.ProtocolError(f"a source sends frames, not {kind.name}")
            wire.unpacked(frame)
            _RECEIVED.inc()
            await self._deal(frame)

    async def _deal(self, frame: bytes) -> None:
        if self._shared:
            await self._shared.put(frame)
        elif self._turns:
            self._turns.rotate(-1)
            await self._turns[-1].queue.put(frame)
        else:
            DROPPED.labels("NoConsumer").inc()

    async def _keep(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Feeds a consumer until it leaves; what it owed then is lost."""
        if self._shared:
            consumer = Registered(self._shared, ahead=self._options.ahead, owns_queue=False)
        else:
            own = Queue(self._options.queue_frames)
            consumer = Registered(own, ahead=float("inf"), owns_queue=True)
        writer.write(wire.message(wire.Kind.WELCOME))
        self._all.add(consumer)
        self._turns.append(consumer)
        feeding = asyncio.create_task(consumer.feed(writer))
        # A broken connection shows in what is read: the feeder may end of it unheard.
        feeding.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            await self._hear(consumer, reader)
        finally:
            feeding.cancel()
            self._forget(consumer)

    async def _hear(self, consumer: Registered, reader: asyncio.StreamReader) -> None:
        while True:
            match await wire.receive(reader):
                case (wire.Kind.DONE, body):
                    await consumer.done(wire.counted(body))
                case (wire.Kind.STOP, _):
                    self._pass_over(consumer)
                    await consumer.queue.wake()
                case (kind, _):
                    raise wire.ProtocolError(f"a consumer does not send {kind.name}")

    def _pass_over(self, consumer: Registered) -> None:
        consumer.stopping = True
        if consumer in self._turns:
            self._turns.remove(consumer)

    def _forget(self, consumer: Registered) -> None:
        """What it owes is lost; what waits for it goes with it: queues are never rebalanced."""
        self._pass_over(consumer)
        self._all.discard(consumer)
        _LOST.inc(consumer.owed)
        if not self._shared:
            DROPPED.labels("ConsumerGone").inc(len(consumer.queue.frames))

    def _queues(self) -> list[Queue]:
        return [self._shared] if self._shared else [one.queue for one in self._all]


async def run(options: argparse.Namespace, stop: asyncio.Event) -> None:
    broker = Broker(options)
    server = await asyncio.start_server(broker.accept, *options.listen)
    logging.info("listening at %s:%d", *server.sockets[0].getsockname()[:2])
    async with exposure.served(options, server.is_serving):
        await stop.wait()
    server.close()


def arguments() -> argparse.ArgumentParser:
    parser = command.parser("Deal frames of sources to the consumers registered.", _EXAMPLES)
    add, count = parser.add_argument, command.whole(1, 1_000_000)
    at = "where sources and consumers connect; port 0: a free one, named in the log"
    add("--listen", type=command.address, required=True, metavar="HOST:PORT", help=at)
    add("--shared-queue", action="store_true", help="one queue for all, not one for each consumer")
    most = "that wait here at most, in one queue (%(default)s)"
    add("--queue-frames", type=count, default=1000, metavar="FRAMES", help=most)
    ahead = "that one consumer of a shared queue holds at most (%(default)s)"
    add("--ahead", type=count, default=16, metavar="FRAMES", help=ahead)
    return parser


if __name__ == "__main__":
    command.main("broker", arguments(), run)
