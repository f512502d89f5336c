"""What a limit may look at when it judges one app's wish.

Reads: nothing. Gives: `Situation`. Never: behaviour.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from charon_operator.model.app import ChargedAppSpec
from charon_operator.model.memory import AppMemory
from charon_operator.model.policy import ControlPolicySpec
from charon_operator.model.reading import Missing
from charon_operator.model.workload import Workload


@dataclass(frozen=True, slots=True)
class Situation:
    """One app at one turn.

    Attributes:
        now_s: seconds since 1970.
        cap: replicas that no app may exceed, whatever it says.
        missing: indicators without a usable value.
        unknown: objectives that cannot be judged now.
        blind: lowering is blocked fleet-wide.
    """

    spec: ChargedAppSpec
    policy: ControlPolicySpec
    workload: Workload
    memory: AppMemory
    now_s: float
    cap: int
    missing: Mapping[str, Missing]
    unknown: tuple[str, ...] = ()
    blind: bool = False

    @property
    def current(self) -> int:
        """Replicas asked for now."""
        return self.workload.replicas
