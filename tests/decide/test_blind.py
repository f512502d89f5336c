"""The fleet guard."""

from dataclasses import replace

import pytest

from charon_operator.decide import blind
from charon_operator.model.memory import AppMemory
from charon_operator.model.workload import Key
from tests.decide import build

NOW_S = 10_000.0
LOST = AppMemory("u", "t", 0.0, lost_at_s=NOW_S - 30, healthy_at_s=NOW_S - 45)


def fleet(count: int, namespaces: int, app: AppMemory = LOST) -> list[tuple[Key, AppMemory]]:
    return [(Key(f"n{index % namespaces}", f"a{index}"), app) for index in range(count)]


@pytest.mark.parametrize(
    ("apps", "is_blind"),
    [
        pytest.param(fleet(10, 2), True, id="ten apps of two namespaces"),
        pytest.param(fleet(9, 2), False, id="nine are too few"),
        pytest.param(fleet(50, 1), False, id="one namespace may have its own trouble"),
        pytest.param(fleet(50, 5, replace(LOST, lost_at_s=None)), False, id="all see"),
        pytest.param(fleet(50, 5, replace(LOST, healthy_at_s=None)), False, id="never healthy"),
        pytest.param(
            fleet(50, 5, replace(LOST, healthy_at_s=NOW_S - 3630)), True, id="a period of an hour"
        ),
        pytest.param(
            [
                (key, replace(LOST, lost_at_s=NOW_S - 150 * i, healthy_at_s=NOW_S - 150 * i - 1800))
                for i, (key, _) in enumerate(fleet(10, 3))
            ],
            True,
            id="noticed one after the other, at long periods",
        ),
        pytest.param(
            fleet(50, 5, replace(LOST, lost_at_s=NOW_S - 1801, healthy_at_s=NOW_S - 1810)),
            False,
            id="lost for half an hour: that is how things are now",
        ),
        pytest.param(
            [
                (key, replace(LOST, lost_at_s=NOW_S - 130 * i, healthy_at_s=NOW_S - 130 * i - 5))
                for i, (key, _) in enumerate(fleet(13, 3))
            ],
            False,
            id="one after the other, not together",
        ),
    ],
)
def test_fleet_is_blind_when_many_lose_their_metrics_together(
    apps: list[tuple[Key, AppMemory]], is_blind: bool
) -> None:
    assert blind.is_blind(apps, NOW_S, build.SAFETY) is is_blind


def test_app_that_was_not_looked_at_before_its_loss_was_not_healthy() -> None:
    app = build.ratio_app()
    known, _ = build.one(
        build.facts(app, build.workload(3), build.readings(1000.0, queued=30.0)), 1000.0
    )
    assert known.apps[build.KEY].healthy_at_s == 1000.0
    known, _ = build.one(build.facts(app, build.workload(3), {}, policy=None), 1015.0, known)
    known, _ = build.one(
        build.facts(app, build.workload(3), build.readings(1030.0, queued=None)), 1030.0, known
    )
    learnt = known.apps[build.KEY]
    assert (learnt.lost_at_s, learnt.healthy_at_s) == (1030.0, None)
