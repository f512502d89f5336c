"""What an app refers to as its workload, and what one replica of it serves, as the user writes it.

Reads: parts of a ChargedApp. Gives: `ScaleTargetRef`, `Capacity`. Never: a look at the workload.
"""

from typing import Literal

from pydantic import Field

from charon_operator.model.quantity import PositiveNumber
from charon_operator.model.wire import ObjectName, Wire


class ScaleTargetRef(Wire):
    """The workload to scale, in the same namespace."""

    api_version: Literal["apps/v1"] = Field(default="apps/v1", description="Always apps/v1.")
    kind: Literal["Deployment", "StatefulSet"] = Field(description="Deployment or StatefulSet.")
    name: ObjectName = Field(description="Name of the workload, in the namespace of this app.")


class Capacity(Wire):
    """What one replica can serve."""

    value: PositiveNumber = Field(description='Units a second that one replica serves, as "64".')
    unit: str = Field(
        default="", max_length=63, description="Unit of the value, for people, as frames/s."
    )
