"""Fake nodes: what the scheduler sees of them, and kwok, which keeps them and their pods alive.

Reads: the nodes of a Config. Gives: node objects, kwok's stages, its Program. Never: touches a pod
with the plant's label: its status and its deletion belong to the plant.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import yaml

from charon_operator import names
from charon_operator.testbed import config, layout, probes, process, sockets

_STAGES = pathlib.Path(__file__).parent / "stages.yaml"
_LEASE_S = 40


def objects(nodes: list[config.Node]) -> dict[str, Any]:
    """The node objects, as one Kubernetes List."""
    return {"apiVersion": "v1", "kind": "List", "items": [_node(node) for node in nodes]}


def _node(node: config.Node) -> dict[str, Any]:
    capacity = {
        "cpu": node.cpu,
        "memory": node.memory,
        "pods": str(node.pods),
        "ephemeral-storage": "1Ti",
        **node.extended,
    }
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": node.name,
        names.LABEL_FAKE_NODE: "true",
        **node.labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels},
        "spec": {"taints": [dict(taint) for taint in node.taints]},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def stages() -> list[dict[str, Any]]:
    """What kwok does to nodes and pods, the plant's pods excepted."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(_STAGES.read_text()))
    not_driven = {
        "key": f'.metadata.labels["{names.LABEL_PLANT_DRIVEN}"]',
        "operator": "NotIn",
        "values": ["true"],
    }
    for stage in documents:
        if stage["spec"]["resourceRef"]["kind"] == "Pod":
            stage["spec"]["selector"]["matchExpressions"].append(not_driven)
    return documents


def kwok(
    binaries: Mapping[str, pathlib.Path],
    files: layout.Layout,
    kubeconfig: pathlib.Path,
    port: int,
) -> process.Program:
    """The program that keeps the fake nodes and their pods."""
    file = files.config / "kwok.yaml"
    file.write_text("\n---\n".join(json.dumps(stage) for stage in stages()))
    address = f"{sockets.LOOPBACK}:{port}"
    flags = [
        f"--kubeconfig={kubeconfig}",
        f"--config={file}",
        f"--manage-nodes-with-label-selector={names.LABEL_FAKE_NODE}=true",
        f"--node-lease-duration-seconds={_LEASE_S}",
        f"--server-address={address}",
        f"--node-ip={sockets.LOOPBACK}",
    ]
    return process.Program(
        name="kwok",
        command=[binaries["kwok"], *flags],
        log=files.log("kwok"),
        port=port,
        is_ready=lambda: probes.answers(f"http://{address}/healthz"),
        # A configuration in the home folder of whoever runs this must not join in.
        environment={"HOME": str(files.config)},
    )
