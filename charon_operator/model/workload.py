"""What runs: the target of an app as the API server shows it, and who else moves it.

Reads: nothing. Gives: `Workload`, `Absent`, `Rival`. Never: guesses; what is not known is None.
"""

from dataclasses import dataclass
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
