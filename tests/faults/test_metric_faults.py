"""Mimir fails, lies or is away: nothing is lowered, nothing made up is used, control comes back."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from charon_operator import names
from charon_operator.names import ConditionType
from charon_operator.testbed import certificates, sockets
from tests.faults import actions, harness, manifests, metricfault, truth
from tests.faults.lengths import LENGTHS, at_most
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.faults, at_most(600)]
HEALTHY = ConditionType.METRICS_HEALTHY
# After the first turn with every reading: the intent and the write, and a turn decided anew.
_BACK_S = manifests.PERIOD_S + 1.0

CODES = {
    **{str(code): metricfault.refusal(code) for code in (500, 503, 429, 401, 403, 404)},
    "422 of a store": metricfault.refusal(422, "internal", "planted"),
    "400 of a proxy": actions.Say(400, b"<html>bad request</html>"),
    "302 elsewhere": metricfault.redirect("http://127.0.0.1:1/", 302),
    "307 elsewhere": metricfault.redirect("http://127.0.0.1:1/"),
    "slow drip": metricfault.drip(0.2),
    "gzip bomb": metricfault.gzip_bomb(32),
    "cut in half": actions.Half(),
    "reset": actions.Reset(),
    # The query is told to be wrong: it is asked again after 5 s, then 10 s, at most a minute.
    "413": metricfault.refusal(413),
    "400 of a query": metricfault.refusal(400, "bad_data", "1:5: parse error: planted"),
}

BODIES: dict[str, actions.Action] = {
    "empty vector": metricfault.data("vector", []),
    "NaN": metricfault.value("NaN"),
    "+Inf": metricfault.value("+Inf"),
    "-Inf": metricfault.value("-Inf"),
    "a word": metricfault.value("abc"),
    "a number without quotes": metricfault.value(7),
    "null": metricfault.value(None),
    "true": metricfault.value(True),
    "1e400": metricfault.value("1e400"),
    "digits of another script": metricfault.value("１０"),
    "a scalar": metricfault.data("scalar", [time.time(), "7"]),
    "a matrix": metricfault.data("matrix", [{"metric": {}, "values": [[time.time(), "7"]]}]),
    "a string": metricfault.data("string", [time.time(), "7"]),
    "two series": metricfault.doubled(),
    "another namespace's": metricfault.labelled(namespace="elsewhere"),
    "a histogram": metricfault.Rewrite(metricfault.as_histograms),
    "status error": metricfault.Rewrite(lambda document: {**document, "status": "error"}),
    "no data": metricfault.Rewrite(lambda document: {"status": "success"}),
    "a list": metricfault.Rewrite(lambda document: [document]),
    "HTML": actions.Say(200, b"<html>welcome</html>", {"Content-Type": "text/html"}),
    "nothing": actions.Say(200),
    "truncated": metricfault.Rewrite(lambda document: b'{"status":"success","data":{"resultT'),
    "a warning": metricfault.warned("planted"),
    "deep nesting": actions.Say(200, b"[" * 100_000),
    "16 MiB of spaces": metricfault.huge(16),
    "422 of a query": metricfault.refusal(422, "execution", "planted"),
}

AGES: dict[str, actions.Action] = {
    "an hour old": metricfault.shifted(-3600),
    "just too old": metricfault.shifted(-manifests.MAX_AGE_S - 1.5),
    "an hour ahead": metricfault.shifted(3600),
}


@pytest.mark.parametrize("table", [CODES, BODIES, AGES], ids=["M2 codes", "M3 bodies", "M4 ages"])
def test_answers_when_they_cannot_be_used_then_nothing_is_lowered(
    table: dict[str, actions.Action],
    stage: harness.Stage,
    operator: harness.Operator,
    world: harness.World,
) -> None:
    world.load(8)
    world.wait_settled(8)
    since_s = time.time()
    with _played(stage, operator, world) as play:
        for name, action in table.items():
            play(name, action)
            # The first row's change has to be told; after it nothing may change any more.
            world.wait_condition(HEALTHY, "False")
            assert [str(m.write) for m in world.moves() if m.write.asked_s > since_s] == [], name
    world.wait_condition(HEALTHY, "True", 90)
    world.wait_settled(2, 90)
    assert world.violations(operator) == []


@contextlib.contextmanager
def _played(
    stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> Iterator[Callable[[str, actions.Action], None]]:
    """Rules that replace one another without a gap, over a load that asks to be lowered."""
    current: list[metricfault.Rule] = []

    def play(name: str, action: actions.Action) -> None:
        rule = metricfault.Rule(do=action)
        stage.metrics.add(rule)
        stage.metrics.remove(*current)
        current[:] = [rule]
        played_s = world.load(2)
        wait_until(lambda: rule.hits, f"a query to be answered with {name}", 60)
        # The turn under way may have its answers from before; the next one has not.
        wait_until(lambda: len(world.turns(operator, played_s)) >= 2, f"two turns with {name}")

    with contextlib.ExitStack() as stack:
        stack.callback(lambda: stage.metrics.remove(*current))
        stack.enter_context(world.blinded())
        yield play


BOUNDED = {
    "negative": ("-5", 1),
    "huge": ("5e9", 20),
}


@pytest.mark.parametrize(("text", "wanted"), BOUNDED.values(), ids=list(BOUNDED))
def test_m3_when_a_value_is_extreme_then_the_bounds_hold(
    text: str,
    wanted: int,
    stage: harness.Stage,
    operator: harness.Operator,
    world: harness.World,
) -> None:
    world.wait_settled(2)
    with stage.metrics.broken(metricfault.Rule(do=metricfault.value(text))):
        world.wait_settled(wanted)
    assert [*world.violations(operator), *world.unseen()] == []


# The second overflows int64 in milli-units, as KEDA and the HPA count.
@pytest.mark.parametrize("text", ["1e308", "9300000000000000"])
def test_m3_when_a_value_is_beyond_reckoning_then_it_is_not_used(
    text: str, stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    with stage.metrics.broken(metricfault.Rule(do=metricfault.value(text))):
        found = world.wait_condition(ConditionType.READY, "False")
        assert found["reason"] == names.Reason.LAW_FAILED
        assert "served" in found["message"]
        world.wait_turns(2)
    world.wait_condition(ConditionType.READY, "True")
    assert world.moves() == []
    assert [*world.violations(operator), *world.unseen()] == []


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_m1_when_mimir_cannot_be_reached_then_it_holds_and_is_back_in_a_period(
    how: str, stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> None:
    world.load(5)
    world.wait_settled(5)
    silence = stage.metrics.broken(metricfault.Rule(do=actions.Silence()))
    with stage.metrics.refusing() if how == "refused" else silence, world.blinded():
        world.load(2)
        world.wait_condition(HEALTHY, "False")
        harness.hold(LENGTHS.metric_outage_s)
        assert world.replicas() == 5
        world.load(9)
        harness.hold(3)  # until the new load is in Mimir: what is judged is the operator
        back_s = time.time()
    world.wait_replicas(9)
    move = harness.audited_move(world, back_s)
    whole_s = world.first_whole_turn(operator, back_s)
    late = harness.took(move.write.answered_s, whole_s, _BACK_S, "control")
    assert [*late, *world.violations(operator), *world.unseen()] == []


def test_m1_when_the_name_of_mimir_is_unknown_then_it_holds_and_says_so(
    alone: harness.Stage,
) -> None:
    mimir = {"url": "http://mimir.invalid/prometheus"}
    with (
        harness.world(alone, 5) as world,
        alone.running("nameless", world.namespace, mimir=mimir) as operator,
        world.blinded(),
    ):
        world.load(2)
        found = world.wait_condition(HEALTHY, "False")
        wait_until(lambda: len(world.turns(operator)) >= 3, "three turns")
        assert (world.replicas(), world.moves()) == (5, [])
        assert found["reason"] == names.Reason.MISSING
        assert "QueryFailed" in found["message"]
    assert [*world.violations(operator), *world.unseen()] == []


def test_m1_when_mimir_shows_a_strange_certificate_then_it_holds_until_it_is_trusted(
    alone: harness.Stage, tmp_path: Path
) -> None:
    stranger = certificates.Authority(tmp_path / "stranger", "stranger")
    shown = stranger.server("mimir", [sockets.LOOPBACK])
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(alone.bed.serving_ca_file.read_bytes())
    pair = (shown.certificate, shown.key)
    with metricfault.MetricFault(alone.bed.mimir_url, tls=pair) as secure:
        mimir = {"url": f"{secure.url}/prometheus", "ca_file": str(trusted)}
        with (
            harness.world(alone, 5) as world,
            alone.running("strange", world.namespace, mimir=mimir) as operator,
        ):
            world.load(2)
            found = world.wait_condition(HEALTHY, "False")
            assert world.replicas() == 5
            assert list(secure.seen) == []
            trusted.write_bytes(stranger.pair.certificate.read_bytes())
            world.wait_replicas(2)
            assert [*world.violations(operator), *world.unseen()] == []
            assert found["reason"] == names.Reason.MISSING


def test_m4_when_the_exporter_falls_silent_then_nothing_is_lowered_until_it_speaks(
    operator: harness.Operator, world: harness.World
) -> None:
    world.load(8)
    world.wait_settled(8)
    world.go_dark()
    world.wait_condition(HEALTHY, "False", manifests.MAX_AGE_S + 20)
    with world.blinded():
        world.wait_turns(4)
        assert world.replicas() == 8
    world.load(3)
    world.wait_settled(3)
    assert [*world.violations(operator), *world.unseen()] == []


def test_mimir_when_it_is_stopped_for_30_s_in_mid_step_then_the_invariants_hold(
    operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    stepped_s = world.load(9)
    wait_until(lambda: harness.first_move(world, stepped_s), "the step to begin")
    mimir = world.bed.process("mimir")
    mimir.stop()
    with world.blinded():
        world.load(3)
        world.wait_condition(HEALTHY, "False")
        harness.hold(30)
        assert world.replicas() == 9
    mimir.start()
    world.wait_settled(3, 60)
    world.wait_told(60)
    unrest = truth.is_stable(world.writes(), *world.wait_rest(operator, 5))
    assert [*unrest, *world.violations(operator), *world.unseen()] == []


def test_tenant_when_queries_are_asked_then_none_is_without_one(
    stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> None:
    world.wait_turns(2)
    assert stage.metrics.bare == 0
    assert {seen.asked.tenant for seen in stage.metrics.seen} == {stage.bed.tenant}
