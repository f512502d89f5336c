"""Alloy's configuration as a Prometheus agent takes it: its rules are in a syntax both share."""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from charon_operator.testbed import build, sockets

_SCRAPE = {"scrape_interval": "1s", "scrape_timeout": "1s"}


def block(text: str, kind: str, name: str) -> str:
    """What is within a component's braces."""
    [found] = re.findall(rf'(?ms)^{re.escape(kind)} "{name}" \{{\n(.*?)^\}}', text)
    inside: str = found
    return inside


def rules(text: str, kind: str, name: str) -> list[dict[str, Any]]:
    """The rules of a component; strings and lists are written as JSON writes them."""
    return [
        {key: json.loads(value) for key, value in re.findall(r"(?m)^ *(\w+) *= (.+)$", rule)}
        for rule in re.findall(r"(?ms)^  rule \{\n(.*?)^  \}", block(text, kind, name))
    ]


def scrape(text: str, name: str) -> dict[str, Any]:
    """What a scrape says of labels, times and how to ask, those aside that are not set there."""
    inside = block(text, "prometheus.scrape", name)
    told = re.findall(r"(?m)^ *(honor_labels|honor_timestamps|scheme) *= (.+)$", inside)
    tls = re.search(r"insecure_skip_verify *= true", inside)
    return {
        **{key: json.loads(value) for key, value in told},
        **({"tls_config": {"insecure_skip_verify": True}} if tls else {}),
    }


def agent_config(
    text: str, found: Path, mimir_url: str, token: Path | None = None
) -> dict[str, Any]:
    """The same labels, once a second, sent to that Mimir.

    Args:
        text: Alloy's configuration.
        found: a folder with what discovery found, a file a role.
        mimir_url: where to.
        token: with which the kubelet is asked.
    """

    def job(name: str, role: str, *relabelled: str, by: str = "") -> dict[str, Any]:
        return {
            "job_name": name,
            "file_sd_configs": [{"files": [str(found / f"{role}.json")]}],
            "relabel_configs": [
                rule for each in relabelled for rule in rules(text, "discovery.relabel", each)
            ],
            # A page that is a file says nothing of its format.
            "fallback_scrape_protocol": "PrometheusText0.0.4",
            **scrape(text, by or name),
        }

    def kubelet(name: str) -> dict[str, Any]:
        return {
            **job(name, "node", name, by="kubelet"),
            "metric_relabel_configs": rules(text, "prometheus.relabel", "kubelet"),
            **({"authorization": {"credentials_file": str(token)}} if token else {}),
        }

    return {
        "global": _SCRAPE,
        "scrape_configs": [
            job("exporters", "pod", "annotated", "exporters"),
            job("apps", "pod", "annotated", "apps"),
            kubelet("cadvisor"),
            kubelet("resource"),
        ],
        "remote_write": [
            {"url": f"{mimir_url}/api/v1/push", "queue_config": {"batch_send_deadline": "500ms"}}
        ],
    }


def pod_targets(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What Kubernetes discovery says of a pod: a target for each port it declares."""
    meta, spec, status = pod["metadata"], pod["spec"], pod["status"]
    told = {
        "__meta_kubernetes_namespace": meta["namespace"],
        "__meta_kubernetes_pod_name": meta["name"],
        "__meta_kubernetes_pod_node_name": spec["nodeName"],
        "__meta_kubernetes_pod_phase": status["phase"],
        **{
            f"__meta_kubernetes_pod_{kind}_{re.sub('[./-]', '_', key)}": value
            for kind in ("label", "annotation")
            for key, value in meta.get(f"{kind}s", {}).items()
        },
    }
    number = "__meta_kubernetes_pod_container_port_number"
    ports = [port["containerPort"] for one in spec["containers"] for port in one.get("ports", ())]
    return [
        {"targets": [f"{status['podIP']}:{port}"], "labels": {**told, number: str(port)}}
        for port in ports
    ]


def node_target(node: Mapping[str, Any]) -> dict[str, Any]:
    """What Kubernetes discovery says of a node: where its kubelet answers."""
    [address] = [
        one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"
    ]
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    name = node["metadata"]["name"]
    return {"targets": [f"{address}:{port}"], "labels": {"__meta_kubernetes_node_name": name}}


@contextlib.contextmanager
def running(folder: Path, config: dict[str, Any], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A Prometheus agent; what it says lies in `log` of the folder."""
    file = folder / "agent.json"
    file.write_text(json.dumps(config))
    flags = [
        "--agent",
        f"--config.file={file}",
        f"--storage.agent.path={folder / 'wal'}",
        f"--web.listen-address={sockets.LOOPBACK}:{port}",
    ]
    with (folder / "log").open("wb") as log:
        agent = subprocess.Popen([build.programs()["prometheus"], *flags], stdout=log, stderr=log)
    try:
        yield agent
    finally:
        agent.terminate()
        agent.wait(30)
