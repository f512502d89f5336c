"""Faults drawn at random for hours: no invariant is broken and nothing grows."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.faults import actions, apifault, harness, metricfault, soak
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.faults, pytest.mark.timeout(0)]
_HOURS = float(os.environ.get(soak.HOURS, "0"))
_GROWTH = 1.2


@pytest.mark.skipif(not _HOURS, reason="runs with `make soak` (python -m tests.faults.soak)")
def test_s3_when_faults_come_at_random_for_hours_then_nothing_breaks_and_nothing_grows(
    alone: harness.Stage, world: harness.World
) -> None:
    dice = random.Random(int(os.environ.get(soak.SEED, "1")))
    with alone.running("soak", world.namespace) as operator:
        world.wait_settled(2)
        end_s = time.time() + _HOURS * 3600
        sizes: list[tuple[int, int]] = []
        while time.time() < end_s:
            wanted = dice.randint(1, 20)
            with alone.api.broken(*_api_faults(dice)), alone.metrics.broken(*_metric_faults(dice)):
                world.load(wanted)
                harness.hold(dice.uniform(1, 30))
            if dice.random() < 0.1:
                operator.kill()
                operator.start()
                sizes.clear()
            world.wait_settled(wanted, 120)
            sizes.append(_size(operator))
            assert world.violations(operator) == []
        wait_until(lambda: operator.pid, "the operator to live")
        assert _grew(sizes) == []


def _api_faults(dice: random.Random) -> list[apifault.Rule]:
    verb = dice.choice(["watch", "list", "get", "patch", "update", "create"])
    action = dice.choice(
        [
            apifault.refusal(dice.choice([500, 503, 429, 403, 409])),
            actions.Delay(dice.uniform(0.1, 3)),
            actions.Reset(),
            actions.LoseAnswer(),
            actions.Half(),
            apifault.WatchError(dice.choice([410, 500])),
        ]
    )
    if isinstance(action, apifault.WatchError):
        verb = "watch"
    return [apifault.Rule(do=action, verbs=(verb,), times=dice.randint(1, 20))]


def _metric_faults(dice: random.Random) -> list[metricfault.Rule]:
    action = dice.choice(
        [
            metricfault.refusal(dice.choice([500, 503, 429, 400, 422])),
            metricfault.value(dice.choice(["NaN", "+Inf", "abc"])),
            metricfault.shifted(-3600),
            actions.Delay(dice.uniform(0.1, 2)),
            actions.Reset(),
            actions.Half(),
        ]
    )
    return [metricfault.Rule(do=action, times=dice.randint(1, 20))]


def _size(operator: harness.Operator) -> tuple[int, int]:
    """Resident memory in KiB and open files."""
    process = Path(f"/proc/{operator.pid}")
    status = dict(
        line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line
    )
    return int(status["VmRSS"].split()[0]), len(list((process / "fd").iterdir()))


def _grew(sizes: list[tuple[int, int]]) -> list[str]:
    """I10: the last tenth is not larger than the second tenth by more than a fifth."""
    tenth = len(sizes) // 10
    if not tenth:
        return []
    early, late = sizes[tenth : 2 * tenth], sizes[-tenth:]
    names = ("KiB resident", "open files")
    return [
        f"I10: {names[of]} grew from {max(s[of] for s in early)} to {min(s[of] for s in late)}"
        for of in range(2)
        if min(s[of] for s in late) > _GROWTH * max(s[of] for s in early)
    ]
