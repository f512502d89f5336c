"""Replicas: a decision becomes an intent and a write, and the write becomes the target's new state.

Reads: a decision and the target it was made on. Gives: what to write, on which version. Never: a
write on another version than the one that was decided on.
"""

from dataclasses import dataclass, replace

from charon_operator import names
from charon_operator.model.decision import Decision, PendingAction
from charon_operator.model.placing import VariantMove
from charon_operator.model.workload import Target, Workload
from charon_operator.ports import Cluster, WriteOutcome, WriteResult


@dataclass(frozen=True, slots=True)
class ScaleWrite:
    """One write of the scale subresource, good for one version of the target."""

    target: Target
    replicas: int
    resource_version: str


def scale_write(decision: Decision, workload: Workload) -> ScaleWrite | None:
    """What to write for a decision; None when it does not move or is about another state.

    Args:
        decision: as the turn made it.
        workload: the target as the turn saw it.
    """
    return _write(decision.current, decision.final, workload) if decision.moves else None


def variant_write(move: VariantMove, workload: Workload) -> ScaleWrite | None:
    """What to write for a variant; None when it does not move or is about another state.

    Args:
        move: as the turn decided it.
        workload: the variant's target as the turn saw it.
    """
    return _write(move.asked, move.final, workload)


def intent(decision: Decision, now_s: float) -> PendingAction:
    """The announcement of a decision's move, made before the write (s since 1970)."""
    return PendingAction(
        decision.decision_id, decision.knob, decision.current, decision.final, now_s
    )


async def apply(cluster: Cluster, write: ScaleWrite) -> WriteResult:
    """Make the write."""
    return await cluster.set_replicas(write.target, write.replicas, write.resource_version)


def after(workload: Workload, write: ScaleWrite, result: WriteResult) -> Workload | None:
    """The target as the write left it, until the informer says more; None when not known."""
    if result.outcome is not WriteOutcome.WRITTEN or not result.resource_version:
        return None
    return replace(
        workload,
        replicas=write.replicas,
        resource_version=result.resource_version,
        generation=workload.generation + 1,
        last_scaler=names.FIELD_MANAGER,
    )


def _write(current: int, final: int, workload: Workload) -> ScaleWrite | None:
    if current == final or current != workload.replicas:
        return None
    return ScaleWrite(workload.target, final, workload.resource_version)
