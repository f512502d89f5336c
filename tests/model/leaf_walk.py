"""A walk over every field of a good resource: each is left out, set, and driven to its extremes.

Reads: the schemas of the CRDs and the good resources of `bad_input`. Gives: `Variant`s of them.
Never: says what is right; the API server and `parse` are asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from charon_operator.model import crd
from tests.model import bad_input
from tests.model.bad_input import Body, Change

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """A good resource with one field changed."""

    id: str
    row: bad_input.Row


def variants(*goods: Body) -> Iterator[Variant]:
    """Every field that good resources have, or could have beside what they have."""
    for good in goods or (bad_input.APP, bad_input.PLACED, bad_input.POLICY):
        schema = crd.schemas()[good["kind"]]["properties"]["spec"]
        for path, node, there in _fields(schema, good["spec"], "spec"):
            changes = {"left out": bad_input.drop(path)} if there else {}
            changes |= {f"{value!r:.24}": bad_input.put(path, value) for value in _values(node)}
            for what, change in changes.items():
                yield _variant(f"{good['kind']} {path} {what}", good, change)


def _variant(name: str, good: Body, change: Change) -> Variant:
    return Variant(name, bad_input.Row(name, good, change, None, None))


def _fields(node: Schema, here: Any, path: str) -> Iterator[tuple[str, Schema, bool]]:
    for name, child in node.get("properties", {}).items():
        there = name in here
        yield f"{path}.{name}", child, there
        if there:
            yield from _fields(child, here[name], f"{path}.{name}")
    if "items" in node:
        yield from _fields(node["items"], here[0], f"{path}.0")
    if isinstance(node.get("additionalProperties"), Mapping):
        for name in here:
            yield f"{path}.{name}", node["additionalProperties"], True


def _values(node: Schema) -> list[Any]:
    kind = node["type"]
    if kind == "integer":
        low, high = node["minimum"], node["maximum"]
        return [low - 1, low, high, high + 1, "7"]
    if "enum" in node:
        return [*node["enum"], "Junk", 5]
    if kind == "string":
        longest = node["maxLength"]
        return ["", "0", "x" * longest, "9" * longest, "x" * (longest + 1), 5]
    return [None, [] if kind == "array" else {}, "x"]
