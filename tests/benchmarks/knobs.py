"""How long a knob takes from the operator's decision to its effect, on a real node.

    python -m tests.benchmarks.knobs run
    python -m tests.benchmarks.knobs show

`run` starts a testbed with a real node (Linux, root), the operator as a pod of it, and the stream
example with little to do. It moves the bounds of the app, one knob after the other, and the
operator follows: when it decided and wrote, its journal tells; when a cgroup has the new quota, the
new pod is ready, or a pod of the other variant is, is watched from outside. `run` writes
`moves.csv`, `show` prints what it says. Both use `data/knob-latency` unless --folder names another;
its README tells the columns. The exit code is 1 if a knob is slower than is promised (`LIMITS_S`).
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pykube

from charon_operator import names, testbed
from charon_operator.testbed import operator, progress
from tests.benchmarks import table
from tests.benchmarks.cpu_sweep import Resizer, until
from tests.benchmarks.fleet import quantiles
from tests.benchmarks.knob_variants import Variants, pods, ready
from tests.node import journal
from tests.node.stream import NAMESPACE, Stream
from tests.ship.chart import CHART

FOLDER = Path(__file__).parents[2] / "data" / "knob-latency"
# What is promised of the median, seconds from the decision to the effect.
LIMITS_S = {"Resources": 2.0}
# The load leaves the size and the count to their bounds, and a lowering waits for nothing.
_POLICY = {
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    "lowering": {"cooldownSeconds": 0, "maxPerHour": 3600},
}
_OPT_IN = ("resources", "placement")
_RATE = 2
_LOOK_S = 0.005
_ASK_S = 0.05
# Uneven, so that moves meet the node's and the operator's own rhythms at all their phases.
_PAUSES_S = (0.3, 1.1, 1.9, 0.7, 1.5, 2.3, 0.45)


@dataclass(frozen=True)
class Row:
    """One move; times in seconds since the run began."""

    knob: str
    start: int
    to: int
    asked_s: float
    decided_s: float
    written_s: float
    effect_s: float
    load1: float


@dataclass(frozen=True)
class Counts:
    """How many moves of each knob are measured."""

    resizes: int
    raises: int
    exchanges: int


class Knob(Protocol):
    """A knob of the app that is there: what moves it, and whether it has moved."""

    name: str
    values: tuple[int, int]

    def bounds(self, value: int) -> dict[str, Any]:
        """The part of the app's spec that leaves nothing but this value."""

    def done(self, value: int) -> bool:
        """Whether pods have it."""

    def settled(self, value: int) -> bool:
        """Whether the API says so too, and the next move meets nothing of this one."""


class Size:
    """CPU of a running pod, mcore; done when its cgroup has the quota."""

    name, values = "Resources", (300, 150)

    def __init__(self, stream: Stream) -> None:
        [pod] = stream.consumers()
        self._cpu, self._api = pod.cpu, Resizer(stream.bed, pod, 0.0)

    def bounds(self, value: int) -> dict[str, Any]:
        return {"resources": {"cpu": {"min": f"{value}m", "max": f"{value}m"}}}

    def done(self, value: int) -> bool:
        return self._cpu.quota_us == 100 * value

    def settled(self, value: int) -> bool:
        return self._api.told_mcore() == value


class Replicas:
    """Pods; done when so many are ready and none is left that leaves."""

    name, values = "Replicas", (1, 2)

    def __init__(self, stream: Stream) -> None:
        self._api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(stream.bed.kubeconfig)))

    def bounds(self, value: int) -> dict[str, Any]:
        return {"replicas": {"min": value, "max": value}}

    def done(self, value: int) -> bool:
        found = pods(self._api, "app=consumer")
        return len(found) == sum(map(ready, found)) == value

    settled = done


@dataclass(frozen=True)
class Seen:
    """A move as seen from outside; times in seconds since 1970."""

    knob: str
    start: int
    to: int
    asked_s: float
    effect_s: float
    load1: float


def moved(stream: Stream, knob: Knob, every_s: float, count: int) -> Iterator[Seen]:
    """So many moves to and fro."""
    _bound(stream, knob, knob.values[0], every_s)
    pairs = itertools.pairwise(itertools.cycle(knob.values))
    for (start, to), pause_s in itertools.islice(zip(pairs, itertools.cycle(_PAUSES_S)), count):
        until(lambda start=start: knob.settled(start), f"{knob.name} to settle", _ASK_S)
        time.sleep(pause_s)
        load1, asked_s = os.getloadavg()[0], time.time()
        _bound(stream, knob, to, every_s)
        yield Seen(knob.name, start, to, asked_s, time.time(), load1)


def _bound(stream: Stream, knob: Knob, value: int, every_s: float) -> None:
    change = json.dumps({"spec": knob.bounds(value)})
    app = ("chargedapp", "stream", f"--namespace={NAMESPACE}")
    stream.bed.kubectl("patch", *app, "--type=merge", "-p", change)
    until(lambda: knob.done(value), f"{knob.name} at {value}", every_s)


def rows(seen: Sequence[Seen], told: list[journal.Row]) -> Iterator[Row]:
    """What was seen, with when the operator decided and had written, as its journal tells."""
    decided = {row["turn"]: row["time"] for row in told if row["kind"] == "turn"}
    began_s = seen[0].asked_s
    for one in seen:
        [write] = [
            row
            for row in told
            if one.asked_s <= row["time"] <= one.effect_s + 1 and _wrote(row, one)
        ]
        times = (one.asked_s, decided[write["turn"]], write["time"], one.effect_s)
        since = (time_s - began_s for time_s in times)
        yield Row(one.knob, one.start, one.to, *since, load1=one.load1)


def _wrote(row: journal.Row, seen: Seen) -> bool:
    """Whether a row of the journal is the write of a move."""
    if row["kind"] == "write":
        value = ("Replicas", row["to"])
    elif row["kind"] == "resize":
        value = ("Resources", row["resize"]["final"][0])
    elif row["kind"] == "place":
        value = ("Placement", _comes(row["placing"]["variants"]))
    else:
        return False
    return value == (seen.knob, seen.to) and row["outcome"] == "Written"


def _comes(variants: Mapping[str, Any]) -> int | None:
    """Which variant gets more replicas; None where a step only takes some away."""
    found = [place for place, one in enumerate(variants.values()) if one["final"] > one["asked"]]
    return found[0] if found else None


def measure(stream: Stream, counts: Counts) -> list[Row]:
    stream.wait_healthy()
    replicas, seen = Replicas(stream), list[Seen]()

    def follow(knob: Knob, every_s: float, count: int) -> None:
        for one in moved(stream, knob, every_s, count):
            seen.append(one)
            _say(f"{one.knob}: {one.start} to {one.to} in {one.effect_s - one.asked_s:.2f} s")

    # Else the count would be free to take up what the size leaves.
    _bound(stream, replicas, 1, _ASK_S)
    follow(Size(stream), _LOOK_S, counts.resizes)
    # Every second one is a lowering.
    follow(replicas, _ASK_S, 2 * counts.raises)
    # From here on the app has variants.
    follow(Variants(stream), _ASK_S, counts.exchanges)
    with tempfile.TemporaryDirectory() as folder:
        told = journal.read(stream.bed, Path(folder) / "journal.jsonl")
    return list(rows(seen, told))


def run(folder: Path, counts: Counts) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="charon-bench-") as own, progress.shown() as shows:
        config = testbed.Config(
            folder=Path(own) / "bed", nodes=[testbed.RealNode()], with_kwok=False
        )
        with testbed.start(config, progress=shows) as bed:
            operator.deploy(bed, CHART, [f"--set=knobs.{one}.enabled=true" for one in _OPT_IN])
            kinds = [names.CONTROL_POLICY, names.CHARGED_APP]
            laid = {names.CONTROL_POLICY: _POLICY}
            with Stream(bed, kinds=kinds, rate=_RATE, spec=laid) as stream:
                found = measure(stream, counts)
    table.write(folder / "moves.csv", Row, found)


def words(found: Sequence[Row]) -> list[str]:
    """What the moves say, line by line; lowerings of replicas end when the pod is gone."""
    lines = []
    for (knob, way), of in _groups(found).items():
        lines.append(f"{knob}{way}, {len(of)} moves")
        for what, delays in (
            ("decision to write", [row.written_s - row.decided_s for row in of]),
            ("decision to effect", [row.effect_s - row.decided_s for row in of]),
        ):
            said = quantiles(delays, digits=3)
            values = ", ".join(f"{name} {value:.3f}" for name, value in said.items())
            lines.append(f"  {what}, s: {values}")
    loads = [row.load1 for row in found]
    return [*lines, f"load average {min(loads):.1f} to {max(loads):.1f}"]


def _groups(found: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in found:
        way = " up" if row.to > row.start else " down"
        # One variant is no more than the other.
        way = "" if row.knob == Variants.name else way
        groups.setdefault((row.knob, way), []).append(row)
    return groups


def excesses(found: Sequence[Row]) -> list[str]:
    """Knobs that took longer than is promised, in words."""
    said = []
    for knob, limit_s in LIMITS_S.items():
        of = [row for row in found if row.knob == knob]
        median_s = quantiles([row.effect_s - row.decided_s for row in of])["p50"]
        if median_s > limit_s:
            said.append(f"{knob}: p50 is {median_s:g} s, {limit_s:g} s is promised")
    return said


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command tells how far it is


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "show"), help="measure, or say what was measured")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the file")
    parser.add_argument("--resizes", type=int, default=60, help="moves of CPU (%(default)s)")
    parser.add_argument("--raises", type=int, default=20, help="raises of replicas (%(default)s)")
    parser.add_argument("--exchanges", type=int, default=30, help="of variants (%(default)s)")
    chosen = parser.parse_args()
    if chosen.what == "run":
        run(chosen.folder, Counts(chosen.resizes, chosen.raises, chosen.exchanges))
    found = list(table.read(chosen.folder / "moves.csv", Row))
    print("\n".join(words(found)))  # noqa: T201 - a command's output
    for line in (broken := excesses(found)):
        _say(line)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
