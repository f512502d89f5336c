"""Sizes: a decision becomes patches of pods, each of a form that keeps the pod's QoS class.

Reads: a `Resize`, the pods of its target. Gives: which pods to set to which size, and a patch.
Never: a patch of the template; more than one restart at a time; a change of QoS class, which the
API server would refuse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charon_operator.model import quantity
from charon_operator.model.decision import Resize
from charon_operator.model.pod import CPU, MEMORY
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes, Span


@dataclass(frozen=True, slots=True)
class PodWrite:
    """One pod to set to a size; `restarts`: its container restarts on that."""

    pod: SizedPod
    size: Size
    restarts: bool = False


def writes(resize: Resize, sizes: Sizes, min_available: int | None) -> tuple[PodWrite, ...]:
    """Which pods to set to which size now.

    Args:
        resize: as the turn decided it.
        sizes: the target's pods as last seen.
        min_available: floor that a PodDisruptionBudget sets, or None.
    """
    if not resize.acts:
        return ()
    found = [_write(pod, resize) for pod in sizes.pods if pod.running and not pod.refusal]
    wanted = [write for write in found if write is not None]
    at_once = [write for write in wanted if not write.restarts]
    restarting = [write for write in wanted if write.restarts]
    # The next one only when all are ready again, and as many as the budget asks for stay so.
    may_restart = not _disturbed(sizes.pods) and len(sizes.pods) - 1 >= (min_available or 0)
    return (*at_once, *(restarting[:1] if may_restart else ()))


def settled(resize: Resize, sizes: Sizes) -> bool:
    """Whether every pod that will ever have the size decided on runs with it."""
    kept = [pod for pod in sizes.pods if not pod.refusal]
    return all(
        pod.running
        and pod.resizing is not Resizing.IN_PROGRESS
        and (not resize.acts or _write(pod, resize) is None)
        for pod in kept
    )


def _write(pod: SizedPod, resize: Resize) -> PodWrite | None:
    gives_back = pod.name in resize.give_back
    wanted = pod.actual if gives_back else resize.final
    if wanted is None:
        return None
    # A resource that is not sized, or not set, stays as it is.
    cpu_m = _chosen(wanted.cpu_m, pod.asked.cpu_m)
    memory_b = _chosen(wanted.memory_b, pod.asked.memory_b)
    if Size(cpu_m, memory_b) == pod.asked:
        return None
    restarts = (pod.restarts_on_cpu and cpu_m != pod.asked.cpu_m) or (
        pod.restarts_on_memory and memory_b != pod.asked.memory_b
    )
    # What was never granted is taken back without one.
    return PodWrite(pod, Size(cpu_m, memory_b), restarts and not gives_back)


def _chosen(wanted: int | None, asked: int | None) -> int | None:
    return asked if wanted is None or asked is None else wanted


def _disturbed(pods: Sequence[SizedPod]) -> bool:
    return any(not pod.ready or pod.resizing is Resizing.IN_PROGRESS for pod in pods)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a pod cannot have a size."""

    detail: str


def patch(pod: SizedPod, container: str, size: Size) -> Mapping[str, Any] | Refused:
    """The strategic merge patch of `pods/resize` that gives a container a size.

    What is only requested is changed in its request. What has a limit keeps the proportion of its
    request: equal stays equal, and smaller stays smaller, so that the QoS class is kept.
    """
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for name, form, to, text in (
        (CPU, pod.cpu, size.cpu_m, quantity.render_cpu),
        (MEMORY, pod.memory, size.memory_b, quantity.render_memory),
    ):
        if to is None or form.size is None:
            continue
        span = _scaled(form, to)
        if span is None:
            why = "leaves no room for a smaller request, so its QoS class would change"
            return Refused(f"{pod.name}: {name} of {text(to)} {why}")
        requests[name] = text(span.request or 0)
        if span.limit is not None:
            limits[name] = text(span.limit)
    resources = {"requests": requests, "limits": limits} if limits else {"requests": requests}
    return {
        "metadata": {"uid": pod.uid, "resourceVersion": pod.resource_version},
        "spec": {"containers": [{"name": container, "resources": resources}]},
    }


def _scaled(form: Span, to: int) -> Span | None:
    if form.limit is None:
        return Span(request=to)
    request = form.limit if form.request is None else form.request
    if request >= form.limit:
        return Span(to, to)
    # Nothing requested stays nothing; otherwise at least one unit, and less than the limit.
    wanted = (2 * request * to + form.limit) // (2 * form.limit)
    wanted = min(max(wanted, min(request, 1)), to - 1)
    return Span(wanted, to) if wanted >= min(request, 1) else None
