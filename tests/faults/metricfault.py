"""Breaks things between a client and Mimir: what it says, how late, and whether at all.

Reads: Prometheus API requests. Gives: Mimir's answers, or what its rules make of them. Never: lets
a query without a tenant pass unseen (`bare` counts them).
"""

import gzip
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from tests.faults import actions, front
from tests.faults.actions import Answered, Call

_JSON = {"Content-Type": "application/json"}
_KEPT = 100_000
Document = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a request is about.

    Attributes:
        expression: the PromQL asked, empty for anything but a query.
        time: as of when it is asked: all queries of one turn have one time.
        tenant: of X-Scope-OrgID; None when the header is not there.
        authorized: whether credentials came with it.
    """

    path: str
    expression: str
    tenant: str | None
    time: str = ""
    authorized: bool = False


@dataclass(frozen=True)
class Seen:
    """A request that was answered."""

    time_s: float
    asked: Asked
    status: int


@dataclass(eq=False, kw_only=True)
class Rule(actions.Rule):
    """Which queries; what is left out matches everything.

    Attributes:
        contains: a part of the expression.
    """

    contains: str | None = None
    tenant: str | None = None

    def matches(self, asked: Asked) -> bool:
        return (self.contains is None or self.contains in asked.expression) and (
            self.tenant in (None, asked.tenant)
        )


@dataclass(frozen=True)
class Rewrite(actions.Action):
    """Changes Mimir's own answer: its labels, so its way back to the asker, stay as they are."""

    change: Callable[[Document], Any]

    async def after(self, call: Call, answered: Answered) -> Answered:
        if answered.status != 200:
            return answered
        changed = self.change(json.loads(answered.body))
        body = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        return replace(answered, body=body)


def refusal(
    code: int, kind: str = "bad_data", text: str = "planted by a fault test"
) -> actions.Say:
    """An answer with an error code, as the Prometheus API words it."""
    document = {"status": "error", "errorType": kind, "error": text}
    return actions.Say(code, json.dumps(document).encode(), _JSON)


def redirect(to: str, code: int = 307) -> actions.Say:
    """Sends the client elsewhere."""
    return actions.Say(code, b"", {"Location": to})


def huge(megabytes: int) -> actions.Say:
    """A body that is JSON only at its very end, which nobody should wait for."""
    return actions.Say(200, b" " * 2**20, _JSON, repeat=megabytes)


def gzip_bomb(megabytes: int) -> actions.Say:
    """A small body that unpacks to a large one."""
    packed = gzip.compress(b" " * (megabytes * 2**20))
    return actions.Say(200, packed, {**_JSON, "Content-Encoding": "gzip"})


def drip(seconds: float) -> actions.Say:
    """A valid answer, a few bytes at a time."""
    document = {"status": "success", "data": {"resultType": "vector", "result": []}}
    return actions.Say(200, json.dumps(document).encode() + b" " * 4096, _JSON, drip_s=seconds)


def value(text: Any) -> Rewrite:
    """Every sample's value becomes this, of whatever JSON type; sample times asked for stay."""
    return Rewrite(
        lambda document: _each_sample(document, lambda at, old: [at, old if is_time(old) else text])
    )


def shifted(seconds: float) -> Rewrite:
    """Every sample's time stamp moves; what `timestamp()` gave as a *value* moves too."""

    def move(at: Any, old: Any) -> list[Any]:
        return [at + seconds, repr(float(old) + seconds) if is_time(old) else old]

    return Rewrite(lambda document: _each_sample(document, move))


def is_time(text: Any) -> bool:
    """Whether a value is a moment near now, as `timestamp()` gives it."""
    try:
        return abs(float(text) - time.time()) < 86400
    except (TypeError, ValueError):
        return False


def doubled() -> Rewrite:
    """Every series comes twice, the second with a label more."""

    def double(document: Document) -> Document:
        result = document["data"]["result"]
        twins = [{**s, "metric": {**s["metric"], "planted": "twin"}} for s in result]
        document["data"]["result"] = [*result, *twins]
        return document

    return Rewrite(double)


def labelled(**labels: str) -> Rewrite:
    """Every series is about this."""

    def label(document: Document) -> Document:
        for series in document["data"]["result"]:
            series["metric"] = {**series["metric"], **labels}
        return document

    return Rewrite(label)


def as_histograms(document: Document) -> Document:
    """Every sample becomes a native histogram of no observation."""
    for series in document["data"]["result"]:
        at, _ = series.pop("value")
        series["histogram"] = [at, {"count": "0", "sum": "0", "buckets": []}]
    return document


def data(result_type: str, result: Any) -> Rewrite:
    """The answer's data become these."""
    planted = {"resultType": result_type, "result": result}
    return Rewrite(lambda document: {**document, "data": planted})


def warned(text: str) -> Rewrite:
    """The answer carries a warning."""
    return Rewrite(lambda document: {**document, "warnings": [text]})


def _each_sample(document: Document, change: Callable[[Any, Any], list[Any]]) -> Document:
    for series in document["data"]["result"]:
        if "value" in series:
            series["value"] = change(*series["value"])
        if "values" in series:
            series["values"] = [change(*pair) for pair in series["values"]]
    return document


class MetricFault(front.Front):
    """The proxy before Mimir. `bare` counts queries that came without a tenant."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.seen: deque[Seen] = deque(maxlen=_KEPT)

    @property
    def bare(self) -> int:
        return sum(not seen.asked.tenant for seen in list(self.seen))

    def _about(self, request: web.Request, body: bytes) -> Asked:
        form = parse_qs(body.decode(errors="replace")) if request.method == "POST" else {}
        asked = {**{name: values[0] for name, values in form.items()}, **request.query}
        return Asked(
            request.path,
            expression=asked.get("query", ""),
            tenant=request.headers.get("X-Scope-OrgID"),
            time=asked.get("time", ""),
            authorized="Authorization" in request.headers,
        )

    def _note(self, call: Call, status: int) -> None:
        self.seen.append(Seen(time.time(), call.asked, status))
