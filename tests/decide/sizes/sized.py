"""An app whose pods are resized: what is known of it, and whole turns over it."""

from dataclasses import replace
from typing import Any

from charon_operator.loop.turn import resized
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Resize
from charon_operator.model.facts import AppFacts
from charon_operator.model.memory import FleetMemory
from charon_operator.model.sizes import Size, SizedPod, Sizes
from charon_operator.ports import WriteOutcome
from tests.decide import build

# A tenth of a core serves 10 units a second; the Ratio law's replica of ten serves one replica.
RESOURCES: dict[str, Any] = {
    "container": "app",
    "mode": "InPlace",
    "cpu": {"min": "100m", "max": "1"},
    "curve": [{"cpu": "100m", "capacity": "10"}, {"cpu": "2", "capacity": "200"}],
}
MEMORY: dict[str, Any] = {"min": "64Mi", "max": "1Gi", "usage": "rss"}
MI = 2**20
# Where replicas cost nothing, nothing is gained by fewer and larger pods.
FREE = {"knobs": {"prices": {"replica": "0", "core": "1"}}}
# Wants what arrives, and what waits above the set point within ten seconds.
QUEUEING = {
    "type": "Queueing",
    "parameters": {"drainSeconds": "10", "startSeconds": "0", "headroom": "0"},
}


def sized(**changes: Any) -> ChargedApp:
    """The Ratio app of `build`, with the second knob."""
    spec = {
        "indicators": [{"name": name, "query": "q"} for name in ("queued", "arrivals", "rss")],
        "bindings": {"arrivals": "arrivals"},
        "resources": {**RESOURCES, **changes.pop("resources", {})},
    }
    return build.ratio_app(**{**spec, **changes})


def queue(
    count: int, arrivals: float | None, now_s: float, sizes: Sizes | None, **changes: Any
) -> AppFacts:
    """The app under the Queueing law: it wants what arrives."""
    bindings = {"backlog": "queued", "arrivals": "arrivals"}
    app = changes.pop("app", sized(bindings=bindings))
    rules = {**FREE, "controller": QUEUEING, **changes.pop("rules", {})}
    policy = build.policy(**{"lowering": {"cooldownSeconds": 0, "maxPerHour": 3600}, **rules})
    seen = {"arrivals": arrivals, **changes.pop("seen", {})}
    return facts(count, 0.0, now_s, sizes, app=app, policy=policy, seen=seen, **changes)


def pod(name: str, cpu_m: int = 200, **changes: Any) -> SizedPod:
    memory_b = changes.pop("memory_b", 256 * MI)
    size = Size(cpu_m, memory_b)
    return replace(SizedPod(name, f"uid-{name}", "1", True, True, size, size), **changes)


def pods(count: int, cpu_m: int = 200, **changes: Any) -> Sizes:
    found = tuple(pod(f"p{index}", cpu_m, **changes) for index in range(count))
    return Sizes(Size(200, 256 * MI), found)


def facts(
    count: int,
    queued: float | None,
    now_s: float,
    sizes: Sizes | None,
    **changes: Any,
) -> AppFacts:
    """The app at `count` replicas; it wants a tenth of what is queued, in replicas of now."""
    app = changes.pop("app", sized())
    at = changes.pop("workload", build.workload(count, of=app))
    changes = {"policy": build.policy(**FREE), **changes}
    values = {"queued": queued, "arrivals": 100.0, "rss": 200.0 * MI, **changes.pop("seen", {})}
    return build.facts(app, at, build.readings(now_s, **values), sizes=sizes, **changes)


def decided(given_facts: AppFacts, now_s: float, known: FleetMemory | None = None) -> Any:
    known, outcome = build.one(given_facts, now_s, known)
    assert outcome.resize is not None
    return known, outcome, outcome.resize


def wrote(known: FleetMemory, resize: Resize, now_s: float) -> FleetMemory:
    return resized(known, build.KEY, resize, WriteOutcome.WRITTEN, now_s)


def cpu(resize: Resize) -> int | None:
    return resize.final.cpu_m if resize.final else None
