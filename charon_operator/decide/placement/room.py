"""The mix that an app goes for, of those that fit the nodes: where room is short, it has its price.

Reads: what an app wants and has, what is free. Gives: a `Mix`. Never: a change for a small saving,
or soon after the last one; less served than could be, where all that is wanted cannot.

The cheapest mix may ask for more of some nodes than there are. Then every pod that has to be on
them pays a rent for its share, which rises until the cheapest mix fits: of fewer and larger pods,
or of pods that can be elsewhere.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from charon_operator.decide.placement.claims import Party
from charon_operator.decide.placement.inventory import Stock
from charon_operator.decide.placement.mix import Aim, Mix
from charon_operator.model.claim import Counts, Variant

# What the largest pod pays for its room, as a share of what the dearest costs.
_RENTS: Final = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 25.6)
_MOST_TRIES: Final = 16
# What cannot be had is approached in so many halvings.
_HALVINGS: Final = 6
# A mix that serves as much but for this is no reason to leave the one there is.
_NEAR: Final = 0.03


def choose(party: Party, stock: Stock, now_s: float) -> Mix | None:
    """The mix to go for when a party has these nodes for itself; None: its demand is not known.

    It may still not fit, where not even the minima do.
    """
    ask = party.wish(now_s)
    if ask is None or not missed(party, ask, stock):
        return ask
    anew, kept = instead(party, stock) or _most(party, stock), party.grown()
    if anew is None or (kept.reaches and not missed(party, kept, stock)):
        stays = anew is None or not anew.reaches or party.dwells or not party.saves(anew, kept)
        return (kept if kept.reaches else ask) if stays else anew
    held = party.on_its_way
    near = held.capacity >= anew.capacity * (1 - _NEAR)
    if not anew.reaches and near and not missed(party, held, stock):
        return held
    return anew


def instead(party: Party, stock: Stock) -> Mix | None:
    """The cheapest mix from nothing that reaches what is wanted and fits; None where none does."""
    if party.wanted is None:
        return None
    return _fitting(party, party.wanted, stock, _Rents(party.variants, stock))


def _most(party: Party, stock: Stock) -> Mix | None:
    """A mix from nothing that fits and serves the most; None where not even the minima fit."""
    rents = _Rents(party.variants, stock)
    found, within = None, 0.0
    beyond = sum(party.most[one.name] * one.capacity for one in party.variants)
    beyond = min(beyond, party.wanted or 0.0)
    for _ in range(_HALVINGS):
        asked = (within + beyond) / 2
        tried = _fitting(party, asked, stock, rents)
        if tried is None:
            beyond = asked
        else:
            found, within = tried, max(tried.capacity, asked)
    return party.measured(found.counts) if found else None


def missed(party: Party, ask: Mix, stock: Stock) -> Counts:
    """The first variant of which not all replicas fit, and how many do; nothing where all do."""
    placed: list[tuple[str, Variant]] = []
    found: Counts = {}
    for one in party.variants:
        there = min(ask.counts[one.name], elsewhere(party, one, stock))
        nodes = [stock.place(one.need) for _ in range(ask.counts[one.name] - there)]
        fits = [node for node in nodes if node]
        placed += [(node, one) for node in fits]
        if len(fits) < len(nodes):
            found = {one.name: there + len(fits)}
            break
    for node, one in placed:
        stock.put(node, one.need.requests, -1)
    return found


def elsewhere(party: Party, one: Variant, stock: Stock) -> int:
    """Pods that run where new ones would not go, as on a node that was cordoned since."""
    where = stock.candidates(one.need)
    return sum(node not in where for node in party.pods[one.name])


class _Rents:
    """What pods are charged for, beyond their cost."""

    def __init__(self, variants: Sequence[Variant], stock: Stock) -> None:
        self._unit = max((one.cost for one in variants), default=0.0) or 1.0
        self._levels: Counter[str] = Counter()
        where = {one.name: frozenset(stock.candidates(one.need)) for one in variants}
        self._shares = {
            one.name: _shares(one, [other for other in variants
                                    if where[other.name] <= where[one.name]])
            for one in variants
        }  # fmt: skip

    def rise(self, name: str) -> bool:
        """Charge more for the nodes of a variant; false at the top."""
        self._levels[name] += 1
        return self._levels[name] < len(_RENTS)

    def of(self, name: str) -> float:
        """The rent of one replica."""
        levels = {short: min(level, len(_RENTS) - 1) for short, level in self._levels.items()}
        return self._unit * sum(
            _RENTS[level] * self._shares[short].get(name, 0.0) for short, level in levels.items()
        )


def _shares(one: Variant, alike: Sequence[Variant]) -> Mapping[str, float]:
    """What each takes of what one is short of, as a share of the most that any does."""
    scarce = one.need.extended[0][0] if one.need.extended else "cpu"
    takes = {other.name: dict(other.need.requests).get(scarce, 0) for other in alike}
    return {name: amount / max(1, *takes.values()) for name, amount in takes.items()}


def _fitting(party: Party, wanted: float, stock: Stock, rents: _Rents) -> Mix | None:
    """The cheapest mix at rents that rise until it fits."""
    aim = Aim(wanted, party.claim.quality)
    for _ in range(_MOST_TRIES):
        found = party.reaching(aim, {one.name: rents.of(one.name) for one in party.variants})
        if found is None:
            return None
        lacking = missed(party, found, stock)
        if not lacking:
            return found
        if not rents.rise(next(iter(lacking))):
            return None
    return None
