"""The outlets of the loop: what it asks for and what it may do, as Protocols.

Reads: nothing. Gives: Protocols and the values that cross them. Never: an implementation (those are
in `clients`, in `lab` and in tests).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from charon_operator.model.form import FormWrite
from charon_operator.model.sizes import Size, SizedPod, Sizes
from charon_operator.model.workload import Absent, Key, Target, Workload


@dataclass(frozen=True, slots=True)
class Series:
    """One element of an instant vector: labels, value (may be NaN or infinite), time in s."""

    labels: Mapping[str, str]
    value: float
    time_s: float


@dataclass(frozen=True, slots=True)
class Vector:
    """An answered query. `warnings` are the store's own words."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


class FailureKind(StrEnum):
    """Why a query has no answer."""

    REJECTED = "Rejected"  # the store says the query is wrong (400, 422)
    UNAVAILABLE = "Unavailable"  # the store or the way to it is down, or broke over the query
    TIMEOUT = "Timeout"
    MALFORMED = "Malformed"  # an answer that is not one
    MANY_SERIES = "ManySeries"  # an answer, and more of it than is worth reading again


@dataclass(frozen=True, slots=True)
class QueryFailure:
    """A query without an answer; `detail` is short and holds no secret."""

    kind: FailureKind
    detail: str


class MetricSource(Protocol):
    """Where PromQL is answered."""

    async def query(
        self, tenant: str, expression: str, *, time_s: float, timeout_s: float
    ) -> Vector | QueryFailure:
        """Ask one instant query as of `time_s` (seconds since 1970). Never raises."""


class WriteOutcome(StrEnum):
    """What became of a write."""

    WRITTEN = "Written"
    CONFLICT = "Conflict"  # 409: the object moved on; read again, decide again
    GONE = "Gone"  # 404
    REFUSED = "Refused"  # 4xx: rights, admission, validity; trying again at once is of no use
    UNREACHABLE = "Unreachable"  # no answer, 429 or 5xx: it may or may not have been applied


@dataclass(frozen=True, slots=True)
class WriteResult:
    """Outcome of a write, the object's new resourceVersion where known, and the server's words."""

    outcome: WriteOutcome
    resource_version: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event on a ChargedApp (`warning` or normal)."""

    app: Key
    app_uid: str
    reason: str
    message: str
    warning: bool = False


class Cluster(Protocol):
    """What the loop may do to a cluster. No method raises for a server's answer."""

    async def workload(self, target: Target) -> Workload | Absent | None:
        """Read a target afresh; None when the API server does not answer."""

    async def set_replicas(
        self, target: Target, replicas: int, resource_version: str
    ) -> WriteResult:
        """Write `spec.replicas` by the scale subresource, on that very version of the target."""

    async def set_form(self, target: Target, write: FormWrite) -> WriteResult:
        """Change form and replicas of a Deployment in one patch, on the version decided on."""

    async def pods(self, target: Target, container: str) -> Sizes | None:
        """Read the sizes of a target's pods afresh; None when the API server does not answer."""

    async def resize_pod(
        self, target: Target, pod: SizedPod, container: str, size: Size
    ) -> WriteResult:
        """Ask a container of that very pod to take a size, on the version that was read."""

    async def patch_status(self, app: Key, uid: str, status: Mapping[str, Any]) -> WriteResult:
        """Merge-patch the status of that very ChargedApp (by uid)."""

    async def post_event(self, event: Event) -> WriteResult:
        """Post an Event."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A Lease as it is. Times are the API server's texts (RFC 3339): they are never compared.

    Attributes:
        holder: identity of the leader, empty when it was released.
        duration_s: how long others must see no change before they may take it.
    """

    holder: str
    duration_s: int
    acquired: str
    renewed: str
    transitions: int
    resource_version: str = ""


class NoLease(StrEnum):
    """Why there is no record to look at."""

    ABSENT = "Absent"
    UNREACHABLE = "Unreachable"


class LeasePort(Protocol):
    """Where the Lease lives. No method raises for a server's answer."""

    async def read(self, timeout_s: float) -> LeaseRecord | NoLease:
        """Read the Lease."""

    async def create(self, record: LeaseRecord, timeout_s: float) -> WriteResult:
        """Create it; CONFLICT when it is there already."""

    async def update(self, record: LeaseRecord, timeout_s: float) -> WriteResult:
        """Replace that very version of it (`record.resource_version`)."""


class Journal(Protocol):
    """Where decisions are kept, one JSON object a row."""

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep rows, in order."""


class Clock(Protocol):
    """Time, handed in."""

    def wall_s(self) -> float:
        """Seconds since 1970; may jump. For stamps only."""

    def monotonic_s(self) -> float:
        """Seconds since some moment; never goes back. For every deadline."""


@dataclass(frozen=True, slots=True)
class PlantPod:
    """A pod as a plant sees it: name, when it was created (s since 1970), whether it is going."""

    name: str
    created_at_s: float
    terminating: bool = False
    limits_cores: float | None = None


@dataclass(frozen=True, slots=True)
class PodState:
    """What a plant says of a pod: whether it is ready, how often it restarted, whether it lives.

    A pod without a living container is gone as soon as it terminates.
    """

    ready: bool
    restarts: int = 0
    alive: bool = True


@dataclass(frozen=True, slots=True)
class PlantOutput:
    """A plant's state after a step: pods by name and metric samples as (name, labels, value)."""

    pods: Mapping[str, PodState] = field(default_factory=dict)
    metrics: Sequence[tuple[str, Mapping[str, str], float]] = ()


class Plant(Protocol):
    """A model of a workload: the lab has the models, the testbed plays them on fake pods."""

    def step(self, now_s: float, pods: Sequence[PlantPod]) -> PlantOutput:
        """Advance to `now_s` (s since 1970, never backwards) with these pods."""
