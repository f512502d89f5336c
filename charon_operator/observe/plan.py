"""Packs questions into few requests: like ones merged, the rest side by side in unions.

Reads: terms. Gives: requests, each of which knows how to tell its answers apart. Never: a request
of two tenants, or one longer or heavier than the bounds below.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from charon_operator.observe import merge, terms, tree
from charon_operator.ports import Series, Vector

MARK: Final = "charon_q"
# A union is read by one parser: what facts say of long and heavy queries bounds it, too.
MAX_BYTES: Final = 48 * 1024
MAX_WEIGHT: Final = 1200
# A merged query names its members in its matchers, which makes it long.
MAX_MEMBERS: Final = 250
MAX_TERMS: Final = 10_000

Answers = dict[tuple[str, str], Vector]


@dataclass(frozen=True, slots=True)
class Part:
    """One question of a request: a term, or several merged into one.

    Attributes:
        members: the terms it answers.
        node: what is asked.
        labels: by which the answers of several members are told apart.
        kept: those of them that the single answer has, too.
    """

    members: tuple[terms.Term, ...]
    node: tree.Node
    text: str
    weight: int
    labels: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()

    def demux(self, series: Sequence[Series]) -> Iterator[tuple[terms.Term, Vector]]:
        """Give each member the series that are its own; series of nobody are left out."""
        if not self.labels:
            yield self.members[0], Vector(tuple(series))
            return
        found: dict[tuple[str | None, ...], list[Series]] = {}
        for one in series:
            values = tuple(one.labels.get(label) for label in self.labels)
            found.setdefault(values, []).append(self._as_single(one))
        for member in self.members:
            yield member, Vector(tuple(found.get(self._values(member), ())))

    def _as_single(self, one: Series) -> Series:
        dropped = set(self.labels) - self.kept
        labels = {name: text for name, text in one.labels.items() if name not in dropped}
        return Series(labels, one.value, one.time_s)

    def _values(self, member: terms.Term) -> tuple[str | None, ...]:
        assert member.mold is not None  # only terms with a mold are merged
        fixed = dict(zip(member.mold.labels, member.mold.values, strict=True))
        return tuple(fixed[label] for label in self.labels)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent at once."""

    tenant: str
    parts: tuple[Part, ...]

    @property
    def members(self) -> tuple[terms.Term, ...]:
        """Every term that it answers."""
        return tuple(member for part in self.parts for member in part.members)

    @property
    def expression(self) -> str:
        """What is asked: the part itself when it is alone, else a union of marked parts."""
        if len(self.parts) == 1:
            return self.parts[0].text
        return " or ".join(
            f'label_replace({part.text}, "{MARK}", "{index}", "", "")'
            for index, part in enumerate(self.parts)
        )

    def demux(self, vector: Vector) -> Answers:
        """Each member's own answer."""
        if len(self.parts) == 1:
            split: Mapping[str, list[Series]] = {"0": list(vector.series)}
        else:
            split = _by_mark(vector.series)
        answers: Answers = {}
        for index, part in enumerate(self.parts):
            for member, own in part.demux(split.get(str(index), ())):
                answers[member.key] = own
        return answers

    def halves(self) -> tuple["Request", ...]:
        """The same questions in two smaller requests; empty where there is but one term."""
        if len(self.parts) > 1:
            middle = len(self.parts) // 2
            pieces = (self.parts[:middle], self.parts[middle:])
            return tuple(Request(self.tenant, piece) for piece in pieces)
        members = self.parts[0].members
        if len(members) == 1:
            return ()
        middle = len(members) // 2
        pieces_of_members = (members[:middle], members[middle:])
        return tuple(Request(self.tenant, _parts_of(piece)) for piece in pieces_of_members)


def _by_mark(series: Iterable[Series]) -> Mapping[str, list[Series]]:
    split: dict[str, list[Series]] = {}
    for one in series:
        labels = dict(one.labels)
        split.setdefault(labels.pop(MARK, ""), []).append(Series(labels, one.value, one.time_s))
    return split


@dataclass(frozen=True, slots=True)
class Room:
    """What a request may hold: parts, terms merged into one part, and terms in all."""

    parts: int
    members: int = MAX_MEMBERS
    terms: int = MAX_TERMS

    def fits(self, parts: Sequence[Part]) -> bool:
        """Whether these may go into one request."""
        return (
            len(parts) <= self.parts
            and sum(len(part.members) for part in parts) <= self.terms
            and sum(len(part.text) + 48 for part in parts) <= MAX_BYTES
            and sum(part.weight + 2 for part in parts) <= MAX_WEIGHT
        )


def plan(bundles: Sequence[Sequence[terms.Term]], room: Room) -> tuple[Request, ...]:
    """Pack questions.

    Args:
        bundles: terms that belong together (a value and its age) and go into one request where the
            bounds allow; terms with one key are asked once.
        room: what a request may hold.
    """
    unique: dict[tuple[str, str], terms.Term] = {}
    for bundle in bundles:
        for term in bundle:
            unique.setdefault(term.key, term)
    part_of = {
        member.key: part
        for group in _alike(unique.values())
        for start in range(0, len(group), room.members)
        for part in _parts_of(group[start : start + room.members])
        for member in part.members
    }
    return tuple(_pack(bundles, part_of, room))


def _alike(found: Iterable[terms.Term]) -> Iterator[tuple[terms.Term, ...]]:
    groups: dict[tuple[object, ...], list[terms.Term]] = {}
    for term in found:
        # Terms without a mold are like no other.
        like = (term.tenant, term.mold.key, term.mold.labels) if term.mold else term.key
        groups.setdefault(like, []).append(term)
    return (tuple(group) for group in groups.values())


def _parts_of(group: tuple[terms.Term, ...]) -> tuple[Part, ...]:
    """One part for all where they can be merged, else one for each."""
    if len(group) > 1:
        molds = [term.mold for term in group if term.mold]
        merged = merge.merge(group[0].node, molds)
        if merged is not None:
            text = tree.render(merged.node)
            size = terms.weight(merged.node)
            return (Part(group, merged.node, text, size, merged.labels, merged.kept),)
    return tuple(Part((term,), term.node, term.text, term.weight) for term in group)


def _pack(
    bundles: Sequence[Sequence[terms.Term]],
    part_of: Mapping[tuple[str, str], Part],
    room: Room,
) -> Iterator[Request]:
    """Fill requests in the order of the bundles, one open request a tenant."""
    open_: dict[str, list[Part]] = {}
    placed: set[int] = set()
    for bundle in bundles:
        block = []
        for term in bundle:
            part = part_of[term.key]
            if id(part) not in placed:
                placed.add(id(part))
                block.append((term.tenant, part))
        for tenant, pieces in _by_tenant(block).items():
            for piece in _blocks(pieces, room):
                current = open_.setdefault(tenant, [])
                if current and not room.fits([*current, *piece]):
                    yield Request(tenant, tuple(current))
                    current.clear()
                current.extend(piece)
    for tenant, current in open_.items():
        if current:
            yield Request(tenant, tuple(current))


def _by_tenant(block: Iterable[tuple[str, Part]]) -> Mapping[str, list[Part]]:
    split: dict[str, list[Part]] = {}
    for tenant, part in block:
        split.setdefault(tenant, []).append(part)
    return split


def _blocks(pieces: list[Part], room: Room) -> Iterator[list[Part]]:
    """A bundle's parts together, or one by one where they do not fit into one request."""
    if room.fits(pieces):
        yield pieces
    else:
        yield from ([piece] for piece in pieces)
