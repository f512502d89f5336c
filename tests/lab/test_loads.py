"""Loads by name."""

import pytest

from charon_operator.lab import arrivals, loads


@pytest.mark.parametrize("name", loads.LOADS)
def test_load_when_made_again_with_its_seed_then_is_the_same_and_begins_quietly(name: str) -> None:
    load = loads.LOADS[name](3)
    assert load == loads.LOADS[name](3)
    assert load.first_s == arrivals.QUIET_S
    assert load.rate(load.end_s - 0.1) > 0


def test_noise_when_seeds_differ_then_differs_and_has_its_mean() -> None:
    drawn = [loads.noise(seed) for seed in range(40)]
    assert drawn[0] != drawn[1]
    mean = sum(load.total for load in drawn) / sum(load.end_s - load.first_s for load in drawn)
    assert mean == pytest.approx(200, rel=0.1)


def test_ramp_and_bursts_when_looked_at_then_rise_to_their_peaks_and_come_back() -> None:
    ramp, bursts = loads.ramp(0), loads.bursts(0)
    assert [ramp.rate(t) for t in (5.0, 130.0, 304.0)] == pytest.approx([60, 600, 60], abs=10)
    assert [bursts.rate(t) for t in (6.0, 52.0, 66.0)] == [60, 240, 60]
    assert not ramp.is_step
