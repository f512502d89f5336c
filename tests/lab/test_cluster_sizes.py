"""Pods of the simulated cluster are resized one by one, within what their node has."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.lab import arrivals, parameters, plant
from charon_operator.lab.cluster import Cluster
from charon_operator.model.sizes import Resizing, Size
from charon_operator.model.workload import Target
from charon_operator.ports import PlantPod, PodState

TARGET = Target("workload", "Deployment", "consumer")
PARAMETERS = parameters.load()


def cluster(replicas: int = 2, **changes) -> Cluster:
    return Cluster(TARGET, replicas, 0.0, grace_s=30.0, **changes)


def limits(made: Cluster) -> list[float | None]:
    return [pod.limits_cores for pod in made.pods()]


def ask(made: Cluster, ordinal: int, cpu_m: int, now_s: float) -> None:
    made.resize(f"consumer-{ordinal:04}", Size(cpu_m=cpu_m), now_s)


def test_pod_when_resized_then_runs_with_it_after_the_latency_and_the_others_stay() -> None:
    made = cluster(resize_s=1.0)
    ask(made, 0, 500, 10.0)
    made.advance(10.9, {})
    assert limits(made) == [1.0, 1.0]
    (first, other) = made.sizes().pods
    assert (first.asked, first.actual) == (Size(cpu_m=500), Size(cpu_m=1000))
    assert (first.resizing, other.resizing) == (Resizing.IN_PROGRESS, Resizing.SETTLED)
    assert made.due_s == 11.0
    made.advance(11.0, {})
    assert limits(made) == [0.5, 1.0]
    assert made.sizes().pods[0].resizing is Resizing.SETTLED
    assert made.due_s == math.inf


def test_pod_born_later_when_sizes_were_changed_then_has_the_templates() -> None:
    made = cluster(1, resize_s=0.0)
    ask(made, 0, 250, 1.0)
    made.scale(2, 2.0)
    assert limits(made) == [0.25, 1.0]
    assert made.sizes().template == Size(cpu_m=1000)
    assert made.cores == 1.25


def test_resize_when_the_node_is_full_then_waits_for_what_others_leave() -> None:
    made = cluster(2, resize_s=1.0, node_cores=2.5)
    ask(made, 0, 2000, 1.0)
    made.advance(5.0, {})
    waiting = made.sizes().pods[0]
    assert (waiting.resizing, waiting.since_s) == (Resizing.DEFERRED, 1.0)
    assert limits(made) == [1.0, 1.0]
    ask(made, 1, 500, 6.0)
    made.advance(7.0, {})
    assert made.sizes().pods[0].resizing is Resizing.IN_PROGRESS
    made.advance(8.0, {})
    assert limits(made) == [2.0, 0.5]


def test_resize_when_it_is_given_back_then_nothing_waits_any_more() -> None:
    made = cluster(2, resize_s=1.0, node_cores=2.5)
    ask(made, 0, 2000, 1.0)
    ask(made, 0, 1000, 5.0)
    made.advance(6.0, {})
    assert made.sizes().pods[0].resizing is Resizing.SETTLED
    assert limits(made) == [1.0, 1.0]


def test_resize_when_larger_than_the_node_then_is_infeasible_for_good() -> None:
    made = cluster(1, node_cores=2.0)
    ask(made, 0, 2500, 1.0)
    made.advance(99.0, {})
    assert made.sizes().pods[0].resizing is Resizing.INFEASIBLE


def test_pod_when_it_does_not_fit_then_is_not_on_the_node_until_one_ends() -> None:
    made = cluster(3, node_cores=2.0)
    assert len(made.pods()) == 2
    assert made.cores == 2.0
    ask(made, 0, 500, 1.0)
    ask(made, 1, 500, 1.0)
    made.advance(3.0, {})
    assert limits(made) == [0.5, 0.5, 1.0]


@pytest.mark.parametrize("name", ["other", "consumer-0007"])
def test_pod_that_is_not_there_when_resized_then_nothing_happens(name: str) -> None:
    made = cluster(1)
    made.resize(name, Size(cpu_m=100), 1.0)
    assert limits(made) == [1.0]


def test_pod_without_a_limit_when_asked_about_then_has_no_size_and_is_not_resized() -> None:
    made = cluster(1, limit_cores=None)
    ask(made, 0, 100, 1.0)
    assert limits(made) == [None]
    assert "no CPU limit" in made.sizes().problem
    assert made.cores is None


def test_pod_when_its_container_crashed_then_is_running_still() -> None:
    made = cluster(2)
    made.advance(1.0, {"consumer-0000": PodState(False, 1, alive=False)})
    assert [pod.running for pod in made.sizes().pods] == [True, False]


@given(
    asked=st.lists(st.tuples(st.integers(0, 4), st.integers(10, 3000)), max_size=20),
    node=st.floats(1.0, 8.0),
)
def test_pods_when_resized_at_random_then_never_hold_more_than_the_node_has(asked, node) -> None:
    made = cluster(5, limit_cores=0.5, node_cores=node)
    for second, (ordinal, cpu_m) in enumerate(asked):
        ask(made, ordinal, cpu_m, float(second))
        made.advance(second + 0.5, {})
        assert sum(limit or 0.0 for limit in limits(made)) <= node + 1e-9
        assert (made.cores or 0.0) <= node + 1e-9


def test_process_when_its_limit_changes_in_mid_run_then_serves_as_one_of_that_size() -> None:
    def served(limit: float, since_s: float) -> float:
        model = plant.StreamPlant(PARAMETERS, arrivals.step(60.0, 300.0, quiet_s=0.0), 1)
        pod = [PlantPod("pod", 0.0, limits_cores=0.25)]
        model.step(0.0, pod)
        model.begin(0.0)
        model.step(since_s, pod)
        before = model.account()
        resized = [PlantPod("pod", 0.0, limits_cores=limit)]
        state = model.step(since_s + 20.0, resized).pods["pod"]
        assert (state.ready, state.restarts) == (True, 0)
        return (model.account().processed - before.processed) / 20.0

    # A backlog waits: what receiving 60 frames/s leaves of the CPU is spent, and 27 % at least.
    assert served(0.25, 30.0) == pytest.approx(0.27 * (0.25 - 0.0564) / 0.0111, abs=0.8)
    assert served(1.0, 30.0) == pytest.approx((1 - 0.0564 - 60 * 0.00263) / 0.0111, rel=0.1)
