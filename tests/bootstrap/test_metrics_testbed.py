"""Mimir's manifest and Alloy's rules, proved by Mimir and by a Prometheus agent.

Mimir has no flag that only checks: it is started with the manifest's text, /data being a folder of
the test. Alloy cannot be had here: its rules run in the agent, whose relabelling it shares, on what
Kubernetes discovery would have found.
"""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from charon_operator.testbed import build, probes, sockets
from tests.bootstrap import scraper
from tests.bootstrap.test_manifests import alloy, manifest, of_kind
from tests.exporter import Exporter
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed


@pytest.fixture(scope="module")
def ports() -> Iterator[sockets.Reservation]:
    reserved = sockets.Reservation()
    yield reserved
    reserved.release()


@pytest.fixture(scope="module")
def mimir(tmp_path_factory: pytest.TempPathFactory, ports: sockets.Reservation) -> Iterator[str]:
    """Mimir with the manifest's configuration and arguments; gives its address."""
    data, elsewhere = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("elsewhere")
    documents = manifest("mimir.yaml")
    config = of_kind(documents, "ConfigMap")["data"]["mimir.yaml"]
    [container] = of_kind(documents, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["-config.file=/etc/mimir/mimir.yaml"]
    file = data / "mimir.yaml"
    file.write_text(config.replace("/data", str(data)))
    port = ports.port("mimir")
    flags = [f"-server.http-listen-port={port}", f"-server.grpc-listen-port={ports.port('grpc')}"]
    with (data / "log").open("wb") as log:
        running = subprocess.Popen(
            [build.programs()["mimir"], f"-config.file={file}", *flags],
            cwd=elsewhere,
            stdout=log,
            stderr=log,
        )
    url = f"http://{sockets.LOOPBACK}:{port}"
    try:
        wait_until(lambda: running.poll() is not None or probes.answers(f"{url}/ready"), "Mimir")
        assert running.poll() is None, (data / "log").read_text()
        yield url
    finally:
        running.terminate()
        running.wait(30)
    # The pod's root is read-only: nothing may be written but below /data.
    assert not list(elsewhere.iterdir())


@pytest.fixture(scope="module")
def exporter() -> Iterator[Exporter]:
    with Exporter() as running:
        # An exporter says of whom it speaks; so may an app that lies.
        running.set("of_another", {"namespace": "victim"}, 1)
        yield running


def pod(
    space: str, name: str, annotations: dict[str, str], ports: list[int], phase: str = "Running"
) -> dict[str, Any]:
    """A pod on loopback."""
    labels = {"app.kubernetes.io/name": name}
    meta = {"namespace": space, "name": name, "labels": labels, "annotations": annotations}
    declared = [{"containerPort": port} for port in ports]
    return {
        "metadata": meta,
        "spec": {"nodeName": "node-0", "containers": [{"ports": declared}]},
        "status": {"phase": phase, "podIP": "127.0.0.1"},
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, exporter: Exporter) -> Path:
    """Pods that ask to be scraped, in `monitoring` and elsewhere, pods that do not, and a node."""
    folder: Path = tmp_path_factory.mktemp("found")
    port = int(exporter.address.rpartition(":")[2])
    asking = {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}
    pods = [
        pod("monitoring", "kube-state-metrics", asking, [port, 9]),
        pod("scraped", "consumer", asking, [port, 9]),
        pod("scraped", "over", asking, [port], phase="Succeeded"),
        pod("scraped", "undeclared", asking, [9]),
        pod("scraped", "silent", {}, [port]),
    ]
    told = {"__meta_kubernetes_node_name": "node-0", "__scheme__": "http"}
    node = {"targets": [exporter.address], "labels": told}
    targets = [target for one in pods for target in scraper.pod_targets(one)]
    (folder / "pod.json").write_text(json.dumps(targets))
    (folder / "node.json").write_text(json.dumps([node]))
    return folder


@pytest.fixture(scope="module")
def scraped(
    mimir: str,
    found: Path,
    ports: sockets.Reservation,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The agent with Alloy's rules, sending to that Mimir; gives Mimir's address."""
    folder: Path = tmp_path_factory.mktemp("agent")
    config = scraper.agent_config(alloy(), found, mimir)
    with scraper.running(folder, config, ports.port("agent")) as agent:
        wait_until(
            lambda: agent.poll() is not None or ask(mimir, 'up{job="consumer"} == 1'),
            "the agent's first samples",
            timeout_s=60,
        )
        assert agent.poll() is None, (folder / "log").read_text()
        yield mimir


def ask(mimir: str, query: str) -> list[dict[str, str]]:
    """The labels of what a query finds."""
    url = f"{mimir}/prometheus/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return [one["metric"] for one in found]


def test_mimir_when_started_with_the_manifest_then_it_keeps_the_limits_given(mimir: str) -> None:
    with urllib.request.urlopen(f"{mimir}/config", timeout=10) as answer:
        config = yaml.safe_load(answer)
    assert config["limits"]["out_of_order_time_window"] == "5m"
    assert config["limits"]["compactor_blocks_retention_period"] in ("2w1d", "15d")
    assert config["multitenancy_enabled"] is False
    assert config["ingest_storage"]["enabled"] is False
    assert config["limits"]["max_query_expression_size_bytes"] == 65536


def test_pods_when_they_ask_then_those_and_no_others_are_scraped(scraped: str) -> None:
    wait_until(lambda: ask(scraped, 'up{job="kube-state-metrics"} == 1'), "the exporter's samples")
    found = {(one["namespace"], one["pod"], one["node"]) for one in ask(scraped, "up{pod!=''}")}
    assert found == {
        ("monitoring", "kube-state-metrics", "node-0"),
        ("scraped", "consumer", "node-0"),
    }


def test_pod_when_it_has_several_ports_then_the_one_it_names_is_scraped_once(scraped: str) -> None:
    assert len(ask(scraped, 'up{job="consumer"}')) == 1


def test_labels_when_an_exporter_gives_them_then_they_win(scraped: str) -> None:
    [series] = wait_until(
        lambda: ask(scraped, 'of_another{job="kube-state-metrics"}'), "the exporter's series"
    )
    assert series["namespace"] == "victim"


def test_labels_when_an_app_gives_them_then_it_cannot_speak_for_another(scraped: str) -> None:
    [series] = wait_until(lambda: ask(scraped, 'of_another{job="consumer"}'), "the app's series")
    assert series["namespace"] == "scraped"
    assert series["exported_namespace"] == "victim"


def test_nodes_when_scraped_then_both_paths_are_asked_under_their_own_job(scraped: str) -> None:
    def seen() -> set[str]:
        return {one["job"] for one in ask(scraped, 'up{node="node-0", pod=""}')}

    wait_until(
        lambda: seen() == {"kubelet-cadvisor", "kubelet-resource"}, "both jobs of the kubelet"
    )
