"""`charon run` as a process of its own beside the testbed, and one app for it to hold."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import yaml

from charon_operator import names, testbed
from tests.exporter import Exporter
from tests.faults import install
from tests.testbed_fixtures import wait_until

METRIC = "load"
LEASE = {"duration_seconds": 4, "renew_deadline_seconds": 3, "retry_seconds": 0.5}


class Operator:
    """The operator with the chart's ServiceAccount and rights; a context manager.

    Args:
        more: arguments of `charon run`.
        settings: parts of its configuration that differ from these tests' own.
    """

    def __init__(
        self, bed: testbed.Testbed, folder: Path, namespace: str, *more: str, **settings: Any
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.journal, self.log = folder, folder / "journal.jsonl", folder / "log"
        kubeconfig = folder / "kubeconfig"
        bed.service_account_kubeconfig(install.SYSTEM, install.ACCOUNT, kubeconfig)
        content = {
            "mimir": {"url": f"{bed.mimir_url}/prometheus", "scopes": [{"tenant": bed.tenant}]},
            "lease": {**LEASE, "namespace": install.SYSTEM, "name": namespace},
            "journal": {"path": str(self.journal)},
            "health": {"host": "127.0.0.1", "port": 0},
            "watch_namespaces": [namespace],
            "attainment_period_seconds": 5,
            **settings,
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(content))
        files = ["--kubeconfig", str(kubeconfig), "--config", str(folder / "config.yaml")]
        self._command = [sys.executable, "-m", "charon_operator", "run", *files, *more]

    def start(self) -> Self:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self._command, stdout=out, stderr=subprocess.STDOUT)
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def end(self, timeout_s: float = 15.0) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def rows(self, kind: str) -> list[dict[str, Any]]:
        if not self.journal.exists():
            return []
        whole, _, _ = self.journal.read_text().rpartition("\n")
        rows = [json.loads(line) for line in whole.splitlines() if line]
        return [row for row in rows if row["kind"] == kind]

    @property
    def url(self) -> str:
        def port() -> str:
            marks = [
                line for line in self.log.read_text().splitlines() if "metrics on port" in line
            ]
            return marks[-1].rpartition(" ")[2].strip('"') if marks else ""

        return f"http://127.0.0.1:{wait_until(port, 'the health port in the log')}"

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"{self.url}/{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class World:
    """A Deployment, a policy and an app in one namespace, and the load they see.

    Args:
        exporter: is scraped by the testbed's agent.
    """

    def __init__(self, bed: testbed.Testbed, namespace: str, exporter: Exporter) -> None:
        self.bed, self.namespace, self.exporter = bed, namespace, exporter

    def load(self, replicas: float) -> None:
        """Sets the load to what so many replicas serve."""
        self.exporter.set(METRIC, {"namespace": self.namespace, "app": "web"}, 100.0 * replicas)

    def go_dark(self) -> None:
        self.exporter.drop(METRIC, {"namespace": self.namespace, "app": "web"})

    def apply(self, replicas: int = 2, **spec: Any) -> None:
        objects = [deployment(replicas), policy(), app(**spec)]
        for item in objects:
            item["metadata"]["namespace"] = self.namespace
        self.bed.apply(yaml.safe_dump_all(objects))

    def get(self, kind: str, name: str = "web") -> dict[str, Any]:
        content = json.loads(
            self.bed.kubectl("get", kind, name, "-n", self.namespace, "-o", "json")
        )
        return dict(content)

    def replicas(self) -> int:
        return int(self.get("deployment")["spec"]["replicas"])

    def status(self) -> dict[str, Any]:
        return dict(self.get(names.CHARGED_APPS).get("status") or {})

    def condition(self, kind: str) -> dict[str, Any]:
        found = self.status().get("conditions") or []
        return next((item for item in found if item["type"] == kind), {})

    def wait_replicas(self, wanted: int, timeout_s: float = 30.0) -> None:
        wait_until(lambda: self.replicas() == wanted, f"{wanted} replicas", timeout_s)

    def wait_condition(self, kind: str, status: str, timeout_s: float = 30.0) -> dict[str, Any]:
        def there() -> dict[str, Any]:
            found = self.condition(kind)
            return found if found.get("status") == status else {}

        return wait_until(there, f"{kind}={status}", timeout_s)

    def scale_writes(self, since_s: float) -> list[dict[str, Any]]:
        """Audited writes of the target's scale."""
        found = []
        whole, _, _ = self.bed.audit_log.read_text().rpartition("\n")
        for line in whole.splitlines():
            event = json.loads(line)
            reference = event.get("objectRef") or {}
            if (
                event["verb"] in ("patch", "update")
                and reference.get("subresource") == "scale"
                and reference.get("namespace") == self.namespace
                and event["requestReceivedTimestamp"] >= _stamp(since_s)
            ):
                found.append(event)
        return found


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def deployment(replicas: int) -> dict[str, Any]:
    labels = {"app": "web"}
    container = {"name": "app", "image": "registry.invalid/none"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def policy(period_s: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.CONTROL_POLICY,
        "metadata": {"name": "fast"},
        "spec": {
            "periodSeconds": period_s,
            "controller": {"type": "Ratio", "parameters": {"metricType": "AverageValue"}},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            "lowering": {"cooldownSeconds": 3, "maxPerHour": 100},
        },
    }


def app(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.CHARGED_APP,
        "metadata": {"name": "web"},
        "spec": {
            "mode": "Active",
            "policyRef": {"name": "fast"},
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "indicators": [
                {
                    "name": METRIC,
                    "query": f'sum({METRIC}{{app="$target"}})',
                    "maxSampleAgeSeconds": 5,
                }
            ],
            "objectives": [
                {
                    "name": "share",
                    "threshold": {"indicator": METRIC, "op": "LessThanOrEqual", "value": "100"},
                    "target": "90",
                    "windowSeconds": 60,
                }
            ],
            "replicas": {"min": 1, "max": 10},
            **spec,
        },
    }
