"""The second knob as the user writes it: bounds of CPU and memory, and what a size follows from.

Reads: the part `resources` of a ChargedApp. Gives: `Resources`. Never: a size that is applied
unless the mode says InPlace.
"""

import itertools
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Self

from pydantic import Field, model_validator

from charon_operator.model.bounds import OF_QUANTITIES, Bounds
from charon_operator.model.quantity import CpuQuantity, MemoryQuantity, PositiveNumber
from charon_operator.model.wire import ItemName, ObjectName, Rule, Wire, rules

_RISING: Final = "the points must rise in cpu and in capacity"
_NEEDS_CURVE: Final = "curve is needed with mode InPlace and cpu, unless sizing is Usage"
_NEEDS_USAGE: Final = (
    "cpu.usage is needed with sizing Usage: name the indicator that gives the cores one pod uses"
)
_NEEDS_ONE: Final = "cpu or memory is needed with mode InPlace"


class ResizeMode(StrEnum):
    """Whether running pods are resized."""

    OFF = "Off"
    IN_PLACE = "InPlace"


class MemoryLowering(StrEnum):
    """Whether memory may be taken away from running pods."""

    NEVER = "Never"
    ALLOWED = "Allowed"


class Sizing(StrEnum):
    """What the CPU of a pod follows from."""

    CURVE = "Curve"
    USAGE = "Usage"


class CpuBounds(Bounds):
    """Bounds of one pod's CPU, and what says how much is used."""

    model_config = rules(OF_QUANTITIES)

    min: CpuQuantity = Field(description='Never less than this, as "250m".')
    max: CpuQuantity = Field(description='Never more than this, as "4".')
    usage: ItemName | None = Field(
        default=None,
        description=(
            "Name of the indicator that gives the cores one pod uses: of the busiest, or on "
            "average. Needed with sizing Usage."
        ),
    )


class MemoryBounds(Bounds):
    """Bounds of one pod's memory, and what says how much is used."""

    model_config = rules(OF_QUANTITIES)

    min: MemoryQuantity = Field(description='Never less than this, as "512Mi".')
    max: MemoryQuantity = Field(description='Never more than this, as "4Gi".')
    usage: ItemName = Field(
        description="Name of the indicator that gives the bytes the largest pod uses."
    )
    lowering: MemoryLowering = Field(
        default=MemoryLowering.NEVER,
        description="Allowed: memory is taken away again, never below usage and head-room.",
    )


class CurvePoint(Wire):
    """What one pod was seen to serve at one size."""

    cpu: CpuQuantity = Field(description='CPU of the pod, as "500m".')
    capacity: PositiveNumber = Field(description='Units a second that it then serves, as "33".')


class Resources(Wire):
    """CPU and memory of the pods, moved in place."""

    model_config = rules(
        Rule(
            "self.mode != 'InPlace' || has(self.cpu) || has(self.memory)",
            _NEEDS_ONE,
            ".mode",
        ),
        Rule(
            "self.mode != 'InPlace' || !has(self.cpu) || self.sizing == 'Usage' || has(self.curve)",
            _NEEDS_CURVE,
        ),
        Rule(
            "self.mode != 'InPlace' || self.sizing != 'Usage' || !has(self.cpu) || "
            "has(self.cpu.usage)",
            _NEEDS_USAGE,
            ".cpu",
        ),
        Rule(
            "!has(self.curve) || ("
            "self.curve.map(p, quantity(p.cpu).asApproximateFloat()).isSorted() && "
            "self.curve.map(p, double(p.capacity)).isSorted() && "
            "self.curve.all(p, self.curve.exists_one(q, "
            "quantity(q.cpu).compareTo(quantity(p.cpu)) == 0) && "
            "self.curve.exists_one(q, double(q.capacity) == double(p.capacity))))",
            _RISING,
            ".curve",
        ),
    )

    container: ObjectName = Field(description="Name of the container that is sized.")
    mode: ResizeMode = Field(
        default=ResizeMode.OFF,
        description="Off: sizes are left alone. InPlace: running pods are resized, not restarted.",
    )
    cpu: CpuBounds | None = Field(
        default=None, description="Bounds of a pod's CPU. Without it CPU is left alone."
    )
    sizing: Sizing = Field(
        default=Sizing.CURVE,
        description=(
            "What a pod's CPU follows from. Curve: the load, by what a pod serves at a size; both "
            "knobs serve one demand. Usage: what pods use 90 % of the time, over about a day, and "
            "15 % more; replicas alone serve the demand."
        ),
    )
    curve: list[CurvePoint] | None = Field(
        default=None,
        min_length=2,
        max_length=16,
        description=(
            "What one pod serves at a size, as measured: straight lines between the points, no "
            "more than the last. Needed with cpu, unless sizing is Usage."
        ),
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    memory: MemoryBounds | None = Field(
        default=None, description="Bounds of a pod's memory. Without it memory is left alone."
    )
    give_back_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        strict=True,
        description="A resize that a node defers for longer is given back.",
    )

    @property
    def acts(self) -> bool:
        """Whether pods are resized."""
        return self.mode is ResizeMode.IN_PLACE

    @property
    def by_usage(self) -> bool:
        """Whether CPU follows what pods use, and not the load."""
        return self.sizing is Sizing.USAGE

    @property
    def points(self) -> Sequence[CurvePoint]:
        """The curve that CPU follows; empty where it follows something else."""
        return () if self.by_usage else self.curve or ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.acts and self.cpu is None and self.memory is None:
            raise ValueError(_NEEDS_ONE)
        if self.acts and self.cpu is not None:
            if self.by_usage and self.cpu.usage is None:
                raise ValueError(_NEEDS_USAGE)
            if not self.by_usage and self.curve is None:
                raise ValueError(_NEEDS_CURVE)
        for low, high in itertools.pairwise(self.curve or ()):
            if low.cpu >= high.cpu or low.capacity >= high.capacity:
                raise ValueError(_RISING)
        return self
