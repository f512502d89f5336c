"""The world of the fleet benchmark: N Deployments on fake nodes, N ChargedApps, their metrics.

Everything is real but the pods: API server, controllers, Mimir, scraping agent and the operator as
its own process, with the chart's ServiceAccount.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from charon_operator import testbed
from charon_operator.testbed import operator, process, sockets
from tests.exporter import Exporter

NAMESPACES = 10
METRIC = "bench_work"
USER = f"system:serviceaccount:{operator.NAMESPACE}:{operator.ACCOUNT}"
CHART = Path(__file__).parents[2] / "helm" / "charon-operator"


@dataclass(frozen=True)
class App:
    namespace: str
    name: str

    @property
    def labels(self) -> dict[str, str]:
        return {"namespace": self.namespace, "app": self.name}


def apps(count: int) -> list[App]:
    return [App(f"bench-{i % NAMESPACES}", f"app-{i:04d}") for i in range(count)]


def _namespace(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _policy(namespace: str, period_s: int) -> dict[str, object]:
    return {
        "apiVersion": "charon.dev/v1alpha1",
        "kind": "ControlPolicy",
        "metadata": {"name": "bench", "namespace": namespace},
        "spec": {
            "periodSeconds": period_s,
            "controller": {"type": "Ratio", "parameters": {"metricType": "AverageValue"}},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    }


# Bounds that leave the size where it is: the same moves are made with and without the knob.
_SIZE = {"cpu": "100m"}
_RESOURCES = {
    "container": "app",
    "mode": "InPlace",
    "cpu": {"min": "100m", "max": "100m"},
    "curve": [{"cpu": "50m", "capacity": "5"}, {"cpu": "100m", "capacity": "10"}],
}


def _deployment(app: App, *, sized: bool) -> dict[str, object]:
    container = {"name": "app", "image": "app"}
    if sized:
        container |= {"resources": {"requests": _SIZE, "limits": _SIZE}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app.name, "namespace": app.namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": app.name}},
            "template": {
                "metadata": {"labels": {"app": app.name}},
                "spec": {"containers": [container]},
            },
        },
    }


def _charged_app(app: App, *, sized: bool) -> dict[str, object]:
    return {
        "apiVersion": "charon.dev/v1alpha1",
        "kind": "ChargedApp",
        "metadata": {"name": app.name, "namespace": app.namespace},
        "spec": {
            "mode": "Active",
            "policyRef": {"name": "bench"},
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": app.name},
            "indicators": [
                {
                    "name": "work",
                    "query": f'sum({METRIC}{{app="$target"}})',
                    "maxSampleAgeSeconds": 30,
                }
            ],
            "objectives": [
                {
                    "name": "work",
                    "threshold": {"indicator": "work", "op": "LessThanOrEqual", "value": "10"},
                    "target": "95",
                }
            ],
            "replicas": {"min": 1, "max": 20},
            **({"resources": _RESOURCES} if sized else {}),
        },
    }


def _apply(bed: testbed.Testbed, objects: list[dict[str, object]], batch: int = 250) -> None:
    for start in range(0, len(objects), batch):
        text = json.dumps(
            {"apiVersion": "v1", "kind": "List", "items": objects[start : start + batch]}
        )
        bed.kubectl("create", "-f", "-", input=text)


@contextmanager
def world(
    folder: Path, count: int, period_s: int, *, sized: bool = False
) -> Iterator[tuple[testbed.Testbed, Exporter]]:
    """A testbed with the chart installed, `count` Deployments of one ready pod, and metrics."""
    nodes = [testbed.Node(name=f"node-{i}", cpu="1000", pods=3000) for i in range(2)]
    config = testbed.Config(folder=folder, nodes=nodes)
    with testbed.start(config) as bed, Exporter() as exporter:
        operator.install(bed, CHART, ["--set=knobs.resources.enabled=true"] if sized else [])
        bed.scrape("bench", exporter.address)
        fleet = apps(count)
        _apply(bed, [_namespace(f"bench-{i}") for i in range(NAMESPACES)])
        _apply(bed, [_policy(f"bench-{i}", period_s) for i in range(NAMESPACES)])
        for app in fleet:
            exporter.set(METRIC, app.labels, 10.0)
        _apply(bed, [_deployment(app, sized=sized) for app in fleet])
        settled = ("--for=condition=Available", "--timeout=400s")
        bed.kubectl("wait", "deployments", "--all", "-A", *settled, timeout_s=420)
        yield bed, exporter


def onboard(bed: testbed.Testbed, count: int, *, sized: bool = False) -> None:
    _apply(bed, [_charged_app(app, sized=sized) for app in apps(count)])


class Operator:
    """`charon run` as a process of its own; a context manager."""

    def __init__(self, bed: testbed.Testbed, folder: Path) -> None:
        self.journal = folder / "journal.jsonl"
        self._ports = sockets.Reservation()
        self.port = self._ports.port("operator")
        settings = {"journal": {"path": str(self.journal)}}
        self.process = process.Process(operator.program(bed, folder, self.port, settings))

    @property
    def pid(self) -> int:
        assert self.process.pid, "the operator has ended"
        return self.process.pid

    def __enter__(self) -> "Operator":
        self.process.start(30.0)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()
        self._ports.release()
