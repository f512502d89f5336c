"""Raw calls to the API server: bounded in time and size, and never an exception for an answer.

Reads: `Access`. Gives: `Wire.send` -> `Answer`. Never: follows a redirect, retries a write, or
trusts an answer that is not JSON.

Models are not built: a call through the package's typed methods costs five times as much.
"""

import asyncio
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from charon_operator.clients import kube_access
from charon_operator.ports import WriteOutcome, WriteResult

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
# Answers a write with the object's metadata alone: nothing else of it is read.
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

_DETAIL_CHARS = 256
_LONGEST_PAUSE_S = 120.0
_PAUSE_UNSAID_S = 1.0
_LOOK_AT_FILES_S = 5.0
_NO_ANSWER = 0
_THROTTLED = 429


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        lane: calls of one lane wait together when the server asks for a pause; the Lease has its
            own, as it has a priority level of its own in the API server.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    content_type: str = JSON
    accept: str = JSON
    query: Mapping[str, str] = field(default_factory=dict)
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP, or 0 when there was no answer.
        detail: a short text when it is no success.
        foreign: the body is no JSON object: a proxy's words, half an answer, or the API server's
            plain text for a path it does not know.
    """

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""
    foreign: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and not self.foreign

    def says(self, status: int) -> bool:
        """Whether the API server itself answers with that status."""
        return self.status == status and not self.foreign

    @property
    def outcome(self) -> WriteOutcome:
        """What became of it, if it was a write."""
        match self.status:
            case _ if self.foreign:
                return WriteOutcome.UNREACHABLE
            case status if 200 <= status < 300:
                return WriteOutcome.WRITTEN
            case 404:
                return WriteOutcome.GONE
            case 409:
                return WriteOutcome.CONFLICT
            case status if 400 <= status < 500 and status not in (408, _THROTTLED):
                return WriteOutcome.REFUSED
        return WriteOutcome.UNREACHABLE

    @property
    def result(self) -> WriteResult:
        """The same as a WriteResult."""
        meta = self.body.get("metadata")
        version = meta.get("resourceVersion", "") if isinstance(meta, Mapping) and self.ok else ""
        return WriteResult(self.outcome, str(version), self.detail)


class Wire:
    """Sends calls of one event loop.

    Args:
        access: where and as whom.
        max_body_bytes: an answer longer than this is none.
    """

    def __init__(self, access: kube_access.Access, max_body_bytes: int) -> None:
        self._access = access
        self._max_body_bytes = max_body_bytes
        self._session: aiohttp.ClientSession | None = None
        self._built_from: tuple[tuple[int, ...], ...] = ()
        self._looked_at_s = -math.inf
        self._paused_until_s: dict[str, float] = {}

    async def send(self, call: Call, timeout_s: float) -> Answer:
        """Send one call; waiting for a pause the server asked for counts against its time."""
        if timeout_s <= 0:
            return Answer(_NO_ANSWER, detail="no time left")
        pause_s = self._paused_until_s.get(call.lane, 0.0) - time.monotonic()
        if pause_s >= timeout_s:
            return Answer(_THROTTLED, detail=f"the API server asked to wait {pause_s:.0f} s more")
        try:
            async with asyncio.timeout(timeout_s):
                if pause_s > 0:
                    await asyncio.sleep(pause_s)
                return await self._exchange(call)
        except TimeoutError:
            return Answer(_NO_ANSWER, detail=f"no answer within {timeout_s:.1f} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: a token or an address no header or URL can be made of.
            return Answer(_NO_ANSWER, detail=_short(f"{type(error).__name__}: {error}"))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, call: Call) -> Answer:
        session = await self._current_session()
        headers = {"Accept": call.accept}
        data = None
        if call.body is not None:
            headers["Content-Type"] = call.content_type
            data = json.dumps(call.body, separators=(",", ":")).encode()
        async with session.request(
            call.method,
            self._access.server + call.path,
            params=call.query,
            data=data,
            headers=headers,
            allow_redirects=False,
        ) as response:
            self._heed(call.lane, response)
            return _answer(response.status, await self._read(response))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._max_body_bytes:
                response.close()
                return None
            chunks.append(chunk)
        return b"".join(chunks)

    async def _current_session(self) -> aiohttp.ClientSession:
        now_s = time.monotonic()
        if self._session is None or now_s - self._looked_at_s >= _LOOK_AT_FILES_S:
            self._looked_at_s = now_s
            files = self._access.fingerprint()
            if self._session is None or files != self._built_from:
                old, self._session = self._session, self._access.session()
                self._built_from = files
                if old is not None:
                    await old.close()
        return self._session

    def _heed(self, lane: str, response: aiohttp.ClientResponse) -> None:
        asked = response.headers.get("Retry-After")
        if response.status != _THROTTLED and not (response.status >= 500 and asked):
            return
        known = asked is not None and asked.isdigit()
        pause_s = min(float(asked or 0), _LONGEST_PAUSE_S) if known else _PAUSE_UNSAID_S
        until_s = time.monotonic() + pause_s
        self._paused_until_s[lane] = max(until_s, self._paused_until_s.get(lane, 0.0))


def _answer(status: int, raw: bytes | None) -> Answer:
    if raw is None:
        return Answer(_NO_ANSWER, detail="the answer is too long")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return Answer(status, detail="the answer is not the API server's", foreign=True)
    return Answer(status, body, "" if status < 300 else _short(str(body.get("message", ""))))


def _short(text: str) -> str:
    return text if len(text) <= _DETAIL_CHARS else text[: _DETAIL_CHARS - 1] + "…"
