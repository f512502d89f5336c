"""What is wanted and why: demands of laws, decisions of the turn, what an app remembers.

Reads: nothing. Gives: frozen, JSON-able values. Never: an action; a decision is data only, and
`Held` is a decision too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from charon_operator.model.sizes import Size
from charon_operator.names import Reason


@dataclass(frozen=True, slots=True)
class Demand:
    """What a law wants for one objective. Exactly one of `replicas` and `capacity` is set.

    Attributes:
        replicas: replicas wanted, before any limit.
        capacity: units a second wanted; the app's capacityPerReplica turns it into replicas.
        terms: the law's own terms, for people and for the journal.
        sampled_at_s: newest sample time it stands on, seconds since 1970; its age counts from it.
    """

    replicas: float | None = None
    capacity: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)
    sampled_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Clamp:
    """One limit that changed a wanted replica count, or a size in millicores or bytes.

    Attributes:
        limit: a `names.LimitName`.
        detail: a sentence for people, with the numbers in it.
    """

    limit: str
    before: int
    after: int
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What one app should do after one turn.

    Attributes:
        decision_id: unique per app and turn, the same on replay.
        acts: the write may be carried out (Active, no conflict, not held back by configuration).
        current: replicas asked for before the decision (`spec.replicas`).
        raw: what the largest demand asked for, before limits; None when nothing was demanded.
        final: what is wanted after limits; equal to `current` when nothing moves.
        reason: Raised, Lowered, Unchanged, Held, or why the app cannot be controlled.
        message: one sentence for people.
        objective: name of the objective whose demand won, else empty.
        terms: the winning law's terms.
        demand_age_s: age of the data under the winning demand, seconds; None without a demand.
    """

    decision_id: str
    knob: str
    acts: bool
    current: int
    raw: int | None
    final: int
    reason: Reason
    message: str
    objective: str = ""
    clamps: tuple[Clamp, ...] = ()
    terms: Mapping[str, float] = field(default_factory=dict)
    demand_age_s: float | None = None

    @property
    def moves(self) -> bool:
        """Whether a write is wanted and allowed."""
        return self.acts and self.final != self.current


@dataclass(frozen=True, slots=True)
class Resize:
    """What size the running pods of one app should have after one turn.

    It is a level: every running pod without refusal that was asked for another size is patched to
    `final` while `acts`, pods that were born since too.

    Attributes:
        decision_id: unique per app and turn, the same on replay.
        acts: the writes may be carried out.
        container: which container of the pods.
        current: what pods were last meant to have; None when that is not known.
        final: what they are to have; None when nothing is known, and then nothing is done.
        reason: Raised, Lowered, Unchanged or Held, or what became of the last size asked for.
        message: one sentence for people.
        clamps: limits that changed the wish, in millicores or bytes.
        give_back: pods that cannot have what they were asked to take: they are set back to their
            actual size and then left alone.
        restarts: containers restart for it.
    """

    decision_id: str
    acts: bool
    container: str
    current: Size | None
    final: Size | None
    reason: Reason
    message: str
    clamps: tuple[Clamp, ...] = ()
    give_back: tuple[str, ...] = ()
    restarts: bool = False

    @property
    def moves(self) -> bool:
        """Whether another size than before is wanted and allowed."""
        return self.acts and self.final is not None and self.final != self.current


@dataclass(frozen=True, slots=True)
class PendingAction:
    """An intent, written before the act: after a crash it counts as acted.

    Attributes:
        action_id: the decision's id.
        start, to: before and after, in replicas.
        time_s: when the intent was written, seconds since 1970.
    """

    action_id: str
    knob: str
    start: int
    to: int
    time_s: float


@dataclass(frozen=True, slots=True)
class Past:
    """What its status says of an app that is met for the first time: what outlives a restart.

    Attributes:
        pending: an intent, else the last move; it counts as acted.
        decided: the app was decided on before, so lowerings may have been made that are not known.
        yielded_to: the field manager that its target was left to, else empty.
        yielded_at: generation of the app when that was said.
        size: what its pods were last meant to have, or None.
    """

    pending: PendingAction | None = None
    decided: bool = False
    yielded_to: str = ""
    yielded_at: int = 0
    size: Size | None = None
