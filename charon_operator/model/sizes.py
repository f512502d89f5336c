"""How large the containers of an app's pods are, and what became of asking for another size.

Reads: nothing. Gives: `Size`, `Span`, `SizedPod`, `Sizes`. Never: a guess; what is not set or not
known is None.
"""

from dataclasses import dataclass
from enum import StrEnum

from charon_operator.model import quantity


@dataclass(frozen=True, slots=True)
class Size:
    """CPU (millicores) and memory (bytes) of one container: its limit, else its request.

    None stands for a resource that is not set, or not managed.
    """

    cpu_m: int | None = None
    memory_b: int | None = None

    def __str__(self) -> str:
        cpu = "" if self.cpu_m is None else quantity.render_cpu(self.cpu_m)
        memory = "" if self.memory_b is None else quantity.render_memory(self.memory_b)
        return " and ".join(filter(None, (cpu, memory))) or "no size"


@dataclass(frozen=True, slots=True)
class Span:
    """Request and limit of one resource, in millicores or bytes; None where it is not set."""

    request: int | None = None
    limit: int | None = None

    @property
    def size(self) -> int | None:
        """The limit, else the request."""
        return self.request if self.limit is None else self.limit


class Resizing(StrEnum):
    """What the kubelet says of the newest size that a pod was asked to take."""

    SETTLED = "Settled"
    IN_PROGRESS = "InProgress"
    DEFERRED = "Deferred"
    INFEASIBLE = "Infeasible"
    FAILED = "Error"


@dataclass(frozen=True, slots=True)
class SizedPod:
    """One pod with the container that is sized.

    Attributes:
        running: its phase is Running; only such a pod is resized.
        asked: size in the pod's spec.
        actual: size the container runs with, by its status; None when the status does not say.
        resizing, detail: what became of `asked`, in the kubelet's words.
        since_s: since when the pod waits (s since 1970), None when it does not.
        restarts: of that container.
        refusal: why this pod is never resized (no such container, BestEffort, a GPU), else empty.
        restarts_on_cpu, restarts_on_memory: `resizePolicy` RestartContainer.
        cpu, memory: how request and limit stand to each other, which a resize keeps.
    """

    name: str
    uid: str
    resource_version: str
    running: bool
    ready: bool
    asked: Size
    actual: Size | None = None
    resizing: Resizing = Resizing.SETTLED
    detail: str = ""
    since_s: float | None = None
    restarts: int = 0
    refusal: str = ""
    restarts_on_cpu: bool = False
    restarts_on_memory: bool = False
    cpu: Span = Span()
    memory: Span = Span()


@dataclass(frozen=True, slots=True)
class Sizes:
    """All pods of a target, and what its template says.

    Attributes:
        template: size of the container in the pod template: pods are born with it.
        problem: why the container cannot be sized at all (absent, nothing set), else empty.
        settled_at_s: when pods were first seen to have all they were asked for since we last
            asked (s since 1970); None where they have not, or nobody looked in between.
    """

    template: Size
    pods: tuple[SizedPod, ...] = ()
    problem: str = ""
    settled_at_s: float | None = None

    @property
    def sized(self) -> tuple[SizedPod, ...]:
        """The running pods that may be resized."""
        return tuple(pod for pod in self.pods if pod.running and not pod.refusal)
