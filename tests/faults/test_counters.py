"""A counter that starts anew, is away for a while or stands still: its rate is what it was."""

import time

import pytest

from charon_operator.names import ConditionType
from tests.faults import harness, manifests
from tests.faults.lengths import at_most

pytestmark = [pytest.mark.testbed, pytest.mark.faults, at_most(240)]
COUNTER = "faults_done_total"
# 56/s at 30 a replica are 2, with room for what PromQL's rate misses: the second of a reset, and
# up to a third when only what came after a gap is left in its window.
RATE, SHARE, WINDOW_S = 56.0, 30, 20
MAX_AGE_S = 4


class Counter:
    """What an exporter counts: RATE a second since a start that can be moved, until it stands."""

    def __init__(self, world: harness.World) -> None:
        self._world, self._labels = world, {"namespace": world.namespace, "app": "web"}
        self.start()

    def start(self) -> None:
        """Counts from 0, as a fresh process does."""
        self._began_s = time.time()
        self.show()

    def show(self) -> None:
        self._world.stage.exporter.set(COUNTER, self._labels, self.value)

    def hide(self) -> None:
        self._world.stage.exporter.drop(COUNTER, self._labels)

    def stand(self) -> None:
        self._world.stage.exporter.set(COUNTER, self._labels, self.value())

    def value(self) -> float:
        return RATE * (time.time() - self._began_s)


def test_m4_when_a_counter_resets_pauses_or_stands_then_only_the_last_lowers(
    stage: harness.Stage, operator: harness.Operator
) -> None:
    query = f'sum(rate({COUNTER}{{app="$target"}}[{WINDOW_S}s]))'
    app = manifests.charged_app("web")
    indicator = {**app["spec"]["indicators"][0], "query": query, "maxSampleAgeSeconds": MAX_AGE_S}
    objective = {**app["spec"]["objectives"][0], "setPoint": str(SHARE)}
    with harness.world(stage, indicators=[indicator], objectives=[objective]) as world:
        counter = Counter(world)
        _wait_full(world, operator)
        settled_s = time.time()
        counter.start()
        world.wait_rest(operator, 5)
        counter.hide()
        with world.blinded():
            world.wait_condition(ConditionType.METRICS_HEALTHY, "False")
        # Back with all it counted meanwhile, at once.
        counter.show()
        world.wait_condition(ConditionType.METRICS_HEALTHY, "True")
        world.wait_rest(operator, WINDOW_S - MAX_AGE_S)
        assert harness.first_move(world, settled_s) is None
        # Fresh samples that do not move are a rate of 0, not a missing one.
        counter.stand()
        world.wait_settled(1)
        counter.hide()
        lowered = harness.audited_move(world, settled_s)
        assert (lowered.before, lowered.after) == (2, 1)
        assert [*world.violations(operator), *world.unseen()] == []


def _wait_full(world: harness.World, operator: harness.Operator) -> None:
    """The window of the rate is nearly full: what comes first in it is no rate yet."""
    world.wait_settled(2)
    world.wait_rest(operator, WINDOW_S // 3)
    world.wait_settled(2)
