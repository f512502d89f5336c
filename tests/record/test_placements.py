"""The third knob as it is told: status, condition, words, Events, metrics."""

from dataclasses import replace
from typing import Any

import pytest

from charon_operator.model.decision import Decision
from charon_operator.model.facts import Broken, Conflict, Outcome
from charon_operator.model.placing import Placing, VariantMove
from charon_operator.model.reading import Reading
from charon_operator.model.status import ChargedAppStatus
from charon_operator.model.workload import Target
from charon_operator.names import GrantReason, Metric, Reason, Shortage
from charon_operator.record import events, explain, status
from charon_operator.record.conditions import Standing
from charon_operator.record.metrics import Metrics, View
from tests.model import bad_input
from tests.record import samples
from tests.record.test_metrics import values

NOW_S = 1764000000.0
MESSAGE = "640 of 812.5 units a second can be served; fp16: BusyNow: 1 of 2 pods fit"


def app(**changes: Any) -> Any:
    body = bad_input.PLACED
    meta = {"name": "ptycho", "namespace": "workload", "uid": "uid-ptycho", "generation": 1}
    spec = {**body["spec"], "mode": "Active", **changes}
    return type(samples.app()).parse({**body, "metadata": meta, "spec": spec})


def move(name: str, asked: int, final: int | None = None, **changes: int) -> VariantMove:
    target = Target("Deployment", "workload", f"c-{name}")
    final = asked if final is None else final
    counts = {"ready": asked, "waiting": 0, "goal": final, **changes}
    return VariantMove(name, target, asked, final=final, **counts)


def placing(*moves: VariantMove, **changes: Any) -> Placing:
    found = moves or (move("fp16", 1, goal=2), move("fp32", 0), move("cpu", 3))
    given: dict[str, Any] = {
        "acts": True,
        "feasible": False,
        "reason": GrantReason.LIMITED,
        "message": MESSAGE,
        "capacity": 640.0,
        "wanted": 812.5,
        **changes,
    }
    return Placing(variants=found, **given)


def decision(reason: Reason = Reason.UNCHANGED, final: int = 4, **changes: Any) -> Decision:
    message = f"{reason}: freshness wants 812.5 a second."
    found = Decision("d1", "placement", True, 4, 4, final, reason, message)
    return replace(found, **changes)


def standing(
    found: Placing | None = None,
    decided: Decision | None = None,
    spec: Any = None,
    **changes: Any,
) -> Standing:
    facts = samples.facts(
        900.0, NOW_S, app=spec or app(), workload=samples.workload(4, name="c-fp16")
    )
    given: dict[str, Any] = {"placing": placing() if found is None else found, **changes}
    outcome = Outcome(facts.key, "uid-ptycho", 1, decided or decision(), **given)
    return Standing(facts, outcome)


def told(found: Standing, before: Any = None) -> dict[str, Any]:
    return status.compose(found, before or {}, NOW_S)


def condition(found: dict[str, Any]) -> Any:
    return {one["type"]: one for one in found["conditions"]}.get("PlacementFeasible")


def test_status_tells_every_variant_and_what_they_serve() -> None:
    found = told(standing())
    ChargedAppStatus.model_validate(found)
    assert found["placement"] == {
        "variants": [
            {"name": "fp16", "asked": 1, "ready": 1, "waiting": 0, "goal": 2},
            {"name": "fp32", "asked": 0, "ready": 0, "waiting": 0, "goal": 0},
            {"name": "cpu", "asked": 3, "ready": 3, "waiting": 0, "goal": 3},
        ],
        "capacity": "640",
        "wanted": "812.5",
        "reason": "Limited",
        "message": MESSAGE,
    }
    assert found["replicas"] == {"current": 4, "desired": 4}
    assert found["pendingAction"] is None


def test_largest_figures_fit_the_schema() -> None:
    most = 10.0**12 * 1000 * 8
    ChargedAppStatus.model_validate(told(standing(placing(capacity=most, wanted=most + 0.12345))))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"feasible": True, "reason": GrantReason.ENOUGH}, ("True", "Enough")),
        ({}, ("False", "Limited")),
        ({"reason": Shortage.NO_SUCH_PRODUCT.value}, ("False", "NoSuchProduct")),
        ({"reason": Reason.ROLLED_BACK}, ("False", "RolledBack")),
        ({"feasible": None, "reason": Reason.SUPPLY_UNKNOWN}, ("Unknown", "SupplyUnknown")),
    ],
)
def test_condition_says_whether_what_is_wanted_can_be_had(
    changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    found = condition(told(standing(placing(**changes))))
    assert (found["status"], found["reason"], found["message"]) == (*expected, MESSAGE)


def test_condition_of_variants_that_are_not_known_says_why() -> None:
    unread = standing()
    unread = replace(unread, outcome=replace(unread.outcome, placing=None))
    found = condition(told(unread))
    assert (found["status"], found["reason"]) == ("Unknown", "NotYetAsked")
    problem = Broken(unread.facts.key, "uid-ptycho", 1, "spec", "no", Reason.POLICY_NOT_FOUND)
    unread = replace(unread, outcome=replace(unread.outcome, problem=problem))
    found = condition(told(unread))
    assert (found["status"], found["reason"]) == ("Unknown", "PolicyNotFound")


def test_what_is_not_known_at_a_turn_is_told_as_it_was() -> None:
    before = told(standing())
    unread = standing()
    unread = replace(unread, outcome=replace(unread.outcome, placing=None))
    assert told(unread, before)["placement"] == before["placement"]
    assert told(unread)["placement"] is None


def test_app_without_placement_is_told_nothing_of_it() -> None:
    plain = samples.facts(900.0, NOW_S)
    found = told(Standing(plain, Outcome(plain.key, "uid-ptycho", 1, decision())))
    assert found["placement"] is None
    assert condition(found) is None


def test_units_a_second_alone_are_no_reason_to_write() -> None:
    before = told(standing())
    message = MESSAGE.replace("812.5", "805.25").replace("640", "639.9")
    now = told(standing(placing(wanted=805.25, capacity=639.9, message=message)), before)
    assert now["placement"] == before["placement"]
    assert condition(now) == condition(before)
    assert status.patch(before, now, 3600.0) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"message": MESSAGE.replace("fp16", "fp32")},
        {"message": MESSAGE.replace("BusyNow", "Fragmented")},
        {"message": MESSAGE.replace("1 of 2 pods", "0 of 2 pods")},
        {"wanted": None},
        {"variants": (move("fp16", 1, ready=0, goal=2), move("fp32", 0), move("cpu", 3))},
    ],
)
def test_anything_else_is_told_with_its_figures(changes: dict[str, Any]) -> None:
    before = told(standing())
    now = told(standing(replace(placing(capacity=639.0), **changes)), before)
    assert now["placement"]["capacity"] == "639"
    assert condition(now)["message"] == now["placement"]["message"]
    assert status.patch(before, now, 1.0) is None
    assert "placement" in (status.patch(before, now, 60.0) or {})


def test_figures_of_another_generation_are_told_anew() -> None:
    before = {**told(standing()), "observedGeneration": 0}
    now = told(standing(placing(wanted=805.25)), before)
    assert now["placement"]["wanted"] == "805.25"


def test_step_is_told_at_once_with_its_decision() -> None:
    before = told(standing())
    step = placing(move("fp16", 1, 2), move("fp32", 0), move("cpu", 3))
    for reason, final in ((Reason.RAISED, 5), (Reason.LOWERED, 3), (Reason.EXCHANGED, 4)):
        now = told(standing(step, decision(reason, final, decision_id="d2")), before)
        assert now["lastDecision"]["reason"] == reason
        assert now["lastDecision"]["knob"] == "placement"
        assert now["pendingAction"] is None
        assert status.patch(before, now, 1.0) is not None
        # Until it is seen, or tried again, it is the same step.
        again = told(standing(step, decision(reason, final, decision_id="d3")), now)
        assert status.patch(now, again, 3600.0) is None


def test_replicas_that_came_about_are_told_at_once() -> None:
    before = told(standing())
    now = told(standing(placing(move("fp16", 2), move("fp32", 0), move("cpu", 3))), before)
    assert status.patch(before, now, 1.0) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": app(mode="Advisory")},
        {"conflict": Conflict(Reason.HPA_OWNS_TARGET, "HorizontalPodAutoscaler a", "f", "m")},
    ],
)
def test_step_that_is_not_made_waits_to_be_told(changes: dict[str, Any]) -> None:
    spec = changes.pop("spec", None)
    step = placing(move("fp16", 1, 2), move("fp32", 0), move("cpu", 3), acts=False)
    decided = [decision(Reason.RAISED, n, acts=False, decision_id=f"d{n}") for n in (5, 6)]
    before = told(standing(step, decided[0], spec, **changes))
    now = told(standing(step, decided[1], spec, **changes), before)
    assert status.patch(before, now, 1.0) is None
    assert "lastDecision" in (status.patch(before, now, 60.0) or {})


@pytest.mark.parametrize(
    "forged", ["much", 5, [], {}, {"variants": "x"}, {"variants": [5]}, {"message": 5}]
)
def test_forged_placement_is_written_over(forged: Any) -> None:
    before = {**told(standing()), "placement": forged}
    now = told(standing(), before)
    assert now["placement"]["reason"] == "Limited"
    assert status.patch(before, now, 1.0) is not None


def test_ready_names_every_workload() -> None:
    found = standing()
    readings = {"queued": Reading(900.0, NOW_S)}
    found = replace(found, facts=replace(found.facts, readings=readings))
    (ready,) = [one for one in told(found)["conditions"] if one["type"] == "Ready"]
    targets = ", ".join(f"Deployment workload/c-{name}" for name in ("fp16", "fp32", "cpu"))
    assert ready["message"] == f"Controls {targets}."


def test_words_tell_variants_and_why_they_are_not_more() -> None:
    lines = explain.words(told(standing()))
    assert "Variant fp16: 1 asked for, 1 ready, 0 without a node, 2 aimed at." in lines
    assert f"They serve 640 of 812.5 wanted a second (Limited): {MESSAGE}" in lines
    assert any(line.startswith("PlacementFeasible is False since") for line in lines)


def row(**changes: Any) -> dict[str, Any]:
    variants = {
        "fp16": {"asked": 0, "final": 1, "goal": 2},
        "fp32": {"asked": 3, "final": 3, "goal": 0},
    }
    decided = {"decisionId": "d1", "acts": True, "current": 3, "final": 4, "message": "Raised."}
    entry = {
        "app": "workload/ptycho",
        "decision": decided,
        "placing": {"variants": variants, "message": MESSAGE},
    }
    return {"kind": "turn", "time": NOW_S, "apps": [{**entry, **changes}]}


def test_journal_words_name_every_step_and_what_came_of_it() -> None:
    placed = {**row()["apps"][0]["placing"]}
    write = {"kind": "place", "time": NOW_S + 1, "app": "workload/ptycho", "decisionId": "d1"}
    write |= {"placing": placed, "outcome": "Written", "detail": ""}
    found = explain.search([row(), write], "workload/ptycho")
    text = "\n".join(explain.entry_words(found, str))
    assert f"Variants: fp16 0 -> 1 on the way to 2: {MESSAGE}" in text
    assert f"{NOW_S + 1}  variants fp16 0 -> 1 on the way to 2: Written" in text


def test_journal_words_say_that_a_pod_template_was_changed() -> None:
    change = {"before": "fp32", "after": "fp16", "replicas": 3, "surges": False}
    placed = {**row()["apps"][0]["placing"], "change": change}
    found = explain.search([row(placing=placed)], "workload/ptycho")
    text = "\n".join(explain.entry_words(found, str))
    assert (
        "Variants: fp16 0 -> 1 on the way to 2 (pod template from fp32 to fp16, one old pod before "
        "each new one)"
    ) in text


def test_journal_words_say_that_an_exchange_was_not_carried_out() -> None:
    decided = {**row()["apps"][0]["decision"], "acts": False, "final": 3}
    found = explain.search([row(decision=decided)], "workload/ptycho")
    assert "  Not carried out: the app is Advisory." in explain.entry_words(found, str)


def test_event_of_a_step_names_the_decision() -> None:
    event = events.placed(standing(decided=decision(Reason.EXCHANGED)).outcome)
    assert (event.reason, event.warning) == ("Placed", False)
    assert event.message == "Exchanged: freshness wants 812.5 a second. (decision d1)"


def test_rolling_back_is_an_event_once() -> None:
    waits = told(standing())
    back = told(standing(placing(reason=Reason.ROLLED_BACK)), waits)
    outcome = standing().outcome
    (event,) = events.of_changes(outcome, waits["conditions"], back["conditions"])
    assert (event.reason, event.warning, event.message) == ("RolledBack", True, MESSAGE)
    assert events.of_changes(outcome, back["conditions"], back["conditions"]) == []
    assert events.of_changes(outcome, back["conditions"], waits["conditions"]) == []


def test_metrics_show_variants_as_long_as_they_are_known() -> None:
    found, metrics = standing(), Metrics()
    views = [View(found.facts, found.outcome, NOW_S)]
    metrics.apps(lambda: views, lambda: NOW_S)
    shown = values(metrics)
    counts = {
        key.split(",")[1]: value
        for key, value in shown.items()
        if key.startswith(f"{Metric.VARIANT_REPLICAS},") and key.endswith(",fp16")
    }
    assert counts == {"asked": 1, "ready": 1, "waiting": 0, "goal": 2}
    assert shown[f"{Metric.PLACEMENT_FEASIBLE},ptycho,workload"] == 0
    unknown = standing(placing(feasible=None))
    views[:] = [View(unknown.facts, unknown.outcome, NOW_S)]
    assert not [name for name in values(metrics) if name.startswith(Metric.PLACEMENT_FEASIBLE)]
