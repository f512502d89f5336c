"""Nodes, pods and GPUs: node-exporter, cAdvisor, kube-state-metrics, the DCGM exporter, ourselves.

Everything is told apart by a label `node` that the scrape configuration sets: exporters spell the
node's name in ways that change from version to version (`Hostname`, `hostname`, `instance`).

A GPU's load has three sources, and not every GPU has all of them. The profiling counters
(`DCGM_FI_PROF_*`) are missing on consumer cards; `DCGM_FI_DEV_GPU_UTIL` is missing or 0 under MIG.
So the profiling counter is taken where it is, the other one elsewhere, per GPU. Total memory is
used plus free: the exporter sends no total unless it is told to.
"""

from grafana_foundation_sdk.builders import dashboard

from charon_operator.names import Metric
from tests.ship.dashboards import panels

_NODE = 'node=~"$node"'
_POD = f'{_NODE}, namespace=~"$namespace"'
_GPU = "by (node, gpu, GPU_I_ID)"
_THIRD, _QUARTER = 8, 6
_POD_NAME = "{{namespace}}/{{pod}}"
# File systems that are no disk, and interfaces that carry what another one carried already.
_DISKS = f'{_NODE}, fstype!~"tmpfs|ramfs|overlay|squashfs|nsfs|fuse.*"'
_LINKS = f'{_NODE}, device!~"lo|veth.*|cali.*|cni.*|flannel.*|docker.*|kube.*|br-.*"'


def build() -> dashboard.Dashboard:
    text = "Nodes, their pods and their GPUs. Series need a label node from the scrape."
    board = panels.board("nodes", "Nodes and GPUs", text)
    board.with_variable(panels.choice("node", "Node", "node_uname_info", "node", several=True))
    memory = f"container_memory_working_set_bytes{{{_NODE}}}"
    board.with_variable(panels.choice("namespace", "Namespace", memory, "namespace", several=True))
    for title, part in (
        ("Nodes", _nodes),
        ("Pods", _pods),
        ("GPUs", _gpus),
    ):
        board.with_row(dashboard.Row(title))
        part(board)
    return board


def _nodes(board: dashboard.Dashboard) -> None:
    idle = f'rate(node_cpu_seconds_total{{mode="idle", {_NODE}}}[$__rate_interval])'
    free, all_ = (f"node_memory_{name}_bytes{{{_NODE}}}" for name in ("MemAvailable", "MemTotal"))
    left, size = (f"node_filesystem_{name}_bytes{{{_DISKS}}}" for name in ("avail", "size"))
    cores = f'count by (node) (node_cpu_seconds_total{{mode="idle", {_NODE}}})'
    received, sent = (
        f"sum by (node) (rate(node_network_{way}_bytes_total{{{_LINKS}}}[$__rate_interval]))"
        for way in ("receive", "transmit")
    )
    for title, expression, text in (
        ("CPU used", f"1 - avg by (node) ({idle})", "Of all cores."),
        ("Memory used", f"1 - max by (node) ({free}) / max by (node) ({all_})", "Not available."),
        ("Fullest disk", f"max by (node) (1 - {left} / {size})", "Of each node."),
        ("Load a core", f"max by (node) (node_load1{{{_NODE}}}) / {cores}", "Over a minute."),
    ):
        line = panels.query(expression, "{{node}}")
        board.with_panel(panels.graph(title, panels.SHARE, line, width=_THIRD, text=text).min(0))
    text = "On the node's own links."
    for title, expression in (("Network, received", received), ("Network, sent", sent)):
        line = panels.query(expression, "{{node}}")
        board.with_panel(panels.graph(title, "Bps", line, width=_THIRD, text=text).min(0))


def _pods(board: dashboard.Dashboard) -> None:
    each = "by (namespace, pod)"
    # container="" is the pod's own cgroup, which counts its containers once more.
    inside = f'{_POD}, container!=""'
    used = f"sum {each} (rate(container_cpu_usage_seconds_total{{{inside}}}[$__rate_interval]))"
    throttled, periods = (
        f"sum {each} (rate(container_cpu_cfs_{name}_total{{{inside}}}[$__rate_interval]))"
        for name in ("throttled_periods", "periods")
    )
    memory = f"sum {each} (container_memory_working_set_bytes{{{inside}}})"
    # The network belongs to the pod, not to a container: there is no label to ask for.
    received, sent = (f"container_network_{way}_bytes_total" for way in ("receive", "transmit"))
    network = " + ".join(
        f'sum {each} (rate({name}{{{_POD}, pod!=""}}[$__rate_interval]))'
        for name in (received, sent)
    )
    for title, unit, expression in (
        ("CPU, cores", "short", used),
        ("Share of periods throttled", panels.SHARE, f"{throttled} / {periods}"),
        ("Memory, working set", "bytes", memory),
        ("Network, both ways", "Bps", network),
    ):
        line = panels.query(f"topk(10, {expression})", _POD_NAME)
        board.with_panel(panels.graph(title, unit, line, text="The ten largest.").min(0))


def _gpus(board: dashboard.Dashboard) -> None:
    used, free = (f"max {_GPU} (DCGM_FI_DEV_FB_{name}{{{_NODE}}})" for name in ("USED", "FREE"))
    busy = _either("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL", _GPU)
    bus = _either("DCGM_FI_PROF_DRAM_ACTIVE", "DCGM_FI_DEV_MEM_COPY_UTIL", _GPU)
    tensor = f"max {_GPU} (DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{{{_NODE}}})"
    for title, expression, text in (
        ("GPU busy", busy, "Graphics engine active where it is profiled, else as sampled."),
        ("GPU memory bus busy", bus, "DRAM active where it is profiled, else as sampled."),
        ("GPU memory used", f"{used} / ({used} + {free})", "Of used and free."),
        ("Tensor cores busy", tensor, "Only of cards that are profiled."),
    ):
        line = panels.query(_of_mig(expression), "{{node}} GPU {{gpu}}{{mig}}")
        panel = panels.graph(title, panels.SHARE, line, width=_QUARTER, text=text)
        board.with_panel(panel.min(0).max(1))
    for title, unit, name, drawn, text in (
        ("Power", "watt", "POWER_USAGE", panels.graph, "Of the whole card."),
        ("Temperature", "celsius", "GPU_TEMP", panels.graph, "Of the whole card."),
        ("Last XID error", panels.COUNT, "XID_ERRORS", panels.steps, "0: none."),
    ):
        card = f"max by (node, gpu) (DCGM_FI_DEV_{name}{{{_NODE}}})"
        line = panels.query(card, "{{node}} GPU {{gpu}}")
        board.with_panel(drawn(title, unit, line, width=_QUARTER, text=text).min(0))
    free = panels.query(f"max by (resource) ({Metric.DEVICES_FREE})", "{{resource}}")
    text = "As the operator counts them, on all nodes that take pods; with placement on."
    board.with_panel(panels.steps("Devices free", panels.COUNT, free, width=_QUARTER, text=text))
    board.with_panel(_holders())
    board.with_panel(_given_out())


def _of_mig(expression: str) -> str:
    """The same, with a label that names the instance of a GPU that is cut in several."""
    return f'label_replace({expression}, "mig", " MIG $1", "GPU_I_ID", "(.+)")'


def _given_out() -> object:
    gpus = f'resource=~"nvidia_com_.*", {_NODE}'
    there = f"max by (node, resource) (kube_node_status_allocatable{{{gpus}}})"
    each = "by (node, resource, namespace, pod, container)"
    asked = f"max {each} (kube_pod_container_resource_requests{{{gpus}}})"
    # Of pods that run: what is over, and what no node has taken yet, holds no GPU.
    runs = 'max by (namespace, pod) (kube_pod_status_phase{phase="Running"}) == 1'
    held = f"sum by (node, resource) ({asked} and on (namespace, pod) ({runs}))"
    columns = {"There are": there, "Asked for": f"{held} or 0 * {there}"}
    text = "What nodes have, and what pods that run ask for: GPUs, MIG instances, shares of GPUs."
    names = {"node": "Node", "resource": "Resource"}
    return panels.rows("GPUs given out", columns, width=10, text=text, names=names)


def _either(profiled: str, sampled: str, each: str, more: str = "") -> str:
    """A share: of the profiling counter, and for GPUs without one of percent that were sampled."""
    first, second = (f"max {each} ({name}{{{_NODE}{more}}})" for name in (profiled, sampled))
    return f"{first} or on (node, gpu) {second} / 100"


def _holders() -> object:
    # An idle GPU carries the exporter's own pod, from the scrape, but never a container.
    held = ', container!="", namespace=~"$namespace"'
    each = "by (node, gpu, GPU_I_ID, namespace, pod)"
    busy = _either("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL", each, held)
    names = {
        "node": "Node",
        "gpu": "GPU",
        "GPU_I_ID": "MIG",
        "namespace": "Namespace",
        "pod": "Pod",
    }
    text = (
        "Needs labels of the exporter to win over the scrape's (honor_labels). "
        "A GPU that is shared shows its whole load beside each pod."
    )
    return panels.rows("Who holds a GPU", {"Busy": busy}, panels.SHARE, 14, text, names)
