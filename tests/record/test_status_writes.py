"""When a status is written, and what is in it: states at once, refinements once a minute."""

from typing import Any

import pytest

from charon_operator.model.decision import Clamp, Decision
from charon_operator.model.facts import (
    AppFacts,
    Broken,
    Conflict,
    ObjectiveState,
    ObjectiveVerdict,
    Outcome,
)
from charon_operator.model.reading import Attainment, Missing, MissingReason
from charon_operator.model.status import ChargedAppStatus
from charon_operator.model.workload import Key
from charon_operator.names import Reason
from charon_operator.record import events, status
from charon_operator.record.conditions import Standing
from tests.record import samples

NOW_S = 1764000000.25
LATER_S = NOW_S + 30
LONG_S = 3600.0


def decision(**changes: Any) -> Decision:
    fields: dict[str, Any] = {
        "decision_id": "d1",
        "knob": "replicas",
        "acts": True,
        "current": 2,
        "raw": 2,
        "final": 2,
        "reason": Reason.UNCHANGED,
        "message": "Unchanged at 2: freshness wants 2.",
        **changes,
    }
    return Decision(**fields)


def objective(**changes: Any) -> ObjectiveState:
    fields: dict[str, Any] = {
        "name": "freshness",
        "verdict": ObjectiveVerdict.MET,
        "good_now": True,
        "attainment": 0.99,
        "coverage": 1.0,
        "budget_remaining": 0.8,
        **changes,
    }
    return ObjectiveState(**fields)


def standing(refused: str = "", facts: AppFacts | None = None, **changes: Any) -> Standing:
    facts = facts or samples.facts(
        100.0, NOW_S, attainments={"freshness": Attainment(0.99, 1.0, NOW_S, NOW_S + 180)}
    )
    fields: dict[str, Any] = {
        "key": facts.key,
        "uid": facts.app.uid,
        "generation": facts.app.generation,
        "decision": decision(),
        "objectives": (objective(),),
        **changes,
    }
    return Standing(facts, Outcome(**fields), refused)


def told(found: Standing) -> dict[str, Any]:
    return status.merged({}, status.changes({}, status.compose(found, {}, NOW_S)))


def conditions(found: Standing) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in told(found)["conditions"]}


def patched(before: Standing, after: Standing, since_s: float = 5.0) -> Any:
    previous = told(before)
    return status.patch(previous, status.compose(after, previous, LATER_S), since_s)


def test_status_when_composed_then_fits_the_schema_of_the_crd() -> None:
    moving = standing(decision=decision(final=5, raw=9, reason=Reason.RAISED))
    written = status.intent(moving, {}, NOW_S)
    ChargedAppStatus.model_validate(written)
    assert written["pendingAction"]["to"] == 5
    assert written["lastDecision"]["raw"] == 9


def test_status_when_nothing_changed_then_is_not_written() -> None:
    assert patched(standing(), standing(), LONG_S) is None


@pytest.mark.parametrize(
    "after",
    [
        standing(objectives=(objective(attainment=0.9891, budget_remaining=0.82),)),
        standing(objectives=(objective(attainment=0.9891, coverage=1.0),)),
        standing(decision=decision(decision_id="d2", raw=2, demand_age_s=3.0)),
        standing(settling=0, decision=decision(message="Unchanged at 2: freshness wants 2")),
    ],
    ids=["figures within their band", "attainment", "another turn", "other words of Unchanged"],
)
def test_status_when_only_numbers_moved_then_is_not_written(after: Standing) -> None:
    assert patched(standing(), after, LONG_S) is None


@pytest.mark.parametrize(
    ("after", "fields"),
    [
        (standing(objectives=(objective(budget_remaining=0.79),)), {"objectives"}),
        (
            standing(
                decision=decision(raw=1, reason=Reason.HELD, clamps=(Clamp("Hold", 1, 2, "x"),))
            ),
            {"lastDecision"},
        ),
    ],
    ids=["another band of budget", "held by a limit"],
)
def test_status_when_a_refinement_changed_then_is_written_once_a_minute(
    after: Standing, fields: set[str]
) -> None:
    assert patched(standing(), after, 59.0) is None
    assert set(patched(standing(), after, 60.0)) == fields


@pytest.mark.parametrize(
    "after",
    [
        standing(objectives=(objective(verdict=ObjectiveVerdict.VIOLATED),)),
        standing(missing={"queued": Missing(MissingReason.STALE)}),
        standing(conflict=Conflict(Reason.HPA_OWNS_TARGET, "HPA web", "spec.replicas", "x")),
        standing(refused="no"),
        standing(generation=2),
    ],
    ids=["violated", "missing", "conflict", "refused", "generation"],
)
def test_status_when_a_state_changed_then_is_written_at_once(after: Standing) -> None:
    assert "conditions" in patched(standing(), after, 0.0)


def test_status_when_pods_come_and_go_then_is_not_written_for_each_of_them() -> None:
    assert patched(standing(), standing(settling=2), 9.0) is None
    assert "conditions" in patched(standing(), standing(settling=2), 10.0)


def test_transition_when_only_the_reason_changed_then_its_time_stays() -> None:
    missing = {"queued": Missing(MissingReason.STALE)}
    before = told(standing(missing=missing))
    after = status.compose(standing(missing=missing, blind_fleet=True), before, LATER_S)
    times = {c["type"]: c["lastTransitionTime"] for c in after["conditions"]}
    assert set(times.values()) == {"2025-11-24T16:00:00Z"}
    recovered = status.compose(standing(), before, LATER_S)
    healed = {c["type"]: c["lastTransitionTime"] for c in recovered["conditions"]}
    assert healed["MetricsHealthy"] == "2025-11-24T16:00:30Z"


@pytest.mark.parametrize(
    "forged",
    [
        {"conditions": 7},
        {"conditions": [3, {"type": "Ready"}]},
        {"lastDecision": "x"},
        {"objectives": [{"name": "freshness", "state": []}]},
        {"pendingAction": 4},
    ],
    ids=str,
)
def test_status_when_forged_by_a_user_then_is_put_right(forged: dict[str, Any]) -> None:
    patch = status.patch(forged, status.compose(standing(), forged, NOW_S), 0.0)
    assert patch is not None
    ChargedAppStatus.model_validate(status.merged(forged, patch))


BROKEN = Broken(Key("workload", "ptycho"), "u", 1, "spec.policyRef.name", "there is none")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (standing(), {"Ready": ("True", "Controlling"), "Actuating": ("False", "Settled")}),
        (
            standing(problem=BROKEN),
            {"Ready": ("False", "InvalidSpec"), "MetricsHealthy": ("Unknown", "NotYetAsked")},
        ),
        (
            standing(missing={"queued": Missing(MissingReason.NO_DATA)}),
            {"Ready": ("False", "MissingMetrics"), "MetricsHealthy": ("False", "MissingMetrics")},
        ),
        (
            standing(missing={"queued": Missing(MissingReason.NO_DATA)}, blind_fleet=True),
            {"MetricsHealthy": ("False", "BlindFleet")},
        ),
        (standing(blind_fleet=True), {"Ready": ("True", "Controlling")}),
        (
            standing(facts=samples.facts(1.0, NOW_S, app=samples.app(mode="Advisory"))),
            {"Ready": ("True", "Advising"), "Actuating": ("False", "Advising")},
        ),
        (
            standing(facts=samples.facts(1.0, NOW_S, forced_advisory="label")),
            {"Ready": ("False", "ForcedAdvisory"), "Actuating": ("False", "ForcedAdvisory")},
        ),
        (
            standing(facts=samples.facts(1.0, NOW_S, workload=None)),
            {"Ready": ("Unknown", "NotYetAsked")},
        ),
        (
            standing(conflict=Conflict(Reason.HPA_OWNS_TARGET, "HPA web", "spec.replicas", "x")),
            {
                "Ready": ("False", "HorizontalPodAutoscaler"),
                "OwnershipConflict": ("True", "HorizontalPodAutoscaler"),
            },
        ),
        (
            standing(objectives=(objective(verdict=ObjectiveVerdict.UNKNOWN),)),
            {"ObjectivesMet": ("Unknown", "LowCoverage"), "Ready": ("True", "Controlling")},
        ),
        (standing(settling=3), {"Actuating": ("True", "WaitingForPods")}),
        (
            standing(refused="admission"),
            {"Actuating": ("False", "WriteRefused"), "Ready": ("False", "WriteRefused")},
        ),
    ],
    ids=str,
)
def test_conditions_when_an_app_stands_so_then_say_so(
    found: Standing, expected: dict[str, tuple[str, str]]
) -> None:
    assert conditions(found).items() >= expected.items()


def unhealthy(**missing: Missing) -> str:
    found = told(standing(missing=missing))["conditions"]
    return next(str(c["message"]) for c in found if c["type"] == "MetricsHealthy")


@pytest.mark.parametrize("reason", MissingReason)
def test_message_when_a_value_is_missing_then_names_a_remedy(reason: MissingReason) -> None:
    message = unhealthy(queued=Missing(reason, "x"), other=Missing(reason, "x"))
    start = f"No usable value for other ({reason}), queued ({reason}); replicas are not lowered. "
    assert message.startswith(f"{start}{reason}: ")
    assert message.count(f"{reason}: ") == 1


# What the store says of a query at two turns, and what is told of it at both.
SAID = [
    ('HTTP 422: duplicates: {pod="a-1"}', 'HTTP 422: duplicates: {pod="b"}', "duplicates: …"),
    ("HTTP 400: at 1764000000 s: no", "HTTP 400: at 1764000005.5 s: no", "at … s: no"),
    ("the store warns: q 2.0 too big", "the store warns: q 3 too big", "q … too big"),
    ("HTTP 422: cut {a=" + "x" * 239, "HTTP 422: cut {b=" + "y" * 239, "cut …"),
    ("HTTP 422: " + "long " * 60, "HTTP 422: " + "long " * 60, ("long " * 24).strip()),
]


@pytest.mark.parametrize(("before", "after", "wanted"), SAID, ids=[row[0][:30] for row in SAID])
def test_message_when_the_store_refuses_a_query_then_its_words_less_what_varies(
    before: str, after: str, wanted: str
) -> None:
    first, second = (
        standing(missing={"queued": Missing(MissingReason.QUERY_FAILED, detail)})
        for detail in (before, after)
    )
    assert f"queued (QueryFailed: {wanted});" in unhealthy(**first.outcome.missing)
    assert patched(first, second, LONG_S) is None


@pytest.mark.parametrize("detail", ["HTTP 503", "cannot be reached: ConnectError: 10.0.0.1"])
def test_message_when_the_store_is_away_then_its_failures_are_not_told_apart(detail: str) -> None:
    message = unhealthy(queued=Missing(MissingReason.QUERY_FAILED, detail))
    assert message.startswith("No usable value for queued (QueryFailed); ")


def test_message_when_a_reading_goes_stale_then_holds_no_age() -> None:
    found = standing(missing={"queued": Missing(MissingReason.STALE, "17 s old")})
    messages = [c["message"] for c in told(found)["conditions"]]
    assert not any("17" in text for text in messages)


def test_events_when_metrics_go_and_return_then_each_is_told_once() -> None:
    well, ill = standing(), standing(missing={"queued": Missing(MissingReason.STALE)})

    def of(before: Standing | None, after: Standing) -> list[str]:
        known = told(before)["conditions"] if before else []
        return [
            e.reason for e in events.of_changes(after.outcome, known, told(after)["conditions"])
        ]

    assert of(None, well) == []
    assert of(well, ill) == ["MetricsMissing"]
    assert of(ill, ill) == []
    assert of(ill, well) == ["MetricsRecovered"]
    assert of(None, standing(problem=BROKEN)) == ["Invalid"]


def test_event_gate_when_flooded_then_lets_a_burst_and_a_rate_pass() -> None:
    gate = events.Gate(rate_per_s=1.0, burst=5)
    flood = [events.refused(standing().outcome, decision(), str(number)) for number in range(100)]
    assert sum(gate.admits(event, 0.0) for event in flood) == 5
    assert sum(gate.admits(event, 3.0) for event in flood[5:]) == 3


def test_event_gate_when_told_lately_then_is_not_told_again() -> None:
    gate, event = events.Gate(), events.scaled(standing().outcome)
    assert [gate.admits(event, at_s) for at_s in (0.0, 1.0, 599.0, 700.0)] == [
        True,
        False,
        False,
        True,
    ]
