"""The slope of a sum whose parts are sampled at different moments."""

import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.laws import slope

INTERVAL_S = 5.0


def track_of(samples: Iterable[tuple[float, float]]) -> slope.Track:
    track = slope.begin()
    for time_s, value in samples:
        track = slope.follow(track, time_s, value)
    return track


def scraped(offsets: list[float], rate: float, looks_at: float) -> list[tuple[float, float]]:
    """Oldest sample time and sum, once a second, of pods that each grow at a rate."""
    looks = [second + looks_at for second in range(6, 60)]
    newest = [
        [offset + INTERVAL_S * ((now_s - offset) // INTERVAL_S) for offset in offsets]
        for now_s in looks
    ]
    return [(min(times), sum(rate * time_s for time_s in times)) for times in newest]


def test_there_is_none_before_two_distances_were_seen() -> None:
    assert track_of([(0, 1)])["slope"] is None
    assert track_of([(0, 1), (2, 5)])["slope"] is None
    assert track_of([(0, 1), (2, 5), (4, 9)])["slope"] == 2


def test_a_sample_that_is_not_newer_changes_nothing() -> None:
    track = track_of([(0, 1), (2, 5), (4, 9)])
    assert slope.follow(track, 4, 1000) == track
    assert slope.follow(track, 3, 1000) == track


def test_the_last_one_counts_until_enough_time_has_passed() -> None:
    steady = [(0.0, 0.0), (5.0, 10.0), (10.0, 20.0)]
    assert track_of([*steady, (10.3, 40.0)])["slope"] == 2
    assert track_of([*steady, (10.3, 40.0), (15.0, 50.0)])["slope"] == 6


def test_a_gap_is_forgotten_after_some_samples() -> None:
    gap = [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (62.0, 62.0)]
    after = [(62.0 + k, 62.0 + 10 * k) for k in range(1, 12)]
    assert track_of(gap)["slope"] == 1
    assert track_of([*gap, *after])["slope"] == 10


@pytest.mark.parametrize("looks_at", [0.05, 0.15, 0.25, 0.9])
@pytest.mark.parametrize(
    "offsets", [[0.0, 0.1], [0.0, 0.1, 0.2], [0.0, 1.2, 2.5, 3.7], [0.0, 4.9], [0.0, 0.1, 2.5]]
)
def test_pods_scraped_at_different_moments_seem_to_grow_at_most_twice_as_fast(
    offsets: list[float], looks_at: float
) -> None:
    tracks = itertools.accumulate(
        scraped(offsets, 20.0, looks_at),
        lambda track, sample: slope.follow(track, *sample),
        initial=slope.begin(),
    )
    actual = 20.0 * len(offsets)
    seen = [track["slope"] for track in tracks if track["slope"] is not None]
    assert seen
    assert max(seen) <= 2 * actual


@given(distances=st.lists(st.floats(0.01, 100), min_size=2, max_size=30), rate=st.floats(-1e6, 1e6))
def test_a_straight_line_has_its_slope_however_it_is_sampled(
    distances: list[float], rate: float
) -> None:
    times = list(itertools.accumulate(distances))
    track = track_of([(0.0, 0.0), *((time_s, rate * time_s) for time_s in times)])
    assert json.loads(json.dumps(track)) == track
    assert track["slope"] is None or track["slope"] == pytest.approx(rate, rel=1e-6, abs=1e-6)
