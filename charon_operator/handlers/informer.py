"""Kopf, set up as an informer: what it watches, how it behaves, and where its events go.

Reads: watch events. Gives: `registry` and `settings` for one life. Never: a handler that writes,
waits or raises; `on.event` alone adds no finalizer, no annotation, no patch.

The settings are those of the table in the docstring of `settings`; each has its reason there.
"""

import itertools
import logging
import random
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any

import kopf

from charon_operator.handlers import life, session, watched
from charon_operator.loop.store import Kind, Store

_log = logging.getLogger(__name__)

_BACKOFFS_S = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0)
_LAST_BACKOFF_S = 15.0


class JitteredForever:
    """Back-offs that never end, so that Kopf does not give up; each iteration starts anew.

    It has no length on purpose: Kopf counts attempts down where there is one.
    """

    def __init__(self, chance: Callable[[float, float], float] = random.uniform) -> None:
        self._chance = chance

    def __iter__(self) -> Iterator[float]:
        for longest_s in itertools.chain(_BACKOFFS_S, itertools.repeat(_LAST_BACKOFF_S)):
            yield self._chance(longest_s / 2, longest_s)


class NothingStored(kopf.DiffBaseStorage):
    """Kopf compares every event with what it last handled; we ask for no comparison."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        """Kept nowhere."""


def settings() -> kopf.OperatorSettings:
    """Kopf's settings.

    | what | why |
    |---|---|
    | posting off | Events are ours, rate-limited |
    | peering standalone | a Lease decides who writes; a standby watches too |
    | scanning off | no watch on CRDs and namespaces; the supervisor looks for new APIs |
    | inactivity 70 s | a silent watch is noticed: bookmarks come every 60 s |
    | server 600, client 660 s | the second belt; whole numbers, or the API server answers 400 |
    | reconnect after 1 s | at most one list a second while watches expire at once |
    | pages of 20 | a page of the largest objects there can be fits into the pod |
    | back-offs without end | 403 and 503 are waited out, up to 15 s apart |
    | error delays up to 30 s | the default blinds an object for ten minutes |
    | no worker limit | with one, an index deadlocks |
    | workers idle for 1 s | one an object, and a step of the fleet touches every object |
    | ends itself after 25 s | a life that cannot be stopped would be a second informer |
    | nothing stored | no diff of every event, no annotation ever |
    """
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    chosen.watching.inactivity_timeout = 70
    chosen.watching.server_timeout = 600
    chosen.watching.client_timeout = 660
    chosen.watching.connect_timeout = 10
    chosen.watching.reconnect_backoff = 1.0
    chosen.watching.chunk_size = 20
    chosen.networking.request_timeout = 20
    chosen.networking.connect_timeout = 5
    chosen.networking.error_backoffs = JitteredForever()
    chosen.queueing.error_delays = [1, 1, 2, 3, 5, 8, 13, 21, 30]
    chosen.queueing.worker_limit = None
    chosen.queueing.idle_timeout = 1.0
    chosen.process.ultimate_exiting_timeout = 25
    chosen.persistence.diffbase_storage = NothingStored()
    return chosen


def registry(
    kinds: Iterable[Kind], store: Store, login: session.Login, end: life.Deadline
) -> kopf.OperatorRegistry:
    """Handlers for these kinds, in a registry of their own."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers, id="login")(login.log_in)
    kopf.on.cleanup(registry=handlers, id="end")(end.clean_up)
    for kind in sorted(kinds):
        resource = watched.RESOURCES[kind]
        kopf.on.event(
            group=resource.group,
            version=resource.version,
            plural=str(kind),
            registry=handlers,
            id=str(kind),
        )(_handler(kind, store))
    return handlers


def _handler(kind: Kind, store: Store) -> Callable[..., Coroutine[Any, Any, None]]:
    async def on_event(event: Mapping[str, Any], **_: Any) -> None:
        _take(kind, store, event)

    return on_event


def _take(kind: Kind, store: Store, event: Mapping[str, Any]) -> None:
    # Whatever one object is made of, the others go on, and Kopf must not throttle it.
    try:
        if event["type"] == "DELETED":
            store.drop(kind, event["object"])
        else:
            store.put(kind, event["object"])
    except Exception:
        _log.exception("An event of %s could not be read", kind)
