"""The custom resource definitions, rendered from the models: their only source.

Reads: the pydantic models of specs and status. Gives: CRDs whose schemas are structural, with
limits, defaults, list-maps and CEL rules. Never: a schema written by hand beside the models.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from charon_operator import names
from charon_operator.model.app import ChargedAppSpec
from charon_operator.model.policy import ControlPolicySpec
from charon_operator.model.status import ChargedAppStatus

Schema = dict[str, Any]

_INT32_MAX: Final = 2**31 - 1
# What a structural schema may say of a node, in the order in which it reads best.
_KEPT: Final[tuple[str, ...]] = (
    "description",
    "type",
    "format",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
    "required",
)
_APP: Final = (
    "A ChargedApp holds a workload to the objectives it declares: it names the workload, how well "
    "it must do, and within which bounds it may be scaled. A ControlPolicy says how."
)
_POLICY: Final = (
    "A ControlPolicy says how ChargedApps of its namespace are driven: by which control law, how "
    "often, how fast, and what happens when metrics stay away."
)


def definitions() -> list[Schema]:
    """All CRDs, in the order in which they are to be applied."""
    return [_charged_apps(), _control_policies()]


def schemas() -> Mapping[str, Schema]:
    """The OpenAPI schema of each kind, by kind."""
    return {
        one["spec"]["names"]["kind"]: one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for one in definitions()
    }


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model.

    Source: kubernetes.io, CustomResourceDefinitions, "Specifying a structural schema": no $ref, a
    type at every node, no null alternatives; exclusive bounds are booleans beside a bound.
    """
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _node(raw, raw.get("$defs", {}))


def _charged_apps() -> Schema:
    return _definition(
        names.CHARGED_APP,
        names.CHARGED_APPS,
        "capp",
        {
            "schema": {"openAPIV3Schema": _root(_APP, ChargedAppSpec, ChargedAppStatus)},
            "subresources": {"status": {}},
            "additionalPrinterColumns": _APP_COLUMNS,
        },
    )


def _control_policies() -> Schema:
    return _definition(
        names.CONTROL_POLICY,
        names.CONTROL_POLICIES,
        "cpol",
        {
            "schema": {"openAPIV3Schema": _root(_POLICY, ControlPolicySpec, None)},
            "additionalPrinterColumns": _POLICY_COLUMNS,
        },
    )


def _definition(kind: str, plural: str, short: str, version: Schema) -> Schema:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{names.GROUP}",
            # Helm must not delete them: with a definition go all resources of its kind.
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {"app.kubernetes.io/part-of": names.FIELD_MANAGER},
        },
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": [names.CATEGORY],
            },
            "versions": [{"name": names.VERSION, "served": True, "storage": True, **version}],
        },
    }


def _column(name: str, path: str, description: str, **extra: Any) -> Schema:
    return {"name": name, "type": "string", "jsonPath": path, "description": description, **extra}


def _condition(kind: names.ConditionType, part: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{part}'


_AGE: Final = _column("Age", ".metadata.creationTimestamp", "Time since creation.", type="date")
_APP_COLUMNS: Final = [
    _column("Mode", ".spec.mode", "Advisory or Active."),
    _column("Target", ".spec.scaleTargetRef.name", "The workload that is scaled."),
    _column(
        "Ready", _condition(names.ConditionType.READY, "status"), "Whether it is under control."
    ),
    _column(
        "Objectives",
        _condition(names.ConditionType.OBJECTIVES_MET, "reason"),
        "How the objectives stand.",
    ),
    _column("Replicas", ".status.replicas.current", "Replicas asked for now.", type="integer"),
    _column("Desired", ".status.replicas.desired", "Replicas wanted.", type="integer"),
    _column("Last decision", ".status.lastDecision.time", "Time since it.", type="date"),
    _AGE,
    _column("Policy", ".spec.policyRef.name", "The ControlPolicy.", priority=1),
    _column(
        "Placement",
        _condition(names.ConditionType.PLACEMENT_FEASIBLE, "reason"),
        "Whether the variants that are wanted can be had.",
        priority=1,
    ),
    _column("Reason", ".status.lastDecision.reason", "Why it was taken.", priority=1),
    _column(
        "State",
        _condition(names.ConditionType.READY, "reason"),
        "Why it is under control, or not.",
        priority=1,
    ),
]
_POLICY_COLUMNS: Final = [
    _column("Controller", ".spec.controller.type", "The control law."),
    _column("Period", ".spec.periodSeconds", "Seconds between decisions.", type="integer"),
    _column("Fallback", ".spec.fallback.strategy", "What happens without metrics."),
    _AGE,
]


def _root(description: str, spec: type[BaseModel], status: type[BaseModel] | None) -> Schema:
    properties = {
        "apiVersion": {"description": f"Always {names.API_VERSION}.", "type": "string"},
        "kind": {"description": "The kind of this resource.", "type": "string"},
        "metadata": {"type": "object"},
        "spec": structural(spec),
    }
    if status:
        properties["status"] = structural(status)
    rule = {
        "rule": "size(self.metadata.name) <= 63",
        "message": "metadata.name must have at most 63 characters",
    }
    return {
        "description": description,
        "type": "object",
        "required": ["spec"],
        "x-kubernetes-validations": [rule],
        "properties": properties,
    }


def _node(raw: Mapping[str, Any], shared: Mapping[str, Any]) -> Schema:
    """One node, with what it contains."""
    full = _resolved(raw, shared)
    if "const" in full:
        full["enum"] = [full.pop("const")]
    node = {key: full[key] for key in _KEPT if key in full and not _says_nothing(key, full[key])}
    _bound_integers(node)
    if "items" in full:
        node["items"] = _node(full["items"], shared)
    if isinstance(full.get("additionalProperties"), Mapping):
        node["additionalProperties"] = _node(full["additionalProperties"], shared)
    if "properties" in full:
        required = full.get("required", [])
        node["properties"] = {
            name: _property(one, name in required, shared)
            for name, one in full["properties"].items()
        }
    return node


def _property(raw: Mapping[str, Any], required: bool, shared: Mapping[str, Any]) -> Schema:
    node = _node(raw, shared)
    optional = "anyOf" in raw
    if node["type"] == "object" and not required and not optional:
        # So that the API server fills in the defaults of what is inside.
        return {"default": {}, **node}
    return node


def _resolved(raw: Mapping[str, Any], shared: Mapping[str, Any]) -> Schema:
    """The node without references and without null as an alternative; what it says itself wins."""
    node = dict(raw)
    if "anyOf" in node:
        (only,) = [one for one in node.pop("anyOf") if one.get("type") != "null"]
        node = {**only, **node}
    if "$ref" in node:
        referred = shared[node.pop("$ref").rpartition("/")[2]]
        node = {**_resolved(referred, shared), **node}
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        if bound in node:
            node[bound.removeprefix("exclusive").lower()] = node[bound]
            node[bound] = True
    return node


def _says_nothing(key: str, value: Any) -> bool:
    return key == "default" and value in (None, "")


def _bound_integers(node: Schema) -> None:
    if node.get("type") == "integer":
        small = node.get("maximum", _INT32_MAX + 1) <= _INT32_MAX
        node["format"] = "int32" if small else "int64"
