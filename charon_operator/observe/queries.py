"""The queries of an app: what is asked of the metric store for each indicator and objective.

Reads: a ChargedApp and the administrator's scopes. Gives: `AppQueries`, or what is wrong with which
query. Never: a query that could see another namespace than the scope allows.
"""

from dataclasses import dataclass

from charon_operator import settings
from charon_operator.model.app import ChargedApp
from charon_operator.model.facts import Broken
from charon_operator.model.workload import Key


@dataclass(frozen=True, slots=True)
class AppQueries:
    """Everything asked for one app of one generation."""

    key: Key


def compile_app(app: ChargedApp, mimir: settings.Mimir) -> AppQueries | tuple[Broken, ...]:
    """Make an app's queries, or say what is wrong with each that cannot be asked."""
    return AppQueries(app.key)
