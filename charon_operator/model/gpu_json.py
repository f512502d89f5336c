"""What pods need and what nodes have, as JSON-able values and back, without loss.

Reads: nouns of `gpu`. Gives: plain dicts, and the nouns again. Never: a body as the API server has
it; that is read by `gpu`.
"""

from collections.abc import Mapping
from typing import Any

from charon_operator.model.body import Requirement
from charon_operator.model.gpu import Need, Node, Taint, Toleration

Json = dict[str, Any]


def need_to_json(need: Need) -> Json:
    """What a pod asks for; two are the same when these are, to the byte."""
    found: Json = {"requests": dict(need.requests)}
    if need.terms != ((),):
        found["terms"] = [[_requirement(one) for one in term] for term in need.terms]
    if need.tolerations:
        found["tolerations"] = [_said(one) for one in need.tolerations]
    if need.runtime_class:
        found["runtimeClass"] = need.runtime_class
    return found


def need_from_json(row: Mapping[str, Any]) -> Need:
    """The need that `need_to_json` was given."""
    return Need(
        requests=tuple(row["requests"].items()),
        terms=tuple(
            tuple(_requirement_from(one) for one in term) for term in row.get("terms", [[]])
        ),
        tolerations=tuple(Toleration(**one) for one in row.get("tolerations", [])),
        runtime_class=row.get("runtimeClass", ""),
    )


def node_to_json(node: Node) -> Json:
    """A node; its name is not in it, as nodes are kept by name."""
    found: Json = {"allocatable": dict(node.allocatable), "labels": dict(node.labels)}
    if node.taints:
        found["taints"] = [_said(one) for one in node.taints]
    if not node.ready:
        found["ready"] = False
    return found


def node_from_json(name: str, row: Mapping[str, Any]) -> Node:
    """The node that `node_to_json` was given."""
    taints = tuple(Taint(**one) for one in row.get("taints", []))
    return Node(name, row["allocatable"], row["labels"], taints, row.get("ready", True))


def _said(one: Taint | Toleration) -> Json:
    """Of a part of another's object what is not left to its default."""
    return one.model_dump(mode="json", exclude_defaults=True)


def _requirement(one: Requirement) -> list[Any]:
    return [one.key, one.operator, sorted(one.values)]


def _requirement_from(row: list[Any]) -> Requirement:
    key, operator, values = row
    return Requirement(key, operator, frozenset(values))
