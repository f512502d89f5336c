"""The operator itself under the chart's rights: it needs all it is given to write, and no more.

Nodes and pods are among what it reads where placement is on, and only there.

Its metric store does not answer, so what it writes is the fallback: a raise to a floor.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from charon_operator import testbed
from charon_operator.names import Metric
from charon_operator.testbed import fakenodes, probes, sockets
from tests.faults import install
from tests.model import bad_input
from tests.ship import chart
from tests.ship.admission import deployment
from tests.ship.test_chart import rules_of
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed
_USER = f"system:serviceaccount:{chart.NAMESPACE}:{chart.RELEASE}"
_FLOOR = 4
_FLOOR_KINDS = ("/nodes", "/pods")
_OPERATORS_OWN = ("Deployment", "Service", "CustomResourceDefinition")


@pytest.fixture(params=["all namespaces", "one namespace", "one namespace, placement"])
def documents(
    request: pytest.FixtureRequest, ship_bed: testbed.Testbed, space: str
) -> Iterator[list[dict[str, Any]]]:
    """The chart without its pod, for all namespaces or for the test's own."""
    install.install_crds(ship_bed)
    ship_bed.kubectl("create", "namespace", chart.NAMESPACE)
    watched = [] if request.param == "all namespaces" else ["--set", f"watchNamespaces={{{space}}}"]
    if "placement" in request.param:
        watched += ["--set", "knobs.placement.enabled=true"]
    # A second without metrics is enough for the fallback; the address answers nobody.
    address = "settings.mimir.url=http://127.0.0.1:9/prometheus"
    rendered = chart.documents("--set", address, *watched)
    chosen = [one for one in rendered if one["kind"] not in _OPERATORS_OWN]
    ship_bed.apply(yaml.safe_dump_all(chosen))
    yield chosen
    ship_bed.kubectl("delete", "--wait=false", "-f", "-", input=yaml.safe_dump_all(chosen))
    ship_bed.kubectl("delete", "namespace", chart.NAMESPACE, "--timeout=60s")


@contextmanager
def operator(bed: testbed.Testbed, documents: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    """The program, with the chart's settings file and its account's token; gives its address."""
    (config,) = [one for one in documents if one["kind"] == "ConfigMap"]
    settings = yaml.safe_load(config["data"]["settings.yaml"])
    ports = sockets.Reservation()
    port = ports.port("health")
    settings["health"] = {"host": "127.0.0.1", "port": port}
    del settings["journal"]
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    kubeconfig = bed.service_account_kubeconfig(
        chart.NAMESPACE, chart.RELEASE, folder / "kubeconfig"
    )
    files = [f"--config={folder / 'settings.yaml'}", f"--kubeconfig={kubeconfig}"]
    command = [sys.executable, "-m", "charon_operator", "run", *files]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: probes.answers(f"{address}/readyz"), "the operator")
            yield address
        finally:
            running.terminate()
            running.wait(30)
            ports.release()


def asked(bed: testbed.Testbed, since: int) -> list[dict[str, Any]]:
    """What the operator's account asked of the API server, from a place in the audit log on."""
    with bed.audit_log.open("rb") as log:
        log.seek(since)
        rows = [json.loads(line) for line in log if line.endswith(b"\n")]
    return [row for row in rows if row["user"]["username"] == _USER and "objectRef" in row]


def named(row: dict[str, Any]) -> tuple[str, str]:
    """What was asked, as rules are written."""
    on = row["objectRef"]
    parts = [on.get("resource", ""), on.get("subresource", "")]
    return f"{on.get('apiGroup', '')}/{'/'.join(part for part in parts if part)}", row["verb"]


def install_apps(bed: testbed.Testbed, space: str, resize_mode: str) -> None:
    """Two workloads, their apps and a policy whose fallback raises both."""
    fallback = {"afterSeconds": 1, "strategy": "AtLeast", "replicas": _FLOOR}
    policy = {
        **bad_input.POLICY,
        "metadata": {"name": "stream"},
        "spec": {"periodSeconds": 1, "controller": {"type": "Hold"}, "fallback": fallback},
    }
    for kind, name in (("Deployment", "consumer"), ("StatefulSet", "db")):
        target = {"apiVersion": "apps/v1", "kind": kind, "name": name}
        spec = {**bad_input.APP["spec"], "mode": "Active", "scaleTargetRef": target, "holds": []}
        spec["resources"] = {**spec["resources"], "mode": resize_mode}
        app = {**bad_input.APP, "metadata": {"name": name}, "spec": spec}
        workload = deployment(name, kind)
        container = workload["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"requests": {"cpu": "100m", "memory": "32Mi"}}
        for body in (workload, app):
            bed.kubectl("create", "-n", space, "-f", "-", input=json.dumps(body))
    bed.kubectl("create", "-n", space, "-f", "-", input=json.dumps(policy))


def replicas(bed: testbed.Testbed, space: str) -> list[int]:
    told = bed.kubectl("get", "deployments,statefulsets", "-n", space, "-o", "json")
    return [one["spec"]["replicas"] for one in json.loads(told)["items"]]


def test_operator_uses_every_right_to_write_and_is_refused_nothing(
    ship_bed: testbed.Testbed, space: str, documents: list[dict[str, Any]], tmp_path: Path
) -> None:
    since = ship_bed.audit_log.stat().st_size
    install_apps(ship_bed, space, "Off")

    with operator(ship_bed, documents, tmp_path):
        wait_until(
            lambda: replicas(ship_bed, space) == [_FLOOR, _FLOOR], "both raised to the floor", 60
        )
        granted = {(what, verb) for _, what, verb in rules_of(documents)}
        used = {one for one in granted if one[1] not in ("get", "list", "watch")}
        used |= {one for one in granted if one[0] in _FLOOR_KINDS and one[1] == "list"}
        wait_until(lambda: used <= set(map(named, asked(ship_bed, since))), f"all of {used}", 30)
    rows = asked(ship_bed, since)
    assert {named(row) for row in rows} <= granted | {("keda.sh/scaledobjects", "list")}
    refused = [
        f"{named(row)} {row['requestURI']}" for row in rows if row["responseStatus"]["code"] == 403
    ]
    assert refused == []


def test_app_that_wants_sizes_without_the_right_is_told_the_value_and_scaled(
    ship_bed: testbed.Testbed, space: str, documents: list[dict[str, Any]], tmp_path: Path
) -> None:
    install_apps(ship_bed, space, "InPlace")
    message = 'jsonpath={.status.conditions[?(@.type=="ResizeSettled")].message}'
    told = ("get", "capp", "consumer", "-n", space, "-o", message)
    with operator(ship_bed, documents, tmp_path):
        wait_until(
            lambda: "set knobs.resources.enabled=true" in ship_bed.kubectl(*told),
            "the remedy to be told",
            60,
        )
        wait_until(
            lambda: replicas(ship_bed, space) == [_FLOOR, _FLOOR], "both raised to the floor", 60
        )


@pytest.mark.parametrize("documents", ["one namespace, placement"], indirect=True)
def test_with_placement_devices_of_the_whole_cluster_are_followed(
    ship_bed: testbed.Testbed, documents: list[dict[str, Any]], tmp_path: Path
) -> None:
    node = json.dumps(fakenodes.objects([testbed.gpu_node("late", "A100", 4)]))
    free = f'{Metric.DEVICES_FREE}{{resource="nvidia.com/gpu"}} 4.0'
    with operator(ship_bed, documents, tmp_path) as address:

        def told(line: str) -> bool:
            return line in httpx.get(f"{address}/metrics").text

        for kind in ("nodes", "pods"):
            listed = f'{Metric.INFORMER_SILENT}{{kind="{kind}"}}'
            wait_until(lambda line=listed: told(line), f"{kind} to be listed")
        # What comes after the lists is told by a watch.
        ship_bed.kubectl("create", "-f", "-", input=node)
        try:
            wait_until(lambda: told(free), "the GPUs of a new node")
        finally:
            ship_bed.kubectl("delete", "node", "late")
        wait_until(lambda: not told(free), "the node to go")
