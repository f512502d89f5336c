"""What a CPU limit moved in place does to a consumer of the stream example, on a real node.

    python -m tests.benchmarks.cpu_sweep run
    python -m tests.benchmarks.cpu_sweep plot

`run` starts a testbed with a real node (Linux, root), one consumer that always has frames waiting,
and moves its limit by `pods/resize`: 100 mcore to 1000 and back by hundreds, then at once from 100
to 1000 and back. It writes `steps.csv` and `samples.csv`; `plot` draws them and prints what they
say. Both use `data/cpu-limit-sweep` unless --folder names another; its README tells the columns.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pykube

from charon_operator import testbed
from charon_operator.testbed import progress
from tests.benchmarks import cpu_sweep_report as report
from tests.benchmarks import table
from tests.node.sampler import Sampler
from tests.node.stream import NAMESPACE, Pod, Stream

_FLIGHT = [*range(100, 1001, 100), *range(900, 99, -100)]
LIMITS_MCORE = [*_FLIGHT, 1000, 100]
_US_A_MCORE = 100
_SAMPLE_S = 0.1
_LOOK_S = 0.005
_ASK_S = 0.05
_PATIENCE_S = 60.0
# More than a core can process; what finds no room at the broker is dropped.
_RATE = 100
_OPTIONS = {
    # The consumer takes in what it processes: its pace is its own, its memory bounded.
    "broker": ["--shared-queue", "--ahead=8", "--queue-frames=1000"],
    # The count moves with every frame, not with every eighth.
    "consumer": ["--batch=1"],
}


@dataclass(frozen=True)
class Watch:
    """One consumer, looked at again and again."""

    pod: Pod
    broker: str
    began_s: float

    def sample(self) -> Iterator[report.Sample]:
        cpu = self.pod.cpu
        done, waiting = _counts(self.broker)
        now_s = time.monotonic() - self.began_s
        yield report.Sample(now_s, cpu.quota_us or 0, cpu.used_s, done, waiting)


def _counts(broker: str) -> tuple[int, int]:
    """Frames that are done, and those that wait at the broker."""
    with urllib.request.urlopen(f"http://{broker}:9100/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = dict(re.findall(r"^(frames_done_total|frames_queued) (\S+)$", text, re.MULTILINE))
    return int(float(found["frames_done_total"])), int(float(found["frames_queued"]))


class Resizer:
    """Moves the limit of one pod's container, and waits for what comes of it."""

    def __init__(self, bed: testbed.Access, pod: Pod, began_s: float) -> None:
        self._api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(bed.kubeconfig)))
        self._pod, self._began_s = pod, began_s

    def step(self, number: int, start: int, to: int) -> report.Step:
        load = os.getloadavg()[0]
        requested_s = self._now()
        self._patch(to)
        answered_s = self._now()
        cpu = self._pod.cpu
        until(lambda: cpu.quota_us == to * _US_A_MCORE, "the quota to follow", _LOOK_S)
        changed_s = self._now()
        until(lambda: self.told_mcore() == to, "the status to say so", _ASK_S)
        return report.Step(
            number, start, to, requested_s, answered_s, changed_s, self._now(),
            self._container()["restartCount"], load,
        )  # fmt: skip

    def _now(self) -> float:
        return time.monotonic() - self._began_s

    def _patch(self, mcore: int) -> None:
        resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": f"{mcore}m"}}
        change = {"spec": {"containers": [{"name": "app", "resources": resources}]}}
        answer = self._api.patch(
            version="v1", namespace=NAMESPACE, url=f"pods/{self._pod.name}/resize",
            headers={"Content-Type": "application/strategic-merge-patch+json"},
            data=json.dumps(change),
        )  # fmt: skip
        answer.raise_for_status()

    def _container(self) -> dict[str, Any]:
        answer = self._api.get(version="v1", namespace=NAMESPACE, url=f"pods/{self._pod.name}")
        answer.raise_for_status()
        [container] = answer.json()["status"]["containerStatuses"]
        return dict(container)

    def told_mcore(self) -> int:
        text = str(self._container()["resources"]["limits"]["cpu"])
        return int(text[:-1]) if text.endswith("m") else 1000 * int(text)


def until(predicate: Any, what: str, every_s: float) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not predicate():
        if time.monotonic() > deadline:
            raise SystemExit(f"gave up after {_PATIENCE_S:.0f} s waiting for {what}")
        time.sleep(every_s)


def measure(stream: Stream, dwell_s: float) -> tuple[list[report.Step], list[report.Sample]]:
    """The sweep over `LIMITS_MCORE`, so many seconds at each."""
    [pod] = stream.consumers()
    [broker] = stream.get("pods", "--selector=app=broker")["items"]
    began_s, steps = time.monotonic(), []
    resizer = Resizer(stream.bed, pod, began_s)
    watch = Watch(pod, broker["status"]["podIP"], began_s)
    with Sampler(watch.sample, _SAMPLE_S) as samples:
        # From the manifest's limit to where the sweep begins; not a step of it.
        resizer.step(0, 300, LIMITS_MCORE[0])
        time.sleep(dwell_s)
        for number, (start, to) in enumerate(itertools.pairwise(LIMITS_MCORE), 1):
            steps.append(resizer.step(number, start, to))
            _say(f"{number:2} of {len(LIMITS_MCORE) - 1}: {start} to {to} mcore")
            time.sleep(dwell_s)
    return steps, samples.rows


@contextlib.contextmanager
def _stream() -> Iterator[Stream]:
    with tempfile.TemporaryDirectory(prefix="charon-bench-") as folder, progress.shown() as shows:
        config = testbed.Config(
            folder=Path(folder) / "bed", nodes=[testbed.RealNode()], with_kwok=False
        )
        with (
            testbed.start(config, progress=shows) as bed,
            Stream(bed, rate=_RATE, options=_OPTIONS) as stream,
        ):
            yield stream


def run(folder: Path, dwell_s: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with _stream() as stream:
        steps, samples = measure(stream, dwell_s)
    table.write(folder / "steps.csv", report.Step, steps)
    table.write(folder / "samples.csv", report.Sample, samples)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command tells how far it is


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "plot"), help="measure, or draw what was measured")
    parser.add_argument("--folder", type=Path, default=report.FOLDER, help="of the files")
    parser.add_argument("--dwell", type=float, default=12.0, help="s at each limit (%(default)s)")
    return parser.parse_args(given)


def main() -> None:
    chosen = arguments()
    if chosen.what == "run":
        run(chosen.folder, chosen.dwell)
    sweep = report.load(chosen.folder)
    (chosen.folder / "sweep.png").write_bytes(report.png(sweep))
    print("\n".join(report.words(sweep)))  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
