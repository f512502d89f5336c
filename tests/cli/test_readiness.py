"""Ready is who sees what it controls: listed once, and nothing required in the way since."""

from dataclasses import dataclass
from typing import cast

from charon_operator.cli import service
from charon_operator.handlers.supervisor import InformerThread
from charon_operator.loop.snapshot import Kind, Snapshot
from tests.loop.cluster_bodies import SetClock


@dataclass
class Informer:
    """What a test says of the informer."""

    alive: bool = True
    problems: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()


def told(informer: Informer, *, synced: bool) -> tuple[str, ...]:
    store = Snapshot(SetClock())
    store.expect([(Kind.APPS, "")])
    if synced:
        store.relisted(Kind.APPS, ())
    return tuple(service.unready(store, cast(InformerThread, informer)))


def test_readiness_when_not_listed_then_says_what_is_missing() -> None:
    assert told(Informer(), synced=False) == ("not every watched kind has been listed yet",)
    assert told(Informer(problems=("no CRD",)), synced=False) == ("no CRD",)


def test_readiness_when_a_required_kind_was_taken_away_then_is_lost_again() -> None:
    assert told(Informer(problems=("no HPAs",)), synced=True) == ()
    lost = Informer(problems=("no HPAs", "no apps"), blocking=("no apps",))
    assert told(lost, synced=True) == ("no apps",)


def test_readiness_when_the_informer_is_dead_then_is_lost() -> None:
    assert told(Informer(alive=False), synced=True) == (
        "the informer has ended: nothing is watched",
    )
