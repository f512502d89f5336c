"""Age, coverage, attainment, tenants and an outage, on a real Mimir."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping

import pytest

from charon_operator import settings, testbed
from charon_operator.clients.mimir import MimirClient
from charon_operator.model.app import ChargedApp
from charon_operator.model.reading import Attainment, Missing, MissingReason, Reading, Sampled
from charon_operator.observe import gather, scope, tree
from charon_operator.ports import FailureKind, QueryFailure, Vector
from tests.observe import apps, samples

pytestmark = pytest.mark.testbed


class Store:
    """A tenant of its own in the testbed's Mimir, whose samples a test chooses."""

    def __init__(self, bed: testbed.Testbed) -> None:
        self.url = bed.mimir_url
        self.tenant = f"store-{secrets.token_hex(4)}"
        self.now_s = time.time()
        self.mimir = settings.Mimir(
            url=f"{bed.mimir_url}/prometheus", scopes=[settings.Scope(tenant=self.tenant)]
        )
        self.client = MimirClient(self.mimir)
        self.gatherer = gather.Gatherer(self.client, self.mimir)

    def push(self, name: str, ages_and_values: list[tuple[float, float]], **labels: str) -> None:
        """Samples by their age, oldest first."""
        times = [(self.now_s - age_s, value) for age_s, value in ages_and_values]
        series = (name, {"namespace": "workload", **labels}, times)
        samples.push(self.url, self.tenant, [series])

    async def readings(self, app: ChargedApp, ready_pods: int | None = None) -> list[Sampled]:
        asked = gather.Ask(apps.compiled(app, self.mimir), ready_pods)
        found = await self.gatherer.readings([asked], self.now_s, 10)
        return list(found[app.key].values())

    async def attained(self, app: ChargedApp) -> Mapping[str, Attainment]:
        asked = gather.Ask(apps.compiled(app, self.mimir), None)
        found = await self.gatherer.attainments([asked], self.now_s, 10, 180)
        return found[app.key]


@pytest.fixture
async def store(bed: testbed.Testbed) -> AsyncIterator[Store]:
    made = Store(bed)
    async with made.client:
        yield made


def _age_s(found: Sampled, now_s: float) -> float:
    assert isinstance(found, Reading), found
    return now_s - found.sampled_at_s


AGES = [
    ("gauge", "sum(fast)", 2.0),
    ("the oldest series of a selector", "sum(mixed)", 40.0),
    ("the oldest selector", "sum(fast) + sum(slow)", 70.0),
    ("inside a rate", "sum(rate(slow[5m]))", 70.0),
    ("inside a subquery", "max_over_time(sum(slow)[2m:10s])", 70.0),
    ("inside a parameter", "quantile(scalar(slow) * 0, fast)", 70.0),
    ("on one side of or", "sum(fast) or sum(nothing)", 2.0),
    ("a range of nothing on one side", "sum(fast) or sum(rate(nothing[10m]))", 2.0),
    ("against the past", "sum(fast) - sum(fast offset 1m)", 2.0),
    ("only the past", "sum(fast offset 30s)", 32.0),
    ("a scalar", "scalar(slow)", 70.0),
]


@pytest.mark.parametrize(("what", "text", "age_s"), AGES, ids=[row[0] for row in AGES])
async def test_age_when_read_then_that_of_the_oldest_input(
    store: Store, what: str, text: str, age_s: float
) -> None:
    store.push("fast", [(float(age), 3.0) for age in range(122, 0, -10)])
    store.push("slow", [(130.0, 1.0), (100.0, 2.0), (70.0, 3.0)])
    store.push("mixed", [(1.0, 1.0)], pod="a")
    store.push("mixed", [(40.0, 1.0)], pod="b")
    (found,) = await store.readings(apps.app(text, max_age_s=100))
    assert _age_s(found, store.now_s) == pytest.approx(age_s, abs=0.01)
    (strict,) = await store.readings(apps.app(text, max_age_s=max(1, int(age_s) - 1)))
    assert isinstance(strict, Missing)
    assert strict.reason is MissingReason.STALE


ABSENT = [
    ("no such metric", "sum(nothing)", MissingReason.NO_DATA),
    ("a made-up zero", "sum(nothing) or vector(0)", MissingReason.NO_DATA),
    ("absent", "absent(nothing)", MissingReason.NO_DATA),
    ("a scalar of nothing", "scalar(nothing)", MissingReason.NOT_A_NUMBER),
    ("one side gone", "sum(fast) / sum(nothing)", MissingReason.NO_DATA),
    ("nothing by nothing", "sum(zero) / sum(zero)", MissingReason.NOT_A_NUMBER),
    ("by zero", "sum(fast) / sum(zero)", MissingReason.NOT_A_NUMBER),
    ("several series", "fast", MissingReason.MANY_SERIES),
    ("ended", "sum(ended)", MissingReason.NO_DATA),
    ("held by a range", "sum(max_over_time(ended[5m])) / sum(fast)", MissingReason.STALE),
    ("held by a long range", "sum(max_over_time(dead[10m])) / sum(fast)", MissingReason.STALE),
    ("held by a subquery", "sum(fast) + sum(max_over_time(dead[2m:10s]))", MissingReason.STALE),
    ("the store refuses it", "fast / on (namespace) fast", MissingReason.QUERY_FAILED),
    ("the store warns", "quantile(2, fast)", MissingReason.QUERY_FAILED),
]


@pytest.mark.parametrize(("what", "text", "reason"), ABSENT, ids=[row[0] for row in ABSENT])
async def test_a_value_when_it_is_not_there_then_missing_and_never_zero(
    store: Store, what: str, text: str, reason: MissingReason
) -> None:
    for pod in ("a", "b"):
        store.push("fast", [(12.0, 2.0), (2.0, 3.0)], pod=pod)
    store.push("zero", [(2.0, 0.0)])
    store.push("ended", [(20.0, 7.0), (10.0, samples.STALE)])
    store.push("dead", [(360.0, 7.0)])
    found, good = await store.readings(apps.app(text, "sum(fast)"))
    assert isinstance(found, Missing)
    assert found.reason is reason
    assert good == Reading(6.0, pytest.approx(store.now_s - 2, abs=0.01))


async def test_a_zero_when_it_was_measured_then_it_is_a_value(store: Store) -> None:
    store.push("queue", [(2.0, 0.0)])
    (found,) = await store.readings(apps.app("sum(queue)"))
    assert isinstance(found, Reading)
    assert found.value == 0


COVERED = [
    ("every pod heard", 3, 3, Reading),
    ("one live pod of sixteen", 16, 1, MissingReason.LOW_COVERAGE),
    ("one pod silent", 3, 2, MissingReason.LOW_COVERAGE),
    ("more pods than ready", 2, 3, Reading),
]


@pytest.mark.parametrize(("what", "ready", "heard", "wanted"), COVERED, ids=[r[0] for r in COVERED])
async def test_coverage_when_pods_are_silent_then_the_value_is_not_used(
    store: Store, what: str, ready: int, heard: int, wanted: object
) -> None:
    for pod in range(heard):
        for process in range(2):  # several series a pod count as one pod
            labels = {"pod": f"consumer-{pod}", "process": str(process)}
            store.push("frames_queued", [(2.0, 5.0)], **labels)
    (found,) = await store.readings(apps.app("sum(frames_queued)", coverage="PerReadyPod"), ready)
    if wanted is Reading:
        assert isinstance(found, Reading)
        assert found.coverage == 1.0
    else:
        assert isinstance(found, Missing)
        assert found.reason is wanted


async def test_coverage_when_a_series_names_no_pod_then_it_covers_nobody(store: Store) -> None:
    store.push("frames_queued", [(2.0, 5.0)])
    (found,) = await store.readings(apps.app("sum(frames_queued)", coverage="PerReadyPod"), 1)
    assert isinstance(found, Missing)
    assert found.reason is MissingReason.LOW_COVERAGE


def _history(good: range, bad: range = range(0)) -> list[tuple[float, float]]:
    """A sample every 5 s: 100 at the ages in `good`, 900 at those in `bad`; oldest first."""
    ages = sorted((age for age in (*good, *bad)), reverse=True)
    return [(float(age), 900.0 if age in bad else 100.0) for age in ages]


# Sentence, samples, share good, share of the hour observed.
WINDOWS = [
    ("W1 always good", _history(range(0, 3600, 5)), 1.0, 1.0),
    ("W2 a quarter bad", _history(range(900, 3600, 5), range(0, 900, 5)), 0.75, 1.0),
    ("W3 half unobserved", _history(range(0, 1800, 5)), 1.0, 0.5),
    ("W4 a gap is nobody's fault", _history(range(2700, 3600, 5), range(0, 900, 5)), 0.5, 0.5),
    ("W5 a gap shorter than the look-back", _history(range(120, 3600, 5)), 1.0, 0.97),
    ("W6 NaN is not observed", [
        (age, float("nan") if age <= 1800 else value) for age, value in _history(range(0, 3600, 5))
    ], 1.0, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "history", "ratio", "coverage"), WINDOWS, ids=[row[0] for row in WINDOWS]
)
async def test_attainment_when_the_window_has_gaps_then_they_are_left_out_and_shown(
    store: Store,
    sentence: str,
    history: list[tuple[float, float]],
    ratio: float,
    coverage: float,
) -> None:
    store.push("queue", history)
    found = (await store.attained(apps.app("sum(queue)")))["promise"]
    assert found.computed_at_s == store.now_s
    assert found.good_ratio == pytest.approx(ratio, abs=0.01)
    assert found.coverage == pytest.approx(coverage, abs=0.01)


async def test_attainment_when_only_a_range_holds_a_value_then_it_is_not_observed(
    store: Store,
) -> None:
    store.push("up", _history(range(0, 3600, 5)))
    store.push("queue", _history(range(1800, 3600, 5)))
    query = "sum(max_over_time(queue[30m])) / sum(up)"
    found = (await store.attained(apps.app(query)))["promise"]
    assert found.coverage == pytest.approx(0.5, abs=0.01)


async def test_attainment_when_nothing_was_observed_then_none_and_no_coverage(
    store: Store,
) -> None:
    found = (await store.attained(apps.app("sum(nothing)")))["promise"]
    assert found == Attainment(None, 0.0, store.now_s, store.now_s + 180)


async def test_attainment_when_pods_come_and_go_then_one_number(store: Store) -> None:
    store.push("queue", [(float(age), 100.0) for age in range(3600, 1800, -5)], pod="a")
    store.push("queue", [(1800.0, samples.STALE)], pod="a")
    store.push("queue", [(float(age), 900.0) for age in range(1800, 0, -5)], pod="b")
    found = (await store.attained(apps.app("queue")))["promise"]
    assert found.good_ratio == pytest.approx(0.5, abs=0.01)
    assert found.coverage == pytest.approx(1.0, abs=0.01)


async def test_tenants_when_one_asks_then_only_its_own_series(
    bed: testbed.Testbed, store: Store
) -> None:
    other = Store(bed)
    other.push("queue", [(1.0, 999.0)])
    store.push("queue", [(1.0, 7.0)])
    async with other.client:
        assert [one.value for one in await store.readings(apps.app("sum(queue)"))] == [7.0]  # type: ignore[union-attr]
        assert [one.value for one in await other.readings(apps.app("sum(queue)"))] == [999.0]  # type: ignore[union-attr]


async def test_namespaces_when_one_asks_then_only_its_own_series(store: Store) -> None:
    store.push("queue", [(1.0, 7.0)])
    store.push("queue", [(1.0, 999.0)], namespace="other")
    (found,) = await store.readings(apps.app("sum(queue)"))
    assert isinstance(found, Reading)
    assert found.value == 7.0


async def test_mimir_when_it_is_away_then_missing_and_back_at_the_next_reading(
    bed: testbed.Testbed, store: Store
) -> None:
    store.push("queue", [(1.0, 7.0)])
    app = apps.app("sum(queue)")
    await _read(store, app)
    process = bed.process("mimir")
    process.stop()
    try:
        (found,) = await store.readings(app)
        assert isinstance(found, Missing)
        assert found.reason is MissingReason.QUERY_FAILED
        assert not await store.attained(app)
    finally:
        process.start()
    await _read(store, app)


async def _read(store: Store, app: ChargedApp) -> None:
    """Asks until there is a reading: what was pushed, and a start, take a moment to be served."""
    async with asyncio.timeout(30):
        while not isinstance((await store.readings(app))[0], Reading):
            await asyncio.sleep(0.1)


async def test_mimir_when_it_hangs_then_a_timeout_within_the_deadline(
    bed: testbed.Testbed, store: Store
) -> None:
    store.push("queue", [(1.0, 7.0)])
    asked = gather.Ask(apps.compiled(apps.app("sum(queue)"), store.mimir), None)
    process = bed.process("mimir")
    process.pause()
    try:
        found = await store.gatherer.readings([asked], store.now_s, 0.5)
    finally:
        process.resume()
    (readings,) = found.values()
    assert isinstance(readings["q0"], Missing)
    assert readings["q0"].reason is MissingReason.TIMEOUT


@pytest.mark.parametrize(
    "value", ['x"} or vector(0) #', "\\", '"', "a\nb", "é🦊", "{}", "$namespace", "\\x41", "`'"]
)
async def test_a_nasty_label_value_when_asked_for_then_mimir_finds_exactly_it(
    store: Store, value: str
) -> None:
    store.push("queue", [(1.0, 7.0)], app=value)
    store.push("queue", [(1.0, 999.0)], app="other")
    name = tree.Match("__name__", "=", "queue")
    for match in (tree.Match("app", "=", value), tree.Match("app", "=~", scope.escape(value))):
        found = await store.client.query(
            store.tenant,
            tree.render(tree.Selector((name, match))),
            time_s=store.now_s,
            timeout_s=5,
        )
        assert isinstance(found, Vector)
        assert [one.value for one in found.series] == [7.0]


def _column(words: str) -> int:
    place = re.search(r"\b1:([0-9]+):", words)
    assert place, words
    return int(place[1])


@pytest.mark.parametrize(
    "text",
    ["foo bar", "sum(x,)", "rate(x)", "a + * b", "sum by (a) x", 'x{a="1" or b="2"}', "topk(x)",
     "x{a=b}", "rated(x[5m])", "sum(rate(x)) + rate(x[5m])", 'x{a="b" c="d"}', "x == == y"],
)  # fmt: skip
async def test_a_place_when_named_then_close_to_where_mimir_sees_it(
    store: Store, text: str
) -> None:
    found = await store.client.query(store.tenant, text, time_s=store.now_s, timeout_s=5)
    assert isinstance(found, QueryFailure)
    assert found.kind is FailureKind.REJECTED
    theirs = _column(found.detail)
    ours = _column(apps.refused(text))
    # Mimir names the argument of a call or the whole of an aggregation, we the call or the token.
    assert abs(ours - theirs) <= 5
