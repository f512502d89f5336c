"""Variants, where they are to go, and what there is to stand on, as JSON-able values and back.

Reads: nouns of `placing`. Gives: plain values (the keys are in README.md beside this file), and the
nouns again, without loss. Never: a node that did not change since the supply before.
"""

from collections.abc import Mapping
from typing import Any, Final

from charon_operator.model import gpu_json
from charon_operator.model.form import Shape
from charon_operator.model.gpu import Need
from charon_operator.model.placing import (
    FormChange,
    Holding,
    Placing,
    Supply,
    VariantFacts,
    VariantMove,
)
from charon_operator.model.workload import Absent, Target, Workload

Json = dict[str, Any]

NOTHING: Final = Supply({}, {})


def variant_to_json(variant: VariantFacts, workload: Any, need: Any) -> Json:
    """What is known of a variant.

    Args:
        variant: the facts.
        workload: its workload, written out or as a reference to what says it.
        need: its need, as the workload; None is left out.
    """
    found: Json = {"workload": workload}
    if need is not None:
        found["need"] = need
    if variant.problem:
        found["problem"] = variant.problem
    holding = variant.holding
    if holding != Holding():
        found["holding"] = [list(holding.nodes), holding.pending, holding.gated]
    if variant.shape is not None:
        found["shape"] = _shape(variant.shape)
    return found


def variant_from_json(
    row: Mapping[str, Any], workload: Workload | Absent | None, need: Need | None
) -> VariantFacts:
    """The facts that `variant_to_json` was given."""
    nodes, pending, gated = row.get("holding") or ((), 0, 0)
    holding = Holding(tuple(nodes), pending, gated)
    shape = _shape_from(row["shape"]) if "shape" in row else None
    return VariantFacts(workload, need, row.get("problem", ""), holding, shape)


def _shape(shape: Shape) -> Json:
    found: Json = {
        "gpus": dict(shape.gpus),
        "product": shape.product,
        "runtimeClass": shape.runtime_class,
        "rolls": shape.rolls,
        "surge": shape.surge,
        "paused": shape.paused,
    }
    if shape.came_from is not None:
        found["cameFrom"] = list(shape.came_from)
    return found


def _shape_from(row: Mapping[str, Any]) -> Shape:
    variant, replicas = row.get("cameFrom", (None, 0))
    return Shape(
        gpus=tuple(row["gpus"].items()),
        product=row["product"],
        runtime_class=row["runtimeClass"],
        rolls=row["rolls"],
        surge=row["surge"],
        paused=row["paused"],
        came_from=None if variant is None else (variant, replicas),
    )


def placing_to_json(placing: Placing) -> Json:
    """What variants should be; two are the same when these are, to the byte."""
    found: Json = {
        "acts": placing.acts,
        "variants": {one.name: _move(one) for one in placing.variants},
        "feasible": placing.feasible,
        "reason": str(placing.reason),
        "message": placing.message,
        "capacity": placing.capacity,
        "wanted": placing.wanted,
    }
    if placing.change is not None:
        found["change"] = _change(placing.change)
    return found


def placing_from_json(row: Mapping[str, Any]) -> Placing:
    """The placing that `placing_to_json` was given."""
    variants = tuple(_move_from(name, one) for name, one in row["variants"].items())
    change = _change_from(row["change"]) if "change" in row else None
    return Placing(**{**row, "variants": variants, "change": change})


def _change(one: FormChange) -> Json:
    return {
        "before": one.before,
        "after": one.after,
        "replicas": one.replicas,
        "surges": one.surges,
        "cameFrom": list(one.came_from),
    }


def _change_from(row: Mapping[str, Any]) -> FormChange:
    variant, replicas = row["cameFrom"]
    return FormChange(
        row["before"], row["after"], row["replicas"], row["surges"], (variant, replicas)
    )


def _move(one: VariantMove) -> Json:
    return {
        "target": _target(one.target),
        "asked": one.asked,
        "ready": one.ready,
        "waiting": one.waiting,
        "final": one.final,
        "goal": one.goal,
    }


def _move_from(name: str, row: Mapping[str, Any]) -> VariantMove:
    return VariantMove(**{**row, "name": name, "target": Target(*row["target"])})


def _target(target: Target) -> list[str]:
    return [target.kind, target.namespace, target.name]


def supply_to_json(before: Supply, now: Supply) -> Json:
    """What of a supply is not as it was before; empty where nothing changed."""
    nodes = {
        name: gpu_json.node_to_json(node)
        for name, node in now.nodes.items()
        if before.nodes.get(name) != node
    }
    free = {
        name: dict(amounts)
        for name, amounts in now.free.items()
        if before.free.get(name) != amounts
    }
    held = [
        [_target(target), list(on)]
        for target, on in now.held.items()
        if before.held.get(target) != on
    ]
    gone = [name for name in before.nodes if name not in now.nodes]
    left = [_target(target) for target in before.held if target not in now.held]
    found: Json = {"nodes": nodes, "free": free, "held": held, "gone": gone, "left": left}
    return {name: part for name, part in found.items() if part}


def supply_from_json(before: Supply, row: Mapping[str, Any]) -> Supply:
    """The supply of which `supply_to_json` told what changed."""
    gone = frozenset(row.get("gone", ()))
    nodes = {name: node for name, node in before.nodes.items() if name not in gone}
    free = {name: amounts for name, amounts in before.free.items() if name not in gone}
    changed: Mapping[str, Any] = row.get("nodes", {})
    nodes.update({name: gpu_json.node_from_json(name, one) for name, one in changed.items()})
    left = {Target(*target) for target in row.get("left", ())}
    held = {target: on for target, on in before.held.items() if target not in left}
    held.update({Target(*target): tuple(on) for target, on in row.get("held", ())})
    return Supply(nodes, {**free, **row.get("free", {})}, held)
