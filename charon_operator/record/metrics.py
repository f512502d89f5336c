"""Metrics of the operator itself, in a registry of their own.

Reads: what the fleet last knew of every app, at the moment of a scrape. Gives: the text a scraper
takes. Never: a series of an app that is gone, work in a turn that only a scrape needs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import prometheus_client
from prometheus_client import core, registry

from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Clamp
from charon_operator.model.facts import AppFacts, ObjectiveState, Outcome
from charon_operator.model.policy import Knob
from charon_operator.model.reading import Reading
from charon_operator.model.sizes import Resizing, Size, Sizes
from charon_operator.model.workload import Key, Workload
from charon_operator.names import Metric
from charon_operator.record.conditions import FAILED_RESIZES

# What a scrape may find; the class of this name is the library's own.
_Family = core.Metric
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_APP: Final = ("namespace", "name")


@dataclass(frozen=True, slots=True)
class View:
    """What is known of one app after its last turn."""

    facts: AppFacts
    outcome: Outcome
    decided_at_s: float = 0.0

    @property
    def sampled_at_s(self) -> float | None:
        """When the data of the winning demand was sampled, s since 1970; None without one."""
        age_s = self.outcome.decision.demand_age_s
        return None if age_s is None else self.decided_at_s - age_s

    @property
    def remembered(self) -> bool:
        """Whether the turn came as far as to remember the app."""
        return self.outcome.problem is None and isinstance(self.facts.workload, Workload)


class Asked(Protocol):
    """Running totals of what was asked of the metric store."""

    queries: int
    requests: int


class Metrics:
    """Counters that a turn moves, and a registry that joins them with what is known at a scrape.

    Attributes:
        registry: what a scrape reads.
    """

    def __init__(self) -> None:
        self.registry = registry.CollectorRegistry()
        self.decisions = self._counter(Metric.DECISIONS, "Decisions, by reason.", "reason")
        self.limited = self._counter(
            Metric.LIMITED, "Decisions that a limit changed, by limit.", "limit"
        )
        self.writes = self._counter(
            Metric.API_WRITES, "Writes to the API server.", "resource", "outcome"
        )
        self.resizes = self._counter(
            Metric.RESIZES, "Resizes of pods that were tried, by outcome.", "outcome"
        )
        self.status_failures = self._counter(
            Metric.STATUS_WRITE_FAILURES, "Writes of a status that failed, by outcome.", "outcome"
        )
        self.turn_seconds = self._histogram(
            Metric.TURN_SECONDS, "What a turn took, from gathering to the last decision."
        )
        self.turns_skipped = self._counter(
            Metric.TURNS_SKIPPED, "Turns that were due while the last one was not over."
        )
        self.turn_late_seconds = self._histogram(
            Metric.TURN_LATE_SECONDS, "How long after it was due a turn began."
        )
        self.metric_to_patch = self._histogram(
            Metric.METRIC_TO_PATCH, "From the sample that a change stood on to its write."
        )
        self.dead_time = self._histogram(
            Metric.PIPELINE_DEAD_TIME, "Age of a sample when it was first decided on."
        )

    def gauge(self, name: Metric, text: str, value: Callable[[], float]) -> None:
        """A gauge that is asked at every scrape."""
        gauge = prometheus_client.Gauge(name.value, text, registry=self.registry)
        gauge.set_function(value)

    def gauges(
        self, name: Metric, text: str, label: str, values: Callable[[], Iterable[tuple[str, float]]]
    ) -> None:
        """Gauges by one label, asked at every scrape; what is not given is not there."""
        self.registry.register(_Gauges(name, text, label, values))

    def total(self, name: Metric, text: str, value: Callable[[], float]) -> None:
        """A counter whose total somebody else keeps, asked at every scrape."""
        self.registry.register(_Total(name, text, value))

    def apps(self, views: Callable[[], Iterable[View]], now_s: Callable[[], float]) -> None:
        """What is known of the apps, asked at every scrape; those that are gone are not there."""
        self.registry.register(_Apps(views, now_s))

    def asked(self, counters: Asked) -> None:
        """What was asked of the metric store."""
        self.total(Metric.QUERIES, "Queries asked.", lambda: counters.queries)
        self.total(Metric.QUERY_REQUESTS, "Requests sent for them.", lambda: counters.requests)

    def decided(self, outcomes: Iterable[Outcome]) -> None:
        """Count a turn's decisions."""
        reasons: dict[str, int] = {}
        limits: dict[str, int] = {}
        for outcome in outcomes:
            decision = outcome.decision
            reasons[decision.reason.value] = reasons.get(decision.reason.value, 0) + 1
            clamps = (*decision.clamps, *(outcome.resize.clamps if outcome.resize else ()))
            for clamp in clamps:
                limits[str(clamp.limit)] = limits.get(str(clamp.limit), 0) + 1
        _add(self.decisions, reasons)
        _add(self.limited, limits)

    def text(self) -> bytes:
        """Everything, in the exposition format."""
        return prometheus_client.generate_latest(self.registry)

    def _counter(self, name: Metric, text: str, *labels: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(name.value, text, labels, registry=self.registry)

    def _histogram(self, name: Metric, text: str) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            name.value, text, buckets=_SECONDS, registry=self.registry
        )


def _add(counter: prometheus_client.Counter, counts: Mapping[str, int]) -> None:
    for label, count in counts.items():
        counter.labels(label).inc(count)


class _Total(registry.Collector):
    def __init__(self, name: Metric, text: str, value: Callable[[], float]) -> None:
        self._name = name.value
        self._text = text
        self._value = value

    def collect(self) -> Iterator[_Family]:
        yield core.CounterMetricFamily(self._name, self._text, value=self._value())


class _Gauges(registry.Collector):
    def __init__(
        self, name: Metric, text: str, label: str, values: Callable[[], Iterable[tuple[str, float]]]
    ) -> None:
        self._name, self._text, self._label = name.value, text, label
        self._values = values

    def collect(self) -> Iterator[_Family]:
        family = core.GaugeMetricFamily(self._name, self._text, labels=(self._label,))
        for label, value in self._values():
            family.add_metric((label,), value)
        yield family


class _Apps(registry.Collector):
    def __init__(self, views: Callable[[], Iterable[View]], now_s: Callable[[], float]) -> None:
        self._views = views
        self._now_s = now_s

    def describe(self) -> Iterator[_Family]:
        # Said so that registering does not ask for apps before there is a fleet.
        return iter(())

    def collect(self) -> Iterator[_Family]:
        families = {
            name: core.GaugeMetricFamily(name.value, text, labels=labels)
            for name, (text, labels) in _FAMILIES.items()
        }
        count = 0
        now_s = self._now_s()
        for view in self._views():
            count += 1
            for name, labels, value in _samples(view, now_s):
                families[name].add_metric(labels, value)
        families[Metric.APPS].add_metric([], count)
        yield from families.values()


_INDICATOR: Final = (*_APP, "indicator")
_OBJECTIVE: Final = (*_APP, "objective")
_KNOB: Final = (*_APP, "knob")
_FAMILIES: Final[Mapping[Metric, tuple[str, tuple[str, ...]]]] = {
    Metric.DESIRED_REPLICAS: ("Replicas wanted, after limits.", _APP),
    Metric.RAW_REPLICAS: ("Replicas that the control law asked for, before limits.", _APP),
    Metric.CURRENT_REPLICAS: ("Replicas that the target asks for (spec.replicas).", _APP),
    Metric.READY_REPLICAS: ("Replicas that are Ready.", _APP),
    Metric.LIMITED_BY: (
        "1: a limit changed what the last decision wanted of a knob.",
        (*_APP, "knob", "limit"),
    ),
    Metric.DESIRED_CPU: ("CPU that a pod is to have, in cores, after limits.", _APP),
    Metric.CURRENT_CPU: ("CPU that pods were last meant to have, in cores.", _APP),
    Metric.DESIRED_MEMORY: ("Memory that a pod is to have, in bytes, after limits.", _APP),
    Metric.ACTUAL_CPU: ("CPU that the smallest running pod has, in cores.", _APP),
    Metric.ACTUAL_MEMORY: ("Memory that the smallest running pod has, in bytes.", _APP),
    Metric.UNSETTLED_RESIZES: ("Pods that do not have what they were asked to take.", _APP),
    Metric.VARIANT_REPLICAS: (
        "Replicas of a variant: asked for, ready, without a node (waiting), aimed at (goal).",
        (*_APP, "variant", "kind"),
    ),
    Metric.PLACEMENT_FEASIBLE: (
        "1: the variants that are wanted can be had, 0: they cannot.",
        _APP,
    ),
    Metric.RESIZE_QUARANTINED: (
        "1: pods are not made larger for a while, as the last time failed.",
        (*_APP, "reason"),
    ),
    Metric.ACTUATION: ("From a raise to its effect, median of the last ones, by knob.", _KNOB),
    Metric.INDICATOR_VALUE: ("Value of an indicator, in its own unit.", _INDICATOR),
    Metric.INDICATOR_AGE: ("Age of the oldest sample that a value stands on.", _INDICATOR),
    Metric.INDICATOR_MISSING: ("1: an indicator has no usable value.", (*_INDICATOR, "reason")),
    Metric.OBJECTIVE_THRESHOLD: (
        "What the indicator must keep to, in its own unit.",
        (*_OBJECTIVE, "indicator"),
    ),
    Metric.OBJECTIVE_TARGET: ("Share of the time that must be good.", _OBJECTIVE),
    Metric.OBJECTIVE_BUDGET: (
        "Error budget left: 1 all of it, 0 none, below 0 overspent.",
        _OBJECTIVE,
    ),
    Metric.OBJECTIVE_ATTAINMENT: ("Share of the observed time that was good.", _OBJECTIVE),
    Metric.OBJECTIVE_COVERAGE: ("Share of the window that was observed.", _OBJECTIVE),
    Metric.APPS: ("Apps known.", ()),
}


def _samples(view: View, now_s: float) -> Iterator[tuple[Metric, list[str], float]]:
    facts, outcome = view.facts, view.outcome
    app = _labels(facts.key)
    decision = outcome.decision
    if isinstance(facts.workload, Workload):
        yield Metric.CURRENT_REPLICAS, app, facts.workload.replicas
        yield Metric.READY_REPLICAS, app, facts.workload.ready
        # Nothing is wanted of an app that cannot be controlled: an HPA must not obey a guess.
        if outcome.problem is None:
            yield Metric.DESIRED_REPLICAS, app, decision.final
    if decision.raw is not None:
        yield Metric.RAW_REPLICAS, app, decision.raw
    # Knobs are named as a policy names them.
    yield from _limited(decision.knob.capitalize(), decision.clamps, app)
    yield from _sizes(view, app)
    yield from _variants(view, app)
    for knob, seconds in outcome.delays.items():
        yield Metric.ACTUATION, [*app, knob], seconds
    for name, one in facts.readings.items():
        if isinstance(one, Reading):
            yield Metric.INDICATOR_VALUE, [*app, name], one.value
            yield Metric.INDICATOR_AGE, [*app, name], max(0.0, now_s - one.sampled_at_s)
        else:
            yield Metric.INDICATOR_MISSING, [*app, name, one.reason.value], 1
    if isinstance(facts.app, ChargedApp):
        yield from _promised(facts.app, app)
    for state in outcome.objectives:
        yield from _kept(state, app)


def _promised(given: ChargedApp, app: list[str]) -> Iterator[tuple[Metric, list[str], float]]:
    for one in given.spec.objectives:
        labels, threshold = [*app, one.name], one.threshold
        yield Metric.OBJECTIVE_THRESHOLD, [*labels, threshold.indicator], threshold.value
        yield Metric.OBJECTIVE_TARGET, labels, one.target / 100


def _kept(state: ObjectiveState, app: list[str]) -> Iterator[tuple[Metric, list[str], float]]:
    labels = [*app, state.name]
    if state.attainment is not None:
        yield Metric.OBJECTIVE_ATTAINMENT, labels, state.attainment
        yield Metric.OBJECTIVE_COVERAGE, labels, state.coverage
    if state.budget_remaining is not None:
        yield Metric.OBJECTIVE_BUDGET, labels, state.budget_remaining


def _limited(
    knob: str, clamps: Iterable[Clamp], app: list[str]
) -> Iterator[tuple[Metric, list[str], float]]:
    for limit in dict.fromkeys(str(clamp.limit) for clamp in clamps):
        yield Metric.LIMITED_BY, [*app, knob, limit], 1


def _sizes(view: View, app: list[str]) -> Iterator[tuple[Metric, list[str], float]]:
    resize, sizes = view.outcome.resize, view.facts.sizes
    if resize is None:
        return
    current, final = resize.current or Size(), resize.final or Size()
    if final.cpu_m is not None:
        yield Metric.DESIRED_CPU, app, final.cpu_m / 1000
    if current.cpu_m is not None:
        yield Metric.CURRENT_CPU, app, current.cpu_m / 1000
    if final.memory_b is not None:
        yield Metric.DESIRED_MEMORY, app, final.memory_b
    yield from _limited(Knob.RESOURCES, resize.clamps, app)
    if resize.reason in FAILED_RESIZES:
        yield Metric.RESIZE_QUARANTINED, [*app, resize.reason.value], 1
    if sizes is not None:
        yield from _actual(sizes, app)


def _actual(sizes: Sizes, app: list[str]) -> Iterator[tuple[Metric, list[str], float]]:
    has = [pod.actual for pod in sizes.sized if pod.actual is not None]
    cpu_m = min((size.cpu_m for size in has if size.cpu_m is not None), default=None)
    memory_b = min((size.memory_b for size in has if size.memory_b is not None), default=None)
    if cpu_m is not None:
        yield Metric.ACTUAL_CPU, app, cpu_m / 1000
    if memory_b is not None:
        yield Metric.ACTUAL_MEMORY, app, memory_b
    unsettled = sum(pod.resizing is not Resizing.SETTLED for pod in sizes.sized)
    yield Metric.UNSETTLED_RESIZES, app, unsettled


def _variants(view: View, app: list[str]) -> Iterator[tuple[Metric, list[str], float]]:
    placing = view.outcome.placing
    if placing is None:
        return
    for one in placing.variants:
        for kind in ("asked", "ready", "waiting", "goal"):
            yield Metric.VARIANT_REPLICAS, [*app, one.name, kind], getattr(one, kind)
    if placing.feasible is not None:
        yield Metric.PLACEMENT_FEASIBLE, app, placing.feasible


def _labels(key: Key) -> list[str]:
    return [key.namespace, key.name]
