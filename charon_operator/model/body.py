"""Bodies of other people's kinds: what a decision reads of a target, a budget, a rival.

Reads: bodies as the API server gives them (Deployment, StatefulSet, PodDisruptionBudget,
HorizontalPodAutoscaler, ScaledObject). Gives: `Workload` and small values beside it. Never: a
reference into the body it read, so that the body can be dropped at once.
"""

import datetime
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from charon_operator import names
from charon_operator.model import quantity
from charon_operator.model.app import timestamp
from charon_operator.model.decision import Past, PendingAction
from charon_operator.model.parts import condition, count, is_count, items, part
from charon_operator.model.sizes import Size
from charon_operator.model.workload import Key, Rival, Rollout, Target, Workload

Labels = tuple[tuple[str, str], ...]

# Reasons of `Progressing` that say the newest template is rolled out, or that nobody is rolling.
_SETTLED_REASONS = ("NewReplicaSetAvailable", "DeploymentPaused")
# As the schema of the status has it.
_LONGEST_NAME = 1024


def key(body: Mapping[str, Any]) -> Key:
    """Namespace and name."""
    meta = part(body, "metadata")
    return Key(sys.intern(str(meta.get("namespace", ""))), str(meta.get("name", "")))


def uid(body: Mapping[str, Any]) -> str:
    """The uid, or an empty text."""
    return str(part(body, "metadata").get("uid", ""))


def version(body: Mapping[str, Any]) -> str:
    """The resourceVersion, or an empty text."""
    return str(part(body, "metadata").get("resourceVersion", ""))


def labels(body: Mapping[str, Any]) -> Mapping[str, str]:
    """A copy of the labels."""
    return {str(k): str(v) for k, v in part(body, "metadata", "labels").items()}


def workload(body: Mapping[str, Any], kind: str, min_available: int | None = None) -> Workload:
    """Read a Deployment or StatefulSet; the floor its budgets set is not in its body."""
    meta, spec, status = (part(body, name) for name in ("metadata", "spec", "status"))
    name = key(body)
    return Workload(
        target=Target(sys.intern(kind), name.namespace, name.name),
        uid=uid(body),
        resource_version=version(body),
        generation=count(meta.get("generation")),
        observed_generation=count(status.get("observedGeneration")),
        replicas=count(spec.get("replicas", 1)),
        current=count(status.get("replicas")),
        ready=count(status.get("readyReplicas")),
        updated=count(status.get("updatedReplicas")),
        rollout=_rollout(kind, meta, spec, status),
        replica_failure=_replica_failure(status),
        controlled_by=_controller(meta),
        min_available=min_available,
        last_scaler=_last_scaler(meta),
        deleting=bool(meta.get("deletionTimestamp")),
    )


def pod_labels(body: Mapping[str, Any]) -> Labels:
    """Labels of the pods a workload makes, sorted: what a budget's selector is held against."""
    template = part(body, "spec", "template", "metadata", "labels")
    return tuple(sorted((sys.intern(str(k)), sys.intern(str(v))) for k, v in template.items()))


def pod_selector(body: Mapping[str, Any]) -> str:
    """The selector of a workload's pods as a query has it."""
    selector = part(body, "spec", "selector")
    exact = [f"{k}={v}" for k, v in part(selector, "matchLabels").items()]
    return ",".join([*exact, *(str(line) for line in _expressions(selector))])


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a label selector: In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def admits(self, pods: Mapping[str, str]) -> bool:
        """Whether pods with these labels meet it. An unknown operator admits nothing."""
        match self.operator:
            case "In":
                return pods.get(self.key) in self.values
            case "NotIn":
                return pods.get(self.key) not in self.values
            case "Exists":
                return self.key in pods
            case "DoesNotExist":
                return self.key not in pods
        return False

    def __str__(self) -> str:
        """As a query has it; an unknown operator is left to the API server to refuse."""
        listed = f"({','.join(sorted(self.values))})"
        match self.operator:
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
        return f"{self.key} {self.operator.lower()} {listed}"


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget with an integer `minAvailable`; other forms set no floor."""

    key: Key
    min_available: int
    requirements: tuple[Requirement, ...]

    def covers(self, pods: Labels) -> bool:
        """Whether it selects pods with these labels. An empty selector selects all."""
        held = dict(pods)
        return all(requirement.admits(held) for requirement in self.requirements)


def budget(body: Mapping[str, Any]) -> Budget | None:
    """Read a PodDisruptionBudget; None when it sets no floor that is known without its controller.

    A percentage or `maxUnavailable` counts from the number of replicas the target asks for, so it
    moves with every write of ours and cannot be a floor.
    """
    spec = part(body, "spec")
    floor = spec.get("minAvailable")
    # policy/v1: a selector that is absent selects nothing, an empty one everything.
    if not isinstance(floor, int) or isinstance(floor, bool) or spec.get("selector") is None:
        return None
    selector = part(spec, "selector")
    exact = [
        Requirement(str(k), "In", frozenset([str(v)]))
        for k, v in part(selector, "matchLabels").items()
    ]
    return Budget(key(body), max(0, floor), (*exact, *_expressions(selector)))


def floor(budgets: Iterable[Budget], pods: Labels) -> int | None:
    """The highest floor that budgets set for pods with these labels, or None."""
    return max((b.min_available for b in budgets if b.covers(pods)), default=None)


def scaled_by(body: Mapping[str, Any], kind: str) -> tuple[Target, Rival] | None:
    """What an HPA or a ScaledObject scales, and who it is; None if that is no kind of ours."""
    reference = part(body, "spec", "scaleTargetRef")
    target_kind = str(reference.get("kind") or names.DEPLOYMENT)
    group = str(reference.get("apiVersion") or f"{names.APPS}/v1").partition("/")[0]
    if group != names.APPS or target_kind not in (names.DEPLOYMENT, names.STATEFUL_SET):
        return None
    name = key(body)
    created = timestamp(part(body, "metadata").get("creationTimestamp"))
    rival = Rival(sys.intern(kind), name.namespace, name.name, created, uid(body))
    return Target(target_kind, name.namespace, str(reference.get("name", ""))), rival


def pending(status: Mapping[str, Any], now_s: float) -> PendingAction | None:
    """The intent found in a status, else the last decision that moved something, or None.

    An intent is taken back once the target shows it; the decision behind it stays.

    A status can be forged: a time that is missing, unreadable or in the future becomes now, which
    only lengthens a cooldown.
    """
    found = part(status, "pendingAction")
    action_id = found.get("id")
    if not found:
        found = part(status, "lastDecision")
        action_id = found.get("decisionId") if found.get("from") != found.get("to") else None
    start, to, knob = found.get("from"), found.get("to"), found.get("knob")
    if not (isinstance(action_id, str) and action_id and isinstance(knob, str) and knob):
        return None
    if not (is_count(start) and is_count(to)):
        return None
    time_s = timestamp(found.get("time"))
    in_past = 0.0 < time_s <= now_s
    return PendingAction(action_id, knob, count(start), count(to), time_s if in_past else now_s)


def past(status: Mapping[str, Any], now_s: float) -> Past:
    """What a status says of the time before its app was met; a forged one only makes us wait."""
    manager, generation = _yielded(status)
    decided = bool(part(status, "pendingAction") or part(status, "lastDecision"))
    return Past(pending(status, now_s), decided, manager, generation, _size(status))


def micro_time(seconds: float) -> str:
    """Seconds since 1970 as Kubernetes' MicroTime: RFC 3339 in UTC with microseconds."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def meta_time(seconds: float) -> str:
    """Seconds since 1970 as Kubernetes' metav1.Time, which has whole seconds."""
    return f"{micro_time(math.floor(seconds))[:19]}Z"


def _yielded(status: Mapping[str, Any]) -> tuple[str, int]:
    found = condition(status, names.ConditionType.OWNERSHIP_CONFLICT)
    said = found.get("status"), found.get("reason")
    named = [conflict.get("manager") for conflict in items(status, "conflicts")]
    manager = named[0] if named else None
    if said != ("True", names.Reason.REVERTED_BY_MANAGER) or not isinstance(manager, str):
        return "", 0
    return manager[:_LONGEST_NAME], count(found.get("observedGeneration"))


def _size(status: Mapping[str, Any]) -> Size | None:
    found = part(status, "resources")
    size = Size(_read(quantity.cpu, found.get("cpu")), _read(quantity.memory, found.get("memory")))
    return None if size == Size() else size


def _read(parse: Callable[[object], int], text: object) -> int | None:
    try:
        return parse(text)
    except ValueError:
        return None


def _rollout(
    kind: str, meta: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]
) -> Rollout:
    if count(status.get("observedGeneration")) < count(meta.get("generation")):
        return Rollout.IN_FLIGHT
    return _sets_rollout(spec, status) if kind == names.STATEFUL_SET else _rollout_of(status)


def _rollout_of(status: Mapping[str, Any]) -> Rollout:
    progressing = condition(status, "Progressing")
    if progressing.get("status") == "False":
        return Rollout.STUCK
    old_pods = count(status.get("updatedReplicas")) < count(status.get("replicas"))
    rolling = progressing.get("reason", _SETTLED_REASONS[0]) not in _SETTLED_REASONS
    return Rollout.IN_FLIGHT if old_pods or rolling else Rollout.SETTLED


def _sets_rollout(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Rollout:
    strategy = part(spec, "updateStrategy")
    partition = count(part(strategy, "rollingUpdate").get("partition"))
    # With OnDelete old pods stay until somebody deletes them: nothing is under way.
    if strategy.get("type") == "OnDelete":
        return Rollout.SETTLED
    if status.get("updateRevision") == status.get("currentRevision"):
        return Rollout.SETTLED
    wanted = max(0, count(status.get("replicas")) - partition)
    in_flight = count(status.get("updatedReplicas")) < wanted
    return Rollout.IN_FLIGHT if in_flight else Rollout.SETTLED


def _replica_failure(status: Mapping[str, Any]) -> str:
    failure = condition(status, "ReplicaFailure")
    if failure.get("status") != "True":
        return ""
    return str(failure.get("message") or failure.get("reason") or "ReplicaFailure")[:1024]


def _controller(meta: Mapping[str, Any]) -> str:
    owners = [o for o in items(meta, "ownerReferences") if o.get("controller") is True]
    return f"{owners[0].get('kind')} {owners[0].get('name')}" if owners else ""


def _last_scaler(meta: Mapping[str, Any]) -> str:
    # A value has one owner unless two applied the same one; a /scale write carries no time.
    owners = [
        (str(entry.get("time") or ""), str(entry.get("manager") or ""))
        for entry in items(meta, "managedFields")
        if "f:replicas" in part(entry, "fieldsV1", "f:spec")
    ]
    return sys.intern(max(owners)[1]) if owners else ""


def _expressions(selector: Mapping[str, Any]) -> list[Requirement]:
    return [
        Requirement(
            str(e.get("key", "")),
            str(e.get("operator", "")),
            frozenset(str(v) for v in e.get("values") or ()),
        )
        for e in items(selector, "matchExpressions")
    ]
