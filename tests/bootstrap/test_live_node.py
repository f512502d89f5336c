"""`server stack operator verify` on a live cluster: API server, kubelet, helm, Mimir, operator.

Played are curl, systemd and k3s (its kubectl is the real one), and the charts that cannot be had
here: in their place stand empty ones. What they would serve is served beside the cluster and
scraped by a Prometheus agent, as Alloy would.
"""

import contextlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from charon_operator import testbed
from charon_operator.testbed import build, images, operator, sockets
from charon_operator.testbed.node import needs
from tests.bootstrap import scraper
from tests.bootstrap.host import Host
from tests.exporter import Exporter
from tests.ship import chart

pytestmark = [pytest.mark.testbed, pytest.mark.node, pytest.mark.timeout(400)]

_NODE = "real-0"
# There is no DNS in this cluster: the Service has an address that is known beforehand.
_MIMIR_ADDRESS = "10.96.200.1"
_VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: data-mimir-0}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Delete
  hostPath: {path: /run/testbed/data/mimir-volume}
"""
_NOTHING = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stands-for-{{ .Release.Name }}}\n"
_NEVER_READY = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: never-ready}
spec:
  selector: {matchLabels: {app: never-ready}}
  template:
    metadata: {labels: {app: never-ready}}
    spec: {containers: [{name: app, image: none, imagePullPolicy: Never}]}
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testbed.Testbed]:
    """A cluster of one real node."""
    if needs.missing():
        pytest.skip(needs.missing())
    folder: Path = tmp_path_factory.mktemp("live")
    config = testbed.Config(folder=folder, nodes=[testbed.RealNode(name=_NODE)])
    with testbed.start(config) as running:
        volume = folder / "data" / "mimir-volume"
        volume.mkdir()
        volume.chmod(0o777)
        running.apply(_VOLUME)
        yield running


def archive(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def empty_chart(name: str, body: str = _NOTHING) -> bytes:
    about = f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n"
    return archive(
        {f"{name}/Chart.yaml": about.encode(), f"{name}/templates/one.yaml": body.encode()}
    )


def mimir_image(bed: testbed.Testbed) -> tuple[str, str]:
    """Mimir in an image of its own, on the node; its name and its digest."""
    program = build.programs()["mimir"]
    image = images.Image(
        name="mimir",
        layers=[images.layer({"/bin/mimir": program})],
        entrypoint=["/bin/mimir"],
    )
    name = bed.load(image)
    ctr = [needs.tool("ctr"), "--namespace=k8s.io", f"--address={bed.address.containerd}", "images"]
    told = subprocess.run([*ctr, "list"], capture_output=True, text=True, check=True, timeout=30)
    [digest] = [line.split()[2] for line in told.stdout.splitlines() if line.startswith(name)]
    by_digest = f"{name.rpartition(':')[0]}@{digest}"
    subprocess.run([*ctr, "tag", "--force", name, by_digest], check=True, timeout=30)
    return name, digest


@pytest.fixture(scope="module")
def host(live: testbed.Testbed, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A played host whose kubectl, helm and images are those of the cluster."""
    host = Host(tmp_path_factory.mktemp("host"))
    (host.programs / "sleep").unlink()
    kubectl = f'#!/bin/bash\nshift\nexec {live.address.kubectl} "$@"\n'
    host.serve("k3s", kubectl.encode(), "K3S_AMD64_SHA256")
    helm = f'#!/bin/bash\nexec {chart.HELM} "$@"\n'
    versions = host.versions()
    archived = archive({"linux-amd64/helm": helm.encode()})
    name = f"helm-{versions['HELM_VERSION']}-linux-amd64.tar.gz"
    host.serve(name, archived, "HELM_AMD64_SHA256")
    for each in ("KUBE_STATE_METRICS", "NODE_EXPORTER", "ALLOY", "GRAFANA"):
        served = versions[f"{each}_URL"].rpartition("/")[2]
        host.serve(served, empty_chart(each.lower().replace("_", "-")), f"{each}_SHA256")
    image, digest = mimir_image(live)
    host.version("MIMIR_IMAGE", image)
    host.version("MIMIR_IMAGE_DIGEST", digest)
    entrypoint = ["python3", "-m", "charon_operator"]
    own = images.python([operator.ACCOUNT], name="operator", entrypoint=entrypoint)
    host.config(NODE_NAME=_NODE, OPERATOR_IMAGE=live.load(own))
    _without_dns(host)
    # What k3s writes when it starts.
    kubeconfig = host.root / "etc/rancher/k3s/k3s.yaml"
    kubeconfig.parent.mkdir(parents=True)
    shutil.copy(live.kubeconfig, kubeconfig)
    return host


def _without_dns(host: Host) -> None:
    manifest = host.checkout / "bootstrap/manifests/mimir.yaml"
    before = "spec:\n  selector: {app.kubernetes.io/name: mimir}\n"
    text = manifest.read_text()
    assert before in text
    manifest.write_text(text.replace(before, f"{before}  clusterIP: {_MIMIR_ADDRESS}\n"))
    values = host.checkout / "bootstrap/values/charon-operator.yaml"
    url = f"http://{_MIMIR_ADDRESS}:8080/prometheus"
    values.write_text(f"{values.read_text()}settings: {{mimir: {{url: '{url}'}}}}\n")


def pod_address(bed: testbed.Testbed, namespace: str) -> str:
    path = "jsonpath={.items[0].status.podIP}"
    return bed.kubectl("get", "pods", "-n", namespace, "-o", path)


@contextlib.contextmanager
def scraping(bed: testbed.Testbed, folder: Path) -> Iterator[None]:
    """The real operator, and what stands for the exporters, scraped into the cluster's Mimir."""
    jobs = ["kubelet-cadvisor", "kubelet-resource", "kube-state-metrics", "node-exporter"]
    with Exporter() as exporter:
        paused = {"namespace": "charon-verify", "deployment": "probe"}
        exporter.set("kube_deployment_spec_paused", paused, 1)
        targets = {job: exporter.address for job in jobs}
        targets["charon-operator"] = f"{pod_address(bed, 'charon-system')}:8080"
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {
                    "job_name": job,
                    "honor_labels": True,
                    "static_configs": [{"targets": [address]}],
                }
                for job, address in targets.items()
            ],
            "remote_write": [
                {
                    "url": f"http://{pod_address(bed, 'monitoring')}:8080/api/v1/push",
                    "queue_config": {"batch_send_deadline": "500ms"},
                }
            ],
        }
        ports = sockets.Reservation()
        with scraper.running(folder, config, ports.port("agent")):
            yield
        ports.release()


def releases(bed: testbed.Testbed) -> dict[str, str]:
    told = chart.helm("list", "-A", "--output=json", f"--kubeconfig={bed.kubeconfig}")
    return {one["name"]: one["revision"] for one in json.loads(told)}


def status(bed: testbed.Testbed, release: str) -> str:
    where = ("--namespace=monitoring", f"--kubeconfig={bed.kubeconfig}")
    told = chart.helm("history", release, "--max=1", "--output=json", *where, check=False)
    return str(json.loads(told)[0]["status"]) if told.startswith("[") else ""


def generations(bed: testbed.Testbed) -> str:
    path = "jsonpath={range .items[*]}{.metadata.uid} {.metadata.generation}{'\\n'}{end}"
    return bed.kubectl("get", "deployments,statefulsets,configmaps,services", "-A", "-o", path)


def test_install_when_the_cluster_is_live_then_verify_is_green_and_again_changes_nothing(
    live: testbed.Testbed, host: Host, tmp_path: Path
) -> None:
    host.succeed("server", "stack", "operator")
    with scraping(live, tmp_path):
        told = host.run("verify", CHARON_VERIFY_PATIENCE_S="60")
    assert told.code == 0, f"{told.out}{told.err}"
    assert told.out.count("  ok    ") == 9
    charts = ["alloy", "charon-operator", "grafana", "kube-state-metrics", "node-exporter"]
    assert releases(live) == dict.fromkeys(charts, "1")
    before = generations(live)
    out = host.succeed("server", "stack", "operator")
    assert out.count("nothing changed") == 1 + len(charts)
    assert releases(live) == dict.fromkeys(charts, "1")
    assert generations(live) == before


def test_release_when_helm_was_killed_in_the_middle_then_the_next_run_mends_it(
    live: testbed.Testbed, host: Host
) -> None:
    """Killed while it waits for a pod that cannot start: helm alone then refuses the release."""
    host.succeed("server")
    served = host.versions()["ALLOY_URL"].rpartition("/")[2]
    host.serve(served, empty_chart("alloy", _NEVER_READY), "ALLOY_SHA256")
    host.kill_when(lambda: "pending" in status(live, "alloy"), "stack")
    host.serve(served, empty_chart("alloy"), "ALLOY_SHA256")
    host.succeed("stack")
    assert status(live, "alloy") == "deployed"
