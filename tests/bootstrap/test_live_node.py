"""A bare host to a green `verify` and back, on a live cluster: helm, Mimir, operator, kubelet.

Played are curl and systemd, which starts the testbed's control plane and real node as k3s and
ends them by k3s-killall.sh. k3s's kubectl is the real one. In place of the charts that cannot be
had stand small ones (`charts`). What asks to be scraped is scraped by an agent with Alloy's rules,
beside the cluster: the kubelet, Mimir's pod, the operator's pod, the exporters' pods.
"""

import contextlib
import json
import shlex
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charon_operator import testbed
from charon_operator.testbed import build, sockets
from charon_operator.testbed.node import needs
from tests.bootstrap import charts, cluster, scraper, traces
from tests.bootstrap.host import Host
from tests.bootstrap.test_manifests import alloy
from tests.bootstrap.test_secrets import secrets_of
from tests.bootstrap.test_server import changes
from tests.ship import chart
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.node, pytest.mark.timeout(400)]

# There is no DNS in this cluster: the Service has an address that is known beforehand.
_MIMIR_ADDRESS = "10.96.200.1"
_CHARTS = ["alloy", "charon-operator", "grafana", "kube-state-metrics", "node-exporter"]
_JOBS = {"kube-state-metrics", "node-exporter", "charon-operator", "mimir"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host on which nothing was run yet; whatever runs there ends with the tests."""
    if needs.missing():
        pytest.skip(needs.missing())
    host = Host(tmp_path_factory.mktemp("host"))
    (host.programs / "sleep").unlink()
    cluster.hook(host)
    charts.serve(host)
    kubectl = shlex.quote(str(build.programs()["kubectl"]))
    host.serve("k3s", f'#!/bin/bash\nshift\nexec {kubectl} "$@"\n'.encode(), "K3S_AMD64_SHA256")
    name = f"helm-{host.versions()['HELM_VERSION']}-linux-amd64.tar.gz"
    helm = f'#!/bin/bash\nexec {chart.HELM} "$@"\n'
    host.serve(name, charts.archive({"linux-amd64/helm": helm}), "HELM_AMD64_SHA256")
    host.version("MIMIR_IMAGE", cluster.mimir().reference)
    host.version("MIMIR_IMAGE_DIGEST", cluster.mimir().digest)
    host.config(NODE_NAME=cluster.NODE, OPERATOR_IMAGE=cluster.OPERATOR_IMAGE)
    _without_dns(host)
    try:
        yield host
    finally:
        cluster.stop(host.root)


def _without_dns(host: Host) -> None:
    manifest = host.checkout / "bootstrap/manifests/mimir.yaml"
    before = "spec:\n  selector: {app.kubernetes.io/name: mimir}\n"
    text = manifest.read_text()
    assert before in text
    manifest.write_text(text.replace(before, f"{before}  clusterIP: {_MIMIR_ADDRESS}\n"))
    values = host.checkout / "bootstrap/values/charon-operator.yaml"
    url = f"http://{_MIMIR_ADDRESS}:8080/prometheus"
    values.write_text(f"{values.read_text()}settings: {{mimir: {{url: '{url}'}}}}\n")


@pytest.fixture(scope="module")
def traces_before(bare: Host) -> dict[str, list[str]]:
    return traces.of(bare.root)


@pytest.fixture(scope="module")
def host(bare: Host, traces_before: dict[str, list[str]]) -> Host:
    """The host with a server that runs."""
    bare.succeed("server")
    return bare


def bed_of(host: Host) -> testbed.Access:
    return testbed.attach(cluster.folder(host.root))


def listed(bed: testbed.Access, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bed.kubectl("get", kind, "-A", "-o", "json"))["items"]
    return found


@contextlib.contextmanager
def scraping(bed: testbed.Access, folder: Path) -> Iterator[None]:
    """An agent with Alloy's rules and rights, on what the API server lists."""
    pods, nodes = listed(bed, "pods"), listed(bed, "nodes")
    targets = [target for pod in pods for target in scraper.pod_targets(pod)]
    (folder / "pod.json").write_text(json.dumps(targets))
    (folder / "node.json").write_text(json.dumps([scraper.node_target(node) for node in nodes]))
    token = folder / "token"
    token.touch(0o600)
    token.write_text(bed.kubectl("create", "token", "alloy", "--namespace=monitoring"))
    [mimir] = [pod for pod in pods if pod["metadata"]["name"] == "mimir-0"]
    url = f"http://{mimir['status']['podIP']}:8080"
    config = scraper.agent_config(alloy(), folder, url, token)
    ports = sockets.Reservation()
    try:
        with scraper.running(folder, config, ports.port("agent")):
            yield
    finally:
        ports.release()


def mimir(bed: testbed.Access, query: str) -> list[dict[str, str]]:
    """The labels of what a query finds."""
    service = "/api/v1/namespaces/monitoring/services/mimir:8080/proxy"
    path = f"{service}/prometheus/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    found = json.loads(bed.kubectl("get", "--raw", path))["data"]["result"]
    return [one["metric"] for one in found]


def releases(bed: testbed.Access) -> dict[str, str]:
    told = chart.helm("list", "-A", "--output=json", f"--kubeconfig={bed.kubeconfig}")
    return {one["name"]: one["revision"] for one in json.loads(told)}


def status(bed: testbed.Access, release: str) -> str:
    where = ("--namespace=monitoring", f"--kubeconfig={bed.kubeconfig}")
    told = chart.helm("history", release, "--max=1", "--output=json", *where, check=False)
    return str(json.loads(told)[0]["status"]) if told.startswith("[") else ""


def state(bed: testbed.Access) -> dict[str, Any]:
    """Of all that the script makes in the cluster: which object it is, and of which generation."""
    kinds = "deployments,statefulsets,pods,configmaps,services,secrets,namespaces"
    return {one["metadata"]["uid"]: one["metadata"].get("generation") for one in listed(bed, kinds)}


def files(host: Host) -> dict[str, tuple[int, int]]:
    """What a second write would change of the script's own files; tools keep caches elsewhere."""
    kept = ("/var/lib/rancher/", "/charon-bootstrap/helm/", "/charon-bootstrap/kubectl/")
    return {
        path: told for path, told in host.touched().items() if not any(one in path for one in kept)
    }


def test_install_when_the_host_is_bare_then_verify_is_green_and_again_changes_nothing(
    host: Host, tmp_path: Path
) -> None:
    printed = host.succeed("server", "stack", "operator")
    bed = bed_of(host)
    with scraping(bed, tmp_path):
        told = host.run("verify", CHARON_VERIFY_PATIENCE_S="60")
        assert told.code == 0, f"{told.out}{told.err}"
        assert told.out.count("  ok    ") == 9
        jobs = {one["job"] for one in mimir(bed, "up==1")}
        assert jobs == {*_JOBS, "kubelet-cadvisor", "kubelet-resource"}
        # The kubelet's own figures of the pod that keeps them.
        assert mimir(bed, 'container_memory_working_set_bytes{pod="mimir-0"}')
    assert releases(bed) == dict.fromkeys(_CHARTS, "1")
    boards = bed.kubectl("get", "configmaps", "-A", "-l", "grafana_dashboard=1", "-o", "name")
    assert len(boards.split()) == len(list((chart.CHART / "dashboards").iterdir()))
    host.log()
    before, files_before = state(bed), files(host)
    again = host.succeed("server", "stack", "operator")
    assert again.count("nothing changed") == 1 + len(_CHARTS)
    assert changes(host) == []
    assert releases(bed) == dict.fromkeys(_CHARTS, "1")
    assert state(bed) == before
    assert files(host) == files_before
    tokens = secrets_of(host)
    assert len(tokens) == 2
    assert not [one for one in tokens if one in f"{printed}{told.out}{again}"]


def test_release_when_helm_was_killed_in_the_middle_then_the_next_run_mends_it(host: Host) -> None:
    """Killed while it waits for a pod that cannot start: helm alone then refuses the release."""
    charts.serve_alloy(host, gets_ready=False)
    bed = bed_of(host)
    host.kill_when(lambda: "pending" in status(bed, "alloy"), "stack")
    charts.serve_alloy(host)
    host.succeed("stack")
    assert status(bed, "alloy") == "deployed"


def test_reset_when_a_cluster_ran_then_the_host_is_as_before(
    host: Host, traces_before: dict[str, list[str]]
) -> None:
    during = traces.of(host.root)
    assert [kind for kind, found in during.items() if len(found) <= len(traces_before[kind])] == []
    refused = host.run("reset")
    assert refused.code == 1
    assert "data-mimir-0" in refused.out
    assert bed_of(host).kubectl("get", "nodes")
    host.succeed("--yes", "reset")
    # The kernel takes its time over the last of a process namespace.
    wait_until(lambda: traces.of(host.root) == traces_before, "every trace to be gone")
