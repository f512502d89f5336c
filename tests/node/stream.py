"""The stream example as pods of a real node: applied, driven, and looked at from all sides.

Reads: examples/stream, a testbed with a real node, its Mimir, the node's cgroups. Gives: `Stream`.
Never: another workload than the example's: what differs is said by whoever applies it.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from charon_operator import names, testbed
from charon_operator.testbed import images
from charon_operator.testbed.images import Image
from charon_operator.testbed.node import cgroups
from tests.examples.stream import FOLDER
from tests.testbed_fixtures import ask, wait_until

NAMESPACE = "stream"
_IN = f"--namespace={NAMESPACE}"
_METRICS = ("--metrics-host=0.0.0.0", "--metrics-port=9100")
_START_S = 120.0

Json = dict[str, Any]


def image() -> Image:
    """The example's image: this interpreter, the two packages, and the programs."""
    programs = images.of_folder(FOLDER, "/opt/stream").items()
    files = {place: content for place, content in programs if place.endswith(".py")}
    return images.python(["numpy", "prometheus-client"], files, name="charon-example-stream")


@dataclass(frozen=True)
class Pod:
    """A consumer's pod as it is now."""

    name: str
    address: str
    ready: bool
    restarts: int
    container: str

    @property
    def cpu(self) -> cgroups.Cpu:
        """The kernel's account of its CPU."""
        return cgroups.cpu_of(self.container)


class Stream:
    """The example on one bed; a context manager that applies it and deletes it.

    Args:
        bed: with a real node.
        kinds: which of the manifests to apply; those of an operator need its CRDs.
        rate: frames a second that the source sends at first.
        spec: of a kind, what is laid over the manifest's own `spec`.
        options: of a program, arguments added to the manifest's own.
        cpu: of a program, its CPU limit, if not the manifest's.

    Attributes:
        rates: since when (s since 1970) the source was to send how many frames a second.
    """

    def __init__(
        self,
        bed: testbed.Access,
        *,
        kinds: Sequence[str] = (),
        rate: float = 10,
        spec: Mapping[str, Json] | None = None,
        options: Mapping[str, Sequence[str]] | None = None,
        cpu: Mapping[str, str] | None = None,
    ) -> None:
        self.bed = bed
        self._kinds = ("Deployment", *kinds)
        self.rates = [(0.0, rate)]
        self._spec = spec or {}
        self._options = options or {}
        self._cpu = cpu or {}

    def __enter__(self) -> "Stream":
        reference = self.bed.load(image())
        self._apply(one for one in _manifests() if one["kind"] in ("Namespace", "Service"))
        address = self.get("service", "broker")["spec"]["clusterIP"]
        wanted = (one for one in _manifests() if one["kind"] in self._kinds)
        self._apply(self._changed(one, reference, address) for one in wanted)
        for program in ("broker", "consumer", "source"):
            self.wait_rolled_out(program)
        return self

    def __exit__(self, *_: object) -> None:
        # Whoever comes next applies it again: it must be gone.
        self.bed.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s", timeout_s=150)

    def wait_rolled_out(self, deployment: str) -> None:
        """Waits until its pods are those of its template, and ready."""
        within = f"--timeout={_START_S:.0f}s"
        asked = ("rollout", "status", f"deployment/{deployment}", _IN, within)
        self.bed.kubectl(*asked, timeout_s=_START_S + 10)

    def send(self, rate: float) -> None:
        """Has the source send so many frames a second: another pod, after a few silent seconds."""
        path = "/spec/template/spec/containers/0/args"
        change = [{"op": "replace", "path": path, "value": _source_arguments(rate)}]
        patched = ("patch", "deployment/source", _IN, "--type=json", "-p", json.dumps(change))
        self.bed.kubectl(*patched)
        self.rates.append((time.time(), rate))
        self.wait_rolled_out("source")

    def asked(self, query: str) -> float | None:
        """The one value that Mimir answers a query with; None while there is none."""
        series = ask(self.bed, query)
        return float(series[0]["value"][1]) if series else None

    def queued(self) -> float | None:
        """Frames that wait at consumers, as the app's own indicator has it."""
        return self.asked(f'sum(frames_queued{{namespace="{NAMESPACE}",app="consumer"}})')

    def broker(self, metric: str) -> float | None:
        """A metric of the broker."""
        return self.asked(f'sum({metric}{{namespace="{NAMESPACE}",app="broker"}})')

    def replicas(self) -> int:
        """Consumers that are wanted."""
        return int(self.get("deployment", "consumer")["spec"]["replicas"])

    def consumers(self) -> list[Pod]:
        """Consumers whose container runs, those that are being stopped aside."""
        found = self.get("pods", "--selector=app=consumer")["items"]
        return [
            _pod(one)
            for one in found
            if "deletionTimestamp" not in one["metadata"] and _runs(one["status"])
        ]

    def ready(self) -> int:
        """Consumers that are ready."""
        return sum(pod.ready for pod in self.consumers())

    def status(self) -> Json:
        """The app's."""
        return dict(self.get(names.CHARGED_APPS, "stream").get("status") or {})

    def wait_healthy(self) -> None:
        """Waits until the operator sees all it needs to."""

        def healthy() -> bool:
            found = {c["type"]: c["status"] for c in self.status().get("conditions") or ()}
            needed = (names.ConditionType.READY, names.ConditionType.METRICS_HEALTHY)
            return all(found.get(kind) == "True" for kind in needed)

        wait_until(healthy, "the operator to have fresh values", timeout_s=90)

    def get(self, kind: str, *which: str) -> Json:
        """An object of the example's namespace, or a list of them."""
        return dict(json.loads(self.bed.kubectl("get", kind, *which, _IN, "-o", "json")))

    def _apply(self, manifests: Iterable[Json]) -> None:
        self.bed.apply(yaml.safe_dump_all(manifests))

    def _changed(self, one: Json, reference: str, broker: str) -> Json:
        """A manifest for the bed's node, with what the caller wants otherwise."""
        if one["kind"] == "Deployment":
            program = one["metadata"]["name"]
            pods = one["spec"]["template"]["spec"]
            pods["nodeSelector"] = {names.LABEL_REAL_NODE: "true"}
            # There is no DNS in the cluster.
            pods["hostAliases"] = [{"ip": broker, "hostnames": ["broker"]}]
            [container] = pods["containers"]
            container["image"] = reference
            container["args"] += self._options.get(program, ())
            limits = container["resources"]["limits"]
            limits["cpu"] = self._cpu.get(program, limits["cpu"])
            if program == "source":
                container["args"] = _source_arguments(self.rates[-1][1])
        laid = _over(one.get("spec") or {}, self._spec.get(one["kind"]) or {})
        return {**one, "spec": laid} if laid else one


def objective() -> Json:
    """What the manifest holds the app to."""
    [app] = (one for one in _manifests() if one["kind"] == names.CHARGED_APP)
    return dict(app["spec"]["objectives"][0])


def _manifests() -> list[Json]:
    texts = [file.read_text() for file in sorted(FOLDER.glob("*.yaml"))]
    return [one for text in texts for one in yaml.safe_load_all(text)]


def _source_arguments(rate: float) -> list[str]:
    return ["--broker=broker:5000", f"--rate={rate:g}", *_METRICS]


def _over(under: Json, change: Mapping[str, Any]) -> Json:
    """A document with another laid over it, key by key."""
    both = {**under, **change}
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(under.get(key), dict):
            both[key] = _over(under[key], value)
    return both


def _runs(status: Json) -> bool:
    return any("running" in one["state"] for one in status.get("containerStatuses") or ())


def _pod(body: Json) -> Pod:
    [container] = body["status"]["containerStatuses"]
    return Pod(
        name=body["metadata"]["name"],
        address=body["status"].get("podIP", ""),
        ready=container["ready"],
        restarts=container["restartCount"],
        container=container["containerID"].rpartition("/")[2],
    )
