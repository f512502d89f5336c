"""What pods need of a node, and what nodes have: GPUs by their resource names, CPU, memory, labels.

Reads: pod templates, pods and nodes as the API server gives them. Gives: `Need`, `Pod`, `Node`, or
a SpecError that names the field. Never: a guess; what only the scheduler knows (affinity between
pods, spread, volumes, ports) is left to it, so what is said to fit here is the most that may fit.

Amounts are whole numbers: CPU in millicores, memory in bytes, everything else in pieces. A pod
itself is one piece of `pods`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from charon_operator import names
from charon_operator.errors import SpecError
from charon_operator.model import amount, body, wire
from charon_operator.model.body import Requirement
from charon_operator.model.wire import Wire
from charon_operator.model.workload import Target

Amounts = tuple[tuple[str, int], ...]
"""Amounts by resource name, sorted, none of them 0."""

# A node's name is matched as a field; among the labels it stands under the field's own name.
NAME_FIELD: Final = "metadata.name"
_CPU, _PODS = "cpu", "pods"
_NVIDIA: Final = "nvidia"
# As the device plugin writes them behind a product: MIG strategy `single`, then sharing.
_PRODUCT_SUFFIXES: Final = re.compile(r"(-MIG-[0-9a-z.+]+)?(-SHARED)?$")


class Standing(StrEnum):
    """Where a pod is on its way to a node."""

    BOUND = "Bound"
    GATED = "SchedulingGated"  # waits for somebody to admit it: no failure
    PENDING = "Pending"
    OVER = "Over"


class _Part(Wire):
    """A part of another's object, where a null means that nothing was said."""

    @model_validator(mode="before")
    @classmethod
    def _said(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {name: value for name, value in given.items() if value is not None}


def _amounts(given: dict[str, Any]) -> dict[str, int]:
    return {name: _amount(name, text) for name, text in given.items()}


def _amount(name: str, text: object) -> int:
    thousandths, whole = amount.millicores(text), amount.whole_bytes(text)
    if thousandths is None or whole is None:
        raise ValueError(f"{name} must be a quantity, such as 500m or 2Gi")
    if is_extended(name) and thousandths != 1000 * whole:
        raise ValueError(f"{name} must be a whole number")
    return thousandths if name == _CPU else whole


_Quantities = Annotated[dict[str, Any], AfterValidator(_amounts)]


class _Resources(_Part):
    requests: _Quantities = Field(default_factory=dict)
    limits: _Quantities = Field(default_factory=dict)

    @property
    def asked(self) -> Counter[str]:
        # A template that has only limits gives pods that request as much.
        return Counter({**self.limits, **self.requests})


class _Container(_Part):
    resources: _Resources = _Resources()
    restart_policy: str = ""


class _Spec(_Part):
    """What a pod occupies, and where."""

    containers: list[_Container]
    init_containers: list[_Container] = Field(default_factory=list)
    resources: _Resources = _Resources()
    overhead: _Quantities = Field(default_factory=dict)
    node_name: str = ""
    scheduling_gates: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def requests(self) -> Amounts:
        """As the scheduler counts: the larger of what runs together and of what starts before."""
        running: Counter[str] = Counter()
        most: Counter[str] = Counter()
        for container in self.init_containers:
            asked = container.resources.asked
            most |= running + asked
            if container.restart_policy == "Always":  # a sidecar goes on running
                running += asked
        for container in self.containers:
            running += container.resources.asked
        whole = Counter({**(most | running), **self.resources.asked})
        return tuple(sorted((+whole + Counter(self.overhead) + Counter({_PODS: 1})).items()))


class Taint(_Part):
    """What keeps pods off a node."""

    key: str
    value: str = ""
    effect: str

    def __str__(self) -> str:
        return f"{self.key}{f'={self.value}' if self.value else ''}:{self.effect}"

    @property
    def forbids(self) -> bool:
        """Whether it forbids, and does not merely dissuade."""
        return self.effect in ("NoSchedule", "NoExecute")


class Toleration(_Part):
    """Which taints a pod puts up with."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: str = ""

    def covers(self, taint: Taint) -> bool:
        """Whether pods with it may go where this taint is."""
        if self.effect not in ("", taint.effect) or self.key not in ("", taint.key):
            return False
        return self.operator == "Exists" or self.value == taint.value


class _Expression(_Part):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] = Field(default_factory=list)

    @property
    def requirement(self) -> Requirement:
        return Requirement(self.key, self.operator, frozenset(self.values))


class _Term(_Part):
    match_expressions: list[_Expression] = Field(default_factory=list)
    match_fields: list[_Expression] = Field(default_factory=list)


class _Selector(_Part):
    node_selector_terms: list[_Term] = Field(default_factory=list)


class _NodeAffinity(_Part):
    required: _Selector | None = Field(
        default=None, alias="requiredDuringSchedulingIgnoredDuringExecution"
    )


class _Affinity(_Part):
    node_affinity: _NodeAffinity = _NodeAffinity()


class _Wanting(_Spec):
    """What a pod asks of the node that it would go to."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    affinity: _Affinity = _Affinity()
    tolerations: list[Toleration] = Field(default_factory=list)
    runtime_class_name: str = ""
    resource_claims: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def terms(self) -> tuple[tuple[Requirement, ...], ...]:
        always = [Requirement(k, "In", frozenset([v])) for k, v in self.node_selector.items()]
        required = self.affinity.node_affinity.required
        if required is None:
            return (tuple(always),)
        found = ((*t.match_expressions, *t.match_fields) for t in required.node_selector_terms)
        # A term that asks for nothing admits nothing, as the scheduler has it.
        return tuple((*always, *(one.requirement for one in term)) for term in found if term)


class _Template(_Part):
    spec: _Wanting


class _PodStatus(_Part):
    phase: str = ""


class _PodBody(_Part):
    spec: _Spec
    status: _PodStatus = _PodStatus()

    @property
    def standing(self) -> Standing:
        if self.status.phase in ("Succeeded", "Failed"):
            return Standing.OVER
        if self.spec.node_name:
            return Standing.BOUND
        return Standing.GATED if self.spec.scheduling_gates else Standing.PENDING


@dataclass(frozen=True, slots=True)
class Need:
    """What one pod of a template asks for.

    Attributes:
        requests: amounts that must be free on one node.
        terms: alternatives, in each of which every requirement must be met by the node's labels.
        runtime_class: `runtimeClassName`, else empty.
    """

    requests: Amounts
    terms: tuple[tuple[Requirement, ...], ...] = ((),)
    tolerations: tuple[Toleration, ...] = ()
    runtime_class: str = ""

    @property
    def extended(self) -> Amounts:
        """Devices by resource name: whole GPUs, shares of them, MIG slices."""
        return tuple((name, count) for name, count in self.requests if is_extended(name))

    @property
    def sees_all_gpus(self) -> bool:
        """Whether its pods would see every GPU of their node, as they asked for none.

        The runtime shows all where the device plugin was not asked: a variant for CPUs must leave
        the runtime class out.
        """
        asks = any(name.startswith(_NVIDIA) for name, _ in self.extended)
        return self.runtime_class.startswith(_NVIDIA) and not asks

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels is one that its pods select."""
        return any(all(_meets(labels, one) for one in term) for term in self.terms)

    def repelled_by(self, taints: tuple[Taint, ...]) -> Taint | None:
        """The first taint that keeps its pods away, or None."""
        for taint in taints:
            if taint.forbids and not any(one.covers(taint) for one in self.tolerations):
                return taint
        return None


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as far as it occupies a node, or waits for one.

    Attributes:
        target: what made it (a Deployment or StatefulSet), None for all other pods.
        node: the node it is bound to, else empty.
    """

    uid: str
    target: Target | None
    standing: Standing
    node: str
    requests: Amounts


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the scheduler sees it.

    Attributes:
        labels: with the node's name as `NAME_FIELD`.
        ready: its condition Ready is True, and it is not cordoned.
    """

    name: str
    allocatable: Mapping[str, int]
    labels: Mapping[str, str]
    taints: tuple[Taint, ...] = ()
    ready: bool = True

    @property
    def product(self) -> str:
        """The GPU product without what the device plugin appends, else empty."""
        return product(self.labels.get(names.LABEL_GPU_PRODUCT, ""))


def is_extended(resource: str) -> bool:
    """Whether a resource is a device's and not one of Kubernetes' own."""
    domain, slash, _ = resource.partition("/")
    return bool(slash) and not f".{domain}".endswith(".kubernetes.io")


def product(label: str) -> str:
    """A GPU's product: `A100-SXM4-40GB` of `A100-SXM4-40GB-MIG-1g.5gb-SHARED`."""
    return _PRODUCT_SUFFIXES.sub("", label)


def need(template: Mapping[str, Any], field: str) -> Need:
    """Read what a pod template asks for.

    Args:
        template: with its `spec`.
        field: path of the template, as `spec.template`.

    Raises:
        SpecError: it asks for what cannot be read or counted.
    """
    spec = _Template.read(template, field).spec
    if spec.resource_claims:
        message = "devices asked for by claim cannot be counted: ask for an extended resource"
        raise SpecError(f"{field}.spec.resourceClaims", f"{message}, such as nvidia.com/gpu")
    return Need(spec.requests, spec.terms, tuple(spec.tolerations), spec.runtime_class_name)


def pod(found: Mapping[str, Any]) -> Pod:
    """Read a pod.

    Raises:
        SpecError: it is none that an API server would give.
    """
    whole = _PodBody.read(found, "pod")
    spec = whole.spec
    return Pod(body.uid(found), _maker(found), whole.standing, spec.node_name, spec.requests)


class _NodeSpec(_Part):
    unschedulable: bool = False
    taints: list[Taint] = Field(default_factory=list)


class _Condition(_Part):
    type: str
    status: str


class _NodeStatus(_Part):
    allocatable: _Quantities = Field(default_factory=dict)
    conditions: list[_Condition] = Field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        return any(one.type == "Ready" and one.status == "True" for one in self.conditions)


class _NodeBody(_Part):
    spec: _NodeSpec = _NodeSpec()
    status: _NodeStatus = _NodeStatus()


def node(found: Mapping[str, Any]) -> Node:
    """Read a node.

    Raises:
        SpecError: it is none that an API server would give.
    """
    whole = _NodeBody.read(found, "node")
    name = body.key(found).name
    ready = whole.status.is_ready and not whole.spec.unschedulable
    labels = {**body.labels(found), NAME_FIELD: name}
    return Node(name, whole.status.allocatable, labels, tuple(whole.spec.taints), ready)


def _maker(found: Mapping[str, Any]) -> Target | None:
    meta = wire.metadata(found)
    owners = [one for one in meta.get("ownerReferences") or () if one.get("controller") is True]
    kind, name = (str(owners[0].get(part)) for part in ("kind", "name")) if owners else ("", "")
    namespace = body.key(found).namespace
    if kind == names.STATEFUL_SET:
        return Target(kind, namespace, name)
    # A Deployment names its ReplicaSets after itself and the template's hash.
    deployment = name.removesuffix(f"-{body.labels(found).get('pod-template-hash')}")
    if kind != "ReplicaSet" or deployment == name:
        return None
    return Target(names.DEPLOYMENT, namespace, deployment)


def _meets(labels: Mapping[str, str], one: Requirement) -> bool:
    if one.operator not in ("Gt", "Lt"):
        return one.admits(labels)
    try:
        found, bound = int(labels[one.key]), int(next(iter(one.values), ""))
    except (KeyError, ValueError):
        return False
    return found > bound if one.operator == "Gt" else found < bound
