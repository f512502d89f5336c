"""Stepping survives whatever a law does."""

import math
from typing import Any

import pytest

from charon_operator.laws import stepping
from charon_operator.laws.law import Parameters, Sample, State
from charon_operator.model.decision import Demand
from charon_operator.model.reading import Reading
from tests.laws.test_contract import setting


class Scripted:
    """A law that does what a test tells it: the subject is the stepping around it."""

    name = "Scripted"
    parameters = Parameters
    roles = frozenset({"value"})
    needs_capacity = False

    def __init__(self, answer: object, state: object = None) -> None:
        self._answer = answer
        self._state: Any = {"n": 1} if state is None else state

    def start(self, parameters: Parameters, replicas: int) -> State:
        return {}

    def step(self, parameters: Parameters, state: State, sample: Sample) -> tuple[State, Demand]:
        if isinstance(self._answer, Exception):
            raise self._answer
        assert isinstance(self._answer, Demand)
        return self._state, self._answer


def stepped(law: Scripted) -> stepping.Stepped:
    memory = stepping.begin(law.name, {}, ())
    readings = {"value": Reading(1.0, 5.0)}
    return stepping.step(law, Parameters(), memory, readings, setting())


@pytest.mark.parametrize(
    ("law", "words"),
    [
        pytest.param(Scripted(ZeroDivisionError("division")), "division", id="raises"),
        pytest.param(Scripted(KeyError()), "KeyError", id="raises without words"),
        pytest.param(Scripted(RecursionError("deep")), "deep", id="recursion"),
        pytest.param(Scripted(Demand(replicas=math.nan)), "nan", id="not a number"),
        pytest.param(Scripted(Demand(replicas=math.inf)), "inf", id="infinite"),
        pytest.param(Scripted(Demand(replicas=-1.0)), "-1", id="negative"),
        pytest.param(Scripted(Demand(replicas=1e10)), "not a count", id="explodes"),
        pytest.param(Scripted(Demand()), "either", id="demands nothing"),
        pytest.param(Scripted(Demand(replicas=1, capacity=1)), "either", id="demands twice"),
        pytest.param(
            Scripted(Demand(replicas=1, terms={"x": math.nan})), "finite", id="term is not finite"
        ),
        pytest.param(
            Scripted(Demand(replicas=1), {"x": math.inf}), "JSON", id="state is not finite"
        ),
        pytest.param(Scripted(Demand(replicas=1), {"x": object()}), "JSON", id="state is no JSON"),
    ],
)
def test_failure_is_a_sentence_and_the_memory_stays(law: Scripted, words: str) -> None:
    result = stepped(law)
    assert result.failure.startswith("Scripted: ")
    assert words in result.failure
    assert result.demand is None
    assert result.memory == stepping.begin(law.name, {}, ())


def test_memory_moves_on_when_the_law_does_its_work() -> None:
    result = stepped(Scripted(Demand(capacity=3.0)))
    assert result.failure == ""
    assert result.memory.stepped_at_s == 5.0
    assert result.memory.state == {"n": 1}
