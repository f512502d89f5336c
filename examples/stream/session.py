"""A consumer's work: taking frames in and processing them, on real CPU time.

Reads: frames of one connection. Gives: metrics, and word to the broker of what is done. Never:
sleeps to seem busy: each step costs stated CPU milliseconds, spent on Fourier transforms until the
process's own CPU clock says so. How long that takes is then the CPU limit's business.

One thread does both in turns. While frames keep coming, a slice of a batch follows each frame taken
in, and so processing keeps the share of the CPU that it had in the application measured in 2024.
"""

import argparse
import asyncio
import collections
import contextlib
import time

import numpy as np
import numpy.typing as npt
from prometheus_client import Counter, Gauge, Histogram

import wire

# `inference_share` of data/plants/ptychonn-2024.json: what is left to processing when more frames
# come than can be taken in.
_PROCESSING_SHARE = 0.27
_LEAST_SLICE_S = 0.0005
_RECEIVED = Counter("frames_received", "Frames taken in")
_PROCESSED = Counter("frames_processed", "Frames processed")
_BATCHES = Counter("batches_processed", "Batches processed")
_LOST = Counter("frames_lost", "Frames taken in and given up with the connection")
QUEUED = Gauge("frames_queued", "Frames taken in and not processed yet, the batch at work included")
_SECONDS = Histogram(
    "frame_seconds",
    "From when a frame was sent to when it was processed",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64),
)

Pixels = npt.NDArray[np.int16]


def burn(pixels: Pixels, cpu_s: float) -> float:
    """Transforms a frame until that much of the process's CPU time has gone; says how much did."""
    began = now = time.process_time()
    while now - began < cpu_s:
        np.fft.rfft2(pixels)
        now = time.process_time()
    return now - began


class Session:
    """One connection to the broker, and the queue that lives and dies with it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._queue: collections.deque[tuple[float, float, Pixels]] = collections.deque()
        self._changed = asyncio.Condition()
        self._ended = False
        receive_s = options.receive_cpu_ms / 1000
        share = _PROCESSING_SHARE / (1 - _PROCESSING_SHARE)
        self._slice_s = max(receive_s * share, _LEAST_SLICE_S)

    def __len__(self) -> int:
        return len(self._queue)

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes in and processes until the broker says END and all is done.

        Raises:
            ConnectionError: the broker is gone.
        """
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._take(reader))
                both.create_task(self._process(writer))
        except* ConnectionError as group:
            raise ConnectionError(str(group.exceptions[0])) from None
        finally:
            _LOST.inc(len(self._queue))
            self._queue.clear()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        while True:
            kind, body = await wire.receive(reader)
            if kind is wire.Kind.END:
                break
            sent_s, height, width, buffer = wire.unpacked(body)
            pixels = np.frombuffer(buffer, np.int16).reshape(height, width)
            burn(pixels, self._options.receive_cpu_ms / 1000)
            self._queue.append((sent_s, time.monotonic(), pixels))
            _RECEIVED.inc()
            async with self._changed:
                self._changed.notify_all()
                # Where it is full nothing is read: TCP tells the broker.
                await self._changed.wait_for(lambda: len(self) < self._options.queue_frames)
            await asyncio.sleep(0)
        self._ended = True
        async with self._changed:
            self._changed.notify_all()

    async def _process(self, writer: asyncio.StreamWriter) -> None:
        while batch := await self._batch():
            await self._spend(batch)
            now_s = time.time()
            for sent_s, _, _ in batch:
                # Clocks of two machines may disagree.
                _SECONDS.observe(max(now_s - sent_s, 0.0))
                self._queue.popleft()
            _PROCESSED.inc(len(batch))
            _BATCHES.inc()
            writer.write(wire.done(len(batch)))
            await writer.drain()
            async with self._changed:
                self._changed.notify_all()

    async def _batch(self) -> list[tuple[float, float, Pixels]]:
        """The next frames, which stay in the queue: a full batch, or what waited long enough.

        None are left at the end of all.
        """
        size = self._options.batch
        async with self._changed:
            await self._changed.wait_for(lambda: self._queue or self._ended)
            patience = self._queue[0][1] + self._options.linger if self._queue else 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience - time.monotonic()):
                    await self._changed.wait_for(lambda: len(self) >= size or self._ended)
        return [frame for frame, _ in zip(self._queue, range(size), strict=False)]

    async def _spend(self, batch: list[tuple[float, float, Pixels]]) -> None:
        left_s = len(batch) * self._options.process_cpu_ms / 1000
        while left_s > 0:
            left_s -= burn(batch[0][2], min(left_s, self._slice_s))
            await asyncio.sleep(0)
