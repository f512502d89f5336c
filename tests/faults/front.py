"""A server that stands before another one and breaks things by rule.

Reads: requests of one client. Gives: the backend's answers, or what a rule makes of them. Never: a
fault nobody asked for; without rules it only forwards.

It runs in a thread with an event loop of its own, so that a test can be plain synchronous code.
`apifault` and `metricfault` say what a request is about and which rules there are.
"""

import asyncio
import contextlib
import gc
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import aiohttp
import yarl
from aiohttp import web

from charon_operator.testbed import sockets
from tests.faults import actions

_START_TIMEOUT_S = 10.0
_HANG_UP_S = 0.25
_DRIP_BYTES = 16
# What belongs to one connection and not to the message.
_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host"}
_STRIPPED = _HOP | {"accept-encoding", "content-length"}


class Front:
    """The server.

    Args:
        upstream: the backend's address, without a path.
        tls: certificate and key to serve with; None for plain HTTP.
        trust: what to trust the backend's certificate by.
    """

    def __init__(
        self,
        upstream: str,
        *,
        tls: tuple[Any, Any] | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.upstream = upstream.rstrip("/")
        self.port = 0
        self._ports = sockets.Reservation()
        self._tls = tls
        self._trust = trust
        self._rules: list[actions.Rule] = []
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        # Not one of the kernel's choice: while nothing listens, a connection could take it.
        self.port = self._ports.port(type(self).__name__)
        self._thread.start()
        self._ready.wait(_START_TIMEOUT_S)
        if self._failure:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_TIMEOUT_S)
        self._ports.release()

    def add(self, *rules: actions.Rule) -> None:
        """Rules apply in the order in which they were added."""
        self._rules = [*self._rules, *rules]

    def remove(self, *rules: actions.Rule) -> None:
        """Takes rules back; what they hold goes on."""
        self._rules = [rule for rule in self._rules if rule not in rules]
        for rule in rules:
            self._loop.call_soon_threadsafe(rule.gone.set)

    @contextlib.contextmanager
    def broken(self, *rules: actions.Rule) -> Iterator[actions.Rule]:
        """Rules that hold for a while; gives the first."""
        self.add(*rules)
        try:
            yield rules[0]
        finally:
            self.remove(*rules)

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Nothing listens for a while, and connections there were are cut."""
        self._ask(self._stop_listening())
        try:
            yield
        finally:
            self._ask(self._listen())

    def _ask(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_TIMEOUT_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()
            _forget_strays()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connector = aiohttp.TCPConnector(ssl=self._trust or False, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as self._session:
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{path:.*}", self._handle)
            self._runner = web.AppRunner(
                app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
            )
            await self._runner.setup()
            await self._listen()
            self._ready.set()
            await self._stop.wait()
            for rule in self._rules:
                rule.gone.set()
            await self._stop_listening()
            await self._runner.cleanup()
        # TLS connections to the backend are closed in a conversation whose end nobody tells.
        await asyncio.sleep(_HANG_UP_S)

    async def _listen(self) -> None:
        context = None
        if self._tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self._tls)
        self._site = web.TCPSite(
            self._runner, sockets.LOOPBACK, self.port, ssl_context=context, reuse_address=True
        )
        await self._site.start()

    async def _stop_listening(self) -> None:
        await self._site.stop()
        assert self._runner.server is not None
        for connection in self._runner.server.connections:
            _reset(connection.transport)

    def _about(self, request: web.Request, body: bytes) -> Any:
        """What a request is about: what rules match against."""
        return request.path

    def _note(self, call: actions.Call, status: int) -> None:
        """Called with every answer sent."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await request.read()
            call = actions.Call(
                request, self._about(request, body), body, lambda: self._forward(request, body)
            )
            due = [rule for rule in self._rules if rule.matches(call.asked) and rule.is_due()]
            return await self._serve_call(call, due)
        except (actions.CutError, aiohttp.ClientError):
            # A backend that is away looks to the client as what it is: a broken connection.
            _reset(request.transport)
            return web.Response(status=500)

    async def _serve_call(self, call: actions.Call, due: list[actions.Rule]) -> web.StreamResponse:
        for rule in due:
            answered = await rule.do.before(replace(call, rule=rule))
            if answered is not None:
                break
        else:
            answered = await call.again()
            for rule in due:
                answered = await rule.do.after(replace(call, rule=rule), answered)
        self._note(call, answered.status)
        return await _send(call.request, answered)

    async def _forward(self, request: web.Request, body: bytes) -> actions.Answered:
        async with self._ask_backend(request, body) as response:
            kept = _kept(response.headers, _HOP)
            return actions.Answered(response.status, await response.read(), kept)

    @contextlib.asynccontextmanager
    async def _ask_backend(
        self, request: web.Request, body: bytes
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._session.request(
            request.method,
            yarl.URL(self.upstream + request.raw_path, encoded=True),
            headers=_kept(request.headers, _STRIPPED),
            data=body or None,
            allow_redirects=False,
        ) as response:
            yield response


def _kept(headers: Mapping[str, str], without: set[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in without}


async def _send(request: web.Request, answered: actions.Answered) -> web.StreamResponse:
    kept = _kept(answered.headers, _HOP | {"content-length"})
    response = web.StreamResponse(status=answered.status, headers=kept)
    response.content_length = len(answered.body) * answered.repeat
    await response.prepare(request)
    if request.method == "HEAD" or not answered.body:
        return response
    if answered.drip_s:
        for start in range(0, len(answered.body), _DRIP_BYTES):
            await response.write(answered.body[start : start + _DRIP_BYTES])
            await asyncio.sleep(answered.drip_s)
        return response
    for _ in range(answered.repeat):
        await response.write(answered.body[: answered.cut_at])
    if answered.cut_at is not None and request.transport:
        request.transport.close()
    return response


def _forget_strays() -> None:
    """Lets go of connections that came while the server closed.

    Python 3.11 tells nobody of them, and their warning would fail whatever test runs by then.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _reset(transport: asyncio.BaseTransport | None) -> None:
    if transport is None:
        return
    plain = transport.get_extra_info("socket")
    if plain is not None:
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert isinstance(transport, asyncio.Transport)
    transport.abort()
