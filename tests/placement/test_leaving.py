"""Without the operator, or without its right to see nodes, nothing that runs is touched."""

import pytest
from click.testing import CliRunner

from charon_operator.cli import main
from charon_operator.names import GrantReason, Reason
from charon_operator.testbed import operator
from tests.faults import audit, install, truth
from tests.gpu_bed import template
from tests.placement.manifests import Variant
from tests.placement.stage import ENABLED, App, Ground

pytestmark = pytest.mark.testbed
USER = f"system:serviceaccount:{operator.NAMESPACE}:{operator.ACCOUNT}"


def mixed(ground: Ground) -> App:
    """An app that runs two variants."""
    ground.node(2)
    on_one = template(product=ground.product)
    gpu = Variant("gpu", on_one, capacity=100, cost=1, most=2)
    cpu = Variant("cpu", template(0), capacity=10, cost=1)
    app = ground.app("mixed", gpu, cpu, load=220)
    app.wait_ready(gpu=2, cpu=2)
    return app


def pods(app: App) -> set[str]:
    return {pod.uid for pod in app.pods()}


def test_operator_when_uninstalled_or_without_its_right_then_all_variants_run_on(
    ground: Ground,
) -> None:
    app = mixed(ground)
    there, running = {"gpu": 2, "cpu": 2}, pods(app)
    log = audit.Log.from_now(ground.bed.audit_log)
    ground.stage.stop()
    operator.helm(ground.bed, "uninstall", operator.ACCOUNT, "--wait")
    assert app.asked() == app.ready() == there

    # Back again without the value, and so without nodes: it says what to do, and moves nothing.
    operator.install(ground.bed, install.CHART)
    ground.stage.start(enabled=False)
    try:
        said = app.wait_feasible("Unknown", Reason.SUPPLY_UNKNOWN)
        assert "knobs.placement.enabled=true" in said
        for load in (500, 10):
            app.load(load)
            app.wait_turns(3)
        assert app.asked() == there
    finally:
        ground.stage.stop()
        operator.install(ground.bed, install.CHART, [ENABLED])

    # And with it, it goes on from what is there.
    app.load(220)
    ground.stage.start()
    app.wait_feasible("True", GrantReason.ENOUGH)
    assert (app.ready(), pods(app)) == (there, running)
    assert not [write for write in log.writes(USER) if write.is_scale]


def test_all_that_was_written_was_allowed_and_the_journal_replays(ground: Ground) -> None:
    app = mixed(ground)
    app.load(100)
    app.wait_asked(gpu=1, cpu=0)
    writes = audit.Log(ground.bed.audit_log).writes(USER)
    # Tests of the fence use its token, too.
    own = [one for one in writes if not one.agent.startswith("python-httpx")]
    assert [one for one in own if one.is_scale]
    assert truth.only_allowed(own) + truth.none_forbidden(own) == []
    ground.stage.stop()
    replayed = CliRunner().invoke(main, ["replay", str(ground.stage.journal)])
    assert replayed.exit_code == 0, replayed.output
