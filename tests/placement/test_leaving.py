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


def test_operator_when_it_is_stopped_and_uninstalled_then_all_variants_run_on(
    ground: Ground,
) -> None:
    app = mixed(ground)
    running = pods(app)
    log = audit.Log.from_now(ground.bed.audit_log)
    ground.stage.stop()
    operator.helm(ground.bed, "uninstall", operator.ACCOUNT, "--wait")
    app.load(0)
    assert app.asked() == app.ready() == {"gpu": 2, "cpu": 2}
    assert pods(app) == running
    assert not [write for write in log.writes(USER) if write.is_scale]
    # Back again, it goes on from what is there.
    operator.install(ground.bed, install.CHART, [ENABLED])
    app.load(220)
    ground.stage.start()
    app.wait_turns(3)
    app.wait_feasible("True", GrantReason.ENOUGH)
    assert pods(app) == running


def test_without_the_value_nothing_is_known_of_nodes_and_nothing_moves(ground: Ground) -> None:
    app = mixed(ground)
    ground.stage.stop()
    operator.install(ground.bed, install.CHART)
    try:
        ground.stage.start(enabled=False)
        said = app.wait_feasible("Unknown", Reason.SUPPLY_UNKNOWN)
        assert "knobs.placement.enabled=true" in said
        app.load(500)
        app.wait_turns(4)
        app.load(0)
        app.wait_turns(4)
        assert app.asked() == {"gpu": 2, "cpu": 2}
    finally:
        ground.stage.stop()
        operator.install(ground.bed, install.CHART, [ENABLED])
    ground.stage.start()
    app.load(100)
    app.wait_feasible("True", GrantReason.ENOUGH)


def test_all_that_was_written_was_allowed_and_the_journal_replays(ground: Ground) -> None:
    app = mixed(ground)
    app.load(100)
    app.wait_asked(gpu=1, cpu=0)
    writes = audit.Log(ground.bed.audit_log).writes(USER)
    assert [one for one in writes if one.is_scale]
    assert truth.only_allowed(writes) == []
    ground.stage.stop()
    replayed = CliRunner().invoke(main, ["replay", str(ground.stage.journal)])
    assert replayed.exit_code == 0, replayed.output
