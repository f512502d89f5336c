"""The operator beside GPU nodes that a test sets up, and apps whose load it sets.

Reads: a testbed through a watcher of its own. Gives: `Stage` (all of a run), `Ground` (nodes and
apps of one test, on a GPU product of its own) and `App`. Never: talks to the operator but through
the API server, Mimir and signals.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from charon_operator import names, testbed
from charon_operator.testbed import fakenodes, operator, process
from tests.exporter import Exporter
from tests.faults import install, watcher
from tests.placement import manifests
from tests.placement.manifests import CALM, METRICS, Variant, Wish
from tests.testbed_fixtures import wait_until

ENABLED = "--set=knobs.placement.enabled=true"
TEMPLATES = "--set=knobs.placement.templates=true"
PODS = "/api/v1/pods"
_STATEFUL_SETS = "/apis/apps/v1/statefulsets"
PATHS = (watcher.DEPLOYMENTS, _STATEFUL_SETS, watcher.CHARGED_APPS, PODS)
_KINDS = {names.DEPLOYMENT: watcher.DEPLOYMENTS, names.STATEFUL_SET: _STATEFUL_SETS}
# A whole change of variants on a loaded machine, even one whose second try is waited for (40 s).
_SETTLED_S = 75.0

T = TypeVar("T")


@dataclass
class Stage:
    """A testbed, and what stands beside it.

    Attributes:
        templates: the operator's configuration lets it change pod templates.
    """

    bed: testbed.Testbed
    folder: Path
    port: int
    exporter: Exporter
    watcher: watcher.Watcher
    templates: bool = False
    _running: process.Process | None = field(default=None, init=False)

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def log(self) -> str:
        """What the operator logged, over all its lives."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self, *, enabled: bool = True) -> None:
        """Starts the operator, if it does not run, and waits until it is ready.

        Args:
            enabled: whether its configuration lets it place variants.
        """
        if self._running is not None:
            return
        short = {"duration_seconds": 4, "renew_deadline_seconds": 3, "retry_seconds": 0.5}
        settings = {
            "placement": {"enabled": enabled, "templates": enabled and self.templates},
            "lease": {**short, "namespace": operator.NAMESPACE, "name": operator.ACCOUNT},
            "journal": {"path": str(self.journal)},
            "attainment_period_seconds": 2,
        }
        program = operator.program(self.bed, self.folder, self.port, settings)
        self._running = process.Process(program)
        self._running.start()

    def stop(self) -> None:
        """Ends the operator as a kubelet does."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def kill(self) -> None:
        """Ends it at once, with what it remembers."""
        if self._running is not None:
            self._running.kill()
            self._running = None

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Rows of the operator's journal."""
        whole, _, _ = self.journal.read_text().rpartition("\n")
        return [row for row in map(json.loads, whole.splitlines()) if row["kind"] == kind]


class App:
    """An app of several variants.

    Args:
        namespace: of the app and its workloads; it is there.
    """

    def __init__(
        self, stage: Stage, name: str, namespace: str, variants: tuple[Variant, ...], wish: Wish
    ) -> None:
        self.stage, self.name, self.namespace = stage, name, namespace
        self.variants = {one.name: one for one in variants}
        self.body = manifests.charged_app(name, variants, wish)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Applies objects into the namespace."""
        for item in objects:
            item["metadata"]["namespace"] = self.namespace
        self.stage.bed.apply(yaml.safe_dump_all(objects))

    def begin(self) -> None:
        """Creates policy and app."""
        self.apply(manifests.policy(), self.body)

    def load(self, arrivals: float, queued: float = CALM) -> None:
        """Sets what arrives, units a second, and what has queued."""
        told = {"arrivals": arrivals, "backlog": queued}
        for role, metric in METRICS.items():
            self.stage.exporter.set(metric, self._labels, told[role])

    def go_dark(self) -> None:
        """Nothing tells of the load any more."""
        for metric in METRICS.values():
            self.stage.exporter.drop(metric, self._labels)

    @property
    def _labels(self) -> dict[str, str]:
        """Any of its workloads may tell of the load."""
        return {"namespace": self.namespace, "app": list(self.variants)[-1]}

    # What is there.

    def asked(self) -> dict[str, int]:
        """Replicas asked for, by variant."""
        return {name: int(body["spec"]["replicas"]) for name, body in self._workloads().items()}

    def ready(self) -> dict[str, int]:
        """Ready pods by variant."""
        found = self._workloads().items()
        return {name: int(body.get("status", {}).get("readyReplicas", 0)) for name, body in found}

    def pods(self) -> list[watcher.Sight]:
        """The pods there are."""
        newest = {sight.uid: sight for sight in self.stage.watcher.of(PODS, self.namespace)}
        return [sight for sight in newest.values() if not sight.gone]

    def waiting(self) -> list[str]:
        """Names of pods that have no node."""
        return [pod.name for pod in self.pods() if not pod.spec.get("nodeName")]

    def status(self) -> Mapping[str, Any]:
        seen = self.stage.watcher.now(watcher.CHARGED_APPS, self.namespace, self.name)
        return seen.status if seen else {}

    def condition(self, kind: str) -> dict[str, Any]:
        """A condition, empty when it is not there."""
        found = self.status().get("conditions") or []
        return next((item for item in found if item["type"] == kind), {})

    def messages(self, reason: str) -> list[str]:
        """What conditions of a reason have said so far, in order."""
        return [
            one["message"]
            for sight in list(self.stage.watcher.sights)
            if (sight.path, sight.namespace) == (watcher.CHARGED_APPS, self.namespace)
            for one in sight.status.get("conditions") or ()
            if one["reason"] == reason
        ]

    def told(self) -> dict[str, dict[str, int]]:
        """What the status says of each variant, by name."""
        variants = (self.status().get("placement") or {}).get("variants", ())
        return {one["name"]: {k: n for k, n in one.items() if k != "name"} for one in variants}

    def said_last(self) -> str:
        """The words of the last decision that moved something."""
        return str((self.status().get("lastDecision") or {}).get("message", ""))

    def history(self) -> list[dict[str, int]]:
        """Replicas asked for by variant, after each change of any of them."""
        now, found = dict.fromkeys(self.variants, 0), []
        for sight in list(self.stage.watcher.sights):
            if sight.namespace == self.namespace and sight.path in _KINDS.values():
                now = {**now, sight.name: int(sight.spec["replicas"])}
                found.append(now)
        return [one for before, one in zip([{}, *found], found, strict=False) if one != before]

    def served(self, since_s: float = 0.0) -> list[float]:
        """Units a second that ready pods serve, after each change since a moment."""
        now, found = dict.fromkeys(self.variants, 0), []
        for sight in list(self.stage.watcher.sights):
            if sight.namespace == self.namespace and sight.path in _KINDS.values():
                now[sight.name] = int(sight.status.get("readyReplicas", 0))
                if sight.time_s >= since_s:
                    found.append(sum(self.variants[name].capacity * now[name] for name in now))
        return found

    def turns(self, since_s: float) -> list[dict[str, Any]]:
        """Turns of this app in the operator's journal."""
        key = f"{self.namespace}/{self.name}"
        rows = [row for row in self.stage.rows("turn") if row["time"] >= since_s]
        return [one for row in rows for one in row["apps"] if one["app"] == key]

    # What is waited for.

    def wait_asked(self, timeout_s: float = _SETTLED_S, **counts: int) -> None:
        """So many replicas are asked for."""
        self._wait(lambda: self.asked() == counts, f"{counts} to be asked for", timeout_s)

    def wait_ready(self, timeout_s: float = _SETTLED_S, **counts: int) -> None:
        """So many replicas are asked for, and are ready, and no pod is there besides."""
        wanted = (counts, counts, sum(counts.values()))

        def there() -> bool:
            return (self.asked(), self.ready(), len(self.pods())) == wanted

        self._wait(there, f"{counts} ready", timeout_s)

    def wait_told(self, **variants: Mapping[str, int]) -> None:
        """The status says so of each variant."""
        self._wait(lambda: self.told() == variants, f"{variants} to be told", 30.0)

    def wait_condition(
        self, kind: str, status: str, reason: str = "", timeout_s: float = 30.0
    ) -> dict[str, Any]:
        """A condition of this status, and of this reason if one is given."""

        def there() -> dict[str, Any]:
            found = self.condition(kind)
            same = found.get("status") == status and reason in ("", found.get("reason"))
            return found if same else {}

        return self._wait(there, f"{kind}={status} {reason}", timeout_s)

    def wait_feasible(self, status: str, reason: str = "", timeout_s: float = 30.0) -> str:
        """What is wanted can be had, or not, and why; gives the sentence that says so."""
        kind = names.ConditionType.PLACEMENT_FEASIBLE
        return str(self.wait_condition(kind, status, reason, timeout_s)["message"])

    def wait_turns(self, count: int) -> None:
        """So many turns from now on."""
        since_s = time.time()
        self._wait(lambda: len(self.turns(since_s)) >= count, f"{count} turns", 30 + 3 * count)

    def _wait(self, seen: Callable[[], T], what: str, timeout_s: float) -> T:
        """Waits; who waited in vain is told what the status says."""
        try:
            return wait_until(seen, f"{self.name}: {what}", timeout_s)
        except pytest.fail.Exception as failure:
            status = json.dumps(dict(self.status()), indent=1)
            counted = f"asked {self.asked()}, ready {self.ready()}, {len(self.pods())} pods"
            pytest.fail(f"{failure}\n{counted}, {status}")

    def remove(self) -> None:
        """Ends the app before its workloads, so that nobody acts on what is going."""
        self.go_dark()
        where = ("-n", self.namespace, "--ignore-not-found")
        self.stage.bed.kubectl("delete", names.CHARGED_APPS, "--all", *where, check=False)
        self.stage.bed.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def _workloads(self) -> dict[str, Mapping[str, Any]]:
        found = {}
        for name, one in self.variants.items():
            seen = self.stage.watcher.now(_KINDS[one.kind], self.namespace, name)
            if seen is not None:
                found[name] = seen.body
        return found


class Ground:
    """Nodes of one GPU product of the test's own, and apps that want it: nobody else does.

    Attributes:
        product: of its nodes, as a pod template selects it.
        others: namespace of pods that are no app's.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage, self.bed = stage, stage.bed
        self._token = secrets.token_hex(3)
        self.product = f"A100-{self._token}"
        self.others = self.namespace("others")
        self._nodes: list[str] = []
        self._apps: list[App] = []

    def node(self, gpus: int, product: str = "", **more: Any) -> str:
        """One more node; gives its name."""
        name = f"gpu-{self._token}-{len(self._nodes)}"
        made = testbed.gpu_node(name, product or self.product, gpus, **more)
        self._nodes.append(name)
        self.bed.kubectl("create", "-f", "-", input=json.dumps(fakenodes.objects([made])))
        self.bed.kubectl("wait", "--for=condition=Ready", f"node/{name}", "--timeout=30s")
        return name

    def occupy(self, node: str, gpus: int) -> str:
        """Somebody else's pod takes GPUs of a node; gives its name."""
        name = f"guest-{secrets.token_hex(3)}"
        body = manifests.pod(name, node, gpus)
        self.bed.kubectl("create", "-n", self.others, "-f", "-", input=json.dumps(body))
        return name

    def vacate(self, pod: str) -> None:
        """That pod goes."""
        self.bed.kubectl("delete", "pod", pod, "-n", self.others, "--grace-period=0", "--force")

    def prepare(
        self, name: str, *variants: Variant, priority: int = 10, quality: str = "0", **extra: Any
    ) -> App:
        """An app with its workloads, which nobody controls until it begins."""
        wish = Wish(priority, quality, extra)
        made = App(self.stage, name, self.namespace(name), variants, wish)
        self.adopt(made, *(one.workload for one in variants))
        return made

    def adopt(self, app: App, *workloads: dict[str, Any]) -> None:
        """Applies workloads of an app, and ends all of it with the test."""
        self._apps.append(app)
        app.apply(*workloads)

    def app(self, name: str, *variants: Variant, load: float, **wish: Any) -> App:
        """The same under control, with a load in units a second."""
        made = self.prepare(name, *variants, **wish)
        made.load(load)
        made.begin()
        return made

    def namespace(self, prefix: str) -> str:
        """One of the test's own; gives its name."""
        name = f"{prefix}-{self._token}"
        self.bed.kubectl("create", "namespace", name)
        account = ("serviceaccount/default", "-n", name, "--timeout=30s")
        self.bed.kubectl("wait", "--for=create", *account)
        return name

    def remove(self) -> None:
        for app in self._apps:
            app.remove()
        self.bed.kubectl("delete", "namespace", self.others, "--wait=false")
        if self._nodes:
            self.bed.kubectl("delete", "nodes", *self._nodes, "--wait=false")


@contextmanager
def running(folder: Path, port: int) -> Iterator[Stage]:
    """A testbed with one node for CPUs, the chart with placement, the operator, a watcher."""
    asked = testbed.Config(folder=folder / "bed", nodes=[testbed.Node(name="plain")])
    with testbed.start(asked) as bed, Exporter() as exporter:
        operator.install(bed, install.CHART, [ENABLED])
        bed.scrape("placement", exporter.address)
        with watcher.Watcher(bed.kubeconfig, PATHS) as eyes:
            stage = Stage(bed, folder / "operator", port, exporter, eyes)
            stage.start()
            try:
                yield stage
            finally:
                stage.stop()
