"""Answers become readings or the right reason for none; nothing becomes zero."""

import asyncio
import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator import settings
from charon_operator.model.reading import CLOCK_SKEW_S, Attainment, Missing, MissingReason, Reading
from charon_operator.observe import derived, gather, queries
from charon_operator.ports import FailureKind, QueryFailure, Series, Vector
from tests.observe import apps

NOW = 1_000_000.0
EMPTY = Vector(())
DOWN = QueryFailure(FailureKind.UNAVAILABLE, "HTTP 503")
TIMEOUT = QueryFailure(FailureKind.TIMEOUT, "no answer within 1.0 s")
MANY = QueryFailure(FailureKind.MANY_SERIES, "the query gave 101 series")
MALFORMED = QueryFailure(FailureKind.MALFORMED, "the answer is not JSON")
REASON = MissingReason


def one(value: float) -> Vector:
    return Vector((Series({}, value, NOW),))


def about(**labels: str) -> Vector:
    return Vector((Series(labels, 7.0, NOW),))


TWO = Vector((Series({"pod": "a"}, 1.0, NOW), Series({"pod": "b"}, 1.0, NOW)))
INDICATOR = apps.compiled(apps.app("sum(x) / sum(y)", coverage="PerReadyPod")).indicators[0]

# Sentence, value, ages of the two selectors, fresh pods of each, ready pods, what comes out.
JUDGED = [
    ("G1 good", one(7), (2, 1), (3, 3), 3, Reading(7.0, NOW - 2, 1.0)),
    ("G2 zero is a value", one(0), (1, 1), (3, 3), 3, Reading(0.0, NOW - 1, 1.0)),
    ("G3 negative", one(-7), (1, 1), (3, 3), 3, Reading(-7.0, NOW - 1, 1.0)),
    ("G4 huge", one(1e308), (1, 1), (3, 3), 3, Reading(1e308, NOW - 1, 1.0)),
    ("G5 more pods than ready", one(7), (1, 1), (5, 4), 3, Reading(7.0, NOW - 1, 1.0)),
    ("G6 just in time", one(7), (15, 1), (3, 3), 3, Reading(7.0, NOW - 15, 1.0)),
    ("G7 clocks a little apart", one(7), (-4, 1), (3, 3), 3, Reading(7.0, NOW - 1, 1.0)),
    ("G8 one selector empty", one(7), (2, None), (3, 3), 3, Reading(7.0, NOW - 2, 1.0)),
    ("G9 empty", EMPTY, (1, 1), (3, 3), 3, REASON.NO_DATA),
    ("G10 stands on no sample", one(7), (None, None), (3, 3), 3, REASON.NO_DATA),
    ("G11 NaN", one(math.nan), (1, 1), (3, 3), 3, REASON.NOT_A_NUMBER),
    ("G12 +Inf", one(math.inf), (1, 1), (3, 3), 3, REASON.NOT_A_NUMBER),
    ("G13 -Inf", one(-math.inf), (1, 1), (3, 3), 3, REASON.NOT_A_NUMBER),
    ("G14 several", TWO, (1, 1), (3, 3), 3, REASON.MANY_SERIES),
    ("G15 old", one(7), (16, 1), (3, 3), 3, REASON.STALE),
    ("G16 the other one old", one(7), (1, 300), (3, 3), 3, REASON.STALE),
    ("G17 from the future", one(7), (-60, -60), (3, 3), 3, REASON.STALE),
    ("G18 a pod silent", one(7), (1, 1), (2, 3), 3, REASON.LOW_COVERAGE),
    ("G19 no pod heard", one(7), (1, 1), (3, None), 3, REASON.LOW_COVERAGE),
    ("G20 ready pods unknown", one(7), (1, 1), (3, 3), None, REASON.LOW_COVERAGE),
    ("G21 none ready", one(7), (1, 1), (3, 3), 0, REASON.LOW_COVERAGE),
    ("G22 store down", DOWN, (1, 1), (3, 3), 3, REASON.QUERY_FAILED),
    ("G23 store slow", TIMEOUT, (1, 1), (3, 3), 3, REASON.TIMEOUT),
    ("G24 store mad", MALFORMED, (1, 1), (3, 3), 3, REASON.QUERY_FAILED),
    ("G25 age unknown", one(7), (DOWN, 1), (3, 3), 3, REASON.QUERY_FAILED),
    ("G26 age too late", one(7), (1, TIMEOUT), (3, 3), 3, REASON.TIMEOUT),
    ("G27 age is NaN", one(7), (math.nan, 1), (3, 3), 3, REASON.NOT_A_NUMBER),
    ("G28 coverage failed", one(7), (1, 1), (3, DOWN), 3, REASON.QUERY_FAILED),
    ("G29 very many", MANY, (1, 1), (3, 3), 3, REASON.MANY_SERIES),
    ("G30 our own", about(namespace="workload"), (1, 1), (3, 3), 3, Reading(7.0, NOW - 1, 1.0)),
    ("G31 of another", about(namespace="elsewhere"), (1, 1), (3, 3), 3, REASON.QUERY_FAILED),
]  # fmt: skip


EXEMPT = settings.Mimir(
    scopes=[settings.Scope(exceptions=[settings.Scope.Exemption(metrics=["node_*"])])]
)
TOLD = {
    "x": {"namespace": "workload"},
    "sum by (namespace) (x) / 2": {"namespace": "workload"},
    'label_replace(x, "namespace", "y", "", "")': {},
    'count_values("namespace", x)': {},
    "x + on () node_x": {},
}


@pytest.mark.parametrize("query", TOLD)
def test_answers_may_not_contradict_the_scope_unless_the_query_writes_labels(query: str) -> None:
    (indicator,) = apps.compiled(apps.app(query), EXEMPT).indicators
    assert indicator.told == TOLD[query]


def _answer(given: object, of: float | None = None) -> Vector | QueryFailure:
    if given is None:
        return EMPTY
    if isinstance(given, Vector | QueryFailure):
        return given
    assert isinstance(given, int | float)
    return one(given if of is None else of - given)


def _answers(
    value: object, ages: tuple[object, ...], pods: tuple[object, ...]
) -> Mapping[tuple[str, str], Vector | QueryFailure]:
    answers = {INDICATOR.value.key: _answer(value)}
    for term, age in zip(INDICATOR.freshness, ages, strict=True):
        answers[term.key] = _answer(age, NOW)
    for term, count in zip(INDICATOR.coverage, pods, strict=True):
        answers[term.key] = _answer(count)
    return answers


@pytest.mark.parametrize(
    ("sentence", "value", "ages", "pods", "ready", "wanted"), JUDGED, ids=[row[0] for row in JUDGED]
)
def test_answers_when_judged_then_a_reading_or_the_right_reason(
    sentence: str,
    value: object,
    ages: tuple[object, ...],
    pods: tuple[object, ...],
    ready: int | None,
    wanted: Reading | MissingReason,
) -> None:
    found = gather.judge(INDICATOR, _answers(value, ages, pods), ready, NOW)
    if isinstance(wanted, Reading):
        assert found == wanted
    else:
        assert isinstance(found, Missing)
        assert found.reason == wanted
        assert found.detail


ANY = st.one_of(
    st.none(), st.floats(), st.sampled_from([DOWN, TIMEOUT, MALFORMED, TWO, EMPTY]), st.just(1.0)
)


@given(ANY, st.tuples(ANY, ANY), st.tuples(ANY, ANY), st.one_of(st.none(), st.integers(0, 50)))
def test_any_answers_when_judged_then_a_value_only_from_a_fresh_and_whole_one(
    value: object, ages: tuple[object, ...], pods: tuple[object, ...], ready: int | None
) -> None:
    answers = _answers(value, ages, pods)
    found = gather.judge(INDICATOR, answers, ready, NOW)
    if isinstance(found, Missing):
        return
    given = answers[INDICATOR.value.key]
    assert isinstance(given, Vector)
    assert [series.value for series in given.series] == [found.value]
    assert math.isfinite(found.value)
    assert -CLOCK_SKEW_S <= NOW - found.sampled_at_s <= INDICATOR.max_age_s
    assert ready


class Scripted:
    """Not a metric store: answers one app's queries by rote, since a test wants exact times."""

    def __init__(self, answers: Mapping[str, Vector | QueryFailure]) -> None:
        self.answers = answers

    async def query(
        self, tenant: str, expression: str, *, time_s: float, timeout_s: float
    ) -> Vector | QueryFailure:
        await asyncio.sleep(0)
        return self.answers[expression]


def _gatherer(answers: Mapping[str, Vector | QueryFailure]) -> gather.Gatherer:
    return gather.Gatherer(Scripted(answers), settings.Mimir(max_terms_per_request=1))


async def test_readings_when_gathered_then_by_app_and_indicator_and_counted() -> None:
    asked = apps.compiled(apps.app("sum(x)", "sum(y)"))
    first, second = asked.indicators
    gatherer = _gatherer(
        {
            first.value.text: one(7), first.freshness[0].text: one(NOW - 3),
            second.value.text: EMPTY, second.freshness[0].text: EMPTY,
        }
    )  # fmt: skip
    found = await gatherer.readings([gather.Ask(asked, 3)], NOW, 1.0)
    assert found == {
        asked.key: {
            "q0": Reading(7.0, NOW - 3),
            "q1": Missing(MissingReason.NO_DATA, "the query gave no series"),
        }
    }
    assert (gatherer.counters.queries, gatherer.counters.requests) == (4, 4)


ATTAINED = [
    ("A1 all good", one(1.0), one(720), Attainment(1.0, 1.0, NOW, NOW + 180)),
    ("A2 half observed", one(0.9), one(360), Attainment(0.9, 0.5, NOW, NOW + 180)),
    ("A3 one point more than there are", one(0.9), one(721), Attainment(0.9, 1.0, NOW, NOW + 180)),
    ("A4 nothing observed", EMPTY, EMPTY, Attainment(None, 0.0, NOW, NOW + 180)),
    ("A5 store down", DOWN, DOWN, None),
    ("A6 half an answer", one(0.9), TIMEOUT, None),
    ("A7 not a number", one(math.nan), one(720), None),
    ("A8 many", TWO, one(720), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "good", "observed", "wanted"), ATTAINED, ids=[row[0] for row in ATTAINED]
)
async def test_attainment_when_answered_then_ratio_and_coverage_else_absent(
    sentence: str,
    good: Vector | QueryFailure,
    observed: Vector | QueryFailure,
    wanted: Attainment | None,
) -> None:
    asked = apps.compiled(apps.app("sum(x)"))
    promise = asked.objectives[0]
    assert promise.points == 720
    gatherer = _gatherer({promise.good.text: good, promise.observed.text: observed})
    found = await gatherer.attainments([gather.Ask(asked, 3)], NOW, 1.0, 180)
    assert found == {asked.key: {} if wanted is None else {"promise": wanted}}


@pytest.mark.parametrize("window_s", [60, 61, 600, 3600, 86_400, 2_592_000])
@pytest.mark.parametrize("text", ["x", "max_over_time(x[1d:1m])"])
def test_a_window_when_cut_into_points_then_their_number_is_bounded(
    window_s: int, text: str
) -> None:
    asked = apps.compiled(apps.app(text, window_s=window_s))
    inner = 1440 if ":" in text else 1
    assert 1 <= asked.objectives[0].points <= 720
    assert asked.objectives[0].points * inner <= max(20_000, 30 * inner)


X, Y = 'x{namespace="workload"}', 'y{namespace="workload"}'
# Query, and what is asked of its age; a range may outlive its series, so what it holds is asked.
AGED = [
    ("x or y", [f"min(timestamp({X}))", f"min(timestamp({Y}))"]),
    ("x - y offset 5m", [f"min(timestamp({X}))", f"min(timestamp({Y} offset 5m) + 300)"]),
    ("rate(x[1m])", [f"min(timestamp({X})) or group(present_over_time({X}[1m]))"]),
    ("sum(x) / rate(x[10m])", [f"min(timestamp({X})) or group(present_over_time({X}[10m]))"]),
    ("max_over_time(x[10m:1m])", [f"min(timestamp({X})) or group(present_over_time({X}[15m]))"]),
    (
        "max_over_time(rate(x[2m] offset 1m)[10m:] offset 5m)",
        [f"min(timestamp({X} offset 6m)) or group(present_over_time({X}[12m] offset 6m))"],
    ),
]


@pytest.mark.parametrize(("text", "wanted"), AGED, ids=[row[0] for row in AGED])
def test_an_indicator_when_compiled_then_its_age_is_asked_of_each_selector(
    text: str, wanted: list[str]
) -> None:
    found = apps.compiled(apps.app(text)).indicators[0]
    assert [term.text for term in found.freshness] == wanted


def test_a_series_when_only_a_range_still_holds_it_then_the_value_is_stale() -> None:
    found = apps.compiled(apps.app("sum(max_over_time(x[10m])) / sum(y)")).indicators[0]
    held, live = found.freshness
    answers = {found.value.key: one(7), held.key: one(derived.ENDED_S), live.key: one(NOW)}
    judged = gather.judge(found, answers, 3, NOW)
    assert isinstance(judged, Missing)
    assert judged.reason is MissingReason.STALE
    assert "range" in judged.detail
    assert gather.judge(found, {**answers, held.key: EMPTY}, 3, NOW) == Reading(7.0, NOW)


def test_coverage_when_all_metrics_are_exempt_then_refused() -> None:
    exempt = settings.Scope.Exemption(metrics=["kube_*"], matchers=[])
    mimir = settings.Mimir(scopes=[settings.Scope(exceptions=[exempt])])
    found = queries.compile_app(apps.app("kube_x", coverage="PerReadyPod"), mimir)
    assert isinstance(found, tuple)
    assert found[0].field == "spec.indicators[q0].coverage"
    mixed = apps.compiled(apps.app("x / scalar(kube_x)", coverage="PerReadyPod"), mimir)
    assert len(mixed.indicators[0].coverage) == 1
