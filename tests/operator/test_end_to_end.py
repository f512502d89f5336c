"""The operator as a process, on a real API server and a real Mimir, with the chart's own rights."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from charon_operator import names, testbed
from charon_operator.cli import main
from charon_operator.loop import turn
from charon_operator.model.memory import FleetMemory
from charon_operator.names import ConditionType
from charon_operator.record import journal
from charon_operator.settings import Safety
from tests.exporter import Exporter
from tests.faults import install
from tests.operator.running import Operator, World
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed


@pytest.fixture(scope="module")
def exporter(bed: testbed.Testbed) -> Iterator[Exporter]:
    install.install(bed)
    with Exporter() as serving:
        bed.scrape("end-to-end", serving.address, {})
        yield serving
        bed.unscrape("end-to-end")


@pytest.fixture
def world(bed: testbed.Testbed, namespace: str, exporter: Exporter) -> World:
    return World(bed, namespace, exporter)


def test_load_when_it_rises_and_falls_then_replicas_follow_and_every_write_is_explained(
    world: World, tmp_path: Path
) -> None:
    began_s = time.time()
    world.load(2)
    world.apply(replicas=2)
    with Operator(world.bed, tmp_path / "operator", world.namespace) as operator:
        world.wait_condition(ConditionType.READY, "True")
        assert operator.get("readyz")[0] == operator.get("healthz")[0] == 200
        world.load(6)
        world.wait_replicas(6)
        world.load(3)
        world.wait_replicas(3)
        settled = wait_until(
            lambda: world.status() if "pendingAction" not in world.status() else {},
            "no intent left",
        )
        assert settled["observedGeneration"] == 1
        assert settled["replicas"] == {"current": 3, "desired": 3}
        assert settled["lastDecision"]["reason"] == "Lowered"
        metrics = operator.get("metrics")[1]
        key = f'{{name="web",namespace="{world.namespace}"}}'
        assert f"{names.Metric.DESIRED_REPLICAS.value}{key} 3.0" in metrics
        assert operator.end() == 0
        written = [
            (row["from"], row["to"])
            for row in operator.rows("write")
            if row["outcome"] == "Written"
        ]
        audited = world.scale_writes(began_s)
        scaled = [e for e in audited if e["responseStatus"]["code"] == 200]
        assert [to for _, to in written] == [e["requestObject"]["spec"]["replicas"] for e in scaled]
        assert written[0] == (2, 6)
        assert "Traceback" not in operator.log.read_text()
        _assert_replays(operator.journal)
        _assert_explains(world, operator.journal)


def _assert_explains(world: World, path: Path) -> None:
    options = ["web", "-n", world.namespace, "--kubeconfig", str(world.bed.kubeconfig)]
    told = CliRunner().invoke(main, ["explain", *options, "--journal", str(path)])
    assert told.exit_code == 0, told.output
    assert "Lowered from 6 to 3" in told.output
    assert "load: 300." in told.output
    assert "replicas 6 -> 3: Written" in told.output
    as_json = CliRunner().invoke(main, ["explain", *options, "-o", "json"])
    assert json.loads(as_json.output)["status"]["lastDecision"]["to"] == 3
    nobody = CliRunner().invoke(main, ["explain", "nobody", *options[1:]])
    assert (nobody.exit_code, "there is no ChargedApp nobody" in nobody.output) == (1, True)


def _assert_replays(path: Path) -> None:
    reader, memory, safety, count = journal.Reader(), FleetMemory(), Safety(), 0
    for line in path.read_text().splitlines():
        match reader.read(json.loads(line)):
            case journal.Start() as start:
                memory, safety = start.memory, start.safety
            case journal.Turn() as played:
                memory = memory.forgetting(played.forgotten)
                moment = turn.Moment(played.turn_id, played.now_s)
                result = turn.turn(memory, moment, played.facts, safety)
                memory, count = result.memory, count + 1
                again = [journal.decision_to_json(o.decision) for o in result.outcomes]
                assert json.dumps(again) == json.dumps(list(played.decisions))
            case journal.Write() as write:
                memory = turn.acted(memory, write.key, write.action, write.outcome)
    assert count > 5


def test_advisory_app_when_load_rises_then_nothing_is_written_to_its_target(
    world: World, tmp_path: Path
) -> None:
    began_s = time.time()
    world.load(7)
    world.apply(replicas=2, mode="Advisory")
    with Operator(world.bed, tmp_path / "operator", world.namespace):
        # Four pods more at once is what the default behaviour allows.
        wait_until(
            lambda: (world.status().get("replicas") or {}).get("desired") == 6, "advice of 6"
        )
        assert world.condition(ConditionType.READY)["reason"] == "Advising"
        assert (world.replicas(), world.scale_writes(began_s)) == (2, [])


def test_namespace_label_when_set_then_writes_stop_within_a_turn_and_resume(
    world: World, tmp_path: Path
) -> None:
    world.load(2)
    world.apply(replicas=2)
    label = names.LABEL_FORCE_ADVISORY
    with Operator(world.bed, tmp_path / "operator", world.namespace) as operator:
        world.wait_condition(ConditionType.READY, "True")
        world.bed.kubectl("label", "namespace", world.namespace, f"{label}=")
        ready = world.wait_condition(ConditionType.READY, "False")
        assert ready["reason"] == "ForcedAdvisory"
        stopped_s = time.time()
        world.load(5)
        wait_until(lambda: _wants(operator, 5), "5 replicas wanted in the journal")
        assert (world.replicas(), world.scale_writes(stopped_s)) == (2, [])
        world.bed.kubectl("label", "namespace", world.namespace, f"{label}-")
        world.wait_replicas(5)


def _wants(operator: Operator, replicas: int) -> bool:
    """Whether its last turn would have that many, and may not act on it."""
    decisions = [row["apps"][0]["decision"] for row in operator.rows("turn") if row["apps"]]
    return bool(decisions) and (decisions[-1]["final"], decisions[-1]["acts"]) == (replicas, False)


def test_metrics_when_gone_then_never_lowered_and_said_so(world: World, tmp_path: Path) -> None:
    began_s = time.time()
    world.load(4)
    world.apply(replicas=4)
    with Operator(world.bed, tmp_path / "operator", world.namespace):
        world.wait_condition(ConditionType.METRICS_HEALTHY, "True")
        world.go_dark()
        healthy = world.wait_condition(ConditionType.METRICS_HEALTHY, "False")
        assert healthy["reason"] == "MissingMetrics"
        assert (world.replicas(), world.scale_writes(began_s)) == (4, [])
        world.load(4)
        world.wait_condition(ConditionType.METRICS_HEALTHY, "True")


def test_operator_when_killed_after_its_intent_then_the_next_life_counts_it(
    world: World, tmp_path: Path
) -> None:
    world.load(3)
    world.apply(replicas=3)
    sent = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    pending = {"id": "lost", "knob": "replicas", "from": 3, "to": 9, "time": sent}
    world.bed.kubectl(
        "patch",
        names.CHARGED_APPS,
        "web",
        "-n",
        world.namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        json.dumps({"status": {"pendingAction": pending}}),
    )
    with Operator(world.bed, tmp_path / "operator", world.namespace) as operator:
        first = wait_until(lambda: operator.rows("turn"), "a turn in the journal")[0]
        assert first["apps"][0]["past"]["pending"]["to"] == 9
        wait_until(lambda: "pendingAction" not in world.status(), "the intent cleared")
        assert world.replicas() == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_operator_when_asked_to_end_then_gives_the_lease_back_and_exits_0(
    world: World, tmp_path: Path, number: signal.Signals
) -> None:
    world.load(2)
    world.apply(replicas=2)
    with Operator(world.bed, tmp_path / "operator", world.namespace) as operator:
        world.wait_condition(ConditionType.READY, "True")
        operator.process.send_signal(number)
        assert operator.process.wait(10) == 0
        lease = json.loads(
            world.bed.kubectl("get", "lease", world.namespace, "-n", install.SYSTEM, "-o", "json")
        )
        assert not lease["spec"].get("holderIdentity")


def test_dry_run_when_load_rises_then_sends_no_write_at_all(world: World, tmp_path: Path) -> None:
    began_s = time.time()
    world.load(7)
    world.apply(replicas=2)
    with Operator(world.bed, tmp_path / "operator", world.namespace, "--dry-run") as operator:
        wait_until(lambda: operator.rows("write"), "a write it would have made")
        assert operator.end() == 0
    assert (world.status(), world.replicas(), world.scale_writes(began_s)) == ({}, 2, [])
