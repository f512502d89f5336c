"""A world of `fleet_world` with an app of two GPU variants, and turns whose steps a test sets.

What a turn is given is real, and so is all that follows from it; only where variants go is the
test's to say, as what a turn would say of it is tested in tests/decide.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from charon_operator.loop import turn
from charon_operator.loop.snapshot import Kind
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import FleetMemory
from charon_operator.model.placing import Placing, Supply, VariantFacts, VariantMove
from charon_operator.model.workload import Key, Target, Workload
from charon_operator.ports import WriteOutcome
from tests.gpu_bed import GPU, template
from tests.loop import cluster_bodies
from tests.loop.fleet_world import World, app
from tests.loop.test_floor import node

APP = Key("ns", "placed")
FP16, FP32 = (Target("Deployment", "ns", name) for name in ("fp16", "fp32"))
Body = dict[str, Any]
Rule = Callable[[Supply], Mapping[str, int]]


@dataclass
class Script:
    """What turns say of an app with placement, and what they were given and told.

    Attributes:
        finals: replicas to ask for, by variant; a variant that is not in it stays.
        rule: says them of what is free instead.
        acts: whether the writes may be carried out.
        facts: of the app, as last given.
        supplies: of each turn.
        told: what was remembered of steps that were tried.
    """

    finals: Mapping[str, int] = field(default_factory=dict)
    rule: Rule | None = None
    acts: bool = True
    facts: AppFacts | None = None
    supplies: list[Supply | None] = field(default_factory=list)
    told: list[tuple[Placing, WriteOutcome]] = field(default_factory=list)

    def variant(self, name: str) -> VariantFacts:
        assert self.facts is not None
        return self.facts.variants[name]

    def steps(self) -> list[tuple[dict[str, tuple[int, int]], WriteOutcome]]:
        """What moved in each step that was remembered, and what came of it."""
        return [
            (
                {one.name: (one.asked, one.final) for one in placing.variants
                 if one.asked != one.final},
                outcome,
            )
            for placing, outcome in self.told
        ]  # fmt: skip

    def turned(
        self, memory: FleetMemory, moment: turn.Moment, facts: Any, *given: Any
    ) -> turn.TurnResult:
        result = _TURN(memory, moment, facts, *given)
        self.supplies.append(given[1])
        if self.rule and given[1]:
            self.finals = self.rule(given[1])
        pairs = zip(facts, result.outcomes, strict=True)
        return replace(result, outcomes=tuple(self._placed(*pair) for pair in pairs))

    def placed(
        self, memory: FleetMemory, key: Key, placing: Placing, outcome: WriteOutcome, now_s: float
    ) -> FleetMemory:
        self.told.append((placing, outcome))
        return memory

    def _placed(self, facts: AppFacts, outcome: Outcome) -> Outcome:
        if not facts.variants:
            return outcome
        self.facts = facts
        moves = tuple(self._move(name, one) for name, one in facts.variants.items())
        placing = Placing(self.acts, moves, True, "Enough", "as the test says")
        return replace(outcome, placing=placing, problem=None)

    def _move(self, name: str, one: VariantFacts) -> VariantMove:
        workload = one.workload
        if not isinstance(workload, Workload):
            return VariantMove(name, Target("Deployment", "ns", name), 0, 0, 0, 0, 0)
        asked = workload.replicas
        final = self.finals.get(name, asked)
        pending = one.holding.pending
        return VariantMove(name, workload.target, asked, workload.ready, pending, final, final)


_TURN = turn.turn


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Turns say of placement what this says."""
    found = Script()
    monkeypatch.setattr(turn, "turn", found.turned)
    monkeypatch.setattr(turn, "placed", found.placed, raising=False)
    return found


def variant(name: str, capacity: int = 100, **more: Any) -> Body:
    """A variant of that name, which its Deployment has too."""
    return {
        "name": name,
        "scaleTargetRef": {"kind": "Deployment", "name": name},
        "capacityPerReplica": {"value": str(capacity)},
        "costPerReplica": "1",
        "replicas": {"min": 0, "max": 4},
        **more,
    }


def placed_app(name: str = APP.name, generation: int = 1, *variants: Body, **spec: Any) -> Body:
    """An app of two variants, or of others; what is said of one target is left out."""
    chosen = list(variants) or [variant("fp16"), variant("fp32")]
    placement = {"minDwellSeconds": 0, "variants": chosen}
    body = app(name, generation, placement=placement, **spec)
    del body["spec"]["scaleTargetRef"], body["spec"]["replicas"]
    return body


def deployment(name: str, replicas: int, gpus: int = 1, **more: Any) -> Body:
    body = cluster_bodies.deployment(name, replicas=replicas, **more)
    body["spec"]["template"].update(template(gpus))
    return body


def world(count: int = 0, *, seen: bool = True, **configured: Any) -> World:
    """Two nodes of four GPUs, and an app that runs one replica of fp16 and three of fp32.

    Args:
        count: apps of other kinds.
        seen: what the floor is made of has been listed.
        configured: settings.
    """
    found = World(count, **{"placement": {"enabled": True}, **configured})
    found.cluster.put(deployment("fp16", 1))
    found.cluster.put(deployment("fp32", 3))
    found.snapshot.put(Kind.APPS, placed_app())
    if seen:
        floor = found.snapshot.floor
        for kind, bodies in ((Kind.NODES, [node("a"), node("b")]), (Kind.PODS, pods())):
            floor.relisted(kind, floor.listed(kind, bodies))
    return found


def pods() -> list[Body]:
    """One pod of fp16 on a node, one of fp32 that waits."""
    return [pod("one", "fp16", "a"), pod("two", "fp32", "")]


def pod(name: str, of: str, on: str) -> Body:
    owner = {"kind": "ReplicaSet", "name": f"{of}-x7", "controller": True}
    labels = {"pod-template-hash": "x7"}
    meta = cluster_bodies.meta(name, labels=labels, ownerReferences=[owner])
    spec = {**template()["spec"], **({"nodeName": on} if on else {})}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running"}}


__all__ = ["APP", "FP16", "FP32", "GPU", "Script", "placed_app", "script", "world"]
