"""Merged and united queries answer as the queries one by one do: judged by a real Mimir."""

import asyncio
import math
import secrets
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from charon_operator import settings, testbed
from charon_operator.clients.mimir import MimirClient
from charon_operator.observe import batch, plan, queries, terms
from charon_operator.ports import QueryFailure, Series, Vector
from tests.observe import apps, samples

pytestmark = pytest.mark.testbed

# Where the apps of a fleet live: the label values differ in one, in two and in neither respect.
PLACES = [("n1", "a"), ("n1", "b.c"), ("n2", "a"), ("n2", "d"), ("n3", "gone")]
S = 'x{app="$target"}'
Z = 'z{app="$target"}'

MERGEABLE = [
    S,
    f"sum({S})",
    f"avg by (pod) ({S})",
    f"sum by (app) ({S})",
    f"sum without (pod) ({S})",
    f"sum without (pod, app) ({S})",
    'max(rate(c{app="$target"}[1m]))',
    f"quantile(0.5, {S})",
    f"sum({S}) / sum({Z})",
    f"sum({S}) / count({Z}) > 2",
    f"{S} - {S} offset 30s",
    f"{S} / on (pod) {Z}",
    f"{S} / on (app, pod) group_left () {Z}",
    f"{S} / ignoring (app) {Z}",
    f"{S} and on () sum({Z})",
    f"{S} unless {Z}",
    f"sum({S}) or sum({Z})",
    f"-sum({S}) * 2 ^ 3 % 5",
    f"clamp(sum({S}), 2, 5)",
    f"time() - min(timestamp({S})) <= bool 15",
    f"max_over_time(sum({S})[1m:10s])",
    f"stddev({S}) + stdvar({S})",
    'histogram_quantile(0.9, sum by (le) (rate(h_bucket{app="$target"}[1m])))',
    f'label_replace({S}, "host", "$1", "pod", "(.*)")',
    "sum(x)",
]
NOT_MERGEABLE = [
    f"sum({S}) or vector(0)",
    f"absent({S})",
    f"scalar(sum({S}))",
    f"topk(1, {S})",
    f"{S} / on (app) group_left () sum({Z})",
    f"{S} * on () group_left () vector(2)",
    f"{S} or on (pod) sum by (pod) ({Z})",
    'x{app=~"$target"}',
    'sum(x{app="$target"}) / sum(z{job="$target"})',
    f'label_replace({S}, "app", "y", "", "")',
    f'count_values("v", {S})',
    f"sum({S}) + on () group_left (app) sum by (app) ({Z})",
]
FAILING = [
    f"{S} / on (app) {Z}",  # several series on one side, for apps with several pods
    f'label_replace({S}, "pod", "same", "", "")',
]


class Bed:
    """A Mimir with samples of a small fleet, and a client in its own event loop."""

    def __init__(self, url: str) -> None:
        self.tenant = f"merge-{secrets.token_hex(4)}"
        self.now_s = time.time()
        samples.push(url, self.tenant, _fleet(self.now_s))
        self.mimir = settings.Mimir(
            url=f"{url}/prometheus", scopes=[settings.Scope(tenant=self.tenant)], concurrency=4
        )
        self.runner = asyncio.Runner()
        self.client = MimirClient(self.mimir)

    def close(self) -> None:
        self.runner.run(self.client.__aexit__(None, None, None))
        self.runner.close()

    def together(self, found: Sequence[terms.Term]) -> tuple[dict[tuple[str, str], object], int]:
        """Everything in one batch; how many were merged."""
        bundles = [[term] for term in found]

        async def ask() -> dict[tuple[str, str], object]:
            asker = batch.Batch(self.client, self.mimir, batch.Counters(), asyncio.Semaphore(4))
            return dict(await asker.ask(bundles, self.now_s, 30))

        planned = plan.plan(bundles, plan.Room(self.mimir.max_terms_per_request))
        parts = [part for request in planned for part in request.parts]
        return self.runner.run(ask()), sum(len(part.members) for part in parts if part.labels)

    def alone(self, term: terms.Term) -> Vector | QueryFailure:
        return self.runner.run(
            self.client.query(term.tenant, term.text, time_s=self.now_s, timeout_s=30)
        )

    def everything(self, text: str) -> list[terms.Term]:
        """Everything asked about the fleet for one indicator; empty where it is refused."""
        found: list[terms.Term] = []
        for namespace, target in PLACES:
            one = apps.app(
                text, namespace=namespace, target=target, threshold="4", window_s=60,
                coverage="PerReadyPod",
            )  # fmt: skip
            compiled = queries.compile_app(one, self.mimir)
            if not isinstance(compiled, queries.AppQueries):
                return []
            indicator, objective = compiled.indicators[0], compiled.objectives[0]
            found += [
                indicator.value, *indicator.freshness, *indicator.coverage,
                objective.good, objective.observed,
            ]  # fmt: skip
        return found

    def values(self, text: str) -> list[terms.Term]:
        compiled = [
            apps.compiled(apps.app(text, namespace=namespace, target=target), self.mimir)
            for namespace, target in PLACES
        ]
        return [one.indicators[0].value for one in compiled]


def _fleet(now_s: float) -> list[samples.Sampled]:
    series: list[samples.Sampled] = []
    for place, (namespace, app) in enumerate(PLACES[:4]):
        for pod in range(1 + place % 3):
            labels = {"namespace": namespace, "app": app, "pod": f"{app}-{pod}", "job": app}
            times = [now_s - 60 + 5 * step - pod for step in range(12)]
            series.append(("x", labels, [(at, place + pod + at % 7) for at in times]))
            series.append(("c", labels, [(at, n * (place + 1)) for n, at in enumerate(times)]))
            if pod < 2:
                series.append(("z", labels, [(at, 1 + pod * place) for at in times]))
            for n, bound in enumerate(["1", "2", "+Inf"]):
                bucket = {**labels, "le": bound}
                series.append(
                    ("h_bucket", bucket, [(at, k * (n + 1)) for k, at in enumerate(times)])
                )
    # Series of nobody, which a merged query may meet.
    series.append(("x", {"namespace": "n1", "app": "stranger"}, [(now_s - 1, 99.0)]))
    series.append(("x", {"namespace": "n1"}, [(now_s - 1, 98.0)]))
    return series


@pytest.fixture(scope="module")
def fleet(bed: testbed.Testbed) -> Iterator[Bed]:
    found = Bed(bed.mimir_url)
    yield found
    found.close()


def _set(series: Sequence[Series]) -> dict[tuple[tuple[str, str], ...], float]:
    return {tuple(sorted(one.labels.items())): one.value for one in series}


def _assert_same(term: terms.Term, alone: object, together: object) -> None:
    if isinstance(alone, QueryFailure) or (isinstance(alone, Vector) and alone.warnings):
        assert isinstance(together, QueryFailure), (term.text, alone, together)
        return
    assert isinstance(alone, Vector)
    assert isinstance(together, Vector), (term.text, together)
    ours, theirs = _set(together.series), _set(alone.series)
    assert ours.keys() == theirs.keys(), term.text
    for labels, value in theirs.items():
        both_nan = math.isnan(value) and math.isnan(ours[labels])
        assert both_nan or ours[labels] == pytest.approx(value, rel=1e-9, abs=1e-9), term.text


@pytest.mark.parametrize("text", MERGEABLE)
def test_a_query_of_many_apps_when_it_can_be_merged_then_answers_are_the_same(
    fleet: Bed, text: str
) -> None:
    found = fleet.values(text)
    answers, merged = fleet.together(found)
    assert merged == len({term.key for term in found})
    for term in found:
        _assert_same(term, fleet.alone(term), answers[term.key])


@pytest.mark.parametrize("text", NOT_MERGEABLE)
def test_a_query_of_many_apps_when_it_cannot_be_merged_then_a_union_answers_the_same(
    fleet: Bed, text: str
) -> None:
    found = fleet.values(text)
    answers, merged = fleet.together(found)
    assert merged in (0, 2, 4)  # those that differ in the namespace only may be merged
    assert merged < len(found)
    for term in found:
        _assert_same(term, fleet.alone(term), answers[term.key])


@pytest.mark.parametrize("text", FAILING)
def test_a_query_that_fails_for_some_apps_when_merged_then_the_others_are_answered(
    fleet: Bed, text: str
) -> None:
    found = fleet.values(text)
    answers, _ = fleet.together(found)
    alone = [fleet.alone(term) for term in found]
    assert {type(one) for one in alone} == {Vector, QueryFailure}
    for term, answer in zip(found, alone, strict=True):
        _assert_same(term, answer, answers[term.key])


def test_everything_at_once_when_some_fail_then_every_answer_is_its_own(fleet: Bed) -> None:
    found = [term for text in MERGEABLE + NOT_MERGEABLE + FAILING for term in fleet.values(text)]
    answers, _ = fleet.together(found)
    spoilt = [
        term for term in found
        if isinstance(answers[term.key], QueryFailure) and isinstance(fleet.alone(term), Vector)
    ]  # fmt: skip
    # What was not told apart within the bound on splitting is so at the next turns.
    assert len(spoilt) <= plan.MAX_MEMBERS
    for term in found:
        if term not in spoilt:
            _assert_same(term, fleet.alone(term), answers[term.key])


SELECTORS = st.sampled_from(
    [S, Z, 'x{app="$target",pod!="a-0"}', 'x{app="$name"}', "x", 'x{app=~"$target"}']
)
LABELS = st.lists(st.sampled_from(["app", "pod", "namespace", "job"]), max_size=2, unique=True)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    labels = LABELS.map(", ".join)
    pair = st.tuples(inner, inner)
    how = st.sampled_from(["", "on", "ignoring"])
    group = st.sampled_from(["", "group_left ()", "group_right ()"])
    return st.one_of(
        st.builds(
            lambda op, how, names, one: f"{op} {how} ({names}) ({one})",
            st.sampled_from(["sum", "min", "max", "avg", "count", "stddev", "group"]),
            st.sampled_from(["by", "without"]), labels, inner,
        ),
        st.builds(lambda op, one: f"{op}({one})", st.sampled_from(["sum", "max", "count"]), inner),
        st.builds(
            lambda op, how, names, group, two: (
                f"({two[0]}) {op} {how} {f'({names}) {group}' if how else ''} ({two[1]})"
            ),
            st.sampled_from(["+", "-", "/", "<", ">= bool"]), how, labels, group, pair,
        ),
        st.builds(
            lambda op, how, names, two: (
                f"({two[0]}) {op} {how} {f'({names})' if how else ''} ({two[1]})"
            ),
            st.sampled_from(["and", "or", "unless"]), how, labels, pair,
        ),
        st.builds(
            lambda form, one: form.format(one),
            st.sampled_from(
                ["abs({})", "-({})", "({}) > 3", "2 * ({})", "({}) or vector(0)", "scalar({}) + 1",
                 "max_over_time(({})[30s:10s])", "clamp_min({}, 3)", "({}) ^ time()"]
            ),
            inner,
        ),
    )  # fmt: skip


@profile(
    max_examples=60, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(text=st.recursive(SELECTORS, _grown, max_leaves=4))
def test_any_query_of_many_apps_when_asked_together_then_answers_are_the_same(
    fleet: Bed, text: str
) -> None:
    found = fleet.everything(text)
    answers, _ = fleet.together(found)
    for term in {term.key: term for term in found}.values():
        _assert_same(term, fleet.alone(term), answers[term.key])
