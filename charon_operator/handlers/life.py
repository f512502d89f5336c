"""One life of Kopf ends within a bounded time, whatever Kopf's tasks do.

Reads: nothing. Gives: `run` (an event loop of its own for each life), `Deadline` with Kopf's
clean-up handler. Never: waits for a task that swallows its cancellation.

Found by running Kopf 1.45.2 with several kinds: when one watch dies of an ERROR event, the others
are left running, lose their session, and wait for a login that nobody performs any more; cancelled
together with what they wait for, they take the cancellation for a pause and begin anew. Kopf then
waits for them without end, and after `ultimate_exiting_timeout` kills the process. So the watchers
are ended before Kopf closes their session, and if that is not enough the loop is left behind.
"""

import asyncio
import contextlib
import logging
import selectors
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger(__name__)

_PATIENCE_S = 10.0
_LAST_CANCEL_S = 2.0
_HANG_UP_S = 1.0
_HANG_UP_STEP_S = 0.02
_ROUNDS = 5
_ROUND_S = 1.0
_WATCHERS = "watcher for "


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end in a fresh event loop, and close that in bounded time.

    Raises:
        Exception: what `main` raised; RuntimeError if its deadline left it behind.
    """
    selector = selectors.DefaultSelector()
    loop = asyncio.SelectorEventLoop(selector)
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main)
    finally:
        try:
            _cancel_all(loop)
            _hang_up(loop, selector)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


async def end_watchers() -> None:
    """End the watchers that Kopf left running, while they have their session."""
    for _ in range(_ROUNDS):
        watchers = [task for task in asyncio.all_tasks() if task.get_name().startswith(_WATCHERS)]
        if not watchers:
            return
        for task in watchers:
            task.cancel()
        await asyncio.wait(watchers, timeout=_ROUND_S)


class Deadline:
    """Leaves the running loop some time after `over` was set or Kopf's clean-up began.

    Args:
        over: set when a life should end.
    """

    def __init__(self, over: asyncio.Event) -> None:
        self._over = over
        self._ending = asyncio.Event()

    async def clean_up(self, **_: Any) -> None:
        """Kopf's clean-up handler: it has begun to end, by itself or because it was asked to."""
        self._ending.set()
        await end_watchers()

    async def watch(self) -> None:
        """Wait for the end to begin, and then not for long."""
        waits = [asyncio.create_task(event.wait()) for event in (self._over, self._ending)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(_PATIENCE_S)
        finally:
            for wait in waits:
                wait.cancel()
        _log.error("Kopf did not end within %.0f s: its event loop is left behind", _PATIENCE_S)
        asyncio.get_running_loop().stop()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=_LAST_CANCEL_S))
    for task in tasks:
        # Nobody will wait for it any more: a pending one is not worth a message of its own.
        with contextlib.suppress(AttributeError):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())


def _hang_up(loop: asyncio.AbstractEventLoop, selector: selectors.BaseSelector) -> None:
    # TLS connections are closed in a conversation; what is left is the loop's own pipe.
    for _ in range(round(_HANG_UP_S / _HANG_UP_STEP_S)):
        if len(selector.get_map()) <= 1:
            return
        loop.run_until_complete(asyncio.sleep(_HANG_UP_STEP_S))
