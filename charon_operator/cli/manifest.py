"""YAML as people write it, with the line of every field.

Reads: text of manifests. Gives: `Document`s, or `Fault`s with a line. Never: a value that the API
server would not see so (a time stays text), a document that grows when its aliases are followed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

# Far beyond any resource (the API server takes 3 MiB), and still read in a moment.
MAX_BYTES: Final = 4 * 2**20
_MAX_NODES: Final = 200_000
_MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the text itself; `line` is 1-based."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Document:
    """One resource: its content, and where each field of it is written."""

    body: Any
    node: yaml.Node

    def line_of(self, field: str = "") -> int:
        """The line of a field as errors name it (`spec.holds[night].until`), or of its parent."""
        node, line = self.node, self.node.start_mark.line
        for step in re.findall(r"[^.\[\]]+", field):
            found = _descend(node, step)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line
        return line + 1


class _Loader(yaml.SafeLoader):
    """Safe, and without times: in JSON, which the API server reads, they are text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str) -> Iterator[Document | Fault]:
    """All documents of a text; after a fault of syntax nothing more can be read."""
    try:
        yield from _contents(_Loader(text))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        yield Fault(line, f"is not YAML: {str(error).splitlines()[0]}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        yield Fault(mark.line + 1 if mark else 1, f"is not YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        yield Fault(1, f"is not YAML: {str(error).splitlines()[0]}")
    except (RecursionError, ValueError) as error:
        yield Fault(1, f"is nested too deep or holds what is no value: {str(error)[:100]}")


def _contents(loader: _Loader) -> Iterator[Document | Fault]:
    while loader.check_node():
        node = loader.get_node()
        assert node is not None
        faults = list(_faults(node))
        yield from faults
        if not faults and not _is_empty(node):
            yield from _documents(loader, node)


def _documents(loader: _Loader, node: yaml.Node) -> Iterator[Document]:
    body = loader.construct_document(node)
    if (
        isinstance(body, dict)
        and body.get("kind") == "List"
        and isinstance(body.get("items"), list)
    ):
        found = _descend(node, "items")
        assert found is not None
        for child, item in zip(body["items"], found[1].value, strict=True):
            yield Document(child, item)
    else:
        yield Document(body, node)


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _faults(root: yaml.Node) -> Iterator[Fault]:
    """Keys written twice; and one fault for a document that is too deep or too large."""
    seen, todo = 0, [(root, 0)]
    while todo:
        node, depth = todo.pop()
        seen += 1
        if depth > _MAX_DEPTH or seen > _MAX_NODES:
            yield Fault(node.start_mark.line + 1, "is too deep or too large, aliases included")
            return
        if isinstance(node, yaml.MappingNode):
            yield from _duplicates(node)
            todo += [(child, depth + 1) for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            todo += [(child, depth + 1) for child in node.value]


def _duplicates(node: yaml.MappingNode) -> Iterator[Fault]:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue  # no key of JSON: refused when the value is made
        line = key.start_mark.line + 1
        if key.value in lines and key.value != "<<":
            yield Fault(
                line,
                f"{key.value!r} is written twice, first in line {lines[key.value]}: remove one",
            )
        lines.setdefault(key.value, line)


def _descend(node: yaml.Node, step: str) -> tuple[yaml.Node, yaml.Node] | None:
    """The key and value of a step: a key, an index, or the name of an item."""
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if k.value == step), None)
    if not isinstance(node, yaml.SequenceNode):
        return None
    for item in node.value:
        name = _descend(item, "name") if isinstance(item, yaml.MappingNode) else None
        if name and name[1].value == step:
            return item, item
    index = int(step) if step.isascii() and step.isdigit() else len(node.value)
    return (node.value[index], node.value[index]) if index < len(node.value) else None
