"""What processes do with frames: one queue each, a service law, one ceiling they share.

Reads: plant parameters, dealt frames. Gives: queues and counters. Never: moves a frame from one
process to another; that is the point of this plant.
"""

import random
from collections.abc import Sequence
from typing import Final

from charon_operator.lab.parameters import Parameters

_RATE_STEP: Final = 1e-6


class Process:
    """One serving process: a queue, batches, counters since its start.

    Attributes:
        queue: frames waiting, those of the batch in work included.
        received: frames dealt to it; processed: finished; dropped: dealt and not taken in.
        serving: whether it has warmed up.
    """

    __slots__ = (
        "_chance",
        "_need",
        "_parameters",
        "_room",
        "_work",
        "dropped",
        "limit_cores",
        "processed",
        "queue",
        "received",
        "serving",
    )

    def __init__(
        self, parameters: Parameters, limit_cores: float | None, chance: random.Random
    ) -> None:
        self._parameters = parameters
        self._chance = chance
        self.limit_cores = limit_cores
        self.queue = self.received = self.processed = self.dropped = 0
        self.serving = False
        self._work = 0.0
        self._need = self._next_batch()
        self._room = 0.0

    def _next_batch(self) -> float:
        """Work of the next batch, in frames: its time varies, its size does not."""
        spread = self._parameters.batch_variation * self._chance.gauss(0.0, 1.0)
        return self._parameters.batch * max(0.3, 1.0 + spread)

    def deal(self, frames: int) -> None:
        """Give it frames; what it has no room to receive is dropped."""
        self.received += frames
        if self.limit_cores is not None and self._room < frames:
            self.dropped += frames
            return
        self._room -= frames
        self.queue += frames

    def make_room(self, seconds: float) -> None:
        """Let its allowance to receive grow with time."""
        limit = self._parameters.receive_limit * (self.limit_cores or 0.0)
        most = max(limit * self._parameters.receive_allowance, 2.0 * self._parameters.batch)
        self._room = min(most, self._room + limit * seconds)

    def wish(self, offered: float, seconds: float) -> float:
        """Work, in frames, it could do in the next `seconds`, alone on its node.

        No more than its full batches need: a process that waits for frames leaves the node to
        others.

        Args:
            offered: frames/s dealt to it meanwhile.
            seconds: how long.
        """
        batches = self.queue // self._parameters.batch
        if not self.serving or batches == 0:
            return 0.0
        needed = self._need + (batches - 1) * self._parameters.batch - self._work
        return min(needed, service(self._parameters, self.limit_cores, offered) * seconds)

    def serve(self, work: float) -> None:
        """Spend work, in frames, on batches."""
        batch = self._parameters.batch
        self._work += work
        while self._work >= self._need - 1e-9 and self.queue >= batch:
            self._work -= self._need
            self._need = self._next_batch()
            self.queue -= batch
            self.processed += batch


def service(parameters: Parameters, limit_cores: float | None, offered: float) -> float:
    """Frames/s a backlogged process serves while `offered` frames/s are dealt to it.

    Within a CPU limit receiving and inference share the CPU: what receiving leaves, and at least
    a fixed share of it. Source: CPU-limit sweep of 2024, see the plant's file.
    """
    if limit_cores is None:
        if offered <= 0:
            return parameters.unlimited_drain
        return max(0.0, parameters.unlimited_service + parameters.unlimited_slope * offered)
    free = max(0.0, limit_cores - parameters.overhead)
    received = min(offered, (1 - parameters.inference_share) * free / parameters.receive_cost)
    left = free - parameters.receive_cost * received
    return max(parameters.inference_share * free, left) / parameters.inference_cost


def sustained(parameters: Parameters, limit_cores: float) -> float:
    """The rate (frames/s) that a process within a CPU limit can be dealt and serves for good."""
    served, refused = 0.0, limit_cores / parameters.receive_cost
    while refused - served > _RATE_STEP:
        middle = (served + refused) / 2
        if service(parameters, limit_cores, middle) >= middle:
            served = middle
        else:
            refused = middle
    return served


def serve_all(
    parameters: Parameters, processes: Sequence[Process], offered: float, seconds: float
) -> None:
    """Let all processes of the node serve for a while, under the ceiling they share.

    Args:
        parameters: of the plant.
        processes: of the node.
        offered: frames/s dealt to each of them.
        seconds: how long.
    """
    wishes = [process.wish(offered, seconds) for process in processes]
    wanted = sum(wishes)
    if wanted <= 0:
        return
    part = min(1.0, parameters.node_ceiling * seconds / wanted)
    for process, wish in zip(processes, wishes, strict=True):
        if wish > 0:
            process.serve(wish * part)
