"""An API server that answers as a test says: the real one cannot be made to answer like this."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

# What every request carries, and nothing that is said may hold.
TOKEN = "canary-token"


class Fake:
    """Answers every request with `say`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.say: Callable[[web.Request], Awaitable[web.StreamResponse]] = self.fine

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.say(request)

    async def fine(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"metadata": {"resourceVersion": "7", "uid": "u"}})

    def always(self, status: int, body: Any = None, **headers: str) -> None:
        async def say(_: web.Request) -> web.StreamResponse:
            text = body if isinstance(body, str) else json.dumps(body or {"message": "because"})
            return web.Response(status=status, text=text, headers=headers)

        self.say = say
