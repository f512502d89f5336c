"""What runs: the target of an app as the API server shows it, and who else moves it.

Reads: nothing. Gives: `Workload`, `Absent`, `Rival`. Never: guesses; what is not known is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A namespaced name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A scalable object: `kind` is Deployment or StatefulSet, of apps/v1."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Rollout(StrEnum):
    """Whether the target's pods are those of its newest template."""

    SETTLED = "Settled"
    IN_FLIGHT = "InFlight"
    STUCK = "Stuck"


@dataclass(frozen=True, slots=True)
class Workload:
    """A target as it is now.

    Attributes:
        replicas: `spec.replicas`, what is asked for.
        current: `status.replicas`, pods that exist.
        ready: pods that are Ready.
        rollout: of the newest template.
        replica_failure: message of ReplicaFailure/FailedCreate, else empty.
        controlled_by: `Kind name` of a controlling owner reference, else empty.
        min_available: floor set by a PodDisruptionBudget with an integer `minAvailable`, else None.
        last_scaler: field manager that last wrote `spec.replicas`, else empty.
    """

    target: Target
    uid: str
    resource_version: str
    generation: int
    observed_generation: int
    replicas: int
    current: int
    ready: int
    updated: int
    rollout: Rollout = Rollout.SETTLED
    replica_failure: str = ""
    controlled_by: str = ""
    min_available: int | None = None
    last_scaler: str = ""
    deleting: bool = False

    @property
    def warming(self) -> int:
        """Pods asked for that are not ready yet."""
        return max(0, self.replicas - self.ready)


def together(found: Sequence[Workload]) -> Workload:
    """Several targets of one app as one: counts are sums, and what holds for one holds for all.

    Its `uid` is another one whenever one of theirs is, its generation moves with each of theirs.

    Args:
        found: at least one, in a fixed order.
    """
    first = found[0]
    worst = max((one.rollout for one in found), key=list(Rollout).index)
    return replace(
        first,
        uid="+".join(one.uid for one in found),
        resource_version="",
        generation=sum(one.generation for one in found),
        observed_generation=sum(one.observed_generation for one in found),
        replicas=sum(one.replicas for one in found),
        current=sum(one.current for one in found),
        ready=sum(one.ready for one in found),
        updated=sum(one.updated for one in found),
        rollout=worst,
        replica_failure=next((one.replica_failure for one in found if one.replica_failure), ""),
        controlled_by=next((one.controlled_by for one in found if one.controlled_by), ""),
        min_available=None,
        last_scaler="",
        deleting=any(one.deleting for one in found),
    )


@dataclass(frozen=True, slots=True)
class Absent:
    """No such target, or one that may not be scaled, and why (a sentence)."""

    target: Target
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, order=True)
class Rival:
    """Another controller of the same target: an HPA, a ScaledObject or a ChargedApp."""

    kind: str
    namespace: str
    name: str
    created_at_s: float = 0.0
    uid: str = ""
