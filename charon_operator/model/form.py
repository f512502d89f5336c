"""What of one Deployment's pod template changes with the variant that it runs as.

Reads: a variant's part `template`, a Deployment as the API server gives it. Gives: `Form`, and the
`Shape` that a Deployment has. Never: any other field of a template; those are its owner's.

A form is a number of GPUs of one container, the product that a node selector asks for, and the
runtime class. A Deployment stands in a form when it has all three as the form says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from pydantic import Field

from charon_operator import names
from charon_operator.model import amount
from charon_operator.model.parts import items, part
from charon_operator.model.wire import Wire

GPU: Final = "nvidia.com/gpu"
_LABEL_VALUE: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
_CLASS_NAME: Final = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"
_CONTAINER_NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
# As the API server fills in what a Deployment leaves out.
_QUARTER: Final = "25%"


class Form(Wire):
    """What a variant puts into the pod template of a Deployment that it shares with others."""

    container: Annotated[str, Field(max_length=63, pattern=_CONTAINER_NAME)] = Field(
        description="The container that asks for GPUs."
    )
    gpus: int = Field(
        ge=0, le=64, strict=True, description="How many nvidia.com/gpu it asks for; 0: none."
    )
    product: Annotated[str, Field(max_length=63, pattern=_LABEL_VALUE)] = Field(
        default="",
        description="Value of nvidia.com/gpu.product in the node selector; empty: not selected.",
    )
    runtime_class_name: Annotated[str, Field(max_length=253, pattern=_CLASS_NAME)] = Field(
        default="", description="runtimeClassName of the pods; empty: none."
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """A Deployment as far as a change of its form stands on it.

    Attributes:
        gpus: that each container asks for, by its name.
        product: that the node selector asks for, else empty.
        runtime_class: of the pods, else empty.
        rolls: pods are replaced a few at a time; with Recreate all of them at once.
        surge: pods that may be there beyond `replicas` during a rollout: a number, or a percentage.
        paused: its rollouts are held by its owner.
        came_from: the variant and its replicas before our last change of form, else None.
    """

    gpus: tuple[tuple[str, int], ...]
    product: str = ""
    runtime_class: str = ""
    rolls: bool = True
    surge: int | str = _QUARTER
    paused: bool = False
    came_from: tuple[str, int] | None = None

    def is_in(self, form: Form) -> bool:
        """Whether pods are made as a form says."""
        said = (form.gpus, form.product, form.runtime_class_name)
        return said == (dict(self.gpus).get(form.container), self.product, self.runtime_class)

    def surging(self, replicas: int) -> int:
        """Pods beyond so many replicas that a rollout may make at once, rounded up as it does."""
        if isinstance(self.surge, int):
            return self.surge
        return -(-int(self.surge.removesuffix("%")) * replicas // 100)

    def after(self, write: "FormWrite") -> "Shape":
        """What a write makes of it."""
        form = write.form
        gpus = {**dict(self.gpus), form.container: form.gpus}
        return replace(
            self,
            gpus=tuple(gpus.items()),
            product=form.product,
            runtime_class=form.runtime_class_name,
            surge=self.surge if write.surges else 0,
            came_from=write.came_from,
        )


@dataclass(frozen=True, slots=True)
class FormWrite:
    """A change of form as one write: template, replicas and, where need be, the strategy.

    Attributes:
        surges: new pods may come before old ones go, as the strategy has it; False: one old pod at
            a time goes first (maxSurge 0, maxUnavailable 1, in the same write).
        came_from: the variant that is left, and its replicas: the way back, kept as an annotation.
        resource_version: of the Deployment that was decided on.
    """

    form: Form
    replicas: int
    surges: bool
    came_from: tuple[str, int]
    resource_version: str


def shape(body: Mapping[str, Any]) -> Shape:
    """Read a Deployment's shape; what nobody could make sense of counts as not there."""
    pods, strategy = part(body, "spec", "template", "spec"), part(body, "spec", "strategy")
    surge = part(strategy, "rollingUpdate").get("maxSurge", _QUARTER)
    return Shape(
        gpus=tuple((str(one.get("name")), _gpus(one)) for one in items(pods, "containers")),
        product=str(part(pods, "nodeSelector").get(names.LABEL_GPU_PRODUCT) or ""),
        runtime_class=str(pods.get("runtimeClassName") or ""),
        rolls=strategy.get("type", "RollingUpdate") == "RollingUpdate",
        surge=surge if isinstance(surge, int) else str(surge),
        paused=part(body, "spec").get("paused") is True,
        came_from=_came_from(part(body, "metadata", "annotations").get(names.CAME_FROM)),
    )


def came_from_text(came_from: tuple[str, int]) -> str:
    """As the annotation has it: `a100=3`."""
    return "=".join(map(str, came_from))


def _gpus(container: Mapping[str, Any]) -> int:
    given = part(container, "resources", "limits").get(GPU)
    return amount.whole_bytes(given) or 0


def _came_from(text: object) -> tuple[str, int] | None:
    variant, _, replicas = str(text or "").rpartition("=")
    return (variant, int(replicas)) if variant and replicas.isdecimal() else None
