"""Three paths over real HTTP: alive by the heartbeat, ready by the informer, metrics."""

import socket

import aiohttp
import pytest

from charon_operator import settings
from charon_operator.clients import health
from charon_operator.errors import ConfigurationError

LOOPBACK = settings.Health(host="127.0.0.1", port=0, heartbeat_timeout_seconds=60)


class State:
    """What a test says of the operator."""

    silent_s = 0.0
    unready: tuple[str, ...] = ()

    def pulse(self) -> health.Pulse:
        return health.Pulse(lambda: self.silent_s, lambda: self.unready, lambda: b"charon_up 1\n")


async def get(server: health.HealthServer, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{server.port}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_health_when_the_heart_beats_then_200_and_when_it_stops_then_503() -> None:
    state = State()
    async with health.HealthServer(LOOPBACK, state.pulse()) as server:
        assert (await get(server, "/healthz"))[0] == 200
        state.silent_s = 61.0
        assert await get(server, "/healthz") == (503, "the loop has been silent for 61 s\n")


async def test_readiness_when_not_synced_then_says_what_is_missing() -> None:
    state = State()
    async with health.HealthServer(LOOPBACK, state.pulse()) as server:
        assert (await get(server, "/readyz"))[0] == 200
        state.unready = ("the CRDs are not installed",)
        assert await get(server, "/readyz") == (503, "the CRDs are not installed\n")


async def test_metrics_when_scraped_then_are_text() -> None:
    async with health.HealthServer(LOOPBACK, State().pulse()) as server:
        assert await get(server, "/metrics") == (200, "charon_up 1\n")


@pytest.mark.parametrize("path", ["/", "/debug/pprof", "/metrics/x", "/healthz/../etc/passwd"])
async def test_other_paths_when_asked_then_are_not_there(path: str) -> None:
    async with health.HealthServer(LOOPBACK, State().pulse()) as server:
        assert (await get(server, path))[0] == 404


async def test_port_when_taken_then_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = LOOPBACK.model_copy(update={"port": port})
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}.*--health-port"):
            async with health.HealthServer(busy, State().pulse()):
                pass
