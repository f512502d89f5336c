"""Hold: demands what is there.

Reads: the replica count. Gives: the same. Never: a move; bounds, fallback and people still can.
"""

from charon_operator.laws.law import Parameters, Sample, State
from charon_operator.model.decision import Demand


class HoldParameters(Parameters):
    """Hold has no parameters."""


class Hold:
    """The law that stays: replicas = replicas asked for now.

    Sampling: any interval. Saturation: none. Missing sample: not stepped. No state, no source.
    """

    name = "Hold"
    parameters = HoldParameters
    roles = frozenset({"value"})
    needs_capacity = False

    def start(self, parameters: HoldParameters, replicas: int) -> State:
        """There is no state."""
        return {}

    def step(
        self, parameters: HoldParameters, state: State, sample: Sample
    ) -> tuple[State, Demand]:
        """One step on new data."""
        return {}, Demand(replicas=float(sample.replicas), sampled_at_s=sample.time_s)
