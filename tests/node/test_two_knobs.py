"""Both knobs on a real node: pods grow while they work, others join them, then both go back."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charon_operator import names, testbed
from charon_operator.testbed import operator
from tests.node import journal, two_knobs
from tests.node.recording import Recording, write
from tests.node.stream import NAMESPACE, Stream
from tests.node.test_stream import HASTY, LIGHTER, LIMIT, SET_POINT, SLOW_S, at_most
from tests.ship.chart import CHART
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.node]

# A lighter frame: 9.3 ms of CPU, and a little more to carry.
SIZED = {
    "resources": {
        "cpu": {"min": "100m", "max": LIMIT},
        "curve": [
            {"cpu": f"{mcore}m", "capacity": f"{two_knobs.FRAMES_A_MCORE * mcore:g}"}
            for mcore in (100, 200)
        ],
    }
}
TEMPLATE_US = 20000
HELD_S = 10


@pytest.fixture
def recording(real_bed: testbed.Testbed) -> Iterator[Recording]:
    operator.deploy(real_bed, CHART, ["--set", "knobs.resources.enabled=true"])
    stream = Stream(
        real_bed,
        kinds=[names.CONTROL_POLICY, names.CHARGED_APP],
        rate=5,
        spec={names.CONTROL_POLICY: HASTY, names.CHARGED_APP: SIZED},
        options={"consumer": LIGHTER},
        cpu={"consumer": LIMIT},
    )
    with Recording(stream) as recording, stream:
        yield recording
    operator.helm(real_bed, "uninstall", operator.ACCOUNT, "--wait")


def quotas(stream: Stream) -> list[int]:
    """CPU time in each 100 ms, µs, as the kernel grants it to each consumer."""
    return sorted(pod.cpu.quota_us for pod in stream.consumers())


def wait_held(stream: Stream, rate: float) -> None:
    """For the picture: waits until so much came for some time, and none of it waited for long.

    What is judged needs no more than decisions, however little CPU a busy machine leaves to pods.
    """
    if two_knobs.RECORD_IN not in os.environ:
        return
    come = f'sum(rate(frames_received_total{{namespace="{NAMESPACE}",app="broker"}}[15s]))'
    wait = f'sum(frames_queued{{namespace="{NAMESPACE}",app="consumer"}})'
    least, most = (f"{kind}_over_time(({come})[{HELD_S}s:1s])" for kind in ("min", "max"))
    longest = f"max_over_time(({wait})[{HELD_S}s:1s])"
    began_s = time.monotonic()

    def held() -> bool:
        came = (stream.asked(least) or 0) > 0.9 * rate and at_most(stream.asked(most), 1.1 * rate)
        served = came and at_most(stream.asked(longest), SET_POINT)
        return served and time.monotonic() - began_s > HELD_S

    wait_until(held, f"{rate:g} frames/s to be served", SLOW_S)


# Bed, images, three roll-outs of the source and a queue that real CPU has to work off.
@pytest.mark.timeout(900)
def test_load_when_it_rises_and_falls_then_pods_grow_then_others_come_and_both_are_given_back(
    recording: Recording, tmp_path: Path
) -> None:
    stream = recording.stream
    stream.wait_healthy()
    wait_until(lambda: quotas(stream)[-1] < TEMPLATE_US, "the one pod to be made smaller", SLOW_S)
    wait_held(stream, 5)
    [first], [small] = stream.consumers(), quotas(stream)

    stream.send(11)
    wait_until(lambda: quotas(stream)[0] > small, "the pod to be made larger again", SLOW_S)
    wait_held(stream, 11)
    assert stream.replicas() == 1

    stream.send(45)
    wait_until(lambda: stream.replicas() >= 3, "the operator to raise", SLOW_S)
    wait_until(lambda: stream.ready() >= 3, "the new pods to be ready", SLOW_S)
    wait_until(lambda: set(quotas(stream)) == {TEMPLATE_US}, "all to be as large", SLOW_S)
    wait_held(stream, 45)

    stream.send(5)
    wait_until(lambda: stream.replicas() == 1, "replicas to be given back", SLOW_S)
    wait_until(lambda: len(quotas(stream)) == 1, "the others to have left", SLOW_S)
    wait_until(lambda: quotas(stream)[-1] <= 1.2 * small, "CPU to be given back", SLOW_S)
    wait_held(stream, 5)
    rows = journal.read(stream.bed, tmp_path / "journal.jsonl")
    write(Path(os.environ.get(two_knobs.RECORD_IN, tmp_path)), recording.told(rows))
    assert {pod.restarts for pod in stream.consumers()} == {first.restarts} == {0}
    told = stream.status()["resources"]
    assert told["template"]["cpu"] == LIMIT
    assert told["cpu"] != LIMIT
    assert_in_order(rows)


def assert_in_order(rows: list[dict[str, Any]]) -> None:
    """Smaller, larger, more pods, fewer and smaller again; each move of both knobs in words."""
    moves = journal.moves(rows)
    assert [move.reason for move in moves if not move.message] == []
    raised = [move.knob for move in moves if move.reason == names.Reason.RAISED]
    lowered = [move.knob for move in moves if move.reason == names.Reason.LOWERED]
    assert raised[0] == "Resources", moves
    assert "Replicas" in raised, moves
    assert {"Replicas", "Resources"} <= set(lowered), moves
