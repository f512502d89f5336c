"""How objectives stand: over their window, and at this moment.

Reads: objectives, readings, attainments that the metric store computed. Gives: verdicts and the
error budget that is left. Never: a verdict on a window that was hardly observed, or ended long ago.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from charon_operator.model.app import Comparison, Objective
from charon_operator.model.facts import ObjectiveState, ObjectiveVerdict
from charon_operator.model.reading import Attainment, Reading, Readings

# Below this share of the window observed, what was observed does not stand for the whole.
ENOUGH_COVERAGE: Final = 0.5


def states(
    objectives: Sequence[Objective],
    readings: Readings,
    attainments: Mapping[str, Attainment],
    now_s: float,
) -> tuple[ObjectiveState, ...]:
    """The state of every objective, in their order; an attainment that is not fresh is none."""
    fresh = {name: one for name, one in attainments.items() if now_s <= one.fresh_until_s}
    return tuple(_state(objective, readings, fresh.get(objective.name)) for objective in objectives)


def good_now(objective: Objective, readings: Readings) -> bool | None:
    """Whether the threshold holds at this moment; None when that is not known."""
    reading = readings.get(objective.threshold.indicator)
    if not isinstance(reading, Reading):
        return None
    if objective.threshold.op is Comparison.AT_MOST:
        return reading.value <= objective.threshold.value
    return reading.value >= objective.threshold.value


def _state(
    objective: Objective, readings: Readings, attainment: Attainment | None
) -> ObjectiveState:
    verdict, budget = ObjectiveVerdict.UNKNOWN, None
    if attainment is not None and attainment.good_ratio is not None:
        verdict, budget = _judged(
            objective.target / 100, attainment.good_ratio, attainment.coverage
        )
    return ObjectiveState(
        name=objective.name,
        verdict=verdict,
        good_now=good_now(objective, readings),
        attainment=attainment.good_ratio if attainment else None,
        coverage=attainment.coverage if attainment else 0.0,
        budget_remaining=budget,
    )


def _judged(
    target: float, good_ratio: float, coverage: float
) -> tuple[ObjectiveVerdict, float | None]:
    allowed = 1.0 - target
    if coverage >= ENOUGH_COVERAGE:
        met = good_ratio >= target
        verdict = ObjectiveVerdict.MET if met else ObjectiveVerdict.VIOLATED
        return verdict, 1.0 - (1.0 - good_ratio) / allowed
    # Too much bad time in a small part of the window is too much for the whole of it.
    certainly_bad = (1.0 - good_ratio) * coverage
    if certainly_bad > allowed:
        return ObjectiveVerdict.VIOLATED, 1.0 - certainly_bad / allowed
    return ObjectiveVerdict.UNKNOWN, None
