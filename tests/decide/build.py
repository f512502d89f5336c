"""Facts for tests of what decides: small, whole, and changed by keyword."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from charon_operator.loop.turn import Moment, TurnResult, acted, turn
from charon_operator.model.app import ChargedApp
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import Action, FleetMemory
from charon_operator.model.placing import Supply
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.reading import Missing, MissingReason, Reading, Sampled
from charon_operator.model.workload import Key, Target, Workload
from charon_operator.ports import WriteOutcome
from charon_operator.settings import Safety

SAFETY = Safety()
SPEC: Mapping[str, Any] = {
    "mode": "Active",
    "policyRef": {"name": "stream"},
    "scaleTargetRef": {"kind": "Deployment", "name": "consumer"},
    "capacityPerReplica": {"value": "10"},
    "indicators": [{"name": "queued", "query": "q"}, {"name": "arrivals", "query": "a"}],
    "bindings": {"backlog": "queued", "arrivals": "arrivals"},
    "objectives": [
        {
            "name": "freshness",
            "threshold": {"indicator": "queued", "op": "LessThanOrEqual", "value": "600"},
            "setPoint": "200",
            "target": "95",
        }
    ],
    "replicas": {"min": 1, "max": 50},
}
# One replica for every ten units of the value: a count can be read off the reading.
RATIO: Mapping[str, Any] = {"type": "Ratio", "parameters": {"tolerance": "0"}}
PROMPT: Mapping[str, Any] = {
    "controller": RATIO,
    "behavior": {
        "scaleUp": {"policies": [{"type": "Pods", "value": 1000, "periodSeconds": 1}]},
        "scaleDown": {"stabilizationWindowSeconds": 0},
    },
    "lowering": {"cooldownSeconds": 0},
}


def app(name: str = "ptycho", namespace: str = "workload", **changes: Any) -> ChargedApp:
    """An Active app; changes are camelCase parts of its spec, `generation` is of the metadata."""
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": changes.pop("uid", f"uid-{namespace}-{name}"),
        "generation": changes.pop("generation", 1),
        "creationTimestamp": changes.pop("created", "2026-11-01T00:00:00Z"),
    }
    if changes.pop("deleting", False):
        meta["deletionTimestamp"] = "2026-11-02T00:00:00Z"
    return ChargedApp.parse({"metadata": meta, "spec": {**SPEC, **changes}})


def ratio_app(name: str = "ptycho", namespace: str = "workload", **changes: Any) -> ChargedApp:
    """An app with one indicator, whose Ratio law wants one replica for every ten of the value."""
    spec = {
        "indicators": [{"name": "queued", "query": "q"}],
        "bindings": {},
        "objectives": [
            {
                "name": "freshness",
                "threshold": {"indicator": "queued", "op": "LessThanOrEqual", "value": "10"},
                "target": "95",
            }
        ],
    }
    return app(name, namespace, **{**spec, **changes})


def policy(**spec: Any) -> ControlPolicy:
    """The policy `stream`; without arguments the one that lets everything pass at once."""
    meta = {"name": "stream", "namespace": "workload", "uid": "policy", "generation": 1}
    return ControlPolicy.parse({"metadata": meta, "spec": {**PROMPT, **spec}})


def workload(replicas: int, *, of: ChargedApp | None = None, **changes: Any) -> Workload:
    """A settled Deployment, all of whose pods are ready unless said otherwise."""
    target = of.target if of else Target("Deployment", "workload", "consumer")
    whole = Workload(
        target=target,
        uid=f"uid-{target.namespace}-{target.name}",
        resource_version="1",
        generation=1,
        observed_generation=1,
        replicas=replicas,
        current=replicas,
        ready=replicas,
        updated=replicas,
    )
    return replace(whole, **changes)


def readings(time_s: float, **values: float | None) -> dict[str, Sampled]:
    """Readings sampled at a time; None stands for no data."""
    return {
        name: Missing(MissingReason.NO_DATA) if value is None else Reading(value, time_s)
        for name, value in values.items()
    }


def facts(
    chosen: ChargedApp, at: Workload | None, seen: Mapping[str, Sampled], **changes: Any
) -> AppFacts:
    """Facts of one app under the prompt policy unless another is given."""
    given = {"policy": policy(), **changes}
    return AppFacts(chosen, workload=at, readings=seen, **given)


def one(
    given: AppFacts, now_s: float, memory: FleetMemory | None = None, safety: Safety = SAFETY
) -> tuple[FleetMemory, Outcome]:
    """A turn of a single app."""
    result = turns([given], now_s, memory, safety)
    return result.memory, result.outcomes[0]


def turns(
    given: Sequence[AppFacts],
    now_s: float,
    memory: FleetMemory | None = None,
    safety: Safety = SAFETY,
    supply: Supply | None = None,
) -> TurnResult:
    """A turn of several apps."""
    return turn(memory or FleetMemory(), Moment(f"turn-{now_s}", now_s), given, safety, supply)


def tried(outcome: Outcome, now_s: float) -> Action:
    """What that outcome's write does."""
    return Action(now_s, outcome.decision.current, outcome.decision.final)


def wrote(memory: FleetMemory, outcome: Outcome, now_s: float) -> FleetMemory:
    """The memory after that outcome's write."""
    return acted(memory, outcome.key, tried(outcome, now_s), WriteOutcome.WRITTEN)


KEY = Key("workload", "ptycho")
