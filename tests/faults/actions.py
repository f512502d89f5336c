"""What can be done to a request on its way: answers delayed, lost, halved, invented, told twice.

Reads: a `Call`. Gives: `Action`s and the `Rule`s that say which requests they hit. Never: a server;
`front` is that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web


class CutError(Exception):
    """The connection is to be broken now, with a TCP reset."""


@dataclass(frozen=True)
class Answered:
    """What is sent back.

    Attributes:
        repeat: how often the body is sent.
        cut_at: bytes after which the connection ends, short of the announced length.
        drip_s: pause after every few bytes, seconds.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    repeat: int = 1
    cut_at: int | None = None
    drip_s: float = 0.0


class Action:
    """What a rule does to a request it matches; the base does nothing."""

    async def before(self, call: "Call") -> Answered | None:
        """Called before the request is forwarded; an answer keeps it from being forwarded."""
        return None

    async def after(self, call: "Call", answered: Answered) -> Answered:
        """Called with the backend's answer."""
        return answered


@dataclass(eq=False, kw_only=True)
class Rule:
    """Which requests, how often, and what is done to them.

    Attributes:
        first: the first matching request that is hit, counted from 1.
        times: how many are hit; None for all.
        hits: how many were.
        gone: set when the rule is taken back; what it holds back goes on then.
    """

    do: Action
    first: int = 1
    times: int | None = None
    matched: int = 0
    hits: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def matches(self, asked: Any) -> bool:
        """Whether a request is one of this rule's."""
        return True

    def is_due(self) -> bool:
        """Counts one match; true if this one is hit."""
        self.matched += 1
        due = self.matched >= self.first and (self.times is None or self.hits < self.times)
        self.hits += due
        return due


@dataclass(frozen=True)
class Call:
    """One request on its way.

    Attributes:
        asked: what it is about.
        again: asks the backend once more.
        rule: the one that acts on it.
    """

    request: web.Request
    asked: Any
    body: bytes
    again: Callable[[], Awaitable[Answered]]
    rule: Rule | None = None


@dataclass(frozen=True)
class Delay(Action):
    """Forwards later."""

    seconds: float

    async def before(self, call: Call) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Silence(Action):
    """Accepts the request and says nothing; resets the connection when the rule goes."""

    async def before(self, call: Call) -> None:
        assert call.rule is not None
        await call.rule.gone.wait()
        raise CutError


@dataclass(frozen=True)
class Reset(Action):
    """Breaks the connection instead of forwarding."""

    async def before(self, call: Call) -> None:
        raise CutError


@dataclass(frozen=True)
class Say(Action):
    """Answers in the backend's place."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    repeat: int = 1
    drip_s: float = 0.0

    async def before(self, call: Call) -> Answered:
        return Answered(self.status, self.body, self.headers, self.repeat, drip_s=self.drip_s)


@dataclass(frozen=True)
class Half(Action):
    """Forwards, sends half of the answer and hangs up."""

    async def after(self, call: Call, answered: Answered) -> Answered:
        return replace(answered, cut_at=len(answered.body) // 2)


@dataclass(frozen=True)
class LoseAnswer(Action):
    """Forwards: the backend does what it was asked, and the client never hears of it."""

    async def after(self, call: Call, answered: Answered) -> Answered:
        raise CutError


@dataclass(frozen=True)
class Lie(Action):
    """Forwards: the backend does what it was asked, and the client is told something else."""

    said: Say

    async def after(self, call: Call, answered: Answered) -> Answered:
        return await self.said.before(call)


@dataclass(frozen=True)
class Twice(Action):
    """Forwards twice; the client hears of the second time only."""

    async def after(self, call: Call, answered: Answered) -> Answered:
        return await call.again()


@dataclass(frozen=True)
class Before(Action):
    """Calls back (in a worker thread) and then breaks the connection: nothing is forwarded."""

    callback: Callable[[], object]

    async def before(self, call: Call) -> None:
        await asyncio.shield(asyncio.to_thread(self.callback))
        raise CutError


@dataclass(frozen=True)
class After(Action):
    """Forwards, calls back once the backend has answered, and then breaks the connection."""

    callback: Callable[[], object]

    async def after(self, call: Call, answered: Answered) -> Answered:
        await asyncio.shield(asyncio.to_thread(self.callback))
        raise CutError
