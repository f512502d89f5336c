"""Things go away: namespaces, apps, the CRDs, the chart. Workloads stay; nothing hangs."""

import time

import pytest

from tests.faults import harness, install, manifests, truth
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.faults]
GONE_S = 30.0


@pytest.mark.parametrize("life", ["alive", "dead"])
def test_f22_when_a_namespace_is_deleted_then_it_is_gone_in_time(
    life: str, operator: harness.Operator, world: harness.World
) -> None:
    world.wait_settled(2)
    if life == "dead":
        operator.kill()
    delete_namespace(world)
    assert truth.namespace_ends(world.log.writes(), world.namespace, GONE_S) == []
    assert (operator.pid is None) == (life == "dead")


def delete_namespace(world: harness.World) -> None:
    world.bed.kubectl("delete", "namespace", world.namespace, "--wait=false")
    wait_until(lambda: world.namespace not in _namespaces(world), "the namespace to go", 60)


def _namespaces(world: harness.World) -> str:
    return world.bed.kubectl("get", "namespaces", "-oname")


def test_s6_when_an_app_is_deleted_with_the_operator_dead_then_it_goes_and_replicas_stay(
    operator: harness.Operator, world: harness.World
) -> None:
    world.load(4)
    world.wait_settled(4)
    operator.kill()
    world.bed.kubectl("delete", "chargedapp", "web", f"-n{world.namespace}", "--timeout=30s")
    wait_until(lambda: world.app() is None, "the app to go")
    assert truth.deletions_end(world.sights(), GONE_S, time.time()) == []
    assert world.replicas() == 4


def test_s6_when_the_crds_are_deleted_then_replicas_stay_and_new_ones_are_seen(
    operator: harness.Operator, world: harness.World
) -> None:
    world.load(4)
    world.wait_settled(4)
    pid = operator.pid
    world.bed.kubectl("delete", "-f", str(install.CRDS), "--timeout=30s")
    assert world.replicas() == 4
    install.install_crds(world.bed)
    world.apply(manifests.policy(), manifests.charged_app("web"))
    world.load(6)
    world.wait_replicas(6, 90)
    assert operator.pid == pid
    wait_until(lambda: {move.after for move in world.moves()} == {4, 6}, "the moves 4 and 6")


def test_s6_when_the_chart_is_uninstalled_then_replicas_stay_and_nothing_hangs(
    stage: harness.Stage, operator: harness.Operator, world: harness.World
) -> None:
    world.load(4)
    world.wait_settled(4)
    operator.kill()
    try:
        install.uninstall(stage.bed)
        assert world.replicas() == 4
        assert world.app() is not None  # helm keeps CRDs, and what is of them
        delete_namespace(world)
    finally:
        install.install(stage.bed)
        operator.renew_token()  # the old one died with its ServiceAccount
    assert truth.namespace_ends(world.log.writes(), world.namespace, GONE_S) == []
