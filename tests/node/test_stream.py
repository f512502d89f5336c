"""The main job on a real node: real pods, real frames, the operator in a pod beside them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from charon_operator import names, testbed
from charon_operator.cli import main
from charon_operator.testbed import operator
from tests.node import journal
from tests.node.stream import NAMESPACE, Stream
from tests.ship.chart import CHART
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.node]

# As the example's, but in a hurry to give back.
HASTY = {
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
    "lowering": {"cooldownSeconds": 5},
}
# Nobody gave the operator the right to resize.
ONE_KNOB = {"resources": {"mode": "Off"}}
SET_POINT = 40
# Two thirds of a frame's cost and of the limit: as many frames, with CPU to spare for others.
LIGHTER = ("--receive-cpu-ms=1.5", "--process-cpu-ms=7.8")
LIMIT, QUOTA_US = "200m", 20000
# Real CPU has to work it off, on a machine that may do other things.
SLOW_S = 240.0


@pytest.fixture
def stream(real_bed: testbed.Testbed) -> Iterator[Stream]:
    operator.deploy(real_bed, CHART)
    with Stream(
        real_bed,
        kinds=[names.CONTROL_POLICY, names.CHARGED_APP],
        spec={names.CONTROL_POLICY: HASTY, names.CHARGED_APP: ONE_KNOB},
        options={"consumer": LIGHTER},
        cpu={"consumer": LIMIT},
    ) as applied:
        yield applied
    operator.helm(real_bed, "uninstall", operator.ACCOUNT, "--wait")


# Bed, images, two roll-outs of the source and a queue that real CPU has to work off.
@pytest.mark.timeout(900)
def test_load_when_it_rises_and_falls_then_real_pods_come_serve_and_go(
    stream: Stream, tmp_path: Path
) -> None:
    stream.wait_healthy()
    arrivals = f'sum(rate(frames_received_total{{namespace="{NAMESPACE}",app="broker"}}[15s]))'
    wait_until(lambda: (stream.asked(arrivals) or 0) > 9, "10 frames a second", SLOW_S)
    assert stream.replicas() == 1

    stream.send(50)
    wait_until(lambda: stream.replicas() >= 3, "the operator to raise", SLOW_S)
    wait_until(lambda: stream.ready() >= 3, "the new pods to be ready", SLOW_S)
    wait_until(lambda: (stream.queued() or 0) > SET_POINT, "Mimir to know of a queue", SLOW_S)
    wait_until(lambda: at_most(stream.queued(), SET_POINT), "the queue to drain", SLOW_S)
    assert stream.replicas() >= 3

    stream.send(10)
    wait_until(lambda: stream.replicas() == 1, "replicas to be given back", SLOW_S)
    wait_until(lambda: len(stream.consumers()) == 1, "the others to have left", SLOW_S)
    [last] = stream.consumers()
    assert (last.restarts, last.cpu.quota_us) == (0, QUOTA_US)
    # Those that left had served what they were dealt.
    assert stream.broker("frames_lost_total") == 0
    decided = stream.status()["lastDecision"]
    assert decided["to"] == 1
    assert "freshness wants" in decided["message"]
    _assert_explained(stream, tmp_path)


def at_most(value: float | None, limit: float) -> bool:
    return value is not None and value <= limit


def _assert_explained(stream: Stream, folder: Path) -> None:
    """The journal, read from the operator's pod, has a reason for every write."""
    file = folder / "journal.jsonl"
    moves = journal.moves(journal.read(stream.bed, file))
    # The first move is a raise: 10 frames a second were left to the one consumer.
    assert (moves[0].start, moves[-1].to) == (1, 1)
    for move in moves:
        assert move.reason == ("Raised" if move.to > move.start else "Lowered")
        assert move.message.startswith(f"{move.reason} from {move.start} to {move.to}: ")
    where = ["-n", NAMESPACE, "--kubeconfig", str(stream.bed.kubeconfig), "--journal", str(file)]
    told = CliRunner().invoke(main, ["explain", "stream", *where])
    assert told.exit_code == 0, told.output
    assert "-> 1: Written" in told.output
