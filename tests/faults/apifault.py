"""Breaks things between a client and the API server, request by request and event by event.

Reads: Kubernetes API requests. Gives: the API server's answers, or the faults its rules ask for.
Never: credentials of its own; the client's bearer token goes through as it is.
"""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import aiohttp
from aiohttp import web

from tests.faults import actions, front
from tests.faults.actions import Answered, Call, CutError

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
_WRITE_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_KEPT = 100_000
WRITES = ("create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True)
class Asked:
    """What a request is about; empty where it does not say. Discovery has no resource."""

    verb: str
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    client: str = ""


@dataclass(frozen=True)
class Seen:
    """A request that was answered, for the trace of a run."""

    time_s: float
    asked: Asked
    status: int


@dataclass(eq=False, kw_only=True)
class Rule(actions.Rule):
    """Which requests; what is left out matches everything.

    Attributes:
        verbs: get, list, watch, create, update, patch, delete, deletecollection.
        subresource: "" for the object itself, None for both.
        client: a name given with `name_client`, or a part of the User-Agent.
    """

    verbs: tuple[str, ...] = ()
    resource: str | None = None
    subresource: str | None = None
    namespace: str | None = None
    name: str | None = None
    client: str | None = None

    def matches(self, asked: Asked) -> bool:
        fields = ("resource", "subresource", "namespace", "name")
        return (
            (not self.verbs or asked.verb in self.verbs)
            and all(getattr(self, f) in (None, getattr(asked, f)) for f in fields)
            and (self.client is None or self.client in asked.client)
        )


def refusal(code: int, retry_after_s: int | None = None) -> actions.Say:
    """An answer as the API server words it: a Status object."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"planted by a fault test: {code}",
        "reason": _REASONS.get(code, "Unknown"),
        "code": code,
    }
    headers = {"Content-Type": "application/json"}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return actions.Say(code, json.dumps(status).encode(), headers)


def error_line(code: int) -> bytes:
    """An ERROR event as a watch carries it."""
    body = json.loads(refusal(code).body)
    return json.dumps({"type": "ERROR", "object": body}).encode() + b"\n"


@dataclass(frozen=True)
class WatchError(actions.Action):
    """Opens the watch and sends an ERROR event as its only line."""

    code: int

    async def before(self, call: Call) -> Answered:
        return Answered(200, error_line(self.code), {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Record(actions.Action):
    """Keeps the last answer of each list, page by page, to be served again by `Stale`."""

    kept: dict[str, Answered] = field(default_factory=dict)

    async def after(self, call: Call, answered: Answered) -> Answered:
        self.kept[call.request.raw_path] = answered
        return answered


@dataclass(frozen=True)
class Stale(actions.Action):
    """Serves a list that `Record` kept: the world as it was then."""

    kept: dict[str, Answered]

    async def before(self, call: Call) -> Answered | None:
        return self.kept.get(call.request.raw_path)


class Edit(StrEnum):
    """What becomes of an event."""

    DROP = "Drop"
    DUPLICATE = "Duplicate"
    HOLD = "Hold"  # until the rule goes, then all at once


@dataclass(frozen=True)
class EditEvents(actions.Action):
    """Changes events of watches; `nth` counts matching events from 1, None for each."""

    how: Edit
    type: str | None = None
    name: str | None = None
    nth: int | None = None
    count: list[int] = field(default_factory=lambda: [0])

    def wants(self, line: bytes) -> bool:
        event = json.loads(line)
        if event["type"] in ("BOOKMARK", "ERROR"):
            return False
        name = event["object"].get("metadata", {}).get("name")
        if self.type not in (None, event["type"]) or self.name not in (None, name):
            return False
        self.count[0] += 1
        return self.nth in (None, self.count[0])


@dataclass(frozen=True)
class Mutate(actions.Action):
    """Changes objects on their way to the client, in answers and in events."""

    change: Callable[[dict[str, Any]], None]

    async def after(self, call: Call, answered: Answered) -> Answered:
        body = json.loads(answered.body)
        for item in body.get("items") or [body]:
            self.change(item)
        return replace(answered, body=json.dumps(body).encode())

    def changed(self, line: bytes) -> bytes:
        event = json.loads(line)
        self.change(event["object"])
        return json.dumps(event).encode() + b"\n"


@dataclass(eq=False)
class Watch:
    """A watch that is open now; None in its queue ends it."""

    asked: Asked
    queue: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    held: list[bytes] = field(default_factory=list)


class ApiFault(front.Front):
    """The proxy. `seen` is the trace of what went through; watches are noted when they open."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.seen: deque[Seen] = deque(maxlen=_KEPT)
        self._clients: dict[str, str] = {}
        self._watches: set[Watch] = set()

    def name_client(self, token: str, name: str) -> None:
        """Lets rules tell clients apart that share a User-Agent."""
        self._clients[f"Bearer {token.strip()}"] = name

    def end_watches(self, resource: str | None = None) -> int:
        """Ends open watches as an idle API server does; gives how many."""
        return self._tell_watches(None, resource)

    def fail_watches(self, code: int, resource: str | None = None) -> int:
        """Sends an ERROR event down open watches and ends them; gives how many."""
        self._tell_watches(error_line(code), resource)
        return self._tell_watches(None, resource)

    def open_watches(self, resource: str | None = None) -> int:
        """How many watches are open now."""
        return sum(resource in (None, watch.asked.resource) for watch in list(self._watches))

    def requests(self, *verbs: str, resource: str | None = None) -> list[Seen]:
        """What was answered, in order."""
        rule = Rule(do=actions.Action(), verbs=verbs, resource=resource)
        return [seen for seen in list(self.seen) if rule.matches(seen.asked)]

    def _tell_watches(self, line: bytes | None, resource: str | None) -> int:
        told = [w for w in list(self._watches) if resource in (None, w.asked.resource)]
        for watch in told:
            self._loop.call_soon_threadsafe(watch.queue.put_nowait, line)
        return len(told)

    def _about(self, request: web.Request, body: bytes) -> Asked:
        authorization = request.headers.get("Authorization", "")
        client = self._clients.get(authorization, request.headers.get("User-Agent", ""))
        return replace(about(request.method, request.path, dict(request.query)), client=client)

    def _note(self, call: Call, status: int) -> None:
        self.seen.append(Seen(time.time(), call.asked, status))

    async def _serve_call(self, call: Call, due: list[actions.Rule]) -> web.StreamResponse:
        if call.asked.verb != "watch":
            return await super()._serve_call(call, due)
        for rule in due:
            answered = await rule.do.before(replace(call, rule=rule))
            if answered is not None:
                self._note(call, answered.status)
                return await front._send(call.request, answered)
        return await self._stream(call)

    async def _stream(self, call: Call) -> web.StreamResponse:
        watch = Watch(call.asked)
        async with self._ask_backend(call.request, call.body) as answer:
            self._note(call, answer.status)
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.content_type}
            )
            await response.prepare(call.request)
            with self._reading(watch, answer):
                await self._pump(watch, response)
        return response

    @contextlib.contextmanager
    def _reading(self, watch: Watch, answer: aiohttp.ClientResponse) -> Iterator[None]:
        reader = asyncio.create_task(_read_into(watch.queue, answer))
        self._watches.add(watch)
        try:
            yield
        finally:
            self._watches.discard(watch)
            reader.cancel()

    async def _pump(self, watch: Watch, response: web.StreamResponse) -> None:
        async with contextlib.AsyncExitStack() as stack:
            tasks: list[asyncio.Task[None]] = []
            stack.callback(lambda: [task.cancel() for task in tasks])
            while (line := await watch.queue.get()) is not None:
                for out in self._edited(watch, line, tasks):
                    await response.write(out)

    def _edited(self, watch: Watch, line: bytes, tasks: list[asyncio.Task[None]]) -> list[bytes]:
        for rule in self._rules:
            edit = rule.do
            if not rule.matches(watch.asked):
                continue
            if isinstance(edit, Mutate):
                line = edit.changed(line)
            elif isinstance(edit, EditEvents) and edit.wants(line):
                return self._replaced(watch, line, rule, tasks)
        return [line]

    def _replaced(
        self, watch: Watch, line: bytes, rule: actions.Rule, tasks: list[asyncio.Task[None]]
    ) -> list[bytes]:
        assert isinstance(rule.do, EditEvents)
        if rule.do.how is Edit.DUPLICATE:
            return [line, line]
        if rule.do.how is Edit.HOLD:
            watch.held.append(line)
            if not tasks:
                tasks.append(asyncio.create_task(_release(watch, rule)))
        return []


async def _release(watch: Watch, rule: actions.Rule) -> None:
    await rule.gone.wait()
    for line in watch.held:
        watch.queue.put_nowait(line)


async def _read_into(queue: asyncio.Queue[bytes | None], answer: aiohttp.ClientResponse) -> None:
    with contextlib.suppress(aiohttp.ClientError, CutError):
        async for line in _lines(answer):
            queue.put_nowait(line)
    queue.put_nowait(None)


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in answer.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def about(method: str, path: str, query: dict[str, str]) -> Asked:
    """What a Kubernetes API path speaks of, as the API server itself would tell it."""
    steps = path.strip("/").split("/")
    if steps[0] == "api":
        steps = steps[2:]
    elif steps[0] == "apis":
        steps = steps[3:]
    else:
        return Asked(method.lower())
    namespace = ""
    if len(steps) > 2 and steps[0] == "namespaces" and steps[2] not in ("status", "finalize"):
        namespace, steps = steps[1], steps[2:]
    resource, name, subresource = (*steps, "", "", "")[:3]
    return Asked(_verb(method, name, query, resource), resource, subresource, namespace, name)


def _verb(method: str, name: str, query: dict[str, str], resource: str) -> str:
    if method in ("GET", "HEAD"):
        if query.get("watch") in ("1", "true"):
            return "watch"
        return "get" if name or not resource else "list"
    verb = _WRITE_VERBS.get(method, method.lower())
    return "deletecollection" if verb == "delete" and not name else verb
