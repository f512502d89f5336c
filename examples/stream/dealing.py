"""A consumer as the broker sees it: the queue it is fed from, and what it owes.

Reads: frames, reports of what is done. Gives: frames on the consumer's connection. Never: moves a
frame from one queue to another.
"""

import asyncio
import collections

from prometheus_client import Counter

import wire

DEALT = Counter("frames_dealt", "Frames sent to a consumer")
DONE = Counter("frames_done", "Frames that consumers reported as processed")
DROPPED = Counter("frames_dropped", "Frames that reached no consumer", ["reason"])

for _reason in ("NoConsumer", "QueueFull", "ConsumerGone"):
    DROPPED.labels(_reason)


class Queue:
    """Frames in a row, with a bound; those who wait for a frame or for leave are woken."""

    def __init__(self, most: int) -> None:
        self.frames: collections.deque[bytes] = collections.deque()
        self.changed = asyncio.Condition()
        self._most = most

    async def put(self, frame: bytes) -> None:
        if len(self.frames) >= self._most:
            DROPPED.labels("QueueFull").inc()
            return
        self.frames.append(frame)
        await self.wake()

    async def wake(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class Registered:
    """One that is registered: a queue, its own or that of all, and what it owes."""

    def __init__(self, queue: Queue, *, ahead: float, owns_queue: bool) -> None:
        self.queue = queue
        self.owed = 0
        self.stopping = False
        self._ahead, self._owns_queue = ahead, owns_queue

    async def done(self, frames: int) -> None:
        if frames > self.owed:
            raise wire.ProtocolError(f"{frames} frames done of {self.owed} dealt")
        self.owed -= frames
        DONE.inc(frames)
        await self.queue.wake()

    async def feed(self, writer: asyncio.StreamWriter) -> None:
        """Sends frames while there are some and it has room, and END behind its last one."""
        while frame := await self._next():
            self.owed += 1
            DEALT.inc()
            writer.write(wire.message(wire.Kind.FRAME, frame))
            await writer.drain()
        writer.write(wire.message(wire.Kind.END))
        await writer.drain()

    async def _next(self) -> bytes | None:
        async with self.queue.changed:
            await self.queue.changed.wait_for(lambda: self._is_last or self._has_room)
            return None if self._is_last else self.queue.frames.popleft()

    @property
    def _is_last(self) -> bool:
        return self.stopping and not (self._owns_queue and self.queue.frames)

    @property
    def _has_room(self) -> bool:
        return bool(self.queue.frames) and self.owed < self._ahead
