"""How resources cross the border: camelCase outside, frozen snake_case inside.

Reads: bodies as the API server gives them. Gives: models, or a SpecError that names the field.
Never: an unknown exception for bad input.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from charon_operator.errors import SpecError

# DNS-1123 label or subdomain, as Kubernetes names are.
ObjectName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
ItemName = Annotated[str, Field(max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]


class Wire(BaseModel):
    """A part of a resource. Unknown fields are ignored, as the API server prunes them."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", strict=False
    )

    @classmethod
    def read(cls, body: Mapping[str, Any], field: str) -> Self:
        """Validate a body.

        Raises:
            SpecError: with the path of the first field at fault and what to write instead.
        """
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            raise SpecError(_path(field, first["loc"], body), _sentence(first["msg"])) from None


def _path(root: str, location: tuple[int | str, ...], body: Any) -> str:
    path, here = root, body
    for step in location:
        here = _descend(here, step)
        if isinstance(step, int):
            name = here.get("name") if isinstance(here, Mapping) else None
            path += f"[{name if isinstance(name, str) else step}]"
        else:
            path += f".{step}"
    return path


def _descend(here: Any, step: int | str) -> Any:
    try:
        return here[step]
    except (KeyError, IndexError, TypeError):
        return None


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")
