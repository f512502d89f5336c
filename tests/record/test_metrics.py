"""The operator's own metrics: of the apps that are there, asked at the scrape."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from charon_operator.loop import turn
from charon_operator.model.memory import FleetMemory
from charon_operator.model.reading import Attainment, Missing, MissingReason
from charon_operator.names import Metric
from charon_operator.record.metrics import Metrics, View
from charon_operator.settings import Safety
from tests.record import samples

NOW_S = 1764000000.0


def view(queued: float = 500.0, **changes: object) -> View:
    facts = samples.facts(queued, NOW_S, **changes)
    moment = turn.Moment("t", NOW_S)
    (outcome,) = turn.turn(FleetMemory(), moment, [facts], Safety()).outcomes
    return View(facts, outcome, NOW_S)


def values(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        sample.name
        + "".join(f",{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_scrape_when_an_app_is_known_then_shows_it_and_when_gone_then_not() -> None:
    metrics, views = Metrics(), [view()]
    metrics.apps(lambda: views, lambda: NOW_S)
    found = values(metrics)
    app = "ptycho,workload"
    assert found[f"{Metric.CURRENT_REPLICAS},{app}"] == 2
    assert found[f"{Metric.RAW_REPLICAS},{app}"] == 3
    assert found[f"{Metric.DESIRED_REPLICAS},{app}"] == 3
    assert found[f"{Metric.READY_REPLICAS},{app}"] == 2
    assert found[f"{Metric.INDICATOR_VALUE},queued,{app}"] == 500
    assert found[f"{Metric.INDICATOR_AGE},queued,{app}"] == 0.5
    assert found[Metric.APPS] == 1
    views.clear()
    assert [name for name in values(metrics) if "ptycho" in name] == []


def test_indicator_when_missing_then_has_no_value_and_a_reason() -> None:
    metrics = Metrics()
    readings = {"queued": Missing(MissingReason.STALE, "old")}
    metrics.apps(lambda: [view(readings=readings)], lambda: NOW_S)
    found = values(metrics)
    assert found[f"{Metric.INDICATOR_MISSING},queued,ptycho,workload,Stale"] == 1
    assert not [name for name in found if name.startswith(Metric.INDICATOR_VALUE)]


def test_objective_when_promised_then_shows_threshold_and_target_and_what_is_kept() -> None:
    metrics, views = Metrics(), [view()]
    metrics.apps(lambda: views, lambda: NOW_S)
    found = values(metrics)
    assert found[f"{Metric.OBJECTIVE_THRESHOLD},queued,ptycho,workload,freshness"] == 600
    assert found[f"{Metric.OBJECTIVE_TARGET},ptycho,workload,freshness"] == 0.95
    kept = (Metric.OBJECTIVE_ATTAINMENT, Metric.OBJECTIVE_COVERAGE, Metric.OBJECTIVE_BUDGET)
    assert [name for name in found if name.startswith(kept)] == []
    views[:] = [view(attainments={"freshness": Attainment(0.97, 0.8, NOW_S, NOW_S + 60)})]
    found = values(metrics)
    shown = [found[f"{name},ptycho,workload,freshness"] for name in kept]
    assert shown == pytest.approx([0.97, 0.8, 0.4])


def test_app_when_limited_then_each_limit_is_shown_once_by_its_knob() -> None:
    metrics = Metrics()
    metrics.apps(lambda: [view(queued=60000.0)], lambda: NOW_S)
    shown = [name for name in values(metrics) if name.startswith(f"{Metric.LIMITED_BY},")]
    assert shown == [f"{Metric.LIMITED_BY},Replicas,ScaleUpPolicy,ptycho,workload"]


def test_app_when_it_cannot_be_controlled_then_nothing_is_wanted_of_it() -> None:
    metrics = Metrics()
    metrics.apps(lambda: [view(policy=None)], lambda: NOW_S)
    found = values(metrics)
    assert not [name for name in found if name.startswith(Metric.DESIRED_REPLICAS)]
    assert found[f"{Metric.CURRENT_REPLICAS},ptycho,workload"] == 2


def test_gauges_when_one_is_not_given_then_it_is_not_there() -> None:
    metrics, silent = Metrics(), {"deployments": 3.0}
    metrics.gauges(Metric.INFORMER_SILENT, "Silence.", "kind", silent.items)
    assert values(metrics)[f"{Metric.INFORMER_SILENT},deployments"] == 3
    silent.clear()
    assert not [name for name in values(metrics) if name.startswith(Metric.INFORMER_SILENT)]


def test_decisions_when_made_then_are_counted_by_reason() -> None:
    metrics = Metrics()
    metrics.decided([view().outcome, view().outcome])
    assert values(metrics)[f"{Metric.DECISIONS},Raised"] == 2
