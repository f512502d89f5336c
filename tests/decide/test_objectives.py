"""Verdicts on objectives: over the window, and now."""

import pytest

from charon_operator.decide import objectives
from charon_operator.model.facts import ObjectiveState
from charon_operator.model.reading import Attainment, Missing, MissingReason, Reading, Sampled
from tests.decide import build

OBJECTIVES = build.app().spec.objectives


def state(
    attainment: Attainment | None, reading: Sampled | None = None, now_s: float = 1.0
) -> ObjectiveState:
    readings = {} if reading is None else {"queued": reading}
    attainments = {} if attainment is None else {"freshness": attainment}
    return objectives.states(OBJECTIVES, readings, attainments, now_s)[0]


@pytest.mark.parametrize(
    ("good", "coverage", "verdict", "budget"),
    [
        pytest.param(0.95, 1.0, "Met", 0.0, id="exactly the target is met, no budget left"),
        pytest.param(1.0, 1.0, "Met", 1.0, id="all good: the whole budget is left"),
        pytest.param(0.90, 1.0, "Violated", -1.0, id="twice the budget used"),
        pytest.param(0.97, 0.5, "Met", 0.4, id="half of the window is enough to judge"),
        pytest.param(0.97, 0.49, "Unknown", None, id="less is not"),
        pytest.param(0.5, 0.2, "Violated", -1.0, id="10 % of the whole window are bad for certain"),
        pytest.param(0.5, 0.05, "Unknown", None, id="2.5 % are not enough to say"),
        pytest.param(None, 0.0, "Unknown", None, id="nothing observed"),
    ],
)
def test_verdict_follows_from_attainment_and_coverage(
    good: float | None, coverage: float, verdict: str, budget: float | None
) -> None:
    got = state(Attainment(good, coverage, 1.0, 181.0))
    assert got.verdict == verdict
    assert got.budget_remaining == (budget if budget is None else pytest.approx(budget))
    assert got.coverage == coverage


@pytest.mark.parametrize(
    ("now_s", "verdict", "coverage"), [(181.0, "Met", 1.0), (181.1, "Unknown", 0.0)]
)
def test_verdict_is_unknown_once_the_attainment_is_old(
    now_s: float, verdict: str, coverage: float
) -> None:
    got = state(Attainment(1.0, 1.0, 1.0, 181.0), now_s=now_s)
    assert (got.verdict, got.coverage) == (verdict, coverage)
    assert (got.attainment is None) is (verdict == "Unknown")


def test_verdict_is_unknown_before_the_first_answer() -> None:
    got = state(None)
    assert (got.verdict, got.attainment, got.coverage) == ("Unknown", None, 0.0)


@pytest.mark.parametrize(
    ("reading", "good"),
    [
        pytest.param(Reading(600, 1.0), True, id="at the threshold"),
        pytest.param(Reading(600.1, 1.0), False, id="above it"),
        pytest.param(Missing(MissingReason.STALE), None, id="missing is not good and not bad"),
        pytest.param(None, None, id="not asked yet"),
    ],
)
def test_good_now_is_known_only_with_a_reading(reading: Sampled | None, good: bool | None) -> None:
    assert state(None, reading).good_now is good
