"""What a limit may look at when it judges one app's wish for one knob.

Reads: nothing. Gives: `Situation`. Never: behaviour.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from charon_operator.model.app import ChargedAppSpec
from charon_operator.model.memory import AppMemory
from charon_operator.model.policy import ControlPolicySpec, Knob
from charon_operator.model.reading import Missing
from charon_operator.model.workload import Workload


@dataclass(frozen=True, slots=True)
class Situation:
    """One knob of an app at one turn.

    Attributes:
        current: replicas asked for now; of a size, millicores or bytes; of variants, thousandths
            of a unit a second.
        low, high: bounds, the operator's own among them.
        now_s: seconds since 1970.
        missing: indicators without a usable value.
        unknown: objectives that cannot be judged now.
        blind: lowering is blocked fleet-wide.
        knob: what is moved.
        unit: behind numbers in words, as `m` for millicores.
        of_one: what one replica that a policy names counts for in `current`.
        kept: why this knob may not be lowered at this turn, else empty.
    """

    spec: ChargedAppSpec
    policy: ControlPolicySpec
    workload: Workload
    memory: AppMemory
    now_s: float
    current: int
    low: int
    high: int
    missing: Mapping[str, Missing]
    unknown: tuple[str, ...] = ()
    blind: bool = False
    knob: Knob = Knob.REPLICAS
    unit: str = ""
    of_one: int = 1
    kept: str = ""
