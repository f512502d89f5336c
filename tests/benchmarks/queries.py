"""What merging and uniting save: the same readings asked one by one, in unions, and merged.

    python -m tests.benchmarks.queries --apps 100,1000
    python -m tests.benchmarks.queries --apps 1000 --mimir http://127.0.0.1:8080 -o json

Without --mimir a testbed is started and stopped. Each way is asked `--repeats` times in turn, and
the median counts. CPU is our own (user and system) and, with the testbed, that of Mimir.
"""

# ruff: noqa: T201 — a benchmark prints
import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from charon_operator import settings, testbed
from charon_operator.clients.mimir import MimirClient
from charon_operator.observe import gather, merge
from charon_operator.testbed import progress
from tests.observe import apps, samples

_QUERIES = (
    'sum(frames_queued{app="$target"})',
    'sum(rate(frames_received_total{app="$target"}[15s]))',
)


@dataclass(frozen=True)
class Way:
    """How the questions are packed."""

    name: str
    terms_a_request: int
    merged: bool


WAYS = (Way("single", 1, False), Way("unions of 50", 50, False), Way("merged", 50, True))


@dataclass(frozen=True)
class Cost:
    """What one round of readings cost."""

    wall_s: float
    cpu_s: float
    store_cpu_s: float
    requests: float


def _push(url: str, tenant: str, count: int, now_s: float) -> None:
    series: list[samples.Sampled] = []
    for number in range(count):
        labels = {
            "namespace": f"ns-{number % 20}",
            "app": f"consumer-{number}",
            "pod": f"p-{number}",
        }
        times = [now_s - 20 + 5 * step for step in range(5)]
        series.append(("frames_queued", labels, [(at, float(number)) for at in times]))
        series.append(("frames_received_total", labels, [(at, at - now_s + 60) for at in times]))
    for start in range(0, len(series), 500):
        samples.push(url, tenant, series[start : start + 500])


def _asks(count: int, mimir: settings.Mimir) -> list[gather.Ask]:
    found = []
    for number in range(count):
        one = apps.app(
            *_QUERIES, namespace=f"ns-{number % 20}", name=f"app-{number}",
            target=f"consumer-{number}", coverage="PerReadyPod", max_age_s=3600,
        )  # fmt: skip
        found.append(gather.Ask(apps.compiled(one, mimir), 1))
    return found


@contextlib.contextmanager
def _merging(on: bool) -> Iterator[None]:
    """Switches merging off for a comparison, by letting no tree be lifted."""
    kept = merge.merge
    if not on:
        merge.merge = lambda node, molds: None
    try:
        yield
    finally:
        merge.merge = kept


async def _round(
    way: Way, asks: Sequence[gather.Ask], mimir: settings.Mimir, store_cpu_s: Callable[[], float],
    repeats: int, now_s: float,
) -> list[Cost]:  # fmt: skip
    """The costs of each repeat after the first, which plans and connects."""
    costs = []
    config = mimir.model_copy(update={"max_terms_per_request": way.terms_a_request})
    async with MimirClient(config) as client:
        gatherer = gather.Gatherer(client, config)
        for _ in range(repeats + 1):
            before = gatherer.counters.requests
            start, cpu, store = time.perf_counter(), time.process_time(), store_cpu_s()
            found = await gatherer.readings(asks, now_s, 300)
            costs.append(
                Cost(
                    time.perf_counter() - start, time.process_time() - cpu, store_cpu_s() - store,
                    gatherer.counters.requests - before,
                )
            )  # fmt: skip
            _check(asks, found)
    return costs[1:]


def _check(asks: Sequence[gather.Ask], found: object) -> None:
    assert isinstance(found, dict)
    for number, ask in enumerate(asks):
        reading = found[ask.queries.key]["q0"]
        assert getattr(reading, "value", None) == float(number), reading


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        *(
            statistics.median(getattr(cost, field) for cost in costs)
            for field in ("wall_s", "cpu_s", "store_cpu_s", "requests")
        )
    )


def measure(
    url: str, count: int, repeats: int, store_cpu_s: Callable[[], float]
) -> dict[str, Cost]:
    """Cost of one round of readings of `count` apps (two indicators each), by way."""
    tenant = f"bench-{secrets.token_hex(4)}"
    now_s = time.time()
    _push(url, tenant, count, now_s)
    mimir = settings.Mimir(
        url=f"{url}/prometheus", timeout_seconds=60, scopes=[settings.Scope(tenant=tenant)]
    )
    found = {}
    for way in WAYS:
        print(f"{count} apps, {way.name} …", file=sys.stderr, flush=True)
        with _merging(way.merged):
            asks = _asks(count, mimir)
            costs = asyncio.run(_round(way, asks, mimir, store_cpu_s, repeats, now_s))
        found[way.name] = _median(costs)
    return found


def _cpu_of(pid: int | None) -> Callable[[], float]:
    def cpu_s() -> float:
        if pid is None:
            return 0.0
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return cpu_s


def _show(count: int, found: dict[str, Cost]) -> None:
    print(f"\n{count} apps, 2 indicators each with age and coverage; ratios are to `single`")
    print(f"{'way':14}{'requests':>9}{'wall s':>9}{'our CPU s':>11}{'Mimir CPU s':>13}{'wall':>8}"
          f"{'our CPU':>9}{'Mimir CPU':>11}")  # fmt: skip
    base = found["single"]
    for name, cost in found.items():
        print(f"{name:14}{cost.requests:9.0f}{cost.wall_s:9.3f}{cost.cpu_s:11.3f}"
              f"{cost.store_cpu_s:13.3f}{_ratio(base.wall_s, cost.wall_s):>8}"
              f"{_ratio(base.cpu_s, cost.cpu_s):>9}"
              f"{_ratio(base.store_cpu_s, cost.store_cpu_s):>11}")  # fmt: skip


def _ratio(base: float, other: float) -> str:
    return f"{base / other:.1f}x" if other else "-"


@contextlib.contextmanager
def _mimir(url: str | None, pid: int | None) -> Iterator[tuple[str, Callable[[], float]]]:
    if url is not None:
        yield url, _cpu_of(pid)
        return
    with tempfile.TemporaryDirectory() as folder, progress.shown() as shows:
        config = testbed.Config(folder=pathlib.Path(folder))
        with testbed.start(config, progress=shows) as bed:
            found = next(one.pid for one in bed.status() if one.name == "mimir")
            yield bed.mimir_url, _cpu_of(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--apps", default="100,1000", help="fleet sizes, as 100,1000")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--mimir", help="base URL of a Mimir; default: a testbed of its own")
    parser.add_argument("--mimir-pid", type=int, help="its process, to count its CPU")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    given = parser.parse_args()
    with _mimir(given.mimir, given.mimir_pid) as (url, store_cpu_s):
        for count in map(int, given.apps.split(",")):
            found = measure(url, count, given.repeats, store_cpu_s)
            if given.output == "json":
                print(json.dumps({"apps": count, **{k: vars(v) for k, v in found.items()}}))
            else:
                _show(count, found)


if __name__ == "__main__":
    main()
