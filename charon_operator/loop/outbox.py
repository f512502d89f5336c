"""Writes waiting for their turn: a few at a time, the urgent ones first.

Reads: jobs with an urgency. Gives: their running, by a bounded number of workers. Never: an
exception from one job to another, or a wait for whoever submits.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from enum import IntEnum

_log = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]


class Urgency(IntEnum):
    """What goes first: moves of targets, then statuses, then Events."""

    MOVE = 0
    STATUS = 1
    EVENT = 2


class Outbox:
    """A queue and its workers.

    Args:
        workers: how many jobs run at once.
    """

    def __init__(self, workers: int) -> None:
        self._queue: asyncio.PriorityQueue[tuple[int, int, Job]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._count = workers
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    def start(self) -> None:
        """Start the workers, in the running loop."""
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._count)]

    def submit(self, urgency: Urgency, job: Job) -> None:
        """Queue a job; once closing has begun it is dropped."""
        if not self._closing:
            self._queue.put_nowait((urgency, next(self._order), job))

    async def drained(self) -> None:
        """Wait until every job that was submitted is over."""
        await self._queue.join()

    async def close(self, grace_s: float) -> None:
        """Begin no further job, let those that run end, and cut off what takes longer."""
        self._closing = True
        await self.pause(grace_s)

    async def pause(self, grace_s: float) -> None:
        """End the workers as `close` does; they may be started again."""
        while not self._queue.empty():
            self._queue.get_nowait()
            self._queue.task_done()
        if not self._tasks:
            return
        running = asyncio.ensure_future(self._queue.join())
        await asyncio.wait([running], timeout=grace_s)
        for task in (running, *self._tasks):
            task.cancel()
        await asyncio.gather(running, *self._tasks, return_exceptions=True)
        self._tasks = []

    async def _work(self) -> None:
        while True:
            _, _, job = await self._queue.get()
            try:
                await job()
            except Exception:
                # A fault of ours in one write must not end the worker that others wait for.
                _log.exception("A write failed in the operator itself")
            finally:
                self._queue.task_done()
