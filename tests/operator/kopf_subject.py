"""A small kopf operator of one kind, to be watched from outside: the subject of `kopf_table`.

Reads: a server, a token file, the kind of handler to register. Gives: a line on stdout for each
thing that happens (`tick`, `event NAME`, `task cancelled`). Never: part of charon-operator.
"""

import argparse
import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kopf

GROUP, VERSION, PLURAL = "probes.charon.test", "v1", "subjects"
KIND = (GROUP, VERSION, PLURAL)
INTERVAL_S = 0.5


class Forever:
    """An endless series of back-offs that can be begun anew, as kopf's setting needs it."""

    def __iter__(self) -> Iterator[float]:
        return itertools.repeat(0.5)


def main() -> None:
    options = _parser().parse_args()
    registry = kopf.OperatorRegistry()
    _register(registry, options)
    globals()[f"_{options.handler.replace('-', '_')}"](registry)
    kopf.run(
        registry=registry,
        settings=_settings(options),
        standalone=True,
        namespaces=[options.namespace],
        liveness_endpoint=f"http://127.0.0.1:{options.health_port}/healthz",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("handler")
    parser.add_argument("--server", required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--health-port", type=int, required=True)
    parser.add_argument("--backoffs", choices=["short", "forever"], default="short")
    parser.add_argument("--worker-limit", type=int)
    return parser


def _settings(options: argparse.Namespace) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.queueing.worker_limit = options.worker_limit
    settings.networking.error_backoffs = Forever() if options.backoffs == "forever" else [0.1, 0.2]
    return settings


def _register(registry: kopf.OperatorRegistry, options: argparse.Namespace) -> None:
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=options.server, ca_path=options.ca, token=options.token_file.read_text().strip()
        )

    kopf.on.login(registry=registry)(login)


def say(text: str) -> None:
    click.echo(text)


def _timer(registry: kopf.OperatorRegistry, then: Any) -> None:
    count = itertools.count(1)

    async def tick(**_: Any) -> Any:
        say("tick")
        return await then(next(count))

    kopf.timer(*KIND, interval=INTERVAL_S, registry=registry)(tick)


def _timer_result(registry: kopf.OperatorRegistry) -> None:
    async def give(n: int) -> dict[str, int]:
        return {"n": n}

    _timer(registry, give)


def _timer_error(registry: kopf.OperatorRegistry) -> None:
    async def fail(n: int) -> None:
        raise RuntimeError("planted")

    async def tick(**_: Any) -> None:
        say("tick")
        await fail(0)

    kopf.timer(*KIND, interval=INTERVAL_S, backoff=INTERVAL_S, registry=registry)(tick)


def _timer_permanent(registry: kopf.OperatorRegistry) -> None:
    async def fail(n: int) -> None:
        raise kopf.PermanentError("planted")

    _timer(registry, fail)


def _timer_hang(registry: kopf.OperatorRegistry) -> None:
    async def hang(n: int) -> None:
        await asyncio.Event().wait()

    _timer(registry, hang)


def _timer_block(registry: kopf.OperatorRegistry) -> None:
    async def block(n: int) -> None:
        time.sleep(3600)

    _timer(registry, block)


def _event(registry: kopf.OperatorRegistry) -> None:
    async def seen(name: str, **_: Any) -> None:
        say(f"event {name}")

    async def index(name: str, **_: Any) -> dict[str, str]:
        return {name: name}

    kopf.on.event(*KIND, registry=registry)(seen)
    kopf.index(*KIND, registry=registry, id="names")(index)


def _event_many(registry: kopf.OperatorRegistry) -> None:
    async def ignored(**_: Any) -> None:
        return

    for group, version, plural in (("apps", "v1", "deployments"), ("apps", "v1", "statefulsets")):
        kopf.on.event(group, version, plural, registry=registry)(ignored)
    _event(registry)


def _create(registry: kopf.OperatorRegistry) -> None:
    async def created(name: str, **_: Any) -> None:
        say(f"event {name}")

    kopf.on.create(*KIND, registry=registry)(created)


def _task(registry: kopf.OperatorRegistry) -> None:
    tasks = []

    async def forever() -> None:
        say("task started")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            say("task cancelled")
            raise

    async def seen(name: str, **_: Any) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(forever()))

    kopf.on.event(*KIND, registry=registry)(seen)


def _probe(registry: kopf.OperatorRegistry, error: type[Exception]) -> None:
    async def health(**_: Any) -> None:
        raise error("planted")

    kopf.on.probe(registry=registry, id="planted")(health)
    _event(registry)


def _probe_error(registry: kopf.OperatorRegistry) -> None:
    _probe(registry, RuntimeError)


def _probe_permanent(registry: kopf.OperatorRegistry) -> None:
    _probe(registry, kopf.PermanentError)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
