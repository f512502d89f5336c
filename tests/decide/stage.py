"""GPU nodes and apps with variants, played turn by turn: a scheduler that places what fits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from charon_operator.decide.placement.inventory import Inventory
from charon_operator.loop.turn import Moment, TurnResult, placed, turn
from charon_operator.model.app import ChargedApp
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.gpu import Need, Node
from charon_operator.model.memory import FleetMemory
from charon_operator.model.placing import Placing, Supply, VariantFacts
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.reading import Attainment
from charon_operator.model.workload import Key, Target, Workload, together
from charon_operator.ports import WriteOutcome
from charon_operator.settings import Safety
from tests.decide import build, gpus

ONE = gpus.need(gpu=1)
TURN_S = 15.0
# What arrives is what is wanted: no head-room, no start-up, a backlog of nothing.
SERVE: Mapping[str, Any] = {
    "type": "Queueing",
    "parameters": {"headroom": "0", "startSeconds": "0", "replacementPercent": "0"},
}


def policy(**spec: Any) -> ControlPolicy:
    """A policy that wants what arrives, at once."""
    return build.policy(**{"controller": SERVE, **spec})


def variant(name: str, capacity: str, cost: str, **changes: Any) -> dict[str, Any]:
    """A variant as a user writes it; `least` and `most` are its bounds."""
    bounds = {"min": changes.pop("least", 0), "max": changes.pop("most", 8)}
    return {
        "name": name,
        "scaleTargetRef": {"kind": "Deployment", "name": changes.pop("of", f"consumer-{name}")},
        "capacityPerReplica": {"value": capacity},
        "costPerReplica": cost,
        "replicas": bounds,
        **changes,
    }


FP32, FP16 = variant("fp32", "600", "8"), variant("fp16", "1200", "10", quality="0.97")
# Of a placement whose mix may change at any turn.
SWAPS: Mapping[str, Any] = {"minDwellSeconds": 0}


def app(*ways: dict[str, Any], name: str = "ptycho", **changes: Any) -> ChargedApp:
    """An Active app of these variants; what else is given goes to its placement, or to its spec."""
    named = ("priority", "minQuality", "savingPercent", "minDwellSeconds", "pendingDeadlineSeconds",
             "newNodes")  # fmt: skip
    placement = {key: changes.pop(key) for key in named if key in changes}
    # Variants that share a Deployment name it by `of`; the others have each their own.
    ways = tuple(
        way
        if "template" in way
        else {**way, "scaleTargetRef": {"kind": "Deployment", "name": f"{name}-{way['name']}"}}
        for way in ways
    )
    spec = {
        "scaleTargetRef": None,
        "capacityPerReplica": None,
        "replicas": None,
        "placement": {**placement, "variants": list(ways)},
    }
    return build.app(name, **{**spec, **changes})


@dataclass
class Played:
    """An app on the stage.

    Attributes:
        arrivals: units a second; None: the metric is missing.
        needs: what a pod asks for, by variant; one GPU unless said otherwise.
    """

    app: ChargedApp
    arrivals: float | None
    needs: Mapping[str, Need]
    policy: ControlPolicy
    attainments: Mapping[str, Attainment] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)

    def need(self, name: str) -> Need:
        return self.needs.get(name, ONE)


class Stage:
    """A cluster whose pods are ready one turn after they were placed.

    Attributes:
        unschedulable: workloads whose pods find no node, whatever the inventory says.
        quota: pods that a workload may have, by its name.
        budgets: pods of a workload that a PodDisruptionBudget keeps, by its name.
    """

    def __init__(self, *nodes: Node, memory: FleetMemory | None = None) -> None:
        self.inventory = Inventory()
        for one in nodes:
            self.inventory.node_put(one)
        self.memory = memory or FleetMemory()
        self.now_s = 10_000.0
        self.played: dict[Key, Played] = {}
        self.asked: dict[Target, int] = {}
        self.ready: dict[Target, int] = {}
        self.generation: dict[Target, int] = {}
        self.unschedulable: set[str] = set()
        self.quota: dict[str, int] = {}
        self.budgets: dict[str, int] = {}
        self.safety = Safety()
        self.knows_supply = True
        self.last: dict[Key, Outcome] = {}
        self._uids: dict[Target, list[str]] = {}
        self._bound: set[str] = set()
        self._made = 0

    def enter(
        self,
        chosen: ChargedApp,
        arrivals: float | None,
        has: Mapping[str, int] | None = None,
        **changes: Any,
    ) -> None:
        """An app that has so many ready pods of its variants."""
        needs = changes.pop("needs", {})
        given = changes.pop("policy", policy())
        self.played[chosen.key] = Played(chosen, arrivals, needs, given, changes=changes)
        for name, target in self._targets(chosen).items():
            self.asked[target] = (has or {}).get(name, 0)
            self.generation[target] = 1
            self._uids[target] = []
        for _ in range(2):
            self._obey()

    def turn(self, *due: str) -> TurnResult:
        """One turn of these apps, or of all; what it writes is obeyed before the next."""
        facts = [self.facts(key) for key in self.played if not due or key.name in due]
        result = turn(
            self.memory,
            Moment(f"turn-{self.now_s}", self.now_s),
            facts,
            self.safety,
            self.supply(),
        )
        self.memory = result.memory
        for outcome in result.outcomes:
            self.last[outcome.key] = outcome
            if outcome.placing and outcome.placing.moves:
                self._write(outcome.key, outcome.placing)
        self._obey()
        self.now_s += TURN_S
        return result

    def play(self, turns: int, *due: str) -> list[dict[str, int]]:
        """What the first app has asked for after each turn that changed it."""
        seen = []
        first = next(iter(self.played)).name
        for _ in range(turns):
            before = self.has(first)
            self.turn(*due)
            if self.has(first) != before:
                seen.append(self.has(first))
        return seen

    def has(self, name: str = "ptycho") -> dict[str, int]:
        """Replicas asked for by variant, without those at 0."""
        targets = self._targets(self.played[gpus.key(name)].app)
        return {way: self.asked[target] for way, target in targets.items() if self.asked[target]}

    def serves(self, name: str = "ptycho") -> float:
        """Units a second that ready pods serve."""
        chosen = self.played[gpus.key(name)].app
        assert chosen.spec.placement is not None
        capacities = [one.capacity_per_replica.value for one in chosen.spec.placement.variants]
        return sum(
            capacity * self.ready[target]
            for capacity, target in zip(capacities, chosen.targets, strict=True)
        )

    def placing(self, name: str = "ptycho") -> Placing:
        """What the last turn said of an app's variants."""
        found = self.last[gpus.key(name)].placing
        assert found is not None
        return found

    def supply(self) -> Supply | None:
        targets = [target for played in self.played.values() for target in played.app.targets]
        return self.inventory.supply(targets) if self.knows_supply else None

    def facts(self, key: Key) -> AppFacts:
        played = self.played[key]
        targets = self._targets(played.app)
        seen = {
            name: VariantFacts(
                self._workload(target), played.need(name), holding=self.inventory.holding(target)
            )
            for name, target in targets.items()
        }
        readings = build.readings(self.now_s, queued=0.0, arrivals=played.arrivals)
        whole = AppFacts(
            played.app,
            policy=played.policy,
            workload=together([self._workload(target) for target in targets.values()]),
            readings=readings,
            attainments=played.attainments,
            variants=seen,
        )
        return replace(whole, **played.changes)

    def _targets(self, chosen: ChargedApp) -> dict[str, Target]:
        assert chosen.spec.placement is not None
        names = [one.name for one in chosen.spec.placement.variants]
        return dict(zip(names, chosen.targets, strict=True))

    def _workload(self, target: Target) -> Workload:
        asked, generation = self.asked[target], self.generation[target]
        exist = len(self._uids[target])
        return Workload(
            target=target,
            uid=f"uid-{target.name}",
            resource_version="1",
            generation=generation,
            observed_generation=generation,
            replicas=asked,
            current=exist,
            ready=self.ready[target],
            updated=exist,
            replica_failure="exceeded quota: gpus" if exist < asked else "",
            min_available=self.budgets.get(target.name),
            last_scaler="charon-operator",
        )

    def _write(self, key: Key, placing: Placing) -> None:
        for one in placing.variants:
            if one.final != one.asked:
                self.asked[one.target] = one.final
                self.generation[one.target] += 1
        self.memory = placed(self.memory, key, placing, WriteOutcome.WRITTEN, self.now_s)

    def _obey(self) -> None:
        waiting: list[tuple[str, Target, Need]] = []
        for target, needed in self._wanted():
            bound = len(self.inventory.holding(target).nodes)
            self.ready[target] = min(bound, self.asked[target])
            self._adjust(target)
            waiting += [
                (uid, target, needed) for uid in self._uids[target] if uid not in self._bound
            ]
        # Who has waited longest is placed first.
        for uid, target, needed in sorted(waiting, key=lambda one: int(one[0].rpartition("-")[2])):
            self._schedule(uid, target, needed)

    def _wanted(self) -> Iterable[tuple[Target, Need]]:
        for played in self.played.values():
            for name, target in self._targets(played.app).items():
                yield target, played.need(name)

    def _adjust(self, target: Target) -> None:
        uids = self._uids[target]
        while len(uids) > self.asked[target]:
            # Controllers take pods that have no node first.
            waiting = [uid for uid in uids if uid not in self._bound]
            uids.remove(gone := (waiting or uids)[-1])
            self.inventory.pod_gone(gone)
        most = self.quota.get(target.name, 10**6)
        while len(uids) < min(self.asked[target], most):
            self._made += 1
            uids.append(f"{target.name}-{self._made}")

    def _schedule(self, uid: str, target: Target, needed: Need) -> None:
        barred = target.name in self.unschedulable
        node = "" if barred else self.inventory.stock().place(needed) or ""
        self.inventory.pod_put(gpus.pod(uid, node, needed, made_by=target.name))
        if node:
            self._bound.add(uid)
