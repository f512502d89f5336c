"""Laws by name, and parameters that are refused with the way out."""

import pytest

from charon_operator.errors import ParameterError
from charon_operator.laws import registry


def test_names_begin_with_the_default() -> None:
    assert registry.names() == ("Queueing", "PD", "Ratio", "Hold")


def test_unknown_law_names_the_known_ones() -> None:
    with pytest.raises(ParameterError, match="choose one of Queueing, PD, Ratio, Hold") as caught:
        registry.find("Magic")
    assert caught.value.field == "spec.controller.type"


@pytest.mark.parametrize(
    ("law", "parameters", "field", "words"),
    [
        pytest.param("PD", {}, "unitsPerReplica", "is required", id="missing"),
        pytest.param("PD", {"unitsPerReplica": "0"}, "unitsPerReplica", "greater", id="zero"),
        pytest.param(
            "Queueing", {"drainSeconds": "nan"}, "drainSeconds", "decimal number", id="nan"
        ),
        pytest.param(
            "Queueing", {"drainSeconds": "1_0"}, "drainSeconds", "decimal number", id="underscore"
        ),
        pytest.param(
            "Queueing", {"drainSeconds": "１０"}, "drainSeconds", "decimal number", id="digits"
        ),
        pytest.param("Queueing", {"headroom": "-1"}, "headroom", "negative", id="negative"),
        pytest.param("Queueing", {"headroom": "11"}, "headroom", "less than or equal", id="large"),
        pytest.param("Queueing", {"drain": "1"}, "drain", "drainSeconds", id="unknown"),
        pytest.param("Ratio", {"metricType": "Sum"}, "metricType", "'Value'", id="enum"),
        pytest.param("Ratio", {"tolerance": "2"}, "tolerance", "less than", id="tolerance"),
        pytest.param(
            "PD", {"unitsPerReplica": "1", "kp": "999999999999"}, "kp", "less", id="huge gain"
        ),
        pytest.param("Hold", {"x": "1"}, "x", "none", id="no parameters"),
    ],
)
def test_bad_parameter_is_named_with_the_remedy(
    law: str, parameters: dict[str, str], field: str, words: str
) -> None:
    with pytest.raises(ParameterError, match=words) as caught:
        registry.check_parameters(registry.find(law), parameters)
    assert caught.value.field == f"spec.controller.parameters.{field}"
