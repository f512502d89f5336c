"""PD: the positional proportional-derivative law of the first charon, made whole ("before").

Reads: the objective's indicator. Gives: replicas. Never: an integral, so nothing winds up.
"""

import math

from pydantic import Field

from charon_operator.laws import slope
from charon_operator.laws.law import Parameters, Sample, State
from charon_operator.model.decision import Demand
from charon_operator.model.quantity import NonNegativeNumber, PositiveNumber


class PDParameters(Parameters):
    """Parameters of PD."""

    kp: NonNegativeNumber = Field(default=1.0, le=1e6, description="Gain on the error.")
    kd: NonNegativeNumber = Field(
        default=0.0, le=1e6, description="Gain on the error's change per second, in seconds."
    )
    units_per_replica: PositiveNumber = Field(
        description='How much output one replica stands for, in the unit of the value, as "64".'
    )


class PD:
    """Positional PD on the objective's error.

    With e_k = sign * (value - set point) in the value's unit, dt in s between sample times, and
    U `unitsPerReplica`::

        u_k = kp * e_k + kd * (e_k - e_{k-1}) / dt_k
        replicas = ceil(u_k / U) if u_k > 0, else the minimum

    sign is +1 when a larger value is worse. Sampling: any interval; dt is that of the samples, not
    of the turns (`laws.slope`: where parts of the value are sampled at different moments, over more
    than one sample). First two steps: the derivative is 0. Saturation: none needed, there is no
    integral; the turn clamps. Missing sample: not stepped, and the next dt spans the gap.
    State: the error's track.

    Source: the public repository perarnau/charon, `workloads/control_without_model.py` (kp 5, kd 3,
    64 units a replica), described from its behaviour. Different here: ceil instead of floor, the
    derivative is divided by the time between samples, the minimum instead of nothing at u <= 0,
    a set point, and an upper bound.
    """

    name = "PD"
    parameters = PDParameters
    roles = frozenset({"value"})
    needs_capacity = False

    def start(self, parameters: PDParameters, replicas: int) -> State:
        """No error yet, so the first derivative is 0."""
        return {"error": slope.begin()}

    def step(self, parameters: PDParameters, state: State, sample: Sample) -> tuple[State, Demand]:
        """One step on new data."""
        value = sample.readings["value"]
        error = sample.sign * (value.value - sample.set_point)
        track = slope.follow(state["error"], value.sampled_at_s, error)
        proportional, derivative = parameters.kp * error, parameters.kd * (track["slope"] or 0.0)
        output = proportional + derivative
        least = float(sample.minimum)
        wanted = float(math.ceil(output / parameters.units_per_replica)) if output > 0 else least
        terms = {"error": error, "proportional": proportional, "derivative": derivative}
        return {"error": track}, Demand(replicas=wanted, terms=terms, sampled_at_s=sample.time_s)
