"""The small evaluator: what it knows it evaluates as Prometheus does; the rest it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.errors import SimulationError
from charon_operator.lab import promql
from tests.lab import stream


def ask(query: str, store, now_s: float = 10.0):
    return promql.evaluate(promql.parse(query), store, now_s)


@pytest.fixture
def store():
    made = stream.store()
    for second in range(11):
        made.scrape(
            float(second),
            [
                ("depth", {"pod": "a"}, 1.0 + second),
                ("depth", {"pod": "b"}, 3.0),
                ("seen_total", {"pod": "a"}, 100.0 * second),
            ],
        )
    return made


VALUES = {
    "sum(depth)": 14.0,
    'sum(depth{pod="a"})': 11.0,
    'sum(depth{pod!="a"})': 3.0,
    'sum(depth{pod=~"a|b", app="consumer", namespace="workload"})': 14.0,
    'sum(depth{pod!~"b.*"})': 11.0,
    "max(depth)": 11.0,
    "min(depth)": 3.0,
    "avg(depth)": 7.0,
    "count(depth)": 2.0,
    "sum(rate(seen_total[5s]))": 100.0,
    "sum(increase(seen_total[5s]))": 500.0,
    "2 * sum(depth) + 1": 29.0,
    "-sum(depth)": -14.0,
    "(sum(depth) - 4) / 2": 5.0,
    "sum(depth) / count(depth)": 7.0,
    "sum by (app) (depth)": 14.0,
    "sum without (pod) (depth)": 14.0,
}


@pytest.mark.parametrize("query", VALUES)
def test_known_form_when_asked_then_gives_its_value(query: str, store) -> None:
    (element,) = ask(query, store)
    assert element.value == pytest.approx(VALUES[query])


UNKNOWN = [
    "histogram_quantile(0.9, depth)",
    "depth offset 5s",
    "depth @ 5",
    "topk(1, depth)",
    "depth > 2",
    "sum(depth) and sum(depth)",
    "depth + depth",
    "max_over_time(depth[5s])",
    "vector(1)",
    "quantile(0.5, depth)",
]


@pytest.mark.parametrize("query", UNKNOWN)
def test_unknown_form_when_asked_then_is_refused_by_name(query: str, store) -> None:
    with pytest.raises(SimulationError, match="does not know this"):
        ask(query, store)


def test_text_that_is_no_promql_when_parsed_then_is_refused_with_the_text() -> None:
    with pytest.raises(SimulationError, match=r"sum\("):
        promql.parse("sum(")


def test_element_when_series_differ_in_age_then_carries_the_oldest_and_all_pods() -> None:
    store = stream.store()
    store.scrape(1.0, [("depth", {"pod": "a"}, 1.0)])
    store.scrape(4.0, [("depth", {"pod": "a"}, 1.0), ("depth", {"pod": "b"}, 1.0)])
    (element,) = ask("sum(depth)", store, 5.0)
    assert (element.oldest_s, element.pods) == (4.0, {"a", "b"})


def test_series_when_it_left_the_scrape_then_is_gone_at_once() -> None:
    store = stream.store()
    store.scrape(1.0, [("depth", {"pod": "a"}, 1.0)])
    store.scrape(2.0, [])
    assert ask("sum(depth)", store, 2.5) == []


def test_sample_when_it_is_still_under_way_then_is_not_seen() -> None:
    store = stream.store(send_s=0.5)
    store.scrape(1.0, [("depth", {"pod": "a"}, 1.0)])
    assert ask("sum(depth)", store, 1.4) == []
    assert len(ask("sum(depth)", store, 1.5)) == 1


def test_counter_when_it_starts_anew_then_its_rate_counts_both_lives() -> None:
    samples = [(0.0, 100.0), (1.0, 200.0), (2.0, 0.0), (3.0, 100.0)]
    assert promql.extrapolated(samples, 0.0, 3.0) == pytest.approx(200.0)


@given(
    slope=st.floats(0, 1e4),
    start=st.floats(0, 1e6),
    gap_s=st.floats(0.5, 2),
    count=st.integers(3, 30),
)
def test_steady_counter_when_extrapolated_then_grows_by_its_slope(
    slope: float, start: float, gap_s: float, count: int
) -> None:
    samples = [(at * gap_s, start + 1e6 + slope * at * gap_s) for at in range(count)]
    end_s = samples[-1][0]
    assert promql.extrapolated(samples, 0.0, end_s) == pytest.approx(slope * end_s, abs=1e-3)
