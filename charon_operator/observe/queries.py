"""The queries of an app: what is asked of the metric store for each indicator and objective.

Reads: a ChargedApp and the administrator's scopes. Gives: `AppQueries`, or what is wrong with which
query. Never: a query that could see more than the scope allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from charon_operator import settings
from charon_operator.errors import QueryError
from charon_operator.model.app import ChargedApp, Objective
from charon_operator.model.facts import Broken
from charon_operator.model.indicator import Coverage, Indicator
from charon_operator.model.workload import Key
from charon_operator.names import Reason
from charon_operator.observe import derived, promql, scope, terms, tree


@dataclass(frozen=True, slots=True)
class IndicatorQueries:
    """What is asked to read one indicator.

    Attributes:
        value: the query itself, scoped.
        freshness: when each selector's oldest series was sampled, s since 1970.
        coverage: how many pods gave fresh series, for each selector about the app's pods; empty
            where coverage is not asked for.
        max_age_s: a value whose oldest input is older counts as missing.
        told: labels that the answer must not contradict.
    """

    name: str
    value: terms.Term
    freshness: tuple[terms.Term, ...]
    coverage: tuple[terms.Term, ...]
    max_age_s: float
    told: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ObjectiveQueries:
    """What is asked to know how an objective did over its window.

    Attributes:
        good: share of the observed points that were good, 0..1.
        observed: how many points were observed.
        points: how many there are in the window.
    """

    name: str
    good: terms.Term
    observed: terms.Term
    points: int


@dataclass(frozen=True, slots=True)
class AppQueries:
    """Everything asked for one app of one generation."""

    key: Key
    tenant: str
    indicators: tuple[IndicatorQueries, ...]
    objectives: tuple[ObjectiveQueries, ...]


def compile_app(app: ChargedApp, mimir: settings.Mimir) -> AppQueries | tuple[Broken, ...]:
    """Make an app's queries, or say what is wrong with each that cannot be asked.

    Args:
        app: the app; the result is good for its generation.
        mimir: the operator's configuration; the first scope that matches the namespace counts.

    Returns:
        The queries, or one Broken per indicator that cannot be read (its field is
        `spec.indicators[NAME].query`), or one that says that no scope covers the namespace.

    Raises:
        ConfigurationError: a scope of the configuration is wrong (`scope.check` finds that at
            the start of the operator).
    """
    found = scope.find(app.key.namespace, mimir)
    if found is None:
        return (_outside(app),)
    compiler = _Compiler(app, found)
    trees: dict[str, tree.Node] = {}
    readings: list[IndicatorQueries] = []
    broken: list[Broken] = []
    for indicator in app.spec.indicators:
        try:
            trees[indicator.name] = compiler.scoped(indicator)
            readings.append(compiler.indicator(indicator, trees[indicator.name]))
        except QueryError as error:
            broken.append(_broken(app, error))
    if broken:
        return tuple(broken)
    try:
        objectives = tuple(compiler.objective(one, trees) for one in app.spec.objectives)
    except QueryError as error:
        return (_broken(app, error),)
    return AppQueries(app.key, found.tenant, tuple(readings), objectives)


def _broken(app: ChargedApp, error: QueryError) -> Broken:
    reason = Reason.INVALID_QUERY
    return Broken(app.key, app.uid, app.generation, error.field, error.message, reason)


def _outside(app: ChargedApp) -> Broken:
    message = (
        f"no scope of the operator's configuration covers namespace {app.key.namespace!r}: "
        "ask the administrator to add one under mimir.scopes"
    )
    return Broken(app.key, app.uid, app.generation, "metadata.namespace", message)


def _field(indicator: str) -> str:
    return f"spec.indicators[{indicator}].query"


class _Compiler:
    """Makes the queries of one app in one scope."""

    def __init__(self, app: ChargedApp, found: scope.Scope) -> None:
        self._app = app
        self._scope = found
        self._values = scope.placeholders(app)

    def scoped(self, indicator: Indicator) -> tree.Node:
        """The indicator's query with its placeholders filled in and the scope everywhere."""
        field = _field(indicator.name)
        node = promql.read(indicator.query, field)
        try:
            enclosed = scope.apply(node, self._scope, self._values)
        except scope.ScopeError as error:
            scope.refuse(error, indicator.query, field)
        if not scope.carries(enclosed, self._scope, self._values):
            raise QueryError(field, "cannot be scoped safely: write it in simpler terms")
        return enclosed

    def indicator(self, indicator: Indicator, node: tree.Node) -> IndicatorQueries:
        field = _field(indicator.name)
        return IndicatorQueries(
            name=indicator.name,
            value=self._term(derived.value(node), field),
            freshness=tuple(self._term(one, field) for one in derived.freshness(node)),
            coverage=self._coverage(indicator, node, field),
            max_age_s=indicator.max_sample_age_seconds,
            told=scope.told(node, self._scope, self._values),
        )

    def _coverage(
        self, indicator: Indicator, node: tree.Node, field: str
    ) -> tuple[terms.Term, ...]:
        if indicator.coverage is not Coverage.PER_READY_POD:
            return ()
        exempt = [one for one in tree.selectors(node) if self._scope.exemption(one) is not None]
        nodes = derived.coverage(node, indicator.max_sample_age_seconds, exempt)
        if not nodes:
            message = (
                "coverage: PerReadyPod needs a metric of the app's own pods, and the administrator "
                "has exempted all of these from the scope: set coverage: None"
            )
            raise QueryError(f"spec.indicators[{indicator.name}].coverage", message)
        return tuple(self._term(one, field) for one in nodes)

    def objective(self, one: Objective, trees: Mapping[str, tree.Node]) -> ObjectiveQueries:
        node = trees[one.threshold.indicator]
        max_age_s = next(
            indicator.max_sample_age_seconds
            for indicator in self._app.spec.indicators
            if indicator.name == one.threshold.indicator
        )
        step_s = derived.step_s(node, one.window_seconds)
        goodness = derived.good(node, one.threshold.op, one.threshold.value, max_age_s)
        field = _field(one.threshold.indicator)
        good, observed = (
            self._term(past, field) for past in derived.past(goodness, one.window_seconds, step_s)
        )
        return ObjectiveQueries(one.name, good, observed, one.window_seconds // step_s)

    def _term(self, node: tree.Node, field: str) -> terms.Term:
        return terms.make(self._scope.tenant, node, field)
