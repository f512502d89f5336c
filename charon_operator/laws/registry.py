"""The laws by name, and the check of their parameters.

Reads: `controller.type` and `controller.parameters`. Gives: laws and checked parameters, or a
ParameterError that names the parameter. Never: code from outside this package.
"""

import functools
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from charon_operator.errors import ParameterError
from charon_operator.laws.hold import Hold
from charon_operator.laws.law import Law, Parameters
from charon_operator.laws.pd import PD
from charon_operator.laws.queueing import Queueing
from charon_operator.laws.ratio import Ratio

FIELD: Final = "spec.controller.parameters"
_LAWS: Final[Mapping[str, Law[Any]]] = {
    law.name: law for law in (Queueing(), PD(), Ratio(), Hold())
}


def names() -> tuple[str, ...]:
    """All laws, the default first."""
    return tuple(_LAWS)


def find(name: str) -> Law[Any]:
    """The law of that name.

    Raises:
        ParameterError: there is none.
    """
    if name not in _LAWS:
        known = ", ".join(_LAWS)
        raise ParameterError(
            "spec.controller.type", f"{name!r} is not a control law; choose one of {known}"
        )
    return _LAWS[name]


def check_parameters(law: Law[Any], parameters: Mapping[str, str]) -> Parameters:
    """Read a law's parameters.

    Raises:
        ParameterError: one is unknown, missing or out of range; it names it and the remedy.
    """
    # The same few policies drive every app at every turn.
    return _checked(law.name, tuple(sorted(parameters.items())))


@functools.lru_cache(maxsize=1024)
def _checked(name: str, parameters: tuple[tuple[str, str], ...]) -> Parameters:
    model: type[Parameters] = _LAWS[name].parameters
    try:
        return model.model_validate(dict(parameters))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join([FIELD, *(str(step) for step in first["loc"])])
        raise ParameterError(field, _remedy(first["type"], first["msg"], model)) from None


def _remedy(kind: str, message: str, model: type[Parameters]) -> str:
    accepted = ", ".join(str(field.alias) for field in model.model_fields.values()) or "none"
    if kind == "extra_forbidden":
        return f"is not a parameter of this controller, which takes: {accepted}"
    if kind == "missing":
        return 'is required; give it as a string, such as "64"'
    return message.removeprefix("Value error, ")
