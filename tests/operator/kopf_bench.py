"""Runs a small kopf operator on a real API server, through a fault proxy, and hears what it says.

Reads: a testbed. Gives: `Bench` and the `Subject`s that run on it. Never: leaves a process, an
object or a finalizer behind.
"""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charon_operator import testbed
from charon_operator.testbed import probes, sockets
from tests.faults import apifault
from tests.operator import kopf_subject
from tests.testbed_fixtures import wait_served

NAMESPACE = "kopf-table"
_START_S = 15.0
_CRD = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {kopf_subject.PLURAL}.{kopf_subject.GROUP}}}
spec:
  group: {kopf_subject.GROUP}
  scope: Namespaced
  names: {{kind: Subject, plural: {kopf_subject.PLURAL}, singular: subject}}
  versions:
  - name: {kopf_subject.VERSION}
    served: true
    storage: true
    subresources: {{status: {{}}}}
    schema:
      openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: kopf, namespace: {NAMESPACE}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: kopf-table}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{kind: ServiceAccount, name: kopf, namespace: {NAMESPACE}}}]
"""


@dataclass
class Subject:
    """A running kopf operator and what it said."""

    process: subprocess.Popen[str]
    health_port: int
    lines: list[str] = field(default_factory=list)

    def count(self, start: str) -> int:
        return sum(line.startswith(start) for line in list(self.lines))

    def life(self) -> str:
        code = self.process.poll()
        return "alive" if code is None else f"exits with {code}"

    def wait(self, true: Callable[[], Any], seconds: float = _START_S) -> bool:
        deadline = time.monotonic() + seconds
        while not true() and time.monotonic() < deadline:
            time.sleep(0.05)
        return bool(true())

    def health(self) -> str:
        url = f"http://127.0.0.1:{self.health_port}/healthz"
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                return str(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return str(error.code)
        except OSError:
            return "no answer"

    def ended(self, seconds: float) -> str:
        """Asks it to end; says how long that took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"not gone after {seconds:.0f} s"
        took = time.monotonic() - began
        return f"gone in {'5 s' if took > 4 else '1 s' if took < 2 else f'{took:.0f} s'}, rc {code}"


@dataclass
class Bench:
    """Where the probes are made: a testbed, a proxy before it, objects to be looked after."""

    bed: testbed.Testbed
    proxy: apifault.ApiFault
    kubeconfig: Path
    ports: sockets.Reservation = field(default_factory=sockets.Reservation)

    @contextlib.contextmanager
    def subject(self, handler: str, *options: str, objects: int = 1) -> Iterator[Subject]:
        """A subject that runs, with fresh objects named s0, s1, ...; all gone afterwards."""
        for number in range(objects):
            self.bed.apply(_object(f"s{number}"))
        port = self.ports.port("health")
        command = [sys.executable, "-m", "tests.operator.kopf_subject", handler, *options]
        where = {
            "server": self.proxy.url,
            "ca": self.bed.serving_ca_file,
            "token-file": f"{self.kubeconfig}.token",
            "namespace": NAMESPACE,
            "health-port": port,
        }
        command += [f"--{name}={value}" for name, value in where.items()]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, text=True, **pipes) as process:
            subject = Subject(process, port)
            reader = threading.Thread(target=_read, args=(subject,), daemon=True)
            reader.start()
            try:
                yield subject
            finally:
                process.kill()
                process.wait()
                reader.join()
                self.clean()

    def clean(self) -> None:
        """Removes the objects, their finalizers first."""
        for name in self.objects():
            self.patch(name, {"metadata": {"finalizers": None}})
        self.bed.kubectl("delete", plural(), "--all", f"-n{NAMESPACE}")

    def objects(self) -> dict[str, dict[str, Any]]:
        listing = json.loads(self.bed.kubectl("get", plural(), f"-n{NAMESPACE}", "-ojson"))
        return {item["metadata"]["name"]: item for item in listing["items"]}

    def patch(self, name: str, body: dict[str, Any]) -> None:
        merge = ("--type=merge", f"--patch={json.dumps(body)}")
        self.bed.kubectl("patch", plural(), name, f"-n{NAMESPACE}", *merge)

    def touch(self) -> None:
        self.patch("s0", {"metadata": {"annotations": {"touched": str(time.time())}}})


def plural() -> str:
    return f"{kopf_subject.PLURAL}.{kopf_subject.GROUP}"


def _object(name: str) -> str:
    meta = {"name": name, "namespace": NAMESPACE}
    version = f"{kopf_subject.GROUP}/{kopf_subject.VERSION}"
    return json.dumps({"apiVersion": version, "kind": "Subject", "metadata": meta, "spec": {}})


def _read(subject: Subject) -> None:
    assert subject.process.stdout is not None
    for line in subject.process.stdout:
        subject.lines.append(line.strip())


@contextlib.contextmanager
def bench(bed: testbed.Testbed, folder: Path) -> Iterator[Bench]:
    """Prepares a testbed for the probes, and leaves nothing of them behind."""
    bed.apply(_CRD)
    wait_served(bed, plural())
    account = bed.service_account_kubeconfig(NAMESPACE, "kopf", folder / "kopf.kubeconfig")
    trust = probes.trusting(bed.ca_file)
    certificate = bed.serving_certificate(["127.0.0.1"])
    with apifault.ApiFault(bed.api_url, tls=certificate, trust=trust) as proxy:
        made = Bench(bed, proxy, account)
        yield made
        made.clean()
        made.ports.release()
    bed.kubectl("delete", "-f", "-", "--wait=false", input=_CRD)
