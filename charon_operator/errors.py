"""The exceptions of this package.

    CharonError                 something a person can mend; its text says how
    ├── ConfigurationError      the operator's own configuration is wrong; it refuses to start
    ├── SpecError               a resource says something that cannot be done: becomes a condition
    │   ├── QuantityError       a number that is not one
    │   ├── QueryError          a PromQL text that is refused, with its place
    │   └── ParameterError      parameters that a control law refuses
    ├── SimulationError         a simulation that cannot be run as asked
    └── TestbedError            the testbed cannot be built, started or reached

Reads: nothing. Gives: types. Never: caught and dropped; at the edges they become a condition or one
clear line on stderr.
"""


class CharonError(Exception):
    """Base of every error of ours."""


class ConfigurationError(CharonError):
    """The operator's own configuration is wrong."""


class SpecError(CharonError):
    """A resource asks for what cannot be done.

    Args:
        field: path of the field at fault, as `spec.objectives[freshness].target`.
        message: what is wrong and what to write instead.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class QuantityError(SpecError):
    """A text that should be a number and is not."""


class QueryError(SpecError):
    """A PromQL text that is refused.

    Args:
        field: path of the field that holds the query.
        message: what is wrong and what to write instead.
        position: offset of the fault in the query's text, 0-based, where it is known.
    """

    def __init__(self, field: str, message: str, position: int | None = None) -> None:
        super().__init__(field, message)
        self.position = position


class ParameterError(SpecError):
    """Parameters that a control law refuses."""


class SimulationError(CharonError):
    """A simulation that cannot be run as asked."""


class TestbedError(CharonError):
    """The testbed cannot be built, started or reached."""

    __test__ = False  # pytest takes names that begin with Test for tests
