"""The operator put together: clients, informer, Lease, fleet, health; started and ended in order.

Reads: the configuration. Gives: a running operator until a signal. Never: a decision.

    up:   health -> informer -> Lease -> fleet          (a standby is alive from the start)
    down: fleet (writes under way end) -> Lease given back -> informer -> health
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from charon_operator import __version__, ports, settings
from charon_operator.clients import dryrun, health, kube
from charon_operator.clients.mimir import MimirClient
from charon_operator.handlers import watched
from charon_operator.handlers.supervisor import InformerThread
from charon_operator.loop.fleet import Fleet
from charon_operator.loop.leader import Leader
from charon_operator.loop.snapshot import Snapshot
from charon_operator.names import Metric
from charon_operator.observe.gather import Gatherer
from charon_operator.record import journal_file

_log = logging.getLogger(__name__)

# A Lease runs out while a machine sleeps, and plain monotonic time stands still.
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_INFORMER_END_S = 5.0
_RELEASE_S = 3.0


class SystemClock:
    """The machine's clock."""

    def wall_s(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds since some moment; the time a machine was suspended counts."""
        return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the configuration."""

    kubeconfig: Path | None = None
    context: str | None = None
    dry_run: bool = False


async def serve(configured: settings.Settings, options: Options) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: it cannot start; the text says why.
    """
    stop = asyncio.Event()
    with _signals(stop):
        identity = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        client = await kube.connect(
            options.kubeconfig,
            options.context,
            instance=identity,
            resize_gpu_pods=configured.safety.resize_gpu_pods,
        )
        async with client, MimirClient(configured.mimir) as source:
            operator = _Operator(configured, options, client, source, identity)
            await operator.run(stop)
    _log.info("Ended")


class _Operator:
    """One life of the operator."""

    def __init__(
        self,
        configured: settings.Settings,
        options: Options,
        client: kube.KubeClient,
        source: MimirClient,
        identity: str,
    ) -> None:
        self._configured = configured
        clock = SystemClock()
        self._clock = clock
        self._snapshot = Snapshot(clock, places=configured.placement.enabled)
        self._informer = InformerThread(
            self._snapshot, client.access, namespaces=configured.watch_namespaces
        )
        self._informers = [self._informer]
        if configured.placement.enabled:
            # One of its own, for the whole cluster: what it lacks is in nobody else's way.
            floor = self._snapshot.floor
            self._informers.append(InformerThread(floor, client.access, kinds=watched.FLOOR))
        self._leader = _leader(configured, options, client, clock, identity)
        client.fence = lambda: self._leader.remaining_s
        cluster: ports.Cluster = dryrun.DryRunCluster(client) if options.dry_run else client
        self._journal = _journal(configured.journal)
        self._fleet = Fleet(
            self._snapshot,
            Gatherer(source, configured.mimir),
            cluster,
            self._journal,
            clock,
            leader=self._leader,
            configured=configured,
        )
        self._publish()

    def _publish(self) -> None:
        metrics = self._fleet.metrics
        metrics.total(
            Metric.INFORMER_RESTARTS,
            "Lives of the informer that ended without being asked to.",
            lambda: sum(informer.restarts for informer in self._informers),
        )
        metrics.gauge(
            Metric.INFORMER_PROBLEMS,
            "APIs, rights and answers that the informer lacks; its log names them.",
            lambda: sum(len(informer.problems) for informer in self._informers),
        )
        metrics.gauges(
            Metric.INFORMER_SILENT,
            "Since a kind was last heard of: a list, a watch granted (every 10 min) or an event.",
            "kind",
            lambda: {**self._snapshot.silent_s(), **self._snapshot.floor.silent_s()}.items(),
        )
        metrics.gauges(
            Metric.DEVICES_FREE,
            "Devices that no pod asks for, on nodes that take pods; none while placement is off.",
            "resource",
            lambda: self._snapshot.floor.free_devices().items(),
        )
        metrics.total(
            Metric.JOURNAL_ROWS_LOST,
            "Rows of the journal that could not be kept.",
            lambda: self._journal.lost,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Up, until `stop` is set, and down."""
        pulse = health.Pulse(
            silent_s=lambda: self._clock.monotonic_s() - self._fleet.heartbeat_s,
            unready=lambda: unready(self._snapshot, self._informer),
            metrics=self._fleet.metrics.text,
        )
        async with health.HealthServer(self._configured.health, pulse) as server:
            _log.info("charon %s; health and metrics on port %d", __version__, server.port)
            with self._recording():
                for informer in self._informers:
                    informer.start()
                leading = asyncio.create_task(self._leader.run())
                try:
                    await self._fleet.run(stop)
                finally:
                    await self._down(leading)

    async def _down(self, leading: asyncio.Task[None]) -> None:
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_S):
                await self._leader.release()
        ends = [asyncio.to_thread(one.stop, _INFORMER_END_S) for one in self._informers]
        if not all(await asyncio.gather(*ends)):
            _log.warning("The informer did not end in time; it ends with the process")

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        if isinstance(self._journal, journal_file.NoJournal):
            yield
            return
        with self._journal:
            yield


def unready(snapshot: Snapshot, informer: InformerThread) -> Sequence[str]:
    """Why no app is controlled by what is there now, a sentence each; none: it is ready."""
    if not informer.alive:
        return ("the informer has ended: nothing is watched",)
    if snapshot.synced:
        return informer.blocking
    return informer.problems or ("not every watched kind has been listed yet",)


def _leader(
    configured: settings.Settings,
    options: Options,
    client: kube.KubeClient,
    clock: ports.Clock,
    identity: str,
) -> Leader:
    limits = configured.lease
    if options.dry_run:
        # A dry run writes nothing, so it must not take the Lease from one that does.
        limits = limits.model_copy(update={"enabled": False})
    lease = client.lease(limits.namespace, limits.name)
    return Leader(lease, limits, clock, identity)


def _journal(kept: settings.JournalFile) -> journal_file.FileJournal | journal_file.NoJournal:
    if kept.path is None:
        return journal_file.NoJournal()
    return journal_file.FileJournal(kept, kept.path)


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """The first SIGTERM or SIGINT ends in order, the second at once."""
    loop, asked = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)

    def end(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        _log.info("%s: writes under way are completed, then it ends", signal.strsignal(number))
        stop.set()

    for number in asked:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number in asked:
            loop.remove_signal_handler(number)
