"""The API server fails: away, answering codes, ending watches with errors."""

import time
from collections.abc import Callable

import pytest

from charon_operator import names
from charon_operator.ports import WriteOutcome
from tests.faults import actions, apifault, harness, truth
from tests.faults.lengths import LENGTHS, at_most
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.faults, at_most(120)]

CODES = (503, 500, 403, 404, 401, 429)
APPS = names.CHARGED_APPS


def still_controls(world: harness.World, since_s: float) -> list[str]:
    """Changes the load and judges how long it took, since the fault was over, to be followed."""
    wanted = 6 if world.replicas() != 6 else 8
    world.load(wanted)
    world.wait_replicas(wanted, 60)
    move = harness.audited_move(world, since_s, lambda move: move.after == wanted)
    return harness.took(move.write.answered_s, since_s, harness.RECOVERED_S, "control")


@pytest.mark.parametrize("outage_s", LENGTHS.api_outages_s)
def test_f7_when_the_api_server_is_away_then_control_comes_back(
    outage_s: float, operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    pid = operator.pid
    server = world.bed.process("kube-apiserver")
    server.kill()
    world.load(9)
    harness.hold(outage_s)
    server.start()
    back_s = time.time()
    world.wait_replicas(9, 60)
    move = harness.audited_move(world, back_s - 5)
    late = harness.took(move.write.answered_s, back_s, harness.RECOVERED_S, "control")
    assert operator.pid == pid
    assert [*late, *world.violations(operator), *world.unseen()] == []


def _reopen(stage: harness.Stage) -> None:
    stage.api.end_watches()


def _relist(stage: harness.Stage) -> None:
    stage.api.fail_watches(410)


PROVOKED: dict[str, Callable[[harness.Stage], None]] = {"watch": _reopen, "list": _relist}


@pytest.mark.parametrize("verb", ["watch", "list", "get", "patch"])
def test_f8_when_a_verb_answers_codes_then_the_operator_stays_and_recovers(
    verb: str, stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    pid, told = operator.pid, _told(operator, verb)
    for code in CODES:
        _answer(stage, operator, world, verb, code)
    over_s = time.time()
    late = still_controls(world, over_s)
    assert operator.pid == pid
    assert _told(operator, verb) > told
    assert [*late, *world.violations(operator)] == []


def _answer(
    stage: harness.Stage, operator: harness.Operator, world: harness.World, verb: str, code: int
) -> None:
    rule = apifault.Rule(do=apifault.refusal(code), verbs=(verb,), client=operator.name)
    with stage.api.broken(rule, *_provoking(verb)):
        PROVOKED.get(verb, lambda _: None)(stage)
        world.load(5 if world.replicas() != 5 else 7)
        wait_until(lambda: rule.hits >= 1, f"{verb} to be answered {code}")
        harness.hold(LENGTHS.code_s)


def _told(operator: harness.Operator, verb: str) -> float:
    """How often its metrics say that this verb failed."""
    if verb in PROVOKED:
        return operator.metric(names.Metric.INFORMER_RESTARTS)
    failed = [outcome for outcome in WriteOutcome if outcome is not WriteOutcome.WRITTEN]
    return sum(operator.metric(names.Metric.API_WRITES, outcome=outcome) for outcome in failed)


def _provoking(verb: str) -> list[apifault.Rule]:
    """A target is read afresh only when a write was refused as stale."""
    if verb != "get":
        return []
    return [apifault.Rule(do=apifault.refusal(409), verbs=("patch",), subresource="scale", times=1)]


@pytest.mark.parametrize("code", [500, 504, 410])
def test_f9_when_watches_end_with_an_error_then_the_informer_comes_back(
    code: int, stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    pid = operator.pid
    assert stage.api.fail_watches(code, APPS) >= 1
    failed_s = time.time()
    world.change(replicas={"min": 4, "max": 20})
    world.wait_replicas(4, 60)
    move = harness.audited_move(world, failed_s)
    late = harness.took(move.write.answered_s, failed_s, harness.RECOVERED_S, "control")
    assert operator.pid == pid
    assert [*late, *world.violations(operator)] == []


def test_f9_when_410_comes_in_a_storm_then_there_is_at_most_one_list_a_second(
    stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    rule = apifault.Rule(
        do=apifault.WatchError(410), verbs=("watch",), resource=APPS, client=operator.name
    )
    began_s = time.time()
    with stage.api.broken(rule):
        stage.api.fail_watches(410, APPS)
        harness.hold(LENGTHS.storm_s)
    over_s = time.time()
    lists = [
        seen
        for seen in stage.api.requests("list", resource=APPS)
        if began_s <= seen.time_s <= over_s and seen.asked.client == operator.name
    ]
    assert 2 <= len(lists) <= 1 + (over_s - began_s)
    assert [*still_controls(world, over_s), *world.violations(operator)] == []


UNSURE = {
    "the answer is lost": actions.LoseAnswer(),
    "the answer is 500": actions.Lie(apifault.refusal(500)),
    "it is applied twice": actions.Twice(),
}


@pytest.mark.parametrize("action", UNSURE.values(), ids=list(UNSURE))
@pytest.mark.parametrize("subresource", ["scale", "status"])
def test_f1_when_a_write_was_applied_and_the_answer_is_wrong_then_the_step_is_made_once(
    subresource: str,
    action: actions.Action,
    stage: harness.Stage,
    operator: harness.Operator,
    world: harness.World,
) -> None:
    world.wait_settled(2)
    rule = apifault.Rule(
        do=action,
        verbs=("patch",),
        subresource=subresource,
        namespace=world.namespace,
        times=1,
    )
    with stage.api.broken(rule):
        world.load(6)
        world.wait_settled(6)
    assert rule.hits == 1
    assert [move.after for move in world.moves()] == [6]
    assert [*world.violations(operator), *world.unseen()] == []


def test_half_json_when_lists_and_watches_break_off_then_control_comes_back(
    stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    rule = apifault.Rule(do=actions.Half(), verbs=("list", "get"), client=operator.name, times=3)
    with stage.api.broken(rule):
        stage.api.fail_watches(410)
        wait_until(lambda: rule.hits == 3, "three answers to be cut")
    assert [*still_controls(world, time.time()), *world.violations(operator)] == []


def test_rest_when_nothing_changes_then_nothing_is_written(
    operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    world.wait_told()
    assert truth.is_stable(world.writes(), *world.wait_rest(operator, 10)) == []


def test_journal_when_replicas_changed_then_each_change_is_explained(
    operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    for wanted in (7, 4):
        world.load(wanted)
        world.wait_settled(wanted)
    assert [move.after for move in world.moves()] == [7, 4]
    assert [*world.unexplained(operator), *world.violations(operator), *world.unseen()] == []
