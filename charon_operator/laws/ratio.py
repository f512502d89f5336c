"""Ratio: what the HorizontalPodAutoscaler computes for an external metric.

Reads: the objective's indicator, with the set point as the HPA's target. Gives: replicas. Never:
behaviour or bounds (the turn has them, with the HPA's own meaning).
"""

import math
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Final

from pydantic import Field

from charon_operator.laws.law import Parameters, Sample, State
from charon_operator.model.decision import Demand
from charon_operator.model.quantity import NonNegativeNumber

_INT32: Final = 2**31 - 1
_INT64: Final = 2**63 - 1


class MetricType(StrEnum):
    """What the target is held against, as in HPA v2."""

    VALUE = "Value"
    AVERAGE_VALUE = "AverageValue"


class RatioParameters(Parameters):
    """Parameters of Ratio."""

    metric_type: MetricType = Field(
        default=MetricType.AVERAGE_VALUE,
        description="Value: the metric itself is held at the set point. AverageValue: its share.",
    )
    tolerance: NonNegativeNumber = Field(
        default=0.1, le=1, description="No change while the ratio is within 1 ± this, inclusive."
    )


class Ratio:
    """HPA v2, external metrics, without memory.

    With V the metric and P the set point as int64 milli-units (V truncated as KEDA hands it over, P
    rounded up as a Quantity is), n replicas and r ready replicas::

        Value:         q = V / P;        n if 1-tol <= q <= 1+tol, else ceil(q r); ceil(q) if n = 0
        AverageValue:  q = V / (P n);    n if 1-tol <= q <= 1+tol, else ceil(V / P)

    Sampling: any interval. Saturation: none needed. Missing sample: not stepped; the turn lets the
    objectives that are known raise and nothing lower, as the HPA does with several metrics.

    Source: k8s.io/kubernetes v1.34 pkg/controller/podautoscaler/replica_calculator.go
    (GetExternalMetricReplicas, GetExternalPerPodMetricReplicas). Different here: n is the replicas
    asked for, also where the HPA takes those that exist, and an objective whose smaller values are
    worse is refused, as the HPA would drive it the wrong way.
    """

    name = "Ratio"
    parameters = RatioParameters
    roles = frozenset({"value"})
    needs_capacity = False

    def start(self, parameters: RatioParameters, replicas: int) -> State:
        """There is no state."""
        return {}

    def misfit(self, set_point: float, sign: int) -> str:
        """The HPA divides by the set point, and scales up when the metric grows."""
        if sign < 0:
            return "Ratio needs an objective with op LessThanOrEqual; use another controller"
        if _milli(set_point) <= 0:
            return "Ratio divides by the set point: give one greater than 0"
        return ""

    def step(
        self, parameters: RatioParameters, state: State, sample: Sample
    ) -> tuple[State, Demand]:
        """One step on new data."""
        target = _milli(sample.set_point)
        usage = _clipped(math.trunc(sample.readings["value"].value * 1000), _INT64)
        if parameters.metric_type is MetricType.VALUE:
            ratio = usage / target
            wanted = math.ceil(ratio * (sample.ready if sample.replicas else 1))
        else:
            ratio = usage / (float(target) * sample.replicas) if sample.replicas else math.inf
            wanted = math.ceil(usage / target)
        if sample.replicas and 1.0 - parameters.tolerance <= ratio <= 1.0 + parameters.tolerance:
            wanted = sample.replicas
        replicas = float(_clipped(max(0, wanted), _INT32))
        terms = {"usageMilli": float(usage), "targetMilli": float(target)}
        if math.isfinite(ratio):
            terms["ratio"] = ratio
        return {}, Demand(replicas=replicas, terms=terms, sampled_at_s=sample.time_s)


def _milli(set_point: float) -> int:
    target = Decimal(repr(set_point)) * 1000
    return int(target.to_integral_value(ROUND_CEILING))


def _clipped(number: int, most: int) -> int:
    return max(-most, min(number, most))
