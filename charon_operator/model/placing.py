"""Variants of one app at one turn: what is known of them, and what they are to be.

Reads: nothing. Gives: `VariantFacts` and `Supply` in, `Placing` out. Never: behaviour.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from charon_operator.model.form import Shape
from charon_operator.model.gpu import Need, Node
from charon_operator.model.workload import Absent, Target, Workload


@dataclass(frozen=True, slots=True)
class Holding:
    """The pods of one workload.

    Attributes:
        nodes: node of each bound pod, terminating ones included.
        pending: pods that the scheduler found no node for, or has not come to.
        gated: pods that wait to be admitted, which is no failure.
    """

    nodes: tuple[str, ...] = ()
    pending: int = 0
    gated: int = 0

    @property
    def exist(self) -> int:
        """Pods there are."""
        return len(self.nodes) + self.pending + self.gated


@dataclass(frozen=True, slots=True)
class Supply:
    """Nodes, and what is free on them.

    Attributes:
        nodes: by name.
        free: by node name; negative where pods ask for more than there is.
        held: node of each bound pod, by workload; of workloads that were asked about.
    """

    nodes: Mapping[str, Node]
    free: Mapping[str, Mapping[str, int]]
    held: Mapping[Target, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VariantFacts:
    """What is known of one variant.

    Attributes:
        workload: its target now; None when the API server has not said.
        need: what one of its pods asks for; None where the template cannot be read.
        problem: field and remedy where it cannot be read, else empty.
        shape: of the Deployment that it is a form of; None for a variant without a template. That
            Deployment is in one form at a time: the variants that it is not have no pods.
    """

    workload: Workload | Absent | None
    need: Need | None = None
    problem: str = ""
    holding: Holding = field(default_factory=Holding)
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class FormChange:
    """A Deployment becomes another of its variants.

    Attributes:
        before, after: names of the variants.
        replicas: that it has from now on.
        surges: new pods may come before old ones go; False: one old pod at a time goes first.
        came_from: the variant to go back to, and its replicas, should this not come about.
    """

    before: str
    after: str
    replicas: int
    surges: bool
    came_from: tuple[str, int]


@dataclass(frozen=True, slots=True)
class VariantMove:
    """One variant after a turn.

    Attributes:
        asked: replicas asked for before the turn (`spec.replicas`).
        ready: pods that are Ready.
        waiting: pods that have no node.
        final: replicas to ask for now; equal to `asked` when nothing moves.
        goal: replicas it is on its way to.
    """

    name: str
    target: Target
    asked: int
    ready: int
    waiting: int
    final: int
    goal: int


@dataclass(frozen=True, slots=True)
class Placing:
    """What one app's variants should be after one turn.

    Attributes:
        acts: the writes may be carried out.
        variants: in the order of the spec.
        feasible: whether what is wanted can be had; None while that is not known.
        reason: a GrantReason, a Shortage, or a Reason; one CamelCase word.
        message: a sentence for people; it names no other app.
        capacity: units a second that `final` serves.
        wanted: units a second wanted after limits; None while that is not known.
        change: of a Deployment's form, which moves both its variants in one write; else None.
    """

    acts: bool
    variants: tuple[VariantMove, ...]
    feasible: bool | None
    reason: str
    message: str
    capacity: float = 0.0
    wanted: float | None = None
    change: FormChange | None = None

    @property
    def moves(self) -> bool:
        """Whether writes are wanted and allowed."""
        moves = self.change is not None or any(one.final != one.asked for one in self.variants)
        return self.acts and moves
