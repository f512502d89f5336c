"""Indicators of an app, evaluated over the lab's own samples.

Reads: a ChargedApp, a Store. Gives: readings, or why there is none. Never: zero for nothing.
"""

import math
from collections.abc import Mapping
from typing import Any

from charon_operator.errors import SimulationError
from charon_operator.lab import promql
from charon_operator.lab.samples import Store
from charon_operator.model.app import ChargedApp
from charon_operator.model.indicator import Coverage, Indicator
from charon_operator.model.reading import Missing, MissingReason, Reading, Sampled


class Indicators:
    """The indicators of one app, parsed once.

    Raises:
        SimulationError: a query is broken or holds a form the lab does not know.
    """

    def __init__(self, app: ChargedApp) -> None:
        names = {
            "$namespace": app.key.namespace,
            "$name": app.key.name,
            "$target": app.target.name,
        }
        self._indicators = [
            (indicator, promql.parse(_substituted(indicator.query, names)))
            for indicator in app.spec.indicators
        ]

    def read(self, store: Store, ready_pods: int, now_s: float) -> Mapping[str, Sampled]:
        """Every indicator as of `now_s`, by name."""
        return {
            indicator.name: _reading(indicator, tree, store, ready_pods, now_s)
            for indicator, tree in self._indicators
        }


def _substituted(query: str, names: Mapping[str, str]) -> str:
    # Longest first: $namespace begins with $name. Kubernetes names hold nothing to escape.
    for placeholder in sorted(names, key=len, reverse=True):
        query = query.replace(placeholder, names[placeholder])
    return query


def _reading(
    indicator: Indicator, tree: Any, store: Store, ready_pods: int, now_s: float
) -> Sampled:
    result = promql.evaluate(tree, store, now_s)
    if isinstance(result, float):
        raise SimulationError(f"{indicator.query}: is a number, not a measurement")
    if not result:
        return Missing(MissingReason.NO_DATA, "the query gave nothing")
    if len(result) > 1:
        return Missing(MissingReason.MANY_SERIES, f"the query gave {len(result)} values")
    element = result[0]
    if not math.isfinite(element.value):
        return Missing(MissingReason.NOT_A_NUMBER, "the query gave no finite number")
    age_s = now_s - element.oldest_s
    if age_s > indicator.max_sample_age_seconds:
        return Missing(MissingReason.STALE, f"the newest sample is {age_s:.0f} s old")
    return _covered(indicator, element, ready_pods)


def _covered(indicator: Indicator, element: promql.Element, ready_pods: int) -> Sampled:
    if indicator.coverage is Coverage.NONE:
        return Reading(element.value, element.oldest_s)
    coverage = min(1.0, len(element.pods) / ready_pods) if ready_pods else 1.0
    if coverage < 1.0:
        return Missing(
            MissingReason.LOW_COVERAGE, f"{len(element.pods)} of {ready_pods} ready pods reported"
        )
    return Reading(element.value, element.oldest_s, coverage)
