"""Puts the operator on a stage where all around it can be broken, and judges it by the truth.

Reads: a testbed. Gives: `Stage` (proxies before the API server and before Mimir, a watcher beside
them, an exporter whose load a test sets), `Operator` (the real program, as a process of its own,
with the chart's ServiceAccount and rights) and `World` (a namespace with a workload and an app).
Never: talks to the operator but through the API server, Mimir and signals.

The app's law is Ratio at set point 10 without tolerance: `load` 45 wants 5 replicas, so a test
says by the load what must be written.
"""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from charon_operator import names, testbed
from charon_operator.testbed import probes, sockets
from tests.exporter import Exporter
from tests.faults import apifault, audit, install, manifests, metricfault, truth, watcher
from tests.faults.program import Operator
from tests.testbed_fixtures import wait_until

SYSTEM = install.SYSTEM
USER = f"system:serviceaccount:{SYSTEM}:{install.ACCOUNT}"
LEASE_S = 3.0
# Control is back within this long after a fault, whatever it was (reliability.md D2, promises).
RECOVERED_S = 15.0
SEEN_S = 10.0


@dataclass
class Stage:
    """The testbed with everything around the operator."""

    bed: testbed.Testbed
    folder: Path
    api: apifault.ApiFault
    metrics: metricfault.MetricFault
    exporter: Exporter
    watcher: watcher.Watcher
    leases: audit.Log
    ports: sockets.Reservation
    shared: Operator | None = None

    def operator(self, name: str, namespaces: tuple[str, ...] = (), **settings: Any) -> Operator:
        """An operator with a Lease and a token of its own, not started yet.

        Args:
            name: of its Lease, its folder and its client at the proxy.
            namespaces: the only ones it watches; none for all.
            settings: parts of its configuration that differ, as `mimir={...}`.
        """
        folder = self.folder / name
        folder.mkdir()
        port = self.ports.port(name)
        config = _configuration(self, name, namespaces, port, folder)
        for part, values in settings.items():
            config[part] = {**config.get(part, {}), **values}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        made = Operator(self, name, folder, port)
        made.renew_token()
        return made

    @contextlib.contextmanager
    def running(self, name: str, *namespaces: str, **settings: Any) -> Iterator[Operator]:
        """An operator that is started, leads, and is ended afterwards."""
        made = self.operator(name, namespaces, **settings)
        made.start()
        try:
            yield made
        finally:
            made.end()

    def make_namespace(self) -> str:
        name = f"faults-{secrets.token_hex(4)}"
        self.bed.kubectl("create", "namespace", name)
        return name


def _configuration(
    stage: Stage, name: str, namespaces: tuple[str, ...], port: int, folder: Path
) -> dict[str, Any]:
    return {
        "mimir": {
            "url": f"{stage.metrics.url}/prometheus",
            "timeout_seconds": 0.8,
            "max_body_bytes": 2**20,
            "scopes": [{"tenant": stage.bed.tenant}],
        },
        "lease": {
            "namespace": SYSTEM,
            "name": name,
            "duration_seconds": LEASE_S,
            "renew_deadline_seconds": 2,
            "retry_seconds": 0.5,
        },
        "journal": {"path": str(folder / "journal.jsonl")},
        "health": {"host": "127.0.0.1", "port": port},
        "watch_namespaces": list(namespaces),
        "log_level": "DEBUG",
    }


class World:
    """A namespace with a Deployment `web`, a policy `fast` and an app `web`.

    Args:
        replicas: what the Deployment starts with; the load starts at what that serves.
    """

    def __init__(self, stage: Stage, replicas: int = 2) -> None:
        self.stage, self.bed = stage, stage.bed
        self.log = audit.Log.from_now(stage.bed.audit_log)
        self.namespace = stage.make_namespace()
        self.began_s = time.time()
        self.blind: list[tuple[float, float]] = []
        self.load(replicas)
        self.apply(manifests.deployment("web", replicas), manifests.policy())

    def apply(self, *objects: dict[str, Any]) -> None:
        """Applies objects into the namespace."""
        for item in objects:
            item["metadata"]["namespace"] = self.namespace
        self.bed.apply(yaml.safe_dump_all(objects))

    def load(self, replicas: float, name: str = "web") -> float:
        """Sets the load to what so many replicas serve, and gives the time."""
        labels = {"namespace": self.namespace, "app": name}
        self.stage.exporter.set(
            manifests.METRIC, labels, replicas * manifests.SET_POINT - manifests.SET_POINT / 2
        )
        return time.time()

    def go_dark(self, name: str = "web") -> None:
        """The exporter stops telling the load."""
        self.stage.exporter.drop(manifests.METRIC, {"namespace": self.namespace, "app": name})

    def replicas(self, name: str = "web") -> int:
        """Replicas asked for now, by the unproxied watcher."""
        seen = self.stage.watcher.now(watcher.DEPLOYMENTS, self.namespace, name)
        return int(seen.spec["replicas"]) if seen else -1

    def app(self, name: str = "web") -> watcher.Sight | None:
        return self.stage.watcher.now(watcher.CHARGED_APPS, self.namespace, name)

    def status(self, name: str = "web") -> dict[str, Any]:
        seen = self.app(name)
        return dict(seen.status) if seen else {}

    def condition(self, kind: str, name: str = "web") -> dict[str, Any]:
        """A condition of an app, empty when it is not there."""
        return condition(self.stage, self.namespace, name, kind)

    def wait_replicas(self, wanted: int, timeout_s: float = 20.0, name: str = "web") -> None:
        wait_until(lambda: self.replicas(name) == wanted, f"{wanted} replicas of {name}", timeout_s)

    def wait_condition(
        self, kind: str, status: str, timeout_s: float = 20.0, name: str = "web"
    ) -> dict[str, Any]:
        def there() -> dict[str, Any]:
            found = self.condition(kind, name)
            return found if found.get("status") == status else {}

        return wait_until(there, f"{kind}={status} of {name}", timeout_s)

    def wait_settled(self, wanted: int, timeout_s: float = 30.0) -> None:
        """So many replicas, all well, and turns over in which nothing changed."""
        self.wait_replicas(wanted, timeout_s)
        self.wait_condition(names.ConditionType.READY, "True", timeout_s)
        self.wait_turns(2, timeout_s)

    def wait_told(self, timeout_s: float = 30.0) -> None:
        """Nothing is under way any more, and the status says so."""
        wait_until(
            lambda: not self.status().get("pendingAction"), "the intent to be cleared", timeout_s
        )
        self.wait_condition(names.ConditionType.READY, "True", timeout_s)
        self.wait_condition(names.ConditionType.ACTUATING, "False", timeout_s)

    def wait_turns(self, count: int, timeout_s: float = 30.0) -> None:
        """So many more times Mimir is asked about this namespace, and answers."""
        before = self._turns()
        wait_until(lambda: self._turns() >= before + count, f"{count} turns", timeout_s)

    def turns(self, operator: Operator, since_s: float = 0.0) -> list[dict[str, Any]]:
        """What the journal says of each turn of this namespace's apps, with the turn's time."""
        return [
            {**entry, "time": row["time"]}
            for row in operator.rows("turn")
            if row["time"] >= since_s
            for entry in row["apps"]
            if entry["app"].startswith(f"{self.namespace}/")
        ]

    def first_whole_turn(self, operator: Operator, since_s: float) -> float:
        """When the operator first had every reading again: 0 while it has not."""
        whole = (turn["time"] for turn in self.turns(operator, since_s) if not turn.get("missing"))
        return next(whole, 0.0)

    def wait_rest(self, operator: Operator, turns: int) -> tuple[float, float]:
        """Waits for so many turns in a row in which no reading was missing; gives their span.

        A slow answer of Mimir is told in the status, and its end too: no rest, and no fault.
        """
        since_s = time.time()

        def calm() -> list[float]:
            streak: list[float] = []
            for turn in self.turns(operator, since_s):
                streak = [] if turn.get("missing") else [*streak, turn["time"]]
            # The first turn after a missing one still tells of its end, a moment later.
            return streak[2:] if len(streak) >= turns + 2 else []

        span = wait_until(calm, f"{turns} turns with every reading", 30 + 5 * turns)
        return span[0], time.time()

    def wait_observed(self, timeout_s: float = SEEN_S, name: str = "web") -> None:
        """The app's present generation is in its status."""

        def seen() -> bool:
            app = self.app(name)
            return bool(app and app.status.get("observedGeneration") == app.generation)

        wait_until(seen, "the generation to be observed", timeout_s)

    def writes(self) -> list[audit.Write]:
        """What the operator wrote in this namespace, applied or not, events left out."""
        written = self.log.writes(USER, self.namespace)
        return [write for write in written if write.resource != "events"]

    def moves(self) -> list[truth.Move]:
        """Changes of replica counts by the operator."""
        return truth.moves(self.writes(), self.sights())

    def sights(self) -> list[watcher.Sight]:
        return [s for s in list(self.stage.watcher.sights) if s.namespace == self.namespace]

    @contextlib.contextmanager
    def blinded(self) -> Iterator[None]:
        """Notes that metrics are away for a while: lowering is judged by it."""
        since_s = time.time()
        try:
            yield
        finally:
            self.blind.append((since_s, time.time()))

    def change(self, name: str = "web", **spec: Any) -> None:
        """Merge-patches the app's spec."""
        body = json.dumps({"spec": spec})
        self.bed.kubectl(
            "patch", "chargedapp", name, f"-n{self.namespace}", "--type=merge", f"--patch={body}"
        )

    def violations(
        self, *operators: Operator, cooldown_s: float = manifests.COOLDOWN_S
    ) -> list[str]:
        """I1 to I8, whatever else a test is about."""
        writes, sights = self.log.writes(USER, self.namespace), self.sights()
        found = truth.moves(writes, sights)
        judged = [
            *truth.bounds_are_kept(writes, sights),
            *truth.cooldowns_are_kept(found, cooldown_s),
            *truth.no_step_is_repeated(found, manifests.PERIOD_S),
            *truth.no_blind_lowering(found, self.blind, manifests.PERIOD_S + 1),
            *truth.only_allowed(writes),
            *truth.none_forbidden(writes),
            *truth.own_namespace(writes, sights),
        ]
        for operator in operators:
            judged += truth.no_lowering_on_missing(self.turns(operator))
            mine = [w for w in self._of_writers(operator.name) if w.asked_s >= self.began_s - 60]
            judged += truth.one_writer(mine, operator.name, LEASE_S)
        return judged

    def unseen(self) -> list[str]:
        """I8, for tests in which the operator could always see and say."""
        return truth.specs_are_seen(self.sights(), SEEN_S, time.time())

    def unexplained(self, operator: Operator) -> list[str]:
        """Changes of replicas that the journal of an operator, never killed, does not explain."""
        rows = [r for r in operator.rows("write") if r["app"].startswith(f"{self.namespace}/")]
        return truth.explained(self.moves(), rows)

    def remove(self) -> None:
        self.bed.kubectl("delete", "namespace", self.namespace, "--wait=false", check=False)
        self.go_dark()

    def _of_writers(self, lease: str) -> list[audit.Write]:
        """Writes of this namespace and renewals of one Lease, in order."""
        return [
            write
            for write in self.stage.leases.writes(USER)
            if write.namespace == self.namespace or (write.is_lease and lease in _named(write))
        ]

    def _turns(self) -> int:
        """Turns that asked Mimir about this namespace and were answered."""
        asked = [seen.asked for seen in list(self.stage.metrics.seen) if seen.status == 200]
        # In a merged query the name stands in a regular expression, its dash escaped.
        own = self.namespace.partition("-")[2]
        return len({a.time for a in asked if own in a.expression})


def condition(stage: Stage, namespace: str, name: str, kind: str) -> dict[str, Any]:
    """A condition of an app of any namespace, empty when it is not there."""
    seen = stage.watcher.now(watcher.CHARGED_APPS, namespace, name)
    conditions = (seen.status.get("conditions") if seen else None) or []
    return next((item for item in conditions if item["type"] == kind), {})


def _named(write: audit.Write) -> tuple[str, str]:
    return write.name, str((write.result.get("metadata") or {}).get("name", ""))


@contextlib.contextmanager
def world(stage: Stage, replicas: int = 2, **spec: Any) -> Iterator[World]:
    """A world with its app, removed afterwards."""
    made = World(stage, replicas)
    try:
        made.apply(manifests.charged_app("web", **spec))
        yield made
    finally:
        made.remove()


@contextlib.contextmanager
def stage(bed: testbed.Testbed, folder: Path) -> Iterator[Stage]:
    """Installs the operator's rights and CRDs, and puts up everything around the operator."""
    install.install(bed)
    certificate = bed.serving_certificate([sockets.LOOPBACK])
    with contextlib.ExitStack() as stack:
        api = apifault.ApiFault(bed.api_url, tls=certificate, trust=probes.trusting(bed.ca_file))
        stack.enter_context(api)
        metrics = stack.enter_context(metricfault.MetricFault(bed.mimir_url))
        exporter = stack.enter_context(Exporter())
        eyes = stack.enter_context(watcher.Watcher(bed.kubeconfig))
        bed.scrape("faults", exporter.address)
        stack.callback(bed.unscrape, "faults")
        leases = audit.Log.from_now(bed.audit_log)
        ports = sockets.Reservation()
        stack.callback(ports.release)
        yield Stage(bed, folder, api, metrics, exporter, eyes, leases, ports)


def hold(seconds: float) -> None:
    """Lets a fault last as long as it is meant to; outcomes are waited for by condition."""
    threading.Event().wait(seconds)


def took(write_s: float, since_s: float, within_s: float, what: str) -> list[str]:
    """A deadline judged from two stamps."""
    late_s = write_s - since_s
    return [] if late_s <= within_s else [f"{what} took {late_s:.1f} s, {within_s:.1f} s allowed"]


def first_move(
    world: World, since_s: float, of: Callable[[truth.Move], bool] = lambda _: True
) -> truth.Move | None:
    """The operator's first change of replicas after a moment."""
    later = [move for move in world.moves() if move.write.asked_s >= since_s and of(move)]
    return later[0] if later else None


def audited_move(
    world: World, since_s: float, of: Callable[[truth.Move], bool] = lambda _: True
) -> truth.Move:
    """The same, waited for: a watcher may see a count before the audit log has its line."""
    found = wait_until(lambda: first_move(world, since_s, of), "the move in the audit log")
    assert found is not None
    return found
