"""What each of the three programs shows over HTTP: /metrics, and at /ready whether it is ready.

Reads: the process's Prometheus registry, a readiness question. Gives: a server in the loop that
does the work, so that a program which is stuck does not look well. Never: keeps a connection.
"""

import argparse
import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import prometheus_client

_PATIENCE_S = 5.0
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


@contextlib.asynccontextmanager
async def served(options: argparse.Namespace, is_ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Serves /metrics and /ready while the block runs."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError, ValueError):
            async with asyncio.timeout(_PATIENCE_S):
                request = await reader.readline()
                while (await reader.readline()).strip():
                    """The headers say nothing that matters here."""
                writer.write(_page(request, is_ready))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, options.metrics_host, options.metrics_port)
    logging.info("metrics at %s:%d", *server.sockets[0].getsockname()[:2])
    try:
        yield
    finally:
        server.close()


def _page(request: bytes, is_ready: Callable[[], bool]) -> bytes:
    match request.split(b" ")[:2]:
        case [b"GET", b"/metrics"]:
            return _answer("200 OK", prometheus_client.generate_latest())
        case [b"GET", b"/ready"] if is_ready():
            return _answer("200 OK", b"ready\n")
        case [b"GET", b"/ready"]:
            return _answer("503 Service Unavailable", b"not ready\n")
    return _answer("404 Not Found", b"ask for /metrics or /ready\n")


def _answer(status: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {prometheus_client.CONTENT_TYPE_LATEST}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
