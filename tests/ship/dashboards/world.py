"""A store filled for the boards: a real operator's own metrics, and made-up nodes and GPUs.

The operator runs as a process beside the testbed and holds five apps whose load is a wave: one
keeps its promise, one is limited by its bounds, one is not heard, one has pods that are resized
(`sized`), one has variants of which one needs GPUs (`placed`). Its /metrics are scraped as
anybody's. The series of node-exporter, cAdvisor, kube-state-metrics and the DCGM exporter are
fixtures with the exporters' names and labels, for this machine has no GPU and its nodes are fake.
"""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from charon_operator import testbed
from tests.exporter import Exporter
from tests.faults import install
from tests.operator import running
from tests.ship.dashboards import bodies, placed, sized
from tests.ship.dashboards.waves import grown, wave

_JOBS = ("boards-apps", "boards-machines", "boards-operator")
# App: mean and height of the wave, in units of work; threshold. None: nobody measures it.
_APPS: dict[str, tuple[float, float, int] | None] = {
    "steady": (400.0, 200.0, 580),
    "limited": (1100.0, 300.0, 1300),
    "dark": None,
}
_PODS = {
    "workload": ("consumer-7d9f-abcde", "consumer-7d9f-fghij"),
    "team-b": ("train-0",),
}
# Node: GPUs as (number, MIG instance or none, whether it has profiling counters, pod or none).
_GPUS = {
    "gpu-a": [
        ("0", "", True, ("workload", "consumer-7d9f-abcde")),
        ("1", "", True, None),
    ],
    "gpu-mig": [("0", "3", True, ("team-b", "train-0")), ("0", "4", True, None)],
    "gpu-desk": [("0", "", False, ("workload", "consumer-7d9f-fghij"))],
    "gpu-free": [("0", "", True, None)],
}
# A pod that asks for a GPU still, and is over.
_OVER = ("team-b", "train-done")
_GIB = 2.0**30
# Of these apps the board of one app is looked at: between them they have all that it shows.
SHOWN = (sized.NAME, placed.NAME)


@contextlib.contextmanager
def filled(bed: testbed.Testbed, folder: Path) -> Iterator[str]:
    """Fills the testbed's Mimir until the context ends; gives the namespace of the apps."""
    install.install(bed, "knobs.resources.enabled=true", "knobs.placement.enabled=true")
    namespace = f"boards-{secrets.token_hex(4)}"
    bed.kubectl("create", "namespace", namespace)
    bed.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=30s")
    bed.apply(yaml.safe_dump_all(list(_objects(namespace))))
    settings = {"placement": {"enabled": True}}
    operator = running.Operator(bed, folder / "operator", namespace, **settings)
    try:
        with (
            Exporter() as apps,
            Exporter() as machines,
            placed.node(bed, namespace),
            sized.kubelet(bed, namespace),
            operator,
        ):
            _load(apps, namespace)
            sized.load(apps, namespace)
            placed.load(apps, namespace)
            _machines(machines)
            addresses = (apps.address, machines.address, operator.url.removeprefix("http://"))
            for job, address in zip(_JOBS, addresses, strict=True):
                bed.scrape(job, address)
            yield namespace
    finally:
        for job in _JOBS:
            bed.unscrape(job)
        bed.kubectl("delete", "namespace", namespace, "--wait=false")
        # As whoever uses the testbed next expects it.
        install.install(bed)


def gpus() -> Iterator[tuple[str, str, str]]:
    """Node, number and MIG instance (or nothing) of every GPU."""
    for node, there in _GPUS.items():
        for number, instance, *_ in there:
            yield node, number, instance


def _objects(namespace: str) -> Iterator[dict[str, Any]]:
    objects = [running.policy(), *sized.objects(), *placed.objects(namespace)]
    for name, moved in _APPS.items():
        target, app = running.deployment(2), running.app(**_spec(name, moved))
        target["metadata"]["name"] = app["metadata"]["name"] = name
        objects += [target, app]
    for one in objects:
        one["metadata"]["namespace"] = namespace
        yield one


def _spec(name: str, moved: tuple[float, float, int] | None) -> dict[str, Any]:
    return {
        "scaleTargetRef": {"kind": "Deployment", "name": name},
        "indicators": bodies.indicators({running.METRIC: "frames", "delay": "s"}),
        "objectives": [bodies.objective("share", running.METRIC, moved[2] if moved else 500)],
    }


def _load(exporter: Exporter, namespace: str) -> None:
    for name, moved in _APPS.items():
        if moved is None:
            continue
        labels = {"namespace": namespace, "app": name}
        exporter.set(running.METRIC, labels, wave(*moved[:2]))
        exporter.set("delay", labels, wave(0.3, 0.1))


def _machines(exporter: Exporter) -> None:
    for number, (node, gpus) in enumerate(_GPUS.items()):
        _node(exporter, {"node": node}, 1.0 + number)
        for gpu in gpus:
            _gpu(exporter, node, *gpu, phase=1.3 * number + 0.7 * int(gpu[0] + gpu[1]))
        there = {"node": node, "resource": "nvidia_com_gpu", "unit": "integer"}
        exporter.set("kube_node_status_allocatable", there, float(len(gpus)))
        for holder in [*(holder for *_, holder in gpus if holder), _OVER]:
            _asks(exporter, there, *holder)
    held = [(namespace, pod) for namespace, pods in _PODS.items() for pod in pods]
    for number, (namespace, pod) in enumerate(held):
        _pod(exporter, {"node": "gpu-a", "namespace": namespace, "pod": pod}, 1.0 + number)


def _node(exporter: Exporter, node: dict[str, str], size: float) -> None:
    exporter.set("node_uname_info", {**node, "nodename": node["node"]}, 1.0)
    exporter.set("node_load1", node, wave(2 * size, size))
    for cpu in range(4):
        core = {**node, "cpu": str(cpu)}
        exporter.set("node_cpu_seconds_total", {**core, "mode": "idle"}, grown(0.6, size + cpu))
        exporter.set("node_cpu_seconds_total", {**core, "mode": "user"}, grown(0.3, size + cpu))
    exporter.set("node_memory_MemTotal_bytes", node, 64 * _GIB)
    exporter.set("node_memory_MemAvailable_bytes", node, wave(40 * _GIB, 8 * _GIB, size))
    for mount, fstype, full in (("/", "ext4", 0.3), ("/run", "tmpfs", 0.99)):
        disk = {**node, "device": mount, "mountpoint": mount, "fstype": fstype}
        exporter.set("node_filesystem_size_bytes", disk, 400 * _GIB)
        exporter.set("node_filesystem_avail_bytes", disk, 400 * _GIB * (1 - full * size / 2))
    for device in ("eth0", "veth12"):
        for way in ("receive", "transmit"):
            link = {**node, "device": device}
            exporter.set(f"node_network_{way}_bytes_total", link, grown(1e6 * size, size))


def _asks(exporter: Exporter, gpu: dict[str, str], namespace: str, pod: str) -> None:
    asking = {"namespace": namespace, "pod": pod}
    exporter.set("kube_pod_container_resource_requests", {**gpu, **asking, "container": "app"}, 1.0)
    over = pod == _OVER[1]
    for phase, is_it in (("Running", not over), ("Succeeded", over)):
        exporter.set("kube_pod_status_phase", {**asking, "phase": phase}, float(is_it))


def _pod(exporter: Exporter, pod: dict[str, str], size: float) -> None:
    # The kubelet tells of the container and, with an empty name, of the pod around it.
    for container in ("app", ""):
        labels = {**pod, "container": container}
        exporter.set("container_cpu_usage_seconds_total", labels, grown(size, size))
        exporter.set("container_memory_working_set_bytes", labels, wave(size * _GIB, _GIB / 4))
    app = {**pod, "container": "app"}
    exporter.set("container_cpu_cfs_periods_total", app, grown(10.0))
    exporter.set("container_cpu_cfs_throttled_periods_total", app, grown(size, size))
    for way in ("receive", "transmit"):
        link = {**pod, "interface": "eth0"}
        exporter.set(f"container_network_{way}_bytes_total", link, grown(1e5 * size, size))


def _gpu(
    exporter: Exporter,
    node: str,
    gpu: str,
    instance: str,
    profiled: bool,
    holder: tuple[str, str] | None,
    phase: float,
) -> None:
    labels = {"node": node, "gpu": gpu, "UUID": f"GPU-{node}-{gpu}", "Hostname": f"exporter-{node}"}
    if instance:
        labels |= {"GPU_I_ID": instance, "GPU_I_PROFILE": "3g.20gb"}
    if holder:
        labels |= {"namespace": holder[0], "pod": holder[1], "container": "app"}
    else:
        # What a scrape that honours labels leaves there: the exporter's own pod.
        labels |= {"namespace": "gpu-system", "pod": f"dcgm-exporter-{node}"}
    shares = {"GR_ENGINE_ACTIVE": 0.6, "DRAM_ACTIVE": 0.3, "PIPE_TENSOR_ACTIVE": 0.2}
    for name, mean in shares.items() if profiled else ():
        exporter.set(f"DCGM_FI_PROF_{name}", labels, wave(mean, mean / 2, phase))
    # Under MIG the sampled load is 0, whatever the GPU does.
    load = 0.0 if instance else 50.0
    sampled = {
        "GPU_UTIL": (load, load / 2),
        "MEM_COPY_UTIL": (load / 2, load / 4),
        "FB_USED": (9000.0, 2000.0),
        "FB_FREE": (11000.0, -2000.0),
        "POWER_USAGE": (250.0, 60.0),
        "GPU_TEMP": (61.0, 6.0),
        "XID_ERRORS": (0.0, 0.0),
    }
    for name, (mean, height) in sampled.items():
        exporter.set(f"DCGM_FI_DEV_{name}", labels, wave(mean, height, phase))
