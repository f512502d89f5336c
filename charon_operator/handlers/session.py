"""The HTTP session Kopf watches through: our login, and the end of every list made known.

Reads: `clients.kube_access.Access`; answers to Kopf's requests. Gives: sessions and the login
handler that hands them out. Never: a login that fails (a missing file is waited for: a handler that
raises would silence Kopf for a minute).

Kopf marks the end of a list inside itself only (`Bookmark.LISTED`), and after it lists again, in a
new life or because a watch had expired, nothing tells its handlers what has vanished. The answers
to its lists pass through here: their objects go to the snapshot at once, page by page, what a whole
list did not name is dropped, and Kopf is handed an empty page, which also spares it one task and
one record an object.
"""

import asyncio
import json
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import kopf
from aiohttp.connector import Connection

from charon_operator.clients import kube_access
from charon_operator.handlers import watched
from charon_operator.loop.store import Kind, Scope, Store
from charon_operator.model.workload import Key

_log = logging.getLogger(__name__)

# Decoded, small fields take eight times their bytes, and a pod of 512 MiB must outlive that. A page
# of 20 of the largest objects that etcd takes (1.5 MiB) is within.
_MAX_LIST_BYTES = 40 * 2**20
# Whichever informer asked: two pages decoded at once would be too much.
_ONE_AT_A_TIME = threading.Lock()
_FIRST_PAUSE_S = 1.0
_LAST_PAUSE_S = 15.0
_CALM_S = 60.0


class Lists:
    """Puts lists into a store; one for each life of the informer.

    Args:
        store: where the objects go.
        prefix: of every path, when the API server stands behind one.
    """

    def __init__(self, store: Store, prefix: str = "") -> None:
        self._store = store
        self._prefix = prefix.rstrip("/")
        self._keys: dict[Scope, set[Key]] = {}
        self._paths = {scope_path(kind): kind for kind in watched.RESOURCES}

    def scope(self, path: str) -> Scope | None:
        """The kind and namespace that a path lists, or None."""
        path = path.removeprefix(self._prefix)
        inside = re.search(r"/namespaces/([^/]+)(?=/[^/]+$)", path)
        kind = self._paths.get(path.replace(inside.group(0), "") if inside else path)
        return (kind, inside.group(1) if inside else "") if kind else None

    def heard(self, scope: Scope) -> None:
        """A watch was granted; Kopf opens one anew whenever it is silent for long."""
        self._store.heard(scope[0])

    def take(self, scope: Scope, page: Mapping[str, Any], *, first: bool) -> None:
        """Store one page; the last one says what there is no more."""
        kind, namespace = scope
        keys = self._store.listed(kind, page.get("items") or [])
        self._keys[scope] = keys if first else self._keys.get(scope, set()) | keys
        if not (page.get("metadata") or {}).get("continue"):
            self._store.relisted(kind, self._keys.pop(scope), namespace)


def scope_path(kind: Kind) -> str:
    """The path that lists a kind in the whole cluster."""
    return f"{watched.RESOURCES[kind].root}/{kind}"


def response_class(lists: Lists) -> type[aiohttp.ClientResponse]:
    """A response whose JSON, when it is a list of a watched kind, goes to the snapshot."""

    class Listening(aiohttp.ClientResponse):
        async def start(self, connection: Connection) -> aiohttp.ClientResponse:
            await super().start(connection)
            scope = lists.scope(self.url.path) if self.ok and "watch" in self.url.query else None
            if scope is not None:
                lists.heard(scope)
            return self

        async def json(
            self,
            *,
            encoding: str | None = None,
            loads: Callable[[str], Any] = json.loads,
            content_type: str | None = "application/json",
        ) -> Any:
            scope = lists.scope(self.url.path) if self.ok else None
            if scope is None:
                return await super().json(encoding=encoding, loads=loads, content_type=content_type)
            raw = await _bounded(self)
            with _ONE_AT_A_TIME:
                page = _page(raw)
                lists.take(scope, page, first="continue" not in self.url.query)
            return {**page, "items": []}

    return Listening


async def _bounded(response: aiohttp.ClientResponse) -> bytearray:
    held = bytearray()
    async for chunk in response.content.iter_any():
        held += chunk
        if len(held) > _MAX_LIST_BYTES:
            response.close()
            raise aiohttp.ClientPayloadError("a list is too long")
    return held


def _page(raw: bytearray) -> Mapping[str, Any]:
    # What Kopf takes for a broken connection makes it list again, a second later.
    try:
        page = json.loads(raw)
    except (ValueError, RecursionError):
        page = None
    if not isinstance(page, dict) or not isinstance(page.get("items"), list):
        raise aiohttp.ClientPayloadError("the answer to a list is none")
    return page


class Login:
    """Kopf's login handler.

    Args:
        access: where and as whom.
        lists: sees the lists that pass.
    """

    def __init__(self, access: kube_access.Access, lists: Lists) -> None:
        self._access = access
        self._response_class = response_class(lists)
        self._sessions: list[aiohttp.ClientSession] = []
        self._logged_in_at_s = -math.inf
        self._pause_s = 0.0

    async def log_in(self, **_: Any) -> kopf.AiohttpSession:
        """Make a session; waits and tries again while the files for it cannot be read.

        Kopf comes here again after every 401: soon after the last login only with a growing pause,
        so that a refused token is not tried in a tight loop.
        """
        now_s = time.monotonic()
        calm = now_s - self._logged_in_at_s > _CALM_S
        self._pause_s = 0.0 if calm else min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LAST_PAUSE_S)
        await asyncio.sleep(self._pause_s)
        session = await self._session()
        self._logged_in_at_s = time.monotonic()
        self._sessions = [known for known in self._sessions if not known.closed] + [session]
        return kopf.AiohttpSession(server=self._access.server, aiohttp_session=session)

    async def close(self) -> None:
        """Close what Kopf has left open."""
        for session in self._sessions:
            await session.close()

    async def _session(self) -> aiohttp.ClientSession:
        while True:
            try:
                await self._access.authorization()
                return self._access.session(response_class=self._response_class)
            except (OSError, ValueError) as error:
                _log.warning("Cannot log in to the API server yet: %s", error)
                await asyncio.sleep(_FIRST_PAUSE_S)
