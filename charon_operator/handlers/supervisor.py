"""The informer's life: Kopf in a thread of its own, begun anew whenever it ends.

Reads: which APIs can be watched, again and again. Gives: `InformerThread`. Never: ends with Kopf
(which dies of a watch error that is not a 410, of a 404, of a 401), shares an event loop with
anything (Kopf cancels every task of its loop when it ends), or forgets what it knew meanwhile.

A life ends by a stop, by Kopf's death, or because the set of APIs that can be watched has changed
(KEDA appeared, a right was granted, the API server has a new CA): Kopf's handlers are fixed at its
start. Each life has a fresh event loop and is stopped by an `asyncio.Event` set from that loop; any
other way hung at shutdown, and Kopf then kills the process.
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import kopf
import yarl

from charon_operator.clients import kube, kube_access
from charon_operator.handlers import informer, labels, life, session, watched
from charon_operator.handlers.watched import Standing, Survey
from charon_operator.loop.store import Kind, Scope, Store

_log = logging.getLogger(__name__)

# Kopf tells of every event handled, of every login, and that threads get no signals.
_KOPF_LOGS = {
    "kopf.objects": logging.WARNING,
    "kopf.activities": logging.WARNING,
    "kopf._core.engines.activities": logging.WARNING,
    "kopf._core.reactor.running": logging.ERROR,
}
_FIRST_PAUSE_S = 0.5
_LAST_PAUSE_S = 15.0
# A life this long has recovered: the next death is a new trouble.
_HEALTHY_S = 60.0
_ASK_AGAIN_S = 2.0
# How long APIs that can be done without are waited for.
_PATIENCE_S = 60.0
_READ_LABELS_EVERY_S = 5.0


class InformerThread:
    """Feeds a store until stopped.

    Args:
        store: what is fed.
        access: how the API server is reached.
        kinds: what is watched.
        namespaces: watched; none means all.
        survey_every_s: how often to look for APIs and rights that came or went.
        patience_s: how long APIs that can be done without are waited for at the start.

    Attributes:
        restarts: lives that ended without being asked to.
        blocking: what people must mend, a sentence each, before any app is controlled by what is
            there now.
    """

    def __init__(
        self,
        store: Store,
        access: kube_access.Access,
        *,
        kinds: Sequence[Kind] = watched.FLEET,
        namespaces: Sequence[str] = (),
        survey_every_s: float = 20.0,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self.restarts = 0
        self.blocking: tuple[str, ...] = ()
        self._surveyed: tuple[str, ...] = ()
        self._unread: tuple[str, ...] = ()
        self._lacking_since_s: float | None = None
        self._store = store
        self._access = access
        self._kinds = tuple(kinds)
        self._namespaces = tuple(namespaces)
        self._survey_every_s = survey_every_s
        self._patience_s = patience_s
        self._stopping = threading.Event()
        self._end_life: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="informer", daemon=True)

    def start(self) -> None:
        """Begin; may be called once."""
        for logger, level in _KOPF_LOGS.items():
            logging.getLogger(logger).setLevel(level)
        self._thread.start()

    def stop(self, timeout_s: float = 20.0) -> bool:
        """End; true when the thread is gone within the time."""
        self._stopping.set()
        self._end_life()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def problems(self) -> tuple[str, ...]:
        """What people must mend, a sentence each: missing CRDs, rights or answers."""
        return (*self._surveyed, *self._unread)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            began_s = time.monotonic()
            if self._live_once():
                continue
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began_s > _HEALTHY_S else pause_s
            self._stopping.wait(random.uniform(pause_s / 2, pause_s))
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    def _live_once(self) -> bool:
        """One life; true when it ended as it should."""
        try:
            life.run(self._live())
        except (Exception, asyncio.CancelledError) as error:
            self.restarts += 1
            _log.warning("The informer ended and begins anew: %s", _cause(error))
            return False
        return True

    async def _live(self) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        self._end_life = _from_elsewhere(loop, over)
        if self._stopping.is_set():
            return
        async with kube.KubeClient(self._access) as client:
            found = await self._first_survey(client, over)
            if found is None:
                return
            self._adopt(found)
            end = life.Deadline(over)
            # Begun before Kopf, which cancels what was begun after it.
            beside = [
                asyncio.create_task(end.watch()),
                asyncio.create_task(self._look_again(client, found, over)),
                asyncio.create_task(self._read_labels(client)),
            ]
            try:
                await self._watch(found, over, end)
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
        if not over.is_set():
            raise RuntimeError("Kopf ended by itself")

    async def _watch(self, found: Survey, over: asyncio.Event, end: life.Deadline) -> None:
        kinds = {kind for (kind, _), one in found.items() if one.standing is Standing.ALLOWED}
        prefix = yarl.URL(self._access.server).path
        login = session.Login(self._access, session.Lists(self._store, prefix))
        where = {"namespaces": self._namespaces} if self._namespaces else {"clusterwide": True}
        if not kinds:
            await over.wait()
            return
        try:
            await kopf.operator(
                registry=informer.registry(kinds, self._store, login, end),
                settings=informer.settings(),
                stop_flag=over,
                **where,
            )
        finally:
            await login.close()

    async def _first_survey(self, client: kube.KubeClient, over: asyncio.Event) -> Survey | None:
        """Ask until the API server has answered for what must be known; None when stopped."""
        while not over.is_set():
            found = await watched.survey(client, self._namespaces, self._kinds)
            if self._suffices(watched.unknown(found)):
                return found
            self._tell(found)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), random.uniform(_ASK_AGAIN_S / 2, _ASK_AGAIN_S))
        return None

    def _suffices(self, unknown: Collection[Kind]) -> bool:
        """Whether to begin: all is known, or for a while all but what can be done without.

        Such an API may answer 500 for good (a conversion webhook that is gone), and the reason to
        wait for it goes no further than itself. It is looked for again while the life lasts.
        """
        if not unknown or any(watched.RESOURCES[kind].awaited for kind in unknown):
            self._lacking_since_s = None
            return not unknown
        now_s = time.monotonic()
        if self._lacking_since_s is None:
            self._lacking_since_s = now_s
        return now_s - self._lacking_since_s >= self._patience_s

    async def _look_again(
        self, client: kube.KubeClient, before: Survey, over: asyncio.Event
    ) -> None:
        files = self._access.fingerprint()
        while True:
            await asyncio.sleep(self._survey_every_s)
            now = await watched.survey(client, self._namespaces, self._kinds)
            news = {
                scope: one.standing
                for scope, one in now.items()
                if one.standing not in (Standing.UNKNOWN, before[scope].standing)
            }
            if news or self._access.fingerprint() != files:
                _log.info("The informer begins anew for %s", ", ".join(_words(news)) or "a new CA")
                over.set()
                return

    async def _read_labels(self, client: kube.KubeClient) -> None:
        """Labels of the namespaces we serve, where listing all namespaces is not for us."""
        while True:
            unread = await labels.read(client, self._store, self._namespaces)
            _warn(unread, self._unread)
            self._unread = unread
            await asyncio.sleep(_READ_LABELS_EVERY_S)

    def _adopt(self, found: Survey) -> None:
        """Tell what is watched; an API that is not served has no objects."""
        self._tell(found)
        needed = [
            scope
            for scope, one in found.items()
            if one.standing is Standing.ALLOWED or watched.RESOURCES[scope[0]].required
        ]
        needed += [(Kind.NAMESPACES, namespace) for namespace in self._namespaces]
        self._store.expect(needed)
        for (kind, namespace), one in found.items():
            if one.standing is Standing.ABSENT:
                self._store.relisted(kind, (), namespace)

    def _tell(self, found: Survey) -> None:
        problems = watched.problems(found)
        told = tuple(problems.values())
        _warn(told, self._surveyed)
        self._surveyed = told
        self.blocking = tuple(
            problem for (kind, _), problem in problems.items() if watched.RESOURCES[kind].required
        )


def _warn(problems: Sequence[str], known: Collection[str]) -> None:
    for problem in problems:
        if problem not in known:
            _log.warning("%s", problem)


def _words(news: Mapping[Scope, Standing]) -> list[str]:
    return [f"{kind}: {standing}" for (kind, _), standing in news.items()]


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:256]


def _from_elsewhere(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> Callable[[], None]:
    def end() -> None:
        # The loop may have closed in the meantime: then there is nothing to end.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(over.set)

    return end
