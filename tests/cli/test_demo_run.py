"""The demo whole, and the demo ended by a person."""

import signal
import subprocess
import sys
import threading

import pytest

from charon_operator.lab import replay


def start(folder) -> subprocess.Popen:
    command = [sys.executable, "-m", "charon_operator", "demo", "--folder", str(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


@pytest.mark.demo
@pytest.mark.testbed
@pytest.mark.timeout(600)
def test_demo_when_run_then_the_queue_is_held_and_everything_is_left_behind(tmp_path) -> None:
    with start(tmp_path / "demo") as running:
        output, _ = running.communicate(timeout=540)
    assert running.returncode == 0, output
    assert "times the optimum's" in output
    assert "BAD" not in output
    for name in ("report.html", "demo.png", "journal.jsonl"):
        assert (tmp_path / "demo" / name).stat().st_size > 1000
    assert replay.replay(tmp_path / "demo" / "journal.jsonl").mismatches == []
    assert not (tmp_path / "demo" / "testbed").exists()


@pytest.mark.testbed
@pytest.mark.timeout(300)
def test_demo_when_interrupted_in_the_middle_then_stops_cleanly(tmp_path) -> None:
    seen: list[str] = []
    under_way = threading.Event()
    with start(tmp_path / "demo") as running:

        def read() -> None:
            for line in running.stdout or ():
                seen.append(line)
                if "The step is on its way" in line:
                    under_way.set()
            under_way.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert under_way.wait(240)
        running.send_signal(signal.SIGINT)
        code = running.wait(60)
        reader.join()
    output = "".join(seen)
    assert code == 130, output
    assert "Traceback" not in output
    assert "nothing is left running" in output
