"""One Deployment, changed from variant to variant by its pod template (gpu_bootstrap B, F24)."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from charon_operator import names
from charon_operator.cli import main
from charon_operator.names import GrantReason, Reason
from charon_operator.testbed import operator
from tests.faults import audit, install, truth
from tests.gpu_bed import template
from tests.placement import manifests
from tests.placement.sharing import USER, WEB, Shared, Way, patches
from tests.placement.stage import ENABLED, TEMPLATES, Ground, Stage
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed
LONG = {"minDwellSeconds": 600}


@pytest.fixture(scope="module", autouse=True)
def allowed(stage: Stage) -> Iterator[None]:
    """The administrator lets pod templates be changed, for these tests alone."""
    stage.stop()
    stage.templates = True
    operator.install(stage.bed, install.CHART, [ENABLED, TEMPLATES])
    yield
    stage.stop()
    stage.templates = False
    operator.install(stage.bed, install.CHART, [ENABLED])


@pytest.fixture
def log(ground: Ground) -> audit.Log:
    return audit.Log.from_now(ground.bed.audit_log)


def small(ground: Ground, **changes: Any) -> Way:
    return Way("small", template(1), capacity=100, cost=4, most=2,
               replicas=changes.pop("replicas", 2), product=ground.product, **changes)  # fmt: skip


def big(ground: Ground, **changes: Any) -> Way:
    other = f"{ground.product}-big"
    return Way("big", template(1), capacity=300, cost=9, product=other, **changes)


def test_what_one_form_cannot_serve_is_served_by_another_in_one_write(
    ground: Ground, log: audit.Log
) -> None:
    ground.node(2)
    ground.node(3, f"{ground.product}-big")
    app = Shared.on(ground, small(ground), big(ground), load=150)
    app.wait_live("small", 2)
    app.wait_feasible("True", GrantReason.ENOUGH)
    began_s = time.time()
    app.load(500)
    app.wait_live("big", 2)
    app.wait_feasible("True", GrantReason.ENOUGH)
    assert app.fewest_ready(began_s) == 2
    assert app.forms() == [("small", 2), ("big", 2)]
    (write,) = patches(log, app)
    assert (write.verb, write.code) == ("patch", 200)
    assert set(write.sent["spec"]) == {"replicas", "template"}
    assert app.deployment["metadata"]["annotations"][names.CAME_FROM] == "small=2"
    app.wait_told(
        small={"asked": 0, "ready": 0, "waiting": 0, "goal": 0},
        big={"asked": 2, "ready": 2, "waiting": 0, "goal": 2},
    )


def test_as_much_for_less_is_changed_to_and_the_journal_replays(
    ground: Ground, log: audit.Log
) -> None:
    ground.node(2)
    ground.node(3, f"{ground.product}-big")
    cheap = Way("cheap", template(1), cost=1, product=f"{ground.product}-big")
    app = Shared.on(ground, small(ground), cheap, load=200)
    app.wait_live("cheap", 2)
    app.wait_turns(5)
    assert app.forms() == [("small", 2), ("cheap", 2)]
    assert not app.waited()
    # All that was written was allowed, but for what this right is for.
    own = [one for one in log.writes(USER) if one not in patches(log, app)]
    assert truth.only_allowed(own) + truth.none_forbidden(own) == []
    ground.stage.stop()
    replayed = CliRunner().invoke(main, ["replay", str(ground.stage.journal)])
    assert replayed.exit_code == 0, replayed.output


def test_where_a_surge_does_not_fit_one_old_pod_goes_first(ground: Ground, log: audit.Log) -> None:
    ground.node(2)
    pair = Way("pair", template(2), capacity=250, cost=6, gpus=2, product=ground.product)
    one = Way("one", template(1), cost=4, most=1, replicas=1, product=ground.product)
    app = Shared.on(ground, one, pair, load=90)
    app.wait_live("one", 1)
    app.wait_feasible("True", GrantReason.ENOUGH)
    app.load(200)
    app.wait_live("pair", 1)
    (write,) = patches(log, app)
    strategy = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert write.sent["spec"]["strategy"] == strategy
    assert app.deployment["spec"]["strategy"]["rollingUpdate"] == strategy["rollingUpdate"]
    app.wait_feasible("True", GrantReason.ENOUGH)
    # On the way back, as it is cheaper, there is room for nothing beside it either.
    app.load(90)
    app.wait_live("one", 1)
    assert app.forms() == [("one", 1), ("pair", 1), ("one", 1)]


@pytest.mark.parametrize("killed", [False, True], ids=["one life", "killed on the way"])
def test_pods_that_find_no_node_turn_the_change_back(
    ground: Ground, log: audit.Log, killed: bool
) -> None:
    """What the inventory cannot see: a rule between pods."""
    ground.node(2)
    guest = ground.occupy(ground.node(3, f"{ground.product}-big"), 0)
    ground.bed.kubectl("label", "pod", guest, "-n", ground.others, "lives=alone")
    rule = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"lives": "alone"}},
        "namespaces": [ground.others],
    }
    way = small(ground)
    way.template["spec"]["affinity"] = {
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}
    }
    app = Shared.on(ground, way, big(ground), load=150)
    app.wait_live("small", 2)
    app.wait_feasible("True", GrantReason.ENOUGH)
    began_s = time.time()
    app.load(500)
    wait_until(lambda: app.live == "big", "the template to change", 60)
    if killed:
        wait_until(app.waiting, "a pod that finds no node")
        ground.stage.kill()
        ground.stage.start()
    wait_until(lambda: app.live == "small", "the way back", 60)
    app.wait_live("small", 2)
    assert app.fewest_ready(began_s) == 2
    assert not app.waiting()
    there, back = patches(log, app)[:2]
    assert "strategy" not in there.sent["spec"]
    assert "strategy" not in back.sent["spec"]
    assert back.sent["spec"]["replicas"] == 2
    if not killed:
        said = app.wait_feasible("False", Reason.ROLLED_BACK)
        assert "big 2 did not come about" in said


def test_operator_when_it_starts_or_goes_then_no_template_is_touched(
    ground: Ground, log: audit.Log
) -> None:
    ground.node(2)
    ground.node(3, f"{ground.product}-big")
    app = Shared.on(ground, small(ground), big(ground), load=500, **LONG)
    app.wait_live("small", 2)
    app.wait_turns(5)
    before = {pod.uid for pod in app.pods()}
    for end in (ground.stage.stop, ground.stage.kill):
        end()
        ground.stage.start()
        app.wait_turns(5)
    assert patches(log, app) == []
    # Nor when it is uninstalled, once it has changed one.
    app.body["spec"]["placement"]["minDwellSeconds"] = manifests.DWELL_S
    app.apply(app.body)
    app.wait_live("big", 2)
    running = {pod.uid for pod in app.pods()}
    assert not running & before
    ground.stage.stop()
    operator.helm(ground.bed, "uninstall", operator.ACCOUNT, "--wait")
    try:
        assert ({pod.uid for pod in app.pods()}, app.live) == (running, "big")
        ready = (
            "get",
            "deployment",
            WEB,
            "-n",
            app.namespace,
            "-o=jsonpath={.status.readyReplicas}",
        )
        assert ground.bed.kubectl(*ready) == "2"
    finally:
        operator.install(ground.bed, install.CHART, [ENABLED, TEMPLATES])
