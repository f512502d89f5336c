"""Starts a testbed: builds what is missing, brings up what was asked, waits for nodes.

Reads: a Config. Gives: a running Testbed. Never: leaves anything behind when a part fails.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping

from charon_operator import errors, names
from charon_operator.testbed import (
    access,
    bed,
    build,
    config,
    disk,
    fakenodes,
    layout,
    metrics,
    parts,
    podtargets,
    process,
    progress,
    providers,
    sockets,
    state,
)
from charon_operator.testbed.node import cell, machine, needs

_PORT_ATTEMPTS = 3
# etcd and Mimir preallocate their logs; a run of an hour stays below this.
_DATA_MB = 1024


def start(wanted: config.Config, progress: progress.Progress | None = None) -> bed.Testbed:
    """Builds what is missing, starts everything, returns when the nodes are ready.

    Args:
        wanted: what to start.
        progress: who is told how far it is; None for nobody.

    Raises:
        errors.TestbedError: a tool, disk space or a port is missing, or a program died at start.
    """
    starter = Starter(wanted, progress)
    try:
        return starter.run()
    except BaseException:
        starter.undo()
        raise


def prepare(wanted: config.Config, progress: progress.Progress | None = None) -> None:
    """Builds what `start` would build, and starts nothing."""
    Starter(wanted, progress).build()


class Starter:
    """The state of one start: what was reserved and launched so far."""

    def __init__(self, wanted: config.Config, shows: progress.Progress | None) -> None:
        folder = wanted.folder.expanduser().resolve()
        self._wanted = dataclasses.replace(wanted, folder=folder)
        self._shows = shows or progress.Silent()
        self._source = providers.of(self._wanted)
        self._processes: dict[str, process.Process] = {}
        self.files = layout.Layout(folder)
        self.ports = sockets.Reservation()
        self._has_folder = contextlib.ExitStack()
        self.binaries: Mapping[str, pathlib.Path] = {}
        self.host = sockets.LOOPBACK
        self._cell: cell.Cell | None = None
        self._pods: podtargets.PodTargets | None = None

    def run(self) -> bed.Testbed:
        self._has_folder.enter_context(state.take(self.files))
        self.build()
        disk.require(self.files.folder, _DATA_MB, "a testbed", "name another --folder")
        self._shows.begin("Starting the testbed", self._steps())
        self._lay_ground()
        with concurrent.futures.ThreadPoolExecutor(1) as beside:
            measuring = beside.submit(self._bring_up_metrics)
            cluster = self._source.bring_up(self)
            self._bring_up_nodes(cluster)
            mimir_url = measuring.result()
        self._scrape_pods(cluster)
        self._shows.finish()
        return self._testbed(cluster, mimir_url)

    def build(self) -> None:
        if self._wanted.real_node:
            needs.require()
        self.binaries = build.programs(self._needs(), self._wanted.cache, self._shows)

    def undo(self) -> None:
        bed.stop_all(self._processes)
        self._release()

    def launch(self, make: Callable[[], process.Program], *port_names: str) -> process.Process:
        """Starts a program and waits until it is ready; makes it anew if its port was taken."""
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            launched = process.Process(make())
            self._processes[launched.name] = launched
            launched.launch()
            try:
                launched.wait_ready(self._wanted.start_timeout_s)
            except errors.TestbedError:
                if not launched.clashed() or attempt == _PORT_ATTEMPTS:
                    raise
                for name in port_names:
                    self.ports.renew(name)
            else:
                break
        self._shows.advance(launched.name)
        return launched

    def _needs(self) -> list[parts.Part]:
        wanted = self._wanted
        needed = [*self._source.needs()]
        if wanted.with_kwok and wanted.provider is not config.Provider.KUBECONFIG:
            needed += parts.FAKE_NODES
        if wanted.real_node:
            needed += parts.REAL_NODES
        if wanted.with_metrics:
            needed += [parts.PROMETHEUS] if wanted.mimir_url else parts.METRICS
        return needed

    def _steps(self) -> int:
        return sum(len(p.programs) for p in self._needs() if p is not parts.KUBE) + 3

    def _lay_ground(self) -> None:
        """The real node's namespaces and its link, on which the API server will listen."""
        # Also where none is asked for now: a killed testbed of this folder may have had one.
        machine.clear(self.files)
        if self._wanted.real_node:
            self._cell = cell.Cell(self._wanted.real_node, self)
            self._cell.lay_ground()
            self.host = self._cell.near

    def _bring_up_metrics(self) -> str | None:
        """Mimir, unless one is given, and an agent that writes to it."""
        if not self._wanted.with_metrics:
            return self._wanted.mimir_url
        stack = metrics.Metrics(self._wanted, self.files, self.binaries, self.ports, self.host)
        if not self._wanted.mimir_url:
            self.launch(stack.mimir, "mimir", "mimir-grpc")
        self.launch(stack.agent, "agent")
        return stack.mimir_url

    def _bring_up_nodes(self, cluster: providers.Cluster) -> None:
        """Nodes with kubelet or kwok, and what a new cluster needs before it takes pods."""
        handle = access.Access(self.files, self._address(cluster, None))
        if self._cell:
            self._cell.join(cluster.api_url)
            self._await_nodes(handle, names.LABEL_REAL_NODE)
        if "kwok" in self.binaries:
            self.launch(self._kwok(cluster), "kwok")
            if self._wanted.fake_nodes:
                nodes = json.dumps(fakenodes.objects(self._wanted.fake_nodes))
                handle.kubectl("apply", "--server-side", "-f", "-", input=nodes)
                self._await_nodes(handle, names.LABEL_FAKE_NODE)
        if self._cell or "kwok" in self.binaries:
            handle.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")

    def _scrape_pods(self, cluster: providers.Cluster) -> None:
        """Only what runs has metrics of its own."""
        if self._wanted.real_node and self._wanted.with_metrics:
            node, targets = self._wanted.real_node.name, self.files.targets
            self._pods = podtargets.PodTargets(cluster.kubeconfig, node, targets)
            self._pods.start()

    def _await_nodes(self, handle: access.Access, label: str) -> None:
        selector = f"--selector={label}=true"
        timeout = f"--timeout={self._wanted.start_timeout_s:.0f}s"
        for event in ("create", "condition=Ready"):
            handle.kubectl("wait", f"--for={event}", "node", selector, timeout)

    def _kwok(self, cluster: providers.Cluster) -> Callable[[], process.Program]:
        kubeconfig = cluster.kwok_kubeconfig or cluster.kubeconfig
        return lambda: fakenodes.kwok(
            self.binaries, self.files, kubeconfig, self.ports.port("kwok")
        )

    def _testbed(self, cluster: providers.Cluster, mimir_url: str | None) -> bed.Testbed:
        address = self._address(cluster, mimir_url)
        running = bed.Testbed(self.files, address, self._processes, self._release)
        for launched in self._processes.values():
            launched.on_launch = running.write_state
        running.write_state()
        return running

    def _address(self, cluster: providers.Cluster, mimir_url: str | None) -> access.Address:
        return access.Address(
            kubeconfig=str(cluster.kubeconfig),
            api_url=cluster.api_url,
            ca_file=str(cluster.ca_file),
            kubectl=str(cluster.kubectl),
            tenant=self._wanted.tenant,
            mimir_url=mimir_url,
            audit_log=str(cluster.audit_log) if cluster.audit_log else None,
            containerd=self._cell.containerd if self._cell else None,
            can_sign=cluster.can_sign,
        )

    def _release(self) -> None:
        if self._pods:
            self._pods.stop()
        self._source.take_down()
        if self._cell:
            self._cell.remove()
        self.ports.release()
        self._has_folder.close()
