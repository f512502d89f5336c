"""The stream plant: pods in, readiness and metric samples out; the lab's and the testbed's alike.

Reads: pods as they are, time, arrivals. Gives: `ports.PlantOutput`. Never: a cluster, a clock; the
same seed, pods and times give the same output.
"""

import dataclasses
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from charon_operator.lab import luck, service
from charon_operator.lab.arrivals import Arrivals
from charon_operator.lab.parameters import Parameters
from charon_operator.ports import PlantOutput, PlantPod, PodState

TICK_S: Final = 0.1
QUEUED: Final = "frames_queued"
RECEIVED: Final = "frames_received_total"
PROCESSED: Final = "frames_processed_total"
DROPPED: Final = "frames_dropped_total"


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """Where frames are, since the plant began.

    Attributes:
        offered: frames the source sent.
        unheard: sent while no process took any.
        dropped: dealt to processes that had no room to receive them.
        lost: in the queue of a process that crashed or was removed.
        queued: waiting now.
    """

    offered: int
    unheard: int
    dropped: int
    lost: int
    processed: int
    queued: int


class _Pod:
    """A pod's life: its luck, and the process it has now, if any."""

    __slots__ = (
        "chance",
        "going",
        "late_s",
        "limit",
        "process",
        "restarts",
        "start_s",
        "starts",
        "turn",
    )

    def __init__(
        self, ordinal: int, limit: float | None, seed: int, starts: Iterable[luck.Start]
    ) -> None:
        self.limit = limit
        self.going = False  # it terminates: nothing is started in it any more
        self.chance = random.Random(f"batches:{seed}:{ordinal}")
        self.starts = iter(starts)
        self.turn: luck.Start | None = next(self.starts)
        self.start_s: float | None = None
        self.late_s = 0.0  # by which its crashes came later than its luck foresaw
        self.process: service.Process | None = None
        self.restarts = 0


class StreamPlant:
    """The PtychoNN stream of 2024 as a `ports.Plant`.

    Arrivals begin with `begin`; pods that were met before it have long been warm.

    Args:
        parameters: of the plant.
        arrivals: what comes in, from the moment of `begin` on.
        seed: of all chance; a pod's luck hangs on it and on the pod's ordinal alone.
    """

    def __init__(self, parameters: Parameters, arrivals: Arrivals, seed: int = 0) -> None:
        self._parameters = parameters
        self._arrivals = arrivals
        self._seed = seed
        self._pods: dict[str, _Pod] = {}
        self._begin_s: float | None = None
        self._first_s: float | None = None
        self._ticks = 0
        self._born = 0
        self._next = 0
        self._due = 0.0
        self._offered = self._unheard = self._dropped = self._lost = self._processed = 0

    def begin(self, at_s: float) -> None:
        """Let the arrivals' own time start at `at_s`, seconds since 1970."""
        self._begin_s = at_s

    def step(self, now_s: float, pods: Sequence[PlantPod]) -> PlantOutput:
        """Advance in ticks to `now_s` with these pods; see `ports.Plant`."""
        self._first_s = now_s if self._first_s is None else self._first_s
        self._meet(pods, warm=self._begin_s is None)
        while self._first_s + (self._ticks + 1) * TICK_S <= now_s + 1e-6:
            self._ticks += 1
            self._tick(self._first_s + self._ticks * TICK_S)
        return PlantOutput(
            {name: _state(pod) for name, pod in self._pods.items()}, list(self._samples())
        )

    def account(self) -> Account:
        """Where every frame is."""
        live = [pod.process for pod in self._pods.values() if pod.process is not None]
        return Account(
            offered=self._offered,
            unheard=self._unheard,
            dropped=self._dropped + sum(process.dropped for process in live),
            lost=self._lost,
            processed=self._processed + sum(process.processed for process in live),
            queued=sum(process.queue for process in live),
        )

    def serving(self) -> int:
        """Processes that have warmed up and have not gone."""
        return sum(_state(pod).ready for pod in self._pods.values())

    def rate(self, now_s: float) -> float:
        """Arrivals a second at a time, seconds since 1970."""
        return 0.0 if self._begin_s is None else self._arrivals.rate(now_s - self._begin_s)

    def _meet(self, pods: Sequence[PlantPod], *, warm: bool) -> None:
        there = {pod.name for pod in pods}
        for name in [name for name in self._pods if name not in there]:
            self._bury(self._pods.pop(name))
        for pod in sorted(pods, key=lambda pod: (pod.created_at_s, pod.name)):
            known = self._pods.get(pod.name)
            if known is None:
                known = self._pods[pod.name] = self._newborn(pod, warm=warm)
            elif known.limit != pod.limits_cores:
                known.limit = pod.limits_cores
                if known.process is not None:
                    known.process.limit_cores = pod.limits_cores
            known.going = pod.terminating
        self._seat({pod.name: pod.created_at_s for pod in pods})

    def _newborn(self, pod: PlantPod, *, warm: bool) -> _Pod:
        ordinal, self._born = self._born, self._born + 1
        start = [luck.Start(float("-inf"), float("-inf"))] if warm else None
        return _Pod(
            ordinal,
            pod.limits_cores,
            self._seed,
            start or luck.starts(self._parameters, self._seed, ordinal),
        )

    def _seat(self, created_s: Mapping[str, float]) -> None:
        """Bind waiting pods to the node's slots, in order of creation."""
        free = self._parameters.node_slots
        free -= sum(pod.start_s is not None for pod in self._pods.values())
        for name, pod in self._pods.items():
            if pod.start_s is None and not pod.going and free > 0:
                free -= 1
                began_s = (self._first_s or 0.0) + self._ticks * TICK_S
                # A pod that had to wait for a slot starts when it gets one.
                pod.start_s = max(created_s[name], began_s - TICK_S)

    def _tick(self, now_s: float) -> None:
        takers = []
        for pod in self._pods.values():
            self._come_up(pod, now_s)
            if pod.process is not None:
                pod.process.make_room(TICK_S)
                takers.append(pod.process)
        rate = self.rate(now_s - TICK_S / 2)
        self._deal(takers, rate * TICK_S)
        offered = rate / len(takers) if takers else 0.0
        service.serve_all(self._parameters, takers, offered, TICK_S)

    def _come_up(self, pod: _Pod, now_s: float) -> None:
        """Bring a pod's process to what its luck says: starting, taking, crashed or serving."""
        if pod.turn is None or pod.start_s is None:
            return
        age_s = now_s - pod.start_s - pod.late_s
        if pod.process is None:
            if pod.going or age_s < pod.turn.takes_s:
                return
            pod.process = service.Process(self._parameters, pod.limit, pod.chance)
        if pod.turn.serves_s is None:
            if pod.process.queue >= self._parameters.batch:
                self._crash(pod, age_s)
        elif age_s >= pod.turn.serves_s + self._slow_first(pod.limit):
            pod.process.serving = True
            pod.turn = None

    def _crash(self, pod: _Pod, age_s: float) -> None:
        """The process is gone with its first batch; the container starts again."""
        assert pod.turn is not None
        # Without frames there is nothing to crash on, and the restarts come later.
        pod.late_s += max(0.0, age_s - pod.turn.takes_s - 1.0)
        self._bury(pod)
        pod.restarts += 1
        pod.turn = next(pod.starts)

    def _slow_first(self, limit: float | None) -> float:
        """Seconds by which the first inference is slower than at one core."""
        cost = self._parameters.first_inference
        return max(0.0, cost / limit - cost) if limit else 0.0

    def _bury(self, pod: _Pod) -> None:
        if pod.process is not None:
            self._lost += pod.process.queue
            self._dropped += pod.process.dropped
            self._processed += pod.process.processed
            pod.process = None

    def _deal(self, takers: Sequence[service.Process], frames: float) -> None:
        """Deal what came, in groups, in turn."""
        group = self._parameters.batch
        self._due += frames
        while self._due >= group:
            self._due -= group
            self._offered += group
            if takers:
                self._next = (self._next + 1) % len(takers)
                takers[self._next].deal(group)
            else:
                self._unheard += group

    def _samples(self) -> Iterable[tuple[str, Mapping[str, str], float]]:
        """Metrics of the pods whose process is up, as its own exporter would serve them."""
        for name, pod in self._pods.items():
            if pod.process is not None:
                labels = {"pod": name}
                yield QUEUED, labels, float(pod.process.queue)
                yield RECEIVED, labels, float(pod.process.received)
                yield PROCESSED, labels, float(pod.process.processed)
                yield DROPPED, labels, float(pod.process.dropped)


def _state(pod: _Pod) -> PodState:
    if pod.process is None:
        return PodState(False, pod.restarts, alive=False)
    return PodState(pod.process.serving, pod.restarts)
