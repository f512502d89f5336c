"""The contract of a control law.

Reads: samples of one objective. Gives: a new state and a demand. Never: a clock, chance, I/O, a
made-up value; a law is stepped only when every role it needs has a reading and one of them is new.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from charon_operator.model.decision import Demand
from charon_operator.model.reading import Reading


class Parameters(BaseModel):
    """Base of a law's parameters: camelCase strings outside, checked numbers inside."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid"
    )


@dataclass(frozen=True, slots=True)
class Sample:
    """What a law sees at a step.

    Attributes:
        time_s: newest sample time among the roles, seconds since 1970.
        dt_s: seconds since the previous step's `time_s`, > 0; None at the first step.
        readings: by role; `value` is the objective's own indicator, the others are bindings.
        set_point: what to aim at, in the unit of `value`.
        threshold: the objective's bound, in the unit of `value`.
        sign: +1 when a larger value is worse, -1 when a smaller one is.
        replicas: replicas asked for now (`spec.replicas`).
        ready: replicas that are Ready.
        minimum, maximum: the app's bounds, for anti-wind-up; the turn clamps anyway.
        capacity_per_replica: units a second, > 0, or None where the app does not say.
    """

    time_s: float
    dt_s: float | None
    readings: Mapping[str, Reading]
    set_point: float
    threshold: float
    sign: int
    replicas: int
    ready: int
    minimum: int
    maximum: int
    capacity_per_replica: float | None


P = TypeVar("P", bound=Parameters)
State = Mapping[str, Any]  # small, JSON-able, replaced and never mutated


class Law(Protocol[P]):
    """One control law: one file, one class, one line in the registry.

    Attributes:
        name: as written in `controller.type`.
        parameters: the model that checks `controller.parameters`.
        roles: bindings that must have a reading before a step; `value` is always among them.
        needs_capacity: whether the app must state capacityPerReplica.
    """

    name: str
    parameters: type[P]
    roles: frozenset[str]
    needs_capacity: bool

    def start(self, parameters: P, replicas: int) -> State:
        """The state of a law that takes over a workload at `replicas`, without a bump."""

    def step(self, parameters: P, state: State, sample: Sample) -> tuple[State, Demand]:
        """One step on new data."""


@runtime_checkable
class Choosy(Protocol):
    """What a law has besides that cannot serve every objective; it is asked before any data."""

    def misfit(self, set_point: float, sign: int) -> str:
        """Why an objective cannot be served, and the remedy; empty when it can.

        Args:
            set_point: as in a sample.
            sign: as in a sample.
        """
