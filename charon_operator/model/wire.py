"""How resources cross the border: camelCase outside, frozen snake_case inside.

Reads: bodies as the API server gives them. Gives: models, or a SpecError that names the field.
Never: an unknown exception for bad input.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from charon_operator.errors import SpecError

# DNS-1123 label or subdomain, as Kubernetes names are.
ObjectName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
ItemName = Annotated[str, Field(max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
# The items' names are their keys, as the API server has it: no two of one name.
BY_NAME: Final[dict[str, JsonValue]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}
# Pydantic's words where a person needs others; {…} are taken from the error's context.
_SENTENCES: Final = {
    "missing": "is required",
    "int_type": "must be a whole number, without quotes",
    "int_from_float": "must be a whole number",
    "string_type": "must be a text (in quotes, if it looks like a number)",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping with fields",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} item(s)",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "string_pattern_mismatch": "must match {pattern}",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule that the API server checks, with the sentence it answers.

    The same rule is a validator of the model, because an object may be older than the rule.
    """

    rule: str
    message: str
    field_path: str = ""


def rules(*given: Rule) -> ConfigDict:
    """A model's rules, as part of its configuration, for its schema."""
    rendered: list[JsonValue] = []
    for one in given:
        place: dict[str, JsonValue] = {"fieldPath": one.field_path} if one.field_path else {}
        rendered.append({"rule": one.rule, "message": one.message, **place})
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": rendered})


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
            raise _spec_errors(error, field, body)[0] from None

    @classmethod
    def problems(cls, body: Mapping[str, Any], field: str) -> list[SpecError]:
        """All that `read` would complain of, one after the other; empty when it would not."""
        try:
            cls.model_validate(body)
        except ValidationError as error:
            return _spec_errors(error, field, body)
        return []


def metadata(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata of a body, empty where there is none."""
    found = body.get("metadata")
    return found if isinstance(found, Mapping) else {}


def generation(meta: Mapping[str, Any]) -> int:
    """The generation in metadata, 0 where the API server has not set one."""
    found = meta.get("generation")
    return found if isinstance(found, int) else 0


def _spec_errors(error: ValidationError, field: str, body: Any) -> list[SpecError]:
    return [
        SpecError(_path(field, one["loc"], body), _sentence(one))
        for one in error.errors(include_url=False)
    ]


def _path(root: str, location: tuple[int | str, ...], body: Any) -> str:
    path, here = root, body
    for step in location:
        if step == "[key]":  # pydantic's mark for the key itself, which is the step before
            continue
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


def _sentence(error: ErrorDetails) -> str:
    words = _SENTENCES.get(error["type"])
    if words is None:
        return error["msg"].removeprefix("Value error, ")
    return words.format(**error.get("ctx", {}))
