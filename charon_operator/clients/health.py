"""Health, readiness and metrics over HTTP: three paths, no more.

Reads: callables that say how it stands. Gives: `/healthz` (the loop's heartbeat), `/readyz` (the
informer has listed everything and lacks nothing required; a standby is ready too), `/metrics`.
Never: a secret, a debug page, or a scrape that holds up the loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from charon_operator import settings
from charon_operator.errors import ConfigurationError

_MAX_BYTES: Final = 4096
_KEEP_ALIVE_S: Final = 15.0
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the server asks.

    Attributes:
        silent_s: seconds since the loop last came round.
        unready: why the operator is not ready, a sentence each; none: it is.
        metrics: the exposition, made in a thread.
    """

    silent_s: Callable[[], float]
    unready: Callable[[], Sequence[str]]
    metrics: Callable[[], bytes]


class HealthServer:
    """Listens while it is entered.

    Attributes:
        port: where it listens; the configured one, or the one found for 0.
    """

    def __init__(self, health: settings.Health, pulse: Pulse) -> None:
        self._health = health
        self._pulse = pulse
        self._scraping = asyncio.Lock()
        self._runner = self._make()
        self.port = health.port

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._health.host, self._health.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            place = f"{self._health.host}:{self._health.port}"
            raise ConfigurationError(
                f"health: cannot listen on {place} ({error.strerror}); choose another --health-port"
            ) from None
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def _make(self) -> web.AppRunner:
        app = web.Application(client_max_size=_MAX_BYTES)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        return web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            keepalive_timeout=_KEEP_ALIVE_S,
            max_line_size=_MAX_BYTES,
            max_field_size=_MAX_BYTES,
        )

    async def _healthz(self, _: web.Request) -> web.Response:
        silent_s = self._pulse.silent_s()
        if silent_s <= self._health.heartbeat_timeout_seconds:
            return web.Response(text="ok\n")
        return web.Response(status=503, text=f"the loop has been silent for {silent_s:.0f} s\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons = self._pulse.unready()
        if not reasons:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="\n".join(reasons) + "\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        # One at a time: several scrapers must not cost a thread each.
        async with self._scraping:
            body = await asyncio.to_thread(self._pulse.metrics)
        return web.Response(body=body, headers={"Content-Type": _METRICS_TYPE})
