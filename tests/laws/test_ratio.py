"""Ratio against HPA v2's external metrics, row by row (reference: replica_calculator.go, v1.34)."""

from typing import Any

import pytest

from charon_operator.laws.law import Sample
from charon_operator.laws.ratio import Ratio, RatioParameters
from charon_operator.model.reading import Reading

LAW = Ratio()


def demanded(kind: str, tolerance: str = "0.1", **changes: Any) -> float | None:
    value = changes.pop("value")
    replicas = changes.pop("replicas")
    seen = Sample(
        time_s=1.0,
        dt_s=None,
        readings={"value": Reading(value, 1.0)},
        set_point=changes.pop("target"),
        threshold=1e9,
        sign=changes.pop("sign", 1),
        replicas=replicas,
        ready=changes.pop("ready", replicas),
        minimum=1,
        maximum=1000,
        capacity_per_replica=None,
    )
    parameters = RatioParameters.model_validate({"metricType": kind, "tolerance": tolerance})
    return LAW.step(parameters, {}, seen)[1].replicas


VALUE_ROWS = [
    pytest.param(200, 100, 3, 3, 6, id="twice the target doubles"),
    pytest.param(200, 100, 3, 2, 4, id="counted over the ready ones"),
    pytest.param(110, 100, 3, 3, 3, id="1.1 is within the tolerance, inclusive"),
    pytest.param(110.1, 100, 3, 3, 4, id="just above it is not"),
    pytest.param(90, 100, 3, 3, 3, id="0.9 is within the tolerance, inclusive"),
    pytest.param(89.9, 100, 10, 10, 9, id="just below it is not"),
    pytest.param(110, 100, 3, 1, 3, id="within tolerance stays at all, ready or not"),
    pytest.param(0, 100, 3, 3, 0, id="nothing asks for nothing; bounds are the turn's"),
    pytest.param(250, 100, 0, 0, 3, id="from none: the ratio, rounded up"),
    pytest.param(105, 100, 0, 0, 2, id="from none there is no tolerance"),
    pytest.param(0.0009, 100, 5, 5, 0, id="less than a thousandth is cut off"),
]
AVERAGE_ROWS = [
    pytest.param(300, 100, 3, 3, id="a ratio of 1 stays"),
    pytest.param(330, 100, 3, 3, id="1.1 is within the tolerance, inclusive"),
    pytest.param(330.1, 100, 3, 4, id="just above it is not"),
    pytest.param(270, 100, 3, 3, id="0.9 is within the tolerance, inclusive"),
    pytest.param(269.9, 100, 3, 3, id="just below it is not, and rounds up to the same"),
    pytest.param(199.9, 100, 3, 2, id="usage over target, rounded up"),
    pytest.param(1000, 100, 3, 10, id="ready ones do not matter"),
    pytest.param(250, 100, 0, 3, id="from none: usage over target"),
    pytest.param(1.2345, 1, 1, 2, id="milli-units: 1.234 is above 1.1"),
    pytest.param(1.1009, 1, 1, 1, id="milli-units: 1.1009 is cut to 1.100"),
    pytest.param(5, 0.0001, 1, 5000, id="a target below a thousandth counts as one"),
]


@pytest.mark.parametrize(("value", "target", "replicas", "ready", "wanted"), VALUE_ROWS)
def test_value_is_what_the_hpa_computes(
    value: float, target: float, replicas: int, ready: int, wanted: int
) -> None:
    got = demanded("Value", value=value, target=float(target), replicas=replicas, ready=ready)
    assert got == wanted


@pytest.mark.parametrize(("value", "target", "replicas", "wanted"), AVERAGE_ROWS)
def test_average_value_is_what_the_hpa_computes(
    value: float, target: float, replicas: int, wanted: int
) -> None:
    got = demanded("AverageValue", value=value, target=float(target), replicas=replicas, ready=0)
    assert got == wanted


def test_count_is_clipped_to_32_bits_when_the_ratio_is_absurd() -> None:
    assert demanded("AverageValue", value=1e30, target=0.001, replicas=1) == 2**31 - 1


@pytest.mark.parametrize(
    ("set_point", "sign", "words"),
    [(0.0, 1, "greater than 0"), (-1.0, 1, "greater than 0"), (1.0, -1, "op"), (0.0001, 1, "")],
)
def test_objective_is_refused_when_the_hpa_could_not_do_it(
    set_point: float, sign: int, words: str
) -> None:
    found = LAW.misfit(set_point, sign)
    assert bool(found) is bool(words)
    assert words in found
