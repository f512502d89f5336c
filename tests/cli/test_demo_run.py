"""The demo whole, the dashboards asked of its data; and the demo ended by a person."""

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time

import click
import pytest
from click.testing import CliRunner

from charon_operator.cli import demo, demo_stage
from charon_operator.lab import replay
from charon_operator.names import Metric
from tests.ship import dashboards
from tests.ship.dashboards import asking, reading

# The board of nodes and GPUs is left out: the demo's nodes are fake, and no exporter runs on them.
BOARDS = {name: board for name, board in dashboards.boards().items() if name != "nodes"}
_SIZES = "its app moves replicas only"
_VARIANTS = "its app has one workload, without variants"
_BUDGET = "the window is an hour: what is left of it is told once half of it was observed"
_OVER = "a table tells of now: nothing is missing when the demo ends"
# What the demo cannot show: panel, annotation or variable ($), the metric without data, and why.
LACKING = {
    "fleet": {
        ("Objectives", Metric.OBJECTIVE_BUDGET): _BUDGET,
        ("Least budget left", Metric.OBJECTIVE_BUDGET): _BUDGET,
        ("Missing data", Metric.INDICATOR_MISSING): _OVER,
        ("Resizes in quarantine", Metric.RESIZE_QUARANTINED): _SIZES,
        ("Pods that wait for their size", Metric.UNSETTLED_RESIZES): _SIZES,
        ("Placement not feasible", Metric.PLACEMENT_FEASIBLE): _VARIANTS,
        ("Placement not feasible", Metric.VARIANT_REPLICAS): _VARIANTS,
        ("Pods without a node", Metric.VARIANT_REPLICAS): _VARIANTS,
    },
    "app": {
        ("Least budget left", Metric.OBJECTIVE_BUDGET): _BUDGET,
        ("Objectives over their window", Metric.OBJECTIVE_BUDGET): _BUDGET,
        ("CPU of a pod, cores", Metric.DESIRED_CPU): _SIZES,
        ("CPU of a pod, cores", Metric.ACTUAL_CPU): _SIZES,
        ("Memory of a pod", Metric.DESIRED_MEMORY): _SIZES,
        ("Memory of a pod", Metric.ACTUAL_MEMORY): _SIZES,
        ("Pods that wait for their size", Metric.UNSETTLED_RESIZES): _SIZES,
        ("Resizes in quarantine", Metric.RESIZE_QUARANTINED): _SIZES,
        ("How fast a knob acts", Metric.ACTUATION): _SIZES,
        ("Pods larger", Metric.DESIRED_CPU): _SIZES,
        ("Pods smaller", Metric.DESIRED_CPU): _SIZES,
        ("$variant", Metric.VARIANT_REPLICAS): _VARIANTS,
        ("Variant $variant", Metric.VARIANT_REPLICAS): _VARIANTS,
        ("Placement not feasible", Metric.PLACEMENT_FEASIBLE): _VARIANTS,
        ("Variant raised", Metric.VARIANT_REPLICAS): _VARIANTS,
        ("Variant lowered", Metric.VARIANT_REPLICAS): _VARIANTS,
    },
    "health": {("Resizes of pods", Metric.RESIZES): _SIZES},
}


@pytest.fixture
def silent(monkeypatch) -> dict[str, set[tuple[str, str]]]:
    """What of each board has no data, filled in before the demo's testbed goes."""
    found: dict[str, set[tuple[str, str]]] = {}
    real = demo_stage.stage

    @contextlib.contextmanager
    def asked(*arguments):
        began_s = time.time()
        with real(*arguments) as stage:
            yield stage
            bed, ended_s = stage.bed, time.time()
            mimir = f"{bed.mimir_url}/prometheus"
            with reading.Store(mimir, bed.tenant, began_s, ended_s) as store:
                for name, board in BOARDS.items():
                    lacking = asking.silent(store, board)
                    found[name] = {(panel, _metric(query)) for panel, query in lacking}

    monkeypatch.setattr(demo_stage, "stage", asked)
    return found


def _metric(query: str) -> str:
    """The first that the query asks for."""
    found = re.search(r"charon_\w+", query)
    assert found, query
    return found[0]


def start(folder) -> subprocess.Popen:
    command = [sys.executable, "-m", "charon_operator", "demo", "--folder", str(folder)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


@pytest.mark.demo
@pytest.mark.testbed
@pytest.mark.timeout(600)
def test_demo_when_run_then_the_queue_is_held_and_everything_is_left_behind(
    tmp_path, silent
) -> None:
    done = CliRunner().invoke(demo.demo, ["--folder", str(tmp_path / "demo")])
    click.echo(done.output)
    assert done.exit_code == 0
    assert "times the optimum's" in done.output
    assert "BAD" not in done.output
    for name in ("report.html", "demo.png", "journal.jsonl"):
        assert (tmp_path / "demo" / name).stat().st_size > 1000
    assert replay.replay(tmp_path / "demo" / "journal.jsonl").mismatches == []
    assert not (tmp_path / "demo" / "testbed").exists()
    for name, lacking in LACKING.items():
        assert silent[name] - set(lacking) == set(), name
        never = {one for one, why in lacking.items() if why != _OVER}
        assert never - silent[name] == set(), f"{name}: the demo shows it after all"


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
