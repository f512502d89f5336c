"""A simulated Deployment: asked-for replicas become pods, surplus pods end after their grace.

A surplus pod in which nothing runs has no use of its grace, and ends at once. Pods are born with
the template's CPU limit and may be resized one by one.

Reads: scale and resize commands, pods' states. Gives: a `Workload`, the pods' `Sizes` and the
plant's pods. Never: a network, memory. A fake of API server, controllers, scheduler and kubelet, in
their order of removal and without their delays, but for that of a resize.
"""

import dataclasses
import math
from collections.abc import Mapping

from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes
from charon_operator.model.workload import Target, Workload
from charon_operator.ports import PlantPod, PodState


@dataclasses.dataclass(slots=True)
class _Pod:
    """A pod and what is known of it.

    Attributes:
        ends_s: set when it terminates.
        cpu_m: limit it runs with, in millicores; None without one. asked_m: that it is to have.
        due_s: when `asked_m` takes effect; None when it has, or when the node defers it.
        since_s: since when `asked_m` waits.
    """

    name: str
    created_s: float
    cpu_m: int | None
    asked_m: int | None
    ends_s: float | None = None
    ready_s: float | None = None
    restarts: int = 0
    alive: bool = False
    bound: bool = False
    due_s: float | None = None
    since_s: float | None = None
    versions: int = 1

    @property
    def held_m(self) -> int:
        """What it takes of its node: the larger of what it has and what was granted."""
        granted = self.asked_m if self.due_s is not None else self.cpu_m
        return max(self.cpu_m or 0, granted or 0) if self.bound else 0


class Cluster:
    """One Deployment and its pods.

    Args:
        target: its name.
        replicas: asked for at the beginning; these pods exist already.
        now_s: the beginning, seconds since 1970.
        grace_s: for which a pod in which a process runs goes on after it was told to end.
        limit_cores: CPU limit in the template; None without one.
        resize_s: from a resize that is granted until the pod runs with it.
        node_cores: that all pods share; None: as many as are asked for. What does not fit waits.
    """

    def __init__(
        self,
        target: Target,
        replicas: int,
        now_s: float,
        *,
        grace_s: float,
        limit_cores: float | None = 1.0,
        resize_s: float = 1.0,
        node_cores: float | None = None,
    ) -> None:
        self._target = target
        self._grace_s = grace_s
        self._resize_s = resize_s
        self._template_m = None if limit_cores is None else round(1000 * limit_cores)
        self._node_m = math.inf if node_cores is None else 1000 * node_cores
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

    def resize(self, name: str, size: Size, now_s: float) -> None:
        """Ask for another CPU limit of a pod; nothing comes of it where it has none, or is gone."""
        pod = self._pods.get(name)
        if pod is None or pod.asked_m is None or size.cpu_m is None:
            return
        if size.cpu_m != pod.asked_m:
            pod.asked_m, pod.since_s, pod.due_s = size.cpu_m, now_s, None
            pod.versions += 1
            self._grant(now_s)

    def advance(self, now_s: float, states: Mapping[str, PodState]) -> None:
        """Take in the pods' states; create, terminate and remove what is due."""
        for name, state in states.items():
            if name in self._pods:
                _take_in(self._pods[name], state, now_s)
        self._remove(now_s)
        live = self._live()
        for _ in range(self.replicas - len(live)):
            name = f"{self._target.name}-{self._born:04}"
            self._pods[name] = _Pod(name, now_s, self._template_m, self._template_m)
            self._born += 1
        for pod in sorted(live, key=_removal_order)[: max(0, len(live) - self.replicas)]:
            pod.ends_s = now_s + self._grace_s
        self._remove(now_s)
        self._grant(now_s)
        self._bind()

    def _bind(self) -> None:
        """Bind waiting pods to the node while they fit, oldest first."""
        for pod in self._pods.values():
            if not pod.bound and (pod.cpu_m or 0) <= self._free_m:
                pod.bound = True

    def _grant(self, now_s: float) -> None:
        """Let granted resizes take effect, and grant the waiting ones that fit, oldest first."""
        for pod in self._pods.values():
            if pod.due_s is not None and pod.due_s <= now_s:
                pod.cpu_m, pod.due_s, pod.since_s = pod.asked_m, None, None
        waiting = [pod for pod in self._pods.values() if pod.since_s is not None]
        for pod in sorted(waiting, key=lambda pod: pod.since_s or 0.0):
            if pod.due_s is None and (pod.asked_m or 0) - (pod.cpu_m or 0) <= self._free_m:
                pod.due_s = now_s + self._resize_s

    @property
    def _free_m(self) -> float:
        return self._node_m - sum(pod.held_m for pod in self._pods.values())

    def _remove(self, now_s: float) -> None:
        """Remove the pods that were told to end and in which nothing runs, or whose time is up."""
        for pod in list(self._pods.values()):
            if pod.ends_s is not None and (pod.ends_s <= now_s or not pod.alive):
                del self._pods[pod.name]

    def pods(self) -> list[PlantPod]:
        """The pods that are on the node, terminating ones included."""
        return [
            PlantPod(
                pod.name,
                pod.created_s,
                pod.ends_s is not None,
                None if pod.cpu_m is None else pod.cpu_m / 1000,
            )
            for pod in self._pods.values()
            if pod.bound
        ]

    def sizes(self) -> Sizes:
        """What the API server would say of the pods' sizes, terminating ones left out."""
        problem = "" if self._template_m else "the container has no CPU limit"
        pods = tuple(self._sized(pod) for pod in self._live())
        return Sizes(Size(cpu_m=self._template_m), pods, problem)

    @property
    def cores(self) -> float | None:
        """CPU held by the pods that are not terminating; None where they have no limit."""
        if self._template_m is None:
            return None
        return sum(pod.held_m for pod in self._live()) / 1000

    @property
    def due_s(self) -> float:
        """When the next resize takes effect; infinity if none is under way."""
        due = (pod.due_s for pod in self._pods.values() if pod.due_s is not None)
        return min(due, default=math.inf)

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

    def _sized(self, pod: _Pod) -> SizedPod:
        return SizedPod(
            name=pod.name,
            uid=pod.name,
            resource_version=str(pod.versions),
            # A container that crashed leaves its pod Running.
            running=pod.alive or pod.restarts > 0,
            ready=pod.ready_s is not None,
            asked=Size(cpu_m=pod.asked_m),
            actual=Size(cpu_m=pod.cpu_m),
            resizing=self._resizing(pod),
            since_s=pod.since_s,
            restarts=pod.restarts,
        )

    def _resizing(self, pod: _Pod) -> Resizing:
        if pod.since_s is None:
            return Resizing.SETTLED
        if pod.due_s is not None:
            return Resizing.IN_PROGRESS
        never = (pod.asked_m or 0) > self._node_m
        return Resizing.INFEASIBLE if never else Resizing.DEFERRED


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
