"""Facts of an app, assembled from what is known; a fault of ours stays with its app.

Reads: the snapshot, an app's book, its readings. Gives: `AppFacts`, asks, and what is free where
apps are placed. Never: a fact of another app.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from charon_operator import settings
from charon_operator.loop.book import Book
from charon_operator.loop.gates import Gates
from charon_operator.loop.snapshot import Snapshot
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Past
from charon_operator.model.facts import AppFacts, Broken
from charon_operator.model.memory import FleetMemory
from charon_operator.model.placing import Holding, Supply, VariantFacts
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.reading import Readings
from charon_operator.model.workload import Absent, Key, Target, Workload, together
from charon_operator.names import Reason
from charon_operator.observe import forms, gather, queries
from charon_operator.observe.queries import AppQueries

_log = logging.getLogger(__name__)

_NO_PODS = Holding()


@dataclass(frozen=True, slots=True)
class Ground:
    """What the apps of one turn are placed on, all of it as of one moment.

    Attributes:
        supply: nodes and what is free on them; None while not known, or no app is placed.
        holdings: pods of each variant's target.
    """

    supply: Supply | None = None
    holdings: Mapping[Target, Holding] = field(default_factory=dict)


class Assembly:
    """Puts together what a turn is given."""

    def __init__(self, snapshot: Snapshot, gates: Gates, configured: settings.Settings) -> None:
        self._snapshot = snapshot
        self._gates = gates
        self._mimir = configured.mimir
        self._fixed_forms = not configured.placement.templates

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
        workload = self._workload(app)
        ready = workload.ready if isinstance(workload, Workload) else None
        return gather.Ask(book.queries, ready)

    def ground(self, books: Iterable[Book], everyone: Iterable[Book]) -> Ground:
        """Supply and holdings for one turn; nothing where none of its apps is placed.

        Args:
            books: of the apps that are due.
            everyone: all apps; what those hold that are not due counts as well.
        """
        targets = _placed(books)
        if not targets:
            return Ground()
        try:
            # What is free and who holds the rest are of one moment, or pods would count twice.
            with self._snapshot.floor.inventory() as there:
                if there is None:
                    return Ground()
                holdings = {target: there.holding(target) for target in targets}
                return Ground(there.supply(_placed(everyone)), holdings)
        except Exception:
            # The others have their turn.
            _log.exception("What is free could not be found out")
            return Ground()

    def facts(
        self, book: Book, readings: Readings, memory: FleetMemory, ground: Ground
    ) -> AppFacts:
        """Everything that is known of an app at this moment."""
        app = book.app
        try:
            if isinstance(app, Broken):
                return AppFacts(app)
            variants = self._variants(app, ground)
            broken = book.queries if isinstance(book.queries, tuple) else ()
            return AppFacts(
                app=app,
                policy=self._snapshot.policy(policy_key(app)),
                workload=self._workload(app, variants),
                rivals=self._snapshot.rivals(app),
                readings=readings,
                attainments=book.attainments,
                broken_queries=broken,
                forced_advisory=self._gates.forced(app.key.namespace),
                past=Past() if app.key in memory.apps else book.past,
                sizes=book.sizes,
                variants=variants,
                fixed_forms=self._fixed_forms and any(one.shape for one in variants.values()),
            )
        except Exception as error:
            _log.exception("Facts of %s could not be assembled", app.key)
            return AppFacts(_fault(app, error))

    def _variants(self, app: ChargedApp, ground: Ground) -> Mapping[str, VariantFacts]:
        placement = app.spec.placement
        if placement is None:
            return {}
        found = {
            variant.name: self._snapshot.variant(
                target, ground.holdings.get(target, _NO_PODS), app.targets
            )
            for variant, target in zip(placement.variants, app.targets, strict=True)
        }
        return forms.told_apart(placement.variants, found)

    def _workload(
        self, app: ChargedApp, variants: Mapping[str, VariantFacts] | None = None
    ) -> Workload | Absent | None:
        if app.spec.placement is None:
            return self._snapshot.workload(app.target)
        if variants is None:
            return _whole(
                [self._snapshot.workload(target) for target in dict.fromkeys(app.targets)]
            )
        return _whole([variant.workload for variant in variants.values()])


def policy_key(app: ChargedApp) -> Key:
    """The name of the policy that an app refers to."""
    return Key(app.key.namespace, app.spec.policy_ref.name)


def _placed(books: Iterable[Book]) -> list[Target]:
    """The targets of those apps that are placed."""
    apps = [book.app for book in books if isinstance(book.app, ChargedApp)]
    return [target for app in apps if app.spec.placement for target in app.targets]


def _whole(found: Sequence[Workload | Absent | None]) -> Workload | Absent | None:
    """All targets of an app as one; what is wrong with one of them is wrong with the whole."""
    absent = [one for one in found if isinstance(one, Absent)]
    if absent:
        return absent[0]
    known = [one for one in found if isinstance(one, Workload)]
    return together(known) if len(known) == len(found) else None


def _fault(app: ChargedApp | Broken, error: Exception) -> Broken:
    kind = type(error).__name__
    message = f"the operator failed on this app ({kind}): see its log, and report it"
    return Broken(app.key, app.uid, app.generation, "spec", message, Reason.INTERNAL_ERROR)
