"""The chart's values.schema.json: the values by hand, the settings from the operator's own model.

`python -m tests.ship.values_schema` writes it; a test compares.
"""

import json
from pathlib import Path
from typing import Any

from charon_operator.settings import Settings

CHART = Path(__file__).parents[2] / "helm" / "charon-operator"
FILE = CHART / "values.schema.json"
# The chart fills these in and would overrule what is given.
FILLED_IN = {
    "": ("watch_namespaces", "force_mode", "placement"),
    "lease": ("namespace", "name"),
    "safety": ("own_deployment",),
    "health": ("host", "port"),
    "journal": ("path",),
}
_URL = r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$"
_LABEL = "^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
_LABEL_VALUE = "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"
_DROPPED = ("title", "default", "format")


def render() -> str:
    return json.dumps(_values(), indent=2, ensure_ascii=False) + "\n"


def _values() -> dict[str, Any]:
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_object(
            image=_object(
                repository=_text(minLength=1),
                tag=_text(),
                digest=_text(pattern="^(sha256:[0-9a-f]{64})?$"),
                pullPolicy=_text(enum=["Always", "IfNotPresent", "Never"]),
                pullSecrets=_list(_text()),
            ),
            replicas={"type": "integer", "minimum": 0, "maximum": 5},
            forceMode=_text(enum=["", "Advisory"]),
            watchNamespaces=_list(_text(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", maxLength=63)),
            settings=settings(),
            knobs=_object(
                placement=_object(enabled=_SWITCH, templates=_SWITCH),
                resources=_object(enabled=_SWITCH),
            ),
            mimirSecret=_text(maxLength=253),
            journal=_object(enabled=_SWITCH, sizeLimit=_QUANTITY),
            crds=_object(install=_SWITCH),
            rbac=_object(create=_SWITCH, readNamespaces=_SWITCH),
            serviceAccount=_object(create=_SWITCH, name=_text(maxLength=253), annotations=_TEXTS),
            userRoles=_object(create=_SWITCH),
            admission=_object(fence=_SWITCH, authorizer=_SWITCH),
            service=_object(create=_SWITCH, port=_PORT, annotations=_TEXTS),
            serviceMonitor=_object(
                create=_SWITCH, interval=_text(pattern="^([0-9]+(ms|s|m|h))?$"), labels=_TEXTS
            ),
            dashboards=_object(
                enabled=_SWITCH,
                label=_text(pattern=_LABEL),
                labelValue=_text(pattern=_LABEL_VALUE),
                annotations=_TEXTS,
            ),
            networkPolicy=_object(
                enabled=_SWITCH,
                scrapeFrom=_list(_ANY),
                mimirEgress=_list(_ANY),
                apiServerPorts=_list(_PORT),
            ),
            resources=_object(requests=_QUANTITIES, limits=_QUANTITIES),
            commonLabels=_TEXTS,
            podAnnotations=_TEXTS,
            podLabels=_TEXTS,
            nodeSelector=_TEXTS,
            tolerations=_list(_ANY),
            affinity=_ANY,
            priorityClassName=_text(maxLength=253),
            env=_list(_ANY),
            # Helm's own.
            **{"global": _ANY},
        ),
    }


def settings() -> dict[str, Any]:
    """The schema of the settings file, without what the chart fills in."""
    raw = Settings.model_json_schema()
    schema = _inlined(raw, raw["$defs"])
    # As the model checks it, in words of its own.
    schema["properties"]["mimir"]["properties"]["url"]["pattern"] = _URL
    for part, names in FILLED_IN.items():
        properties = (schema["properties"][part] if part else schema)["properties"]
        for name in names:
            del properties[name]
    return schema


def _inlined(node: Any, shared: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(one, shared) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(shared[node["$ref"].rpartition("/")[2]], shared)
    kept = {k: v for k, v in node.items() if k not in (*_DROPPED, "$defs", "properties")}
    inner = {k: _inlined(v, shared) for k, v in kept.items()}
    if "properties" in node:
        inner["properties"] = {k: _inlined(v, shared) for k, v in node["properties"].items()}
    if "description" in inner:
        inner["description"] = inner["description"].partition("\n\n")[0]
    return inner


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _text(**limits: Any) -> dict[str, Any]:
    return {"type": "string", **limits}


_SWITCH = {"type": "boolean"}
_ANY = {"type": "object"}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_QUANTITY = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?(m|[kMGTPE]i?)?$"}
_QUANTITIES = {
    "type": "object",
    "additionalProperties": {"anyOf": [_QUANTITY, {"type": "integer", "minimum": 0}]},
}

if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
