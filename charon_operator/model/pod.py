"""Sizes read out of bodies: of a pod template's container, and of the pods that were born with it.

Reads: bodies as the API server gives them (Deployment, StatefulSet, Pod). Gives: `Sizes`. Never: a
guess; a container that cannot be sized is a problem with its remedy, and an unknown word of the
kubelet means that a size waits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from charon_operator.model import amount, body
from charon_operator.model.app import timestamp
from charon_operator.model.parts import condition, count, items, part
from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes, Span

CPU: Final = "cpu"
MEMORY: Final = "memory"

# What the kubelet reads back of a cgroup is rounded: 1 in 50, or one millicore.
_ROUNDED: Final = 50
_WORDS: Final = 256
_RESTARTS: Final = "RestartContainer"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked at: a container by its name, and whether pods with devices may be resized."""

    container: str
    gpu_pods: bool = False


def sizes(workload: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], wanted: Wanted) -> Sizes:
    """Sizes of a target's own pods; those that are going or over are left out.

    Args:
        workload: body of a Deployment or StatefulSet.
        pods: bodies of pods, perhaps of others too.
        wanted: which container.
    """
    spec = part(workload, "spec", "template", "spec")
    cpu, memory = _spans(_container(spec, wanted.container))
    own = [pod for pod in pods if is_own(workload, pod) and not _over(pod)]
    read = sorted((_pod(pod, wanted, (cpu, memory)) for pod in own), key=lambda pod: pod.name)
    return Sizes(Size(cpu.size, memory.size), tuple(read), refusal(spec, wanted))


def is_own(workload: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether a pod was made by a target: labels alone may be those of a neighbour's pods."""
    owners = items(part(pod, "metadata"), "ownerReferences")
    owner = next((o for o in owners if o.get("controller") is True), {})
    if owner.get("uid") == body.uid(workload):
        return True
    # A Deployment's pods are its ReplicaSets', which are named after it and the pods' hash.
    made_of = body.labels(pod).get("pod-template-hash", "")
    name = f"{body.key(workload).name}-{made_of}"
    return bool(made_of) and (owner.get("kind"), owner.get("name")) == ("ReplicaSet", name)


def refusal(spec: Mapping[str, Any], wanted: Wanted) -> str:
    """Why a pod of this spec, or of this template, is never resized; else empty."""
    name, there = wanted.container, [str(c.get("name")) for c in items(spec, "containers")]
    if name not in there:
        inits = [str(c.get("name")) for c in items(spec, "initContainers")]
        kind = "is an init container" if name in inits else "is not in the pod"
        return f"container {name} {kind}: name one of {', '.join(there)} in resources.container"
    cpu, memory = _spans(_container(spec, name))
    if not cpu.size and not memory.size:
        what = f"container {name} asks for neither CPU nor memory"
        return f"{what}: set requests or limits in the pod template"
    device = _device(spec)
    if device and not wanted.gpu_pods:
        return (
            f"the pod asks for {device}, which a resize may take away from it: set "
            "safety.resize_gpu_pods where containers get their devices by CDI"
        )
    return ""


def _pod(found: Mapping[str, Any], wanted: Wanted, form: tuple[Span, Span]) -> SizedPod:
    spec, status = part(found, "spec"), part(found, "status")
    container = _container(spec, wanted.container)
    told = _named(items(status, "containerStatuses"), wanted.container)
    cpu, memory = _spans(container)
    asked, actual = Size(cpu.size, memory.size), _actual(told, cpu, memory)
    resizing, said = _resizing(found, asked, actual)
    policies = {str(p.get("resourceName")): p for p in items(container, "resizePolicy")}
    since_s = timestamp(said.get("lastTransitionTime"))
    return SizedPod(
        name=body.key(found).name,
        uid=body.uid(found),
        resource_version=body.version(found),
        running=status.get("phase") == "Running",
        ready=condition(status, "Ready").get("status") == "True",
        asked=asked,
        actual=actual,
        resizing=resizing,
        detail=str(said.get("message") or "")[:_WORDS],
        since_s=since_s or None,
        restarts=count(told.get("restartCount")),
        refusal=refusal(spec, wanted),
        restarts_on_cpu=policies.get(CPU, {}).get("restartPolicy") == _RESTARTS,
        restarts_on_memory=policies.get(MEMORY, {}).get("restartPolicy") == _RESTARTS,
        cpu=_form(form[0], cpu),
        memory=_form(form[1], memory),
    )


def _over(pod: Mapping[str, Any]) -> bool:
    going = bool(part(pod, "metadata").get("deletionTimestamp"))
    return going or part(pod, "status").get("phase") in ("Succeeded", "Failed")


def _resizing(
    pod: Mapping[str, Any], asked: Size, actual: Size | None
) -> tuple[Resizing, Mapping[str, Any]]:
    """What became of the newest size, and the condition that says so."""
    status = part(pod, "status")
    generation = count(part(pod, "metadata").get("generation"))
    pending = condition(status, "PodResizePending")
    if pending.get("status") == "True" and _is_about(pending, generation):
        infeasible = pending.get("reason") == "Infeasible"
        return (Resizing.INFEASIBLE if infeasible else Resizing.DEFERRED), pending
    under_way = condition(status, "PodResizeInProgress")
    if under_way.get("status") == "True":
        failed = under_way.get("reason") == "Error" and _is_about(under_way, generation)
        return (Resizing.FAILED if failed else Resizing.IN_PROGRESS), under_way
    if not _is_about(status, generation) or not (actual is None or _near(asked, actual)):
        return Resizing.IN_PROGRESS, {}
    return Resizing.SETTLED, {}


def _is_about(said: Mapping[str, Any], generation: int) -> bool:
    """Whether a word of the kubelet's is about the newest spec; one without a number counts."""
    observed = count(said.get("observedGeneration"))
    return not observed or observed >= generation


def _near(asked: Size, actual: Size) -> bool:
    pairs = (asked.cpu_m, actual.cpu_m), (asked.memory_b, actual.memory_b)
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return all(abs(a - b) <= max(1, a // _ROUNDED) for a, b in known)


def _actual(told: Mapping[str, Any], cpu: Span, memory: Span) -> Size | None:
    """What the container runs with, of what was asked for; None when the kubelet does not say."""
    if not part(told, "resources"):
        return None
    runs_cpu, runs_memory = _spans(told)
    return Size(_like(cpu, runs_cpu), _like(memory, runs_memory))


def _like(asked: Span, runs: Span) -> int | None:
    return runs.request if asked.limit is None else runs.limit


def _form(template: Span, pod: Span) -> Span:
    """Of the template if it is the same form: what is scaled up and down again must not drift."""

    def kind(span: Span) -> tuple[bool, bool, bool]:
        return span.request is None, span.limit is None, span.request == span.limit

    return template if kind(template) == kind(pod) else pod


def _spans(container: Mapping[str, Any]) -> tuple[Span, Span]:
    requests = part(container, "resources", "requests")
    limits = part(container, "resources", "limits")
    spans = []
    for name, read in ((CPU, amount.millicores), (MEMORY, amount.whole_bytes)):
        limit = read(limits.get(name))
        # The API server writes a pod's limit into a request that is not set.
        request = limit if requests.get(name) is None else read(requests.get(name))
        spans.append(Span(request, limit))
    return spans[0], spans[1]


def _container(spec: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _named(items(spec, "containers"), name)


def _named(found: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next((one for one in found if one.get("name") == name), {})


def _device(spec: Mapping[str, Any]) -> str:
    """A device that some container asks for, by its name; else empty."""
    for container in (*items(spec, "containers"), *items(spec, "initContainers")):
        resources = part(container, "resources")
        asked = (*part(resources, "requests"), *part(resources, "limits"))
        # As Kubernetes tells extended resources from its own: by their domain.
        extended = [str(one) for one in asked if "/" in str(one) and ".kubernetes.io/" not in one]
        if extended:
            return extended[0]
        if items(resources, "claims"):
            return "a resource claim"
    return ""
