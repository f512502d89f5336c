"""The numbers that say how an application does, as the user asks for them.

Reads: items of `indicators` of a ChargedApp. Gives: `Indicator`. Never: PromQL that was parsed; to
the schema a query is a text.
"""

from enum import StrEnum

from pydantic import Field

from charon_operator.model.wire import ItemName, Wire


class Coverage(StrEnum):
    """What an indicator's series are counted against."""

    NONE = "None"
    PER_READY_POD = "PerReadyPod"


class Indicator(Wire):
    """One number that says how the application does."""

    name: ItemName = Field(description="Name by which bindings and objectives refer to it.")
    query: str = Field(
        min_length=1,
        max_length=4096,
        description=(
            "PromQL that gives one value. $namespace, $name and $target stand for the app's "
            "namespace, its name and its target's name (of any variant, in =~); matchers for the "
            "app's scope are added."
        ),
    )
    unit: str = Field(default="", max_length=63, description="Unit of the value, for people.")
    max_sample_age_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        strict=True,
        description="A value whose oldest input is older than this counts as missing.",
    )
    coverage: Coverage = Field(
        default=Coverage.NONE,
        description=(
            "PerReadyPod: the value counts as missing unless every ready pod gave a fresh series, "
            "told apart by the label pod."
        ),
    )
