"""One bad query must not cost the others their answers, nor the store its peace."""

import asyncio
import itertools
from collections.abc import Callable, Sequence

import pytest

from charon_operator import settings
from charon_operator.observe import batch, plan, suspects, terms
from charon_operator.ports import FailureKind, QueryFailure, Series, Vector
from tests.observe import apps

REJECTED = QueryFailure(FailureKind.REJECTED, "HTTP 422: no")
TIMEOUT = QueryFailure(FailureKind.TIMEOUT, "no answer within 1.0 s")
DOWN = QueryFailure(FailureKind.UNAVAILABLE, "HTTP 503")
MALFORMED = QueryFailure(FailureKind.MALFORMED, "the answer is not JSON")


class Store:
    """Not a metric store: it answers by what a test says of an expression, and counts.

    It is a fake because a real one cannot be made to time out or to reject at will.
    """

    def __init__(self, verdict: Callable[[str], Vector | QueryFailure | None]) -> None:
        self.verdict = verdict
        self.asked: list[str] = []
        self.tenants: set[str] = set()

    async def query(
        self, tenant: str, expression: str, *, time_s: float, timeout_s: float
    ) -> Vector | QueryFailure:
        self.asked.append(expression)
        self.tenants.add(tenant)
        await asyncio.sleep(0)
        given = self.verdict(expression)
        if given is not None:
            return given
        marks = expression.count(f'"{plan.MARK}"')
        if not marks:
            return Vector((Series({}, 1.0, time_s),))
        return Vector(
            tuple(Series({plan.MARK: str(mark)}, 1.0 + mark, time_s) for mark in range(marks))
        )


def _asker(store: Store, **given: int) -> batch.Batch:
    mimir = settings.Mimir(**given)
    seats = asyncio.Semaphore(mimir.concurrency)
    return batch.Batch(store, mimir, batch.Counters(), seats)


def _terms(count: int) -> list[list[terms.Term]]:
    """So many questions that have nothing in common."""
    return [
        [apps.compiled(apps.app(f"sum(metric_{number})")).indicators[0].value]
        for number in range(count)
    ]


def _failed(bundles: Sequence[Sequence[terms.Term]], answers: object) -> list[int]:
    assert isinstance(answers, dict)
    return [
        number
        for number, bundle in enumerate(bundles)
        if isinstance(answers[bundle[0].key], QueryFailure)
    ]


def _bad(*numbers: int, failure: QueryFailure = REJECTED) -> Callable[[str], QueryFailure | None]:
    words = [f"metric_{number}{{" for number in numbers]
    return lambda text: failure if any(word in text for word in words) else None


async def test_a_union_when_one_is_rejected_then_only_that_one_fails() -> None:
    store, bundles = Store(_bad(17)), _terms(50)
    answers = await _asker(store).ask(bundles, 1000.0, 5.0)
    assert _failed(bundles, answers) == [17]
    assert len(store.asked) <= 2 * 6 + 1


async def test_the_offender_when_asked_again_then_alone_and_rarely() -> None:
    store, bundles = Store(_bad(17)), _terms(50)
    asker = _asker(store)
    await asker.ask(bundles, 1000.0, 5.0)
    asked_at = []
    for second in range(1, 301):
        store.asked.clear()
        answers = await asker.ask(bundles, 1000.0 + second, 5.0)
        assert _failed(bundles, answers) == [17]
        alone = [text for text in store.asked if plan.MARK not in text]
        assert len(store.asked) == 1 + len(alone)
        asked_at += [second] * len(alone)
    waits = [later - sooner for sooner, later in itertools.pairwise(asked_at)]
    assert asked_at[0] == suspects.FIRST_WAIT_S
    assert waits == sorted(waits)
    assert waits[-1] == suspects.LONGEST_WAIT_S


async def test_the_offender_when_mended_then_it_is_answered_and_joins_the_others() -> None:
    store, bundles = Store(_bad(3)), _terms(8)
    asker = _asker(store)
    await asker.ask(bundles, 1000.0, 5.0)
    store.verdict = lambda text: None
    assert _failed(bundles, await asker.ask(bundles, 1001.0, 5.0)) == [3]  # still waiting
    assert _failed(bundles, await asker.ask(bundles, 1006.0, 5.0)) == []
    store.asked.clear()
    assert _failed(bundles, await asker.ask(bundles, 1007.0, 5.0)) == []
    assert len(store.asked) == 1


async def test_the_offender_when_the_clock_jumps_back_then_it_is_asked() -> None:
    store, bundles = Store(_bad(3)), _terms(8)
    asker = _asker(store)
    await asker.ask(bundles, 1_000_000.0, 5.0)
    store.verdict = lambda text: None
    assert _failed(bundles, await asker.ask(bundles, 1000.0, 5.0)) == []


async def test_a_union_when_the_store_warns_then_only_the_one_warned_of_fails() -> None:
    def warn(text: str) -> Vector | None:
        if "metric_5{" not in text:
            return None
        marks = range(max(1, text.count(plan.MARK)))
        return Vector(tuple(Series({plan.MARK: str(m)}, 1.0, 1.0) for m in marks), ("mixed",))

    store, bundles = Store(warn), _terms(20)
    answers = await _asker(store).ask(bundles, 1000.0, 5.0)
    assert _failed(bundles, answers) == [5]
    failure = answers[bundles[5][0].key]
    assert isinstance(failure, QueryFailure)
    assert failure.detail == "the store warns: mixed"


FAILURES = pytest.mark.parametrize(
    "failure", [DOWN, TIMEOUT, MALFORMED], ids=lambda one: str(one.kind)
)


@FAILURES
async def test_a_union_when_the_store_does_not_answer_then_it_is_not_split(
    failure: QueryFailure,
) -> None:
    store, bundles = Store(lambda text: failure), _terms(100)
    answers = await _asker(store).ask(bundles, 1000.0, 5.0)
    assert len(store.asked) == 2
    assert set(answers.values()) == {failure}


@FAILURES
async def test_an_outage_when_it_lasts_then_requests_stay_bounded_by_the_seats(
    failure: QueryFailure,
) -> None:
    store, bundles = Store(lambda text: failure), _terms(400)
    asker = _asker(store, concurrency=8)
    for turn in range(20):
        store.asked.clear()
        await asker.ask(bundles, 1000.0 + turn, 5.0)
        assert len(store.asked) <= 16


async def test_half_an_outage_when_it_lasts_then_the_requests_beyond_the_plan_are_bounded() -> None:
    turns = itertools.count()
    store, bundles = Store(lambda text: DOWN if next(turns) % 2 else None), _terms(1000)
    asker = _asker(store)
    for turn in range(40):
        store.asked.clear()
        await asker.ask(bundles, 1000.0 + turn, 5.0)
        assert len(store.asked) <= 20 + 2 * 64


@FAILURES
async def test_a_bad_query_when_it_fails_again_and_again_then_the_others_get_away(
    failure: QueryFailure,
) -> None:
    store, bundles = Store(_bad(30, failure=failure)), _terms(50)
    asker = _asker(store)
    lost = [
        len(_failed(bundles, await asker.ask(bundles, 1000.0 + turn, 5.0))) for turn in range(8)
    ]
    assert lost[0] == 50
    assert lost[1] == 25
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] == 1


async def test_a_query_of_very_many_series_when_asked_then_it_fails_alone_and_is_asked_rarely() -> (
    None
):
    many = tuple(Series({plan.MARK: "2", "pod": f"p{number}"}, 1.0, 1.0) for number in range(101))
    store, bundles = Store(lambda text: None), _terms(5)
    store.verdict = lambda text: Vector(many) if "metric_2{" in text else None
    asker = _asker(store)
    answers = await asker.ask(bundles, 1000.0, 5.0)
    failure = answers[bundles[2][0].key]
    assert isinstance(failure, QueryFailure)
    assert failure.kind is FailureKind.MANY_SERIES
    assert failure.detail == "the query gave 101 series: aggregate it, as sum(...)"
    store.asked.clear()
    assert (await asker.ask(bundles, 1001.0, 5.0))[bundles[2][0].key] == failure
    assert not any("metric_2{" in text for text in store.asked)


async def test_a_heavy_query_when_merged_with_others_then_they_get_away_too() -> None:
    text = 'sum(x{app="$target"})'
    bundles = []
    for number in range(300):
        one = apps.compiled(apps.app(text, target=f"t{number}e")).indicators[0]
        bundles.append([one.value, *one.freshness])
    store = Store(lambda asked: TIMEOUT if "t77e" in asked else None)
    asker = _asker(store)
    lost = [
        len(_failed(bundles, await asker.ask(bundles, 1000.0 + turn, 5.0))) for turn in range(14)
    ]
    assert lost[0] == 300
    assert lost[3] < 100
    assert lost[-1] == 1


async def test_everything_rejected_when_a_proxy_has_gone_mad_then_the_load_is_bounded() -> None:
    store, bundles = Store(lambda text: REJECTED), _terms(1000)
    asker = _asker(store)
    answers = await asker.ask(bundles, 1000.0, 5.0)
    assert len(store.asked) <= 20 + 2 * 32
    assert len(_failed(bundles, answers)) == 1000
    spoilt = answers[bundles[999][0].key]
    assert isinstance(spoilt, QueryFailure)
    assert "no" not in spoilt.detail.split()  # not another's words


async def test_identical_questions_when_asked_by_many_then_they_are_asked_once() -> None:
    store = Store(lambda text: None)
    one = apps.compiled(apps.app("sum(x)")).indicators[0].value
    other = apps.compiled(apps.app("sum( x )", name="second")).indicators[0].value
    answers = await _asker(store).ask([[one], [other]], 1000.0, 5.0)
    assert store.asked == ['sum(x{namespace="workload"})']
    assert answers[one.key] == answers[other.key] == Vector((Series({}, 1.0, 1000.0),))


async def test_questions_of_two_tenants_when_asked_then_never_in_one_request() -> None:
    mimir = settings.Mimir(
        scopes=[
            settings.Scope(namespaces=["a"], tenant="ta"),
            settings.Scope(namespaces=["b"], tenant="tb"),
        ]
    )
    store = Store(lambda text: None)
    found = [
        [apps.compiled(apps.app(f"sum(m{n})", namespace=space), mimir).indicators[0].value]
        for n in range(10)
        for space in ("a", "b")
    ]
    await _asker(store).ask(found, 1000.0, 5.0)
    assert len(store.asked) == 2
    assert store.tenants == {"ta", "tb"}
    assert not any('namespace="a"' in text and 'namespace="b"' in text for text in store.asked)


async def test_a_source_when_it_ignores_its_deadline_then_the_batch_does_not_wait() -> None:
    class Deaf:
        async def query(
            self, tenant: str, expression: str, *, time_s: float, timeout_s: float
        ) -> Vector:
            await asyncio.Event().wait()
            raise AssertionError

    asker = batch.Batch(Deaf(), settings.Mimir(), batch.Counters(), asyncio.Semaphore(1))
    bundles = _terms(120)
    answers = await asker.ask(bundles, 1000.0, 0.05)
    assert {one.kind for one in answers.values() if isinstance(one, QueryFailure)} == {
        FailureKind.TIMEOUT
    }
    assert len(answers) == 120


def test_a_plan_when_made_then_its_requests_are_within_the_bounds() -> None:
    long = [
        [apps.compiled(apps.app("+".join(f'm{n}{{a="{"v" * 50}{k}"}}' for k in range(16)))).
         indicators[0].value]
        for n in range(60)
    ]  # fmt: skip
    requests = plan.plan(_terms(130) + long, plan.Room(50))
    assert sum(len(request.members) for request in requests) == 190
    for request in requests:
        assert len(request.parts) <= 50
        assert len(request.expression) <= plan.MAX_BYTES
        assert sum(part.weight for part in request.parts) <= plan.MAX_WEIGHT


def test_a_plan_when_value_and_age_belong_together_then_they_share_a_request() -> None:
    bundles = []
    for number in range(40):
        one = apps.compiled(apps.app(f"sum(m{number}) / sum(k{number})")).indicators[0]
        bundles.append([one.value, *one.freshness])
    requests = plan.plan(bundles, plan.Room(50))
    for bundle in bundles:
        homes = {
            index
            for index, request in enumerate(requests)
            for term in bundle
            if term in request.members
        }
        assert len(homes) == 1
    assert max(len(request.parts) for request in requests) == 48
