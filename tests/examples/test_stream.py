"""The stream example: frames are conserved, cost what they should, and go where they were dealt."""

import contextlib
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.examples.stream import FOLDER, LIGHT, Program, Stream
from tests.testbed_fixtures import wait_until

LINGERS = "--linger=3600"
# Takes in and never processes: a batch that is never full costs no CPU.
STUCK = ("--receive-cpu-ms=0", "--batch=1000", LINGERS)
# Works on its first batch for longer than any test lasts.
BUSY = ("--receive-cpu-ms=0", "--process-cpu-ms=10000")


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    with Stream(tmp_path) as made:
        yield made


def burst(frames: int) -> tuple[str, ...]:
    """Arguments of a source that sends so many frames within about a fifth of a second."""
    rate = frames * 5
    # All of them, even where the machine stands still for a while.
    return ("--rate=0", f"--step={rate}:0:{(frames + 0.5) / rate}", "--late=60")


def settled(broker: Program, received: int) -> dict[str, float]:
    """The broker's metrics when everything has come, and nothing is under way any more."""

    def at_rest() -> dict[str, float] | None:
        seen = broker.samples()
        rests = seen["frames_in_flight"] == seen["frames_queued"] == 0
        return seen if rests and seen["frames_received_total"] == received else None

    return wait_until(at_rest, "all frames to be accounted for") or {}


def test_frames_are_conserved_and_cost_the_cpu_that_was_asked(stream: Stream) -> None:
    consumer = stream.consumer("--receive-cpu-ms=1", "--process-cpu-ms=7", LINGERS)
    idle_s = consumer["process_cpu_seconds_total"]
    source = stream.source(*burst(80))
    seen = settled(stream.broker, 80)
    spent_s = consumer["process_cpu_seconds_total"] - idle_s
    assert (
        source["frames_sent_total"] == seen["frames_dealt_total"] == seen["frames_done_total"] == 80
    )
    assert seen["frames_dropped_total"] == seen["frames_lost_total"] == 0
    assert consumer["frames_processed_total"] == consumer["frames_received_total"] == 80
    assert consumer["batches_processed_total"] == 10
    assert consumer["frame_seconds_count"] == consumer["frame_seconds_bucket+Inf"] == 80
    # 8 ms a frame are asked; carrying frames and being asked for metrics come on top.
    assert 0.95 < spent_s / (80 * 0.008) < 1.6


def test_batches_are_of_eight_and_the_rest_waits_only_so_long(stream: Stream) -> None:
    patient, hasty = stream.consumer(*LIGHT, LINGERS), stream.consumer(*LIGHT, "--linger=0.2")
    stream.source(*burst(22))
    wait_until(lambda: hasty["frames_processed_total"] == 11, "the batch that nobody fills")
    wait_until(lambda: patient["frames_processed_total"] == 8, "the full batch")
    assert patient["frames_queued"] == 3
    assert patient["batches_processed_total"] == 1
    assert hasty["batches_processed_total"] >= 2


def test_without_a_consumer_frames_are_dropped(stream: Stream) -> None:
    source = stream.source(*burst(30), "--exit-at-end")
    seen = settled(stream.broker, 30)
    assert seen["frames_dropped_total"] == 30
    wait_until(lambda: source.exit_code == 0, "the source to end with its programme")


def test_old_backlog_stays_and_a_new_consumer_takes_its_share(stream: Stream) -> None:
    slow = stream.consumer(*BUSY)
    stream.source(*burst(40))
    wait_until(lambda: slow["frames_queued"] == 40, "the overloaded consumer's queue to grow")
    newcomer = stream.consumer(*LIGHT, LINGERS)
    stream.source(*burst(32))
    wait_until(lambda: newcomer["frames_processed_total"] == 16, "the newcomer's half")
    wait_until(lambda: slow["frames_queued"] == 56, "the other half, on top of the old backlog")
    seen = stream.broker.samples()
    assert seen["frames_dealt_total"] == 72
    assert (seen["frames_done_total"], seen["frames_in_flight"]) == (16, 56)


def test_shared_queue_feeds_who_has_room(tmp_path: Path) -> None:
    with Stream(tmp_path, "--shared-queue", "--ahead=8") as stream:
        stuck = stream.consumer(*STUCK)
        stream.source(*burst(48))
        wait_until(lambda: stream.broker["frames_queued"] == 40, "the backlog at the broker")
        assert stuck["frames_queued"] == 8
        quick = stream.consumer(*LIGHT)
        wait_until(lambda: quick["frames_processed_total"] == 40, "the newcomer to take the rest")
        assert stream.broker["frames_queued"] == 0


def test_full_queues_push_back_and_then_drop(tmp_path: Path) -> None:
    with Stream(tmp_path, "--queue-frames=20") as stream:
        full = stream.consumer(*STUCK, "--queue-frames=8")
        # 4 MiB: more than the sockets between them hide.
        source = stream.source(*burst(64), "--side=256")
        wait_until(lambda: source["frames_sent_total"] == 64, "the source, which is not held up")
        wait_until(lambda: stream.broker["frames_received_total"] == 64, "the broker to take all")
        seen = stream.broker.samples()
        assert full["frames_queued"] == 8
        assert seen["frames_queued"] == 20
        assert seen["frames_dropped_total"] > 0
        assert seen["frames_dealt_total"] + seen["frames_dropped_total"] + 20 == 64


def test_killed_consumer_loses_what_it_was_dealt(stream: Stream) -> None:
    doomed = stream.consumer(*STUCK)
    stream.source(*burst(24))
    wait_until(lambda: stream.broker["frames_in_flight"] == 24, "its queue to grow")
    doomed.kill()
    seen = settled(stream.broker, 24)
    assert (seen["frames_lost_total"], seen["consumers"]) == (24, 0)
    stream.source(*burst(5))
    assert settled(stream.broker, 29)["frames_dropped_total"] == 5


@pytest.mark.parametrize(("on_stop", "lost"), [("lose", 13), ("drain", 0)])
def test_on_sigterm_the_queue_ends_as_told(stream: Stream, on_stop: str, lost: int) -> None:
    consumer = stream.consumer(*LIGHT, "--batch=32", LINGERS, f"--on-stop={on_stop}")
    stream.source(*burst(13))
    wait_until(lambda: consumer["frames_queued"] == 13, "a queue that is no full batch")
    consumer.terminate()
    wait_until(lambda: consumer.exit_code == 0, "the consumer to end well")
    seen = settled(stream.broker, 13)
    assert (seen["frames_lost_total"], seen["frames_done_total"]) == (lost, 13 - lost)


def test_drain_is_cut_short_by_its_grace_and_takes_nothing_more(stream: Stream) -> None:
    consumer = stream.consumer(*BUSY, "--on-stop=drain", "--grace=0.5")
    stream.source(*burst(8))
    wait_until(lambda: consumer["frames_queued"] == 8, "work for a long time")
    assert consumer.ready
    consumer.terminate()
    wait_until(lambda: stream.broker["consumers"] == 0, "the broker to pass it over")
    wait_until(lambda: consumer.exit_code == 0, "the consumer to end within its grace")
    assert settled(stream.broker, 8)["frames_lost_total"] == 8


def test_consumer_and_source_outlive_a_broker(stream: Stream, tmp_path: Path) -> None:
    consumer, source = stream.consumer(*LIGHT), stream.source("--rate=20")
    wait_until(lambda: consumer["frames_processed_total"] > 0, "frames to flow")
    address = stream.broker.listening
    stream.broker.end()
    wait_until(lambda: not consumer.ready and not source.ready, "both to notice")
    again = tmp_path / "again"
    again.mkdir()
    with Stream(again, f"--listen={address}") as other:
        wait_until(lambda: other.broker["frames_done_total"] > 0, "frames to flow again")
        assert consumer.ready


SOURCE, CONSUMER, FRAME, DONE = 1, 2, 4, 5


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("!IB", 1 + len(body), kind) + body


WORDS = {
    "no greeting": message(DONE),
    "no message": b"GET / HTTP/1.1\r\n\r\n",
    "half a frame": message(SOURCE) + message(FRAME, b"short"),
    "work that nobody gave it": message(CONSUMER) + message(DONE, struct.pack("!I", 1)),
}


def test_who_speaks_something_else_is_shown_out(stream: Stream) -> None:
    host, _, port = stream.broker.listening.partition(":")
    for words in WORDS.values():
        plug = socket.create_connection((host, int(port)), timeout=20)
        with plug, contextlib.suppress(ConnectionError):
            plug.sendall(words)
            while plug.recv(1024):
                """A WELCOME may come first, then the end does."""
    wait_until(lambda: stream.broker["consumers"] == 0, "the broker to forget them")
    stream.consumer(*LIGHT)
    stream.source(*burst(8))
    assert settled(stream.broker, 8)["frames_done_total"] == 8


def test_metrics_are_those_that_the_readme_and_the_app_name(stream: Stream) -> None:
    running = {"broker": stream.broker, "consumer": stream.consumer(), "source": stream.source()}
    table = re.findall(
        r"^\| (\w+) \| (`.*`.*) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    assert {name for name, _ in table} == set(running)
    for name, metrics in table:
        shown = running[name].samples()
        for metric in re.findall(r"`(\w+)", metrics):
            assert metric in shown or f"{metric}_count" in shown, (name, metric)
    (app,) = yaml.safe_load_all((FOLDER / "3-app.yaml").read_text())
    asked = [re.findall(r'(\w+){app="(.*?)"}', one["query"]) for one in app["spec"]["indicators"]]
    assert len(asked) == 2
    for ((metric, label),) in asked:
        assert metric in running[label.replace("$target", "consumer")].samples()


def test_nobody_works_when_nothing_comes(stream: Stream) -> None:
    programs = [stream.broker, stream.consumer(), stream.source("--rate=0")]
    wait_until(lambda: all(program.ready for program in programs), "all to be ready")
    before = [program["process_cpu_seconds_total"] for program in programs]
    asked = 10
    for _ in range(asked):
        after = [program["process_cpu_seconds_total"] for program in programs]
    # Being asked is all they did: a busy loop would take the whole time.
    assert all(late - early < 0.02 * asked for early, late in zip(before, after, strict=True))
