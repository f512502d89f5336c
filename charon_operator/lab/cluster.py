"""A simulated Deployment: asked-for replicas become pods, surplus pods end after their grace.

A surplus pod in which nothing runs has no use of its grace, and ends at once.

Reads: scale commands, pods' states. Gives: a `Workload` and the plant's pods. Never: a network. A
fake of API server, controllers and scheduler, in their order of removal and without their delays.
"""

import dataclasses
from collections.abc import Mapping

from charon_operator.model.workload import Target, Workload
from charon_operator.ports import PlantPod, PodState


@dataclasses.dataclass(slots=True)
class _Pod:
    """A pod and what is known of it; `ends_s` is set when it terminates."""

    name: str
    created_s: float
    ends_s: float | None = None
    ready_s: float | None = None
    restarts: int = 0
    alive: bool = False


class Cluster:
    """One Deployment and its pods.

    Args:
        target: its name.
        replicas: asked for at the beginning; these pods exist already.
        now_s: the beginning, seconds since 1970.
        grace_s: for which a pod in which a process runs goes on after it was told to end.
        limit_cores: CPU limit of each pod; None without one.
    """

    def __init__(
        self,
        target: Target,
        replicas: int,
        now_s: float,
        *,
        grace_s: float,
        limit_cores: float | None = 1.0,
    ) -> None:
        self._target = target
        self._grace_s = grace_s
        self._limit_cores = limit_cores
        self._generation = 1
        self._pods: dict[str, _Pod] = {}
        self._born = 0
        self.replicas = replicas
        self.advance(now_s, {})

    def scale(self, replicas: int, now_s: float) -> None:
        """Ask for another number of replicas."""
        if replicas != self.replicas:
            self.replicas = replicas
            self._generation += 1
            self.advance(now_s, {})

    def advance(self, now_s: float, states: Mapping[str, PodState]) -> None:
        """Take in the pods' states; create, terminate and remove what is due."""
        for name, state in states.items():
            if name in self._pods:
                _take_in(self._pods[name], state, now_s)
        self._remove(now_s)
        live = self._live()
        for _ in range(self.replicas - len(live)):
            name = f"{self._target.name}-{self._born:04}"
            self._pods[name] = _Pod(name, now_s)
            self._born += 1
        for pod in sorted(live, key=_removal_order)[: max(0, len(live) - self.replicas)]:
            pod.ends_s = now_s + self._grace_s
        self._remove(now_s)

    def _remove(self, now_s: float) -> None:
        """Remove the pods that were told to end and in which nothing runs, or whose time is up."""
        for pod in list(self._pods.values()):
            if pod.ends_s is not None and (pod.ends_s <= now_s or not pod.alive):
                del self._pods[pod.name]

    def pods(self) -> list[PlantPod]:
        """The pods, terminating ones included."""
        return [
            PlantPod(pod.name, pod.created_s, pod.ends_s is not None, self._limit_cores)
            for pod in self._pods.values()
        ]

    @property
    def ready(self) -> int:
        """Pods that are Ready and not terminating."""
        return sum(pod.ready_s is not None for pod in self._live())

    def workload(self) -> Workload:
        """The Deployment as its status shows it."""
        count = len(self._live())
        return Workload(
            target=self._target,
            uid="simulated",
            resource_version=str(self._generation),
            generation=self._generation,
            observed_generation=self._generation,
            replicas=self.replicas,
            current=count,
            ready=self.ready,
            updated=count,
        )

    def _live(self) -> list[_Pod]:
        return [pod for pod in self._pods.values() if pod.ends_s is None]


def _take_in(pod: _Pod, state: PodState, now_s: float) -> None:
    pod.restarts, pod.alive = state.restarts, state.alive
    if not state.ready:
        pod.ready_s = None
    elif pod.ready_s is None:
        pod.ready_s = now_s


def _removal_order(pod: _Pod) -> tuple[bool, float, int, float, str]:
    """As a ReplicaSet: not ready first, then latest ready, most restarts, youngest."""
    return (
        pod.ready_s is not None,
        -(pod.ready_s or 0.0),
        -pod.restarts,
        -pod.created_s,
        pod.name,
    )
