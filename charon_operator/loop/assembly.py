"""Facts of an app, assembled from what is known; a fault of ours stays with its app.

Reads: the snapshot, an app's book, its readings. Gives: `AppFacts` and asks. Never: a fact of
another app.
"""

import logging
from collections.abc import Iterable

from charon_operator import settings
from charon_operator.loop.book import Book
from charon_operator.loop.gates import Gates
from charon_operator.loop.snapshot import Snapshot
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Past
from charon_operator.model.facts import AppFacts, Broken
from charon_operator.model.memory import FleetMemory
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.reading import Readings
from charon_operator.model.workload import Key, Workload
from charon_operator.names import Reason
from charon_operator.observe import gather, queries
from charon_operator.observe.queries import AppQueries

_log = logging.getLogger(__name__)


class Assembly:
    """Puts together what a turn is given."""

    def __init__(self, snapshot: Snapshot, gates: Gates, mimir: settings.Mimir) -> None:
        self._snapshot = snapshot
        self._gates = gates
        self._mimir = mimir

    def compile(self, books: Iterable[Book]) -> None:
        """Compile the queries of apps whose generation is new. Slow: not for the loop's thread."""
        for book in books:
            app = book.app
            if isinstance(app, ChargedApp) and self.is_stale(book):
                try:
                    book.queries = queries.compile_app(app, self._mimir)
                except Exception as error:
                    _log.exception("Queries of %s could not be compiled", app.key)
                    book.queries = (_fault(app, error),)
                book.compiled = (app.uid, app.generation)

    def is_stale(self, book: Book) -> bool:
        """Whether an app's queries are not those of its present generation."""
        app = book.app
        return isinstance(app, ChargedApp) and book.compiled != (app.uid, app.generation)

    def ask(self, book: Book) -> gather.Ask | None:
        """What to read for an app; None where no decision could stand on it."""
        app = book.app
        if not isinstance(app, ChargedApp) or app.deleting:
            return None
        if not isinstance(book.queries, AppQueries):
            return None
        if not isinstance(self._snapshot.policy(policy_key(app)), ControlPolicy):
            return None
        workload = self._snapshot.workload(app.target)
        ready = workload.ready if isinstance(workload, Workload) else None
        return gather.Ask(book.queries, ready)

    def facts(self, book: Book, readings: Readings, memory: FleetMemory) -> AppFacts:
        """Everything that is known of an app at this moment."""
        app = book.app
        try:
            if isinstance(app, Broken):
                return AppFacts(app)
            broken = book.queries if isinstance(book.queries, tuple) else ()
            return AppFacts(
                app=app,
                policy=self._snapshot.policy(policy_key(app)),
                workload=self._snapshot.workload(app.target),
                rivals=self._snapshot.rivals(app),
                readings=readings,
                attainments=book.attainments,
                broken_queries=broken,
                forced_advisory=self._gates.forced(app.key.namespace),
                past=Past() if app.key in memory.apps else book.past,
                sizes=book.sizes,
            )
        except Exception as error:
            _log.exception("Facts of %s could not be assembled", app.key)
            return AppFacts(_fault(app, error))


def policy_key(app: ChargedApp) -> Key:
    """The name of the policy that an app refers to."""
    return Key(app.key.namespace, app.spec.policy_ref.name)


def _fault(app: ChargedApp | Broken, error: Exception) -> Broken:
    kind = type(error).__name__
    message = f"the operator failed on this app ({kind}): see its log, and report it"
    return Broken(app.key, app.uid, app.generation, "spec", message, Reason.INTERNAL_ERROR)
