"""`behavior` against HPA v2: rows worked out by hand from horizontal.go of v1.34."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.decide import behavior
from charon_operator.model.memory import Action, Recommendation, recommended
from charon_operator.model.policy import ScalingRules

NOW_S = 1000.0


def rules(select: str = "Max", *policies: tuple[str, int, int]) -> ScalingRules:
    body: dict[str, Any] = {"selectPolicy": select}
    if policies:
        body["policies"] = [
            {"type": kind, "value": value, "periodSeconds": period}
            for kind, value, period in policies
        ]
    return ScalingRules.model_validate(body)


def actions(*changes: tuple[float, int]) -> list[Action]:
    """Changes as (seconds ago, by how many)."""
    return [Action(NOW_S - ago_s, 100, 100 + change) for ago_s, change in changes]


UP = [
    pytest.param(rules(), 1, [], 5, id="default: 4 pods beat 100 % of 1"),
    pytest.param(rules(), 10, [], 20, id="default: 100 % of 10 beats 4 pods"),
    pytest.param(rules(), 20, [(5, 10)], 20, id="what was added 5 s ago counts: from 10 to 20"),
    pytest.param(rules(), 20, [(15, 10)], 40, id="15 s ago is out of the period"),
    pytest.param(rules(), 20, [(14.9, 10)], 20, id="just inside the period"),
    pytest.param(rules(), 20, [(5, -5)], 50, id="what was taken away counts too: from 25 to 50"),
    pytest.param(rules("Min"), 10, [], 14, id="Min: the smaller change"),
    pytest.param(rules("Disabled"), 10, [], 10, id="Disabled: no raise"),
    pytest.param(rules("Max", ("Percent", 10, 60)), 100, [], 111, id="10 % of 100: 111 as in Go"),
    pytest.param(rules("Max", ("Percent", 50, 60)), 3, [], 5, id="rounded up"),
    pytest.param(rules("Max", ("Pods", 2, 60)), 10, [(30, 5)], 10, id="never below current"),
]
DOWN = [
    pytest.param(rules(), 10, [], 0, id="default: all of them"),
    pytest.param(rules("Max", ("Percent", 10, 60)), 10, [], 9, id="10 % of 10"),
    pytest.param(rules("Max", ("Percent", 10, 60)), 5, [], 4, id="rounded down: 4.5 to 4"),
    pytest.param(rules("Max", ("Pods", 3, 60)), 10, [], 7, id="three pods"),
    pytest.param(rules("Max", ("Pods", 3, 60)), 10, [(30, -2)], 9, id="two were taken already"),
    pytest.param(rules("Max", ("Pods", 3, 60)), 10, [(60, -2)], 7, id="60 s ago is outside"),
    pytest.param(rules("Max", ("Pods", 3, 60)), 10, [(30, -5)], 10, id="never above current"),
    pytest.param(rules("Max", ("Pods", 3, 60)), 10, [(30, 4)], 3, id="what was added may go again"),
    pytest.param(
        rules("Max", ("Pods", 3, 60), ("Percent", 50, 60)), 10, [], 5, id="Max: larger change"
    ),
    pytest.param(
        rules("Min", ("Pods", 3, 60), ("Percent", 50, 60)), 10, [], 7, id="Min: smaller change"
    ),
    pytest.param(rules("Disabled"), 10, [], 10, id="Disabled: no lowering"),
]


@pytest.mark.parametrize(("given_rules", "current", "changes", "limit"), UP)
def test_raises_are_limited_as_by_the_hpa(
    given_rules: ScalingRules, current: int, changes: list[tuple[float, int]], limit: int
) -> None:
    assert behavior.most(given_rules, current, actions(*changes), NOW_S) == limit


@pytest.mark.parametrize(("given_rules", "current", "changes", "limit"), DOWN)
def test_lowerings_are_limited_as_by_the_hpa(
    given_rules: ScalingRules, current: int, changes: list[tuple[float, int]], limit: int
) -> None:
    assert behavior.least(given_rules, current, actions(*changes), NOW_S) == limit


@pytest.mark.parametrize(
    ("window_s", "low", "high"),
    [
        pytest.param(0, 7, 7, id="no window: only this wish"),
        pytest.param(10, 7, 7, id="a wish as old as the window is outside"),
        pytest.param(11, 5, 7, id="younger ones count"),
        pytest.param(300, 5, 9, id="the whole history"),
    ],
)
def test_windows_take_the_smallest_and_the_largest(window_s: int, low: int, high: int) -> None:
    history = [Recommendation(NOW_S - 200, 9), Recommendation(NOW_S - 10, 5)]
    assert behavior.smallest_within(history, 7, NOW_S, window_s) == low
    assert behavior.largest_within(history, 7, NOW_S, window_s) == high


def test_windows_default_to_those_of_the_hpa() -> None:
    assert behavior.window_s(ScalingRules(), behavior.UP_WINDOW_S) == 0
    assert behavior.window_s(ScalingRules(), behavior.DOWN_WINDOW_S) == 300
    assert behavior.window_s(ScalingRules(stabilization_window_seconds=0), 300) == 0


@given(wishes=st.lists(st.integers(0, 9), min_size=1, max_size=40), window_s=st.integers(0, 50))
def test_compact_history_answers_every_window_as_the_whole_one(
    wishes: list[int], window_s: int
) -> None:
    whole: list[Recommendation] = []
    compact: tuple[Recommendation, ...] = ()
    for index, wish in enumerate(wishes):
        newest = Recommendation(float(index), wish)
        whole.append(newest)
        compact = recommended(compact, newest)
    now_s = float(len(wishes))
    for answer in (behavior.smallest_within, behavior.largest_within):
        # The wish of this moment lies between the extremes: only the history can decide.
        for wish in (0, 5, 9):
            expected = answer(whole, wish, now_s, window_s)
            assert answer(compact, wish, now_s, window_s) == expected


def test_compact_history_is_one_entry_when_the_wish_is_steady() -> None:
    history: tuple[Recommendation, ...] = ()
    for second in range(3600):
        history = recommended(history, Recommendation(float(second), 5))
    assert len(history) == 1
