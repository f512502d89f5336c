"""Alloy's configuration as a Prometheus agent takes it: its rules are in a syntax both share."""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
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


def honours(text: str, name: str) -> bool:
    """Whether a scrape keeps the labels of what it scrapes."""
    return bool(re.search(r"honor_labels *= true", block(text, "prometheus.scrape", name)))


def agent_config(text: str, found: Path, mimir_url: str) -> dict[str, Any]:
    """The same labels, once a second, sent to that Mimir.

    Args:
        text: Alloy's configuration.
        found: a folder with what discovery found, a file a role.
        mimir_url: where to.
    """

    def job(name: str, role: str, *relabelled: str, scrape: str = "") -> dict[str, Any]:
        return {
            "job_name": name,
            "file_sd_configs": [{"files": [str(found / f"{role}.json")]}],
            "relabel_configs": [
                rule for each in relabelled for rule in rules(text, "discovery.relabel", each)
            ],
            "honor_labels": honours(text, scrape or name),
        }

    return {
        "global": _SCRAPE,
        "scrape_configs": [
            job("exporters", "pod", "annotated", "exporters"),
            job("apps", "pod", "annotated", "apps"),
            job("cadvisor", "node", "cadvisor", scrape="kubelet"),
            job("resource", "node", "resource", scrape="kubelet"),
        ],
        "remote_write": [
            {"url": f"{mimir_url}/api/v1/push", "queue_config": {"batch_send_deadline": "500ms"}}
        ],
    }


def pod_targets(
    space: str, name: str, annotations: dict[str, str], ports: list[int], phase: str = "Running"
) -> list[dict[str, Any]]:
    """What Kubernetes discovery says of a pod on loopback: a target for each port it declares."""
    told = {
        "__meta_kubernetes_namespace": space,
        "__meta_kubernetes_pod_name": name,
        "__meta_kubernetes_pod_node_name": "node-0",
        "__meta_kubernetes_pod_phase": phase,
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": name,
        **{
            f"__meta_kubernetes_pod_annotation_{re.sub('[./]', '_', key)}": value
            for key, value in annotations.items()
        },
    }
    number = "__meta_kubernetes_pod_container_port_number"
    return [
        {"targets": [f"127.0.0.1:{port}"], "labels": {**told, number: str(port)}} for port in ports
    ]


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
