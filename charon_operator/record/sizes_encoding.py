"""Sizes of pods as JSON-able values, and back, without loss.

Reads: nouns of `sizes`. Gives: plain values (the keys are in README.md beside this file), and the
nouns again. Never: a quantity's text; amounts are whole millicores and bytes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from charon_operator.model.sizes import Resizing, Size, SizedPod, Sizes, Span

Json = dict[str, Any]


def sizes_from_json(row: Mapping[str, Any]) -> Sizes:
    """The sizes that `sizes_to_json` was given."""
    template = size_from_json(row["template"]) or Size()
    pods = tuple(
        SizedPod(
            **{
                **pod,
                "asked": size_from_json(pod["asked"]) or Size(),
                "actual": size_from_json(pod["actual"]),
                "resizing": Resizing(pod["resizing"]),
                "cpu": Span(*pod["cpu"]),
                "memory": Span(*pod["memory"]),
            }
        )
        for pod in row["pods"]
    )
    return Sizes(template, pods, row["problem"], row.get("settledAt"))


def sizes_to_json(sizes: Sizes) -> Json:
    """The sizes of a target's pods, and of its template."""
    pods = [
        {
            **{field.name: getattr(pod, field.name) for field in dataclasses.fields(pod)},
            "asked": size_to_json(pod.asked),
            "actual": size_to_json(pod.actual),
            "resizing": pod.resizing.value,
            "cpu": list(dataclasses.astuple(pod.cpu)),
            "memory": list(dataclasses.astuple(pod.memory)),
        }
        for pod in sizes.pods
    ]
    found = {"template": size_to_json(sizes.template), "pods": pods, "problem": sizes.problem}
    return found if sizes.settled_at_s is None else {**found, "settledAt": sizes.settled_at_s}


def size_to_json(size: Size | None) -> list[int | None] | None:
    """A size: millicores, bytes."""
    return None if size is None else [size.cpu_m, size.memory_b]


def size_from_json(row: Sequence[int | None] | None) -> Size | None:
    """The size that `size_to_json` was given."""
    return None if row is None else Size(*row)
