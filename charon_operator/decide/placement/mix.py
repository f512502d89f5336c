"""The cheapest mix of an app's variants that serves a demand at a quality, and when to move to it.

Reads: variants, a demand in units a second, the mix there is. Gives: a `Mix`. Never: a change of
variant for a small saving, or soon after the last one; a raise is never delayed.

The quality of a mix is the mean of its variants' qualities, each weighted by the capacity of its
replicas: work spreads over replicas by what they can serve, so this is the share of work done at
each quality. The bound on it is met strictly: capacity is given up first.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from charon_operator.model.claim import Counts, Patience, Variant

_Three = tuple[float, float, float]
_SLACK: Final = 1e-9
# What is out of reach is approached to this share.
_NEAR: Final = 0.01
# Costs closer than this are alike: telling them apart is what makes such a search long.
_ALIKE: Final = 0.005
# Only a spec made for it needs as many: the first tries are the best ones.
_MOST_TRIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Aim:
    """What a mix is for: a demand in units a second, at a quality of at least 0..1."""

    wanted: float
    quality: float


@dataclass(frozen=True, slots=True)
class Mix:
    """Replicas of each variant, and what they amount to.

    Attributes:
        quality: 0..1; 1 where nothing is served.
        reaches: demand and quality are both met.
    """

    counts: Counts
    capacity: float
    cost: float
    quality: float
    reaches: bool


def mix(variants: Sequence[Variant], counts: Counts, aim: Aim) -> Mix:
    """What replicas amount to."""
    found = [(variant, counts.get(variant.name, 0)) for variant in variants]
    capacity = sum(count * one.capacity for one, count in found)
    good = sum(count * one.capacity * one.quality for one, count in found)
    quality = good / capacity if capacity else 1.0
    enough = capacity >= aim.wanted * (1 - _SLACK)
    return Mix(
        counts={one.name: count for one, count in found},
        capacity=capacity,
        cost=sum(count * one.cost for one, count in found),
        quality=quality,
        reaches=enough and quality >= aim.quality - _SLACK,
    )


def cheapest(variants: Sequence[Variant], aim: Aim) -> Mix:
    """The cheapest mix that reaches the aim, else the one that comes nearest at its quality.

    Where no mix has the quality, as minima stand against it, it is the minima.
    """
    return reaching(variants, aim) or mix(variants, _nearest(variants, aim), aim)


def reaching(variants: Sequence[Variant], aim: Aim) -> Mix | None:
    """The cheapest mix that reaches the aim; None where none does."""
    found = _Search(variants, aim).cheapest()
    return None if found is None else mix(variants, found, aim)


def chosen(
    variants: Sequence[Variant],
    aim: Aim,
    current: Counts,
    since_s: float | None,
    now_s: float,
    patience: Patience,
) -> Mix:
    """The mix to go for.

    What is there is kept and grown while it can reach the aim; it is left for a mix that saves
    enough once the dwell is over, and at once for one that comes nearer where it cannot.

    Args:
        variants: no more of each than fits.
        aim: what is asked of the mix.
        current: replicas there are.
        since_s: when the mix last changed, seconds since 1970; None when that is not known.
        now_s: seconds since 1970; a change that is not known counts as made now.
        patience: what stands against moving.
    """
    kept = grown(variants, aim, current)
    if kept.reaches and (since_s is None or now_s - since_s < patience.dwell_s):
        return kept
    best = cheapest(variants, aim)
    if not kept.reaches:
        return best if nearness(best, aim) > nearness(kept, aim) else kept
    return best if saves(best, kept, patience) else kept


def grown(variants: Sequence[Variant], aim: Aim, current: Counts) -> Mix:
    """The cheapest mix with all that is there."""
    least = [
        replace(one, least=max(one.least, min(one.most, current.get(one.name, 0))))
        for one in variants
    ]
    return cheapest(least, aim)


def saves(best: Mix, kept: Mix, patience: Patience) -> bool:
    """Whether it is so much cheaper that what is there is left for it."""
    return best.cost <= kept.cost * (1 - patience.saving) and best.cost < kept.cost


def nearness(found: Mix, aim: Aim) -> tuple[bool, float]:
    """How near it comes to an aim; of two the larger one is nearer."""
    return found.quality >= aim.quality - _SLACK, min(found.capacity, aim.wanted)


def _nearest(variants: Sequence[Variant], aim: Aim) -> Counts:
    """Halves the distance between what is known to be within reach and what is known not to be."""
    found: Counts = {one.name: one.least for one in variants}
    smallest = min((one.capacity for one in variants), default=math.inf)
    within, beyond = 0.0, min(aim.wanted, sum(one.most * one.capacity for one in variants))
    asked = beyond
    while beyond >= smallest and beyond - within > _NEAR * beyond:
        tried = _Search(variants, replace(aim, wanted=asked)).cheapest()
        if tried is None:
            beyond = asked
        else:
            found, within = tried, max(asked, mix(variants, tried, aim).capacity)
        asked = (within + beyond) / 2
    return found


class _Search:
    """Branch and bound over the replicas of each variant, which makes up for three lacks at once.

    They are of capacity, of quality (capacity times what a variant has above the bound), and of
    worth: the sum of the two at a price on quality. Whatever reaches the aim lacks no worth either,
    so what is lacking costs at least as much as at the cheapest variant left. The price is the one
    that makes this bound largest.
    """

    def __init__(self, variants: Sequence[Variant], aim: Aim) -> None:
        price = max(
            _prices(variants, aim.quality),
            key=lambda one: min((_dearness(v, _gifts(v, aim, one)) for v in variants), default=0),
        )
        gifts = [(one, _gifts(one, aim, price)) for one in variants]
        self._order = sorted(gifts, key=lambda item: (_dearness(*item), item[0].name))
        self._dearness = [*(_dearness(*item) for item in self._order), math.inf]
        # By depth, what all variants left could make up for.
        self._left = [(0.0, 0.0, 0.0)]
        for one, gift in reversed(self._order):
            most = (max(one.least * part, one.most * part) for part in gift)
            self._left.append(_plus(self._left[-1], most))
        self._left.reverse()
        self._lacks = (aim.wanted, 0.0, aim.wanted)
        self._slack = _SLACK * max(1.0, aim.wanted)
        self._best: tuple[float, Counts] | None = None
        self._tries = 0

    def cheapest(self) -> Counts | None:
        """Replicas by variant, or None where nothing reaches the aim."""
        self._descend(0, {}, 0.0, self._lacks)
        return self._best[1] if self._best else None

    def _descend(self, depth: int, counts: Counts, spent: float, lacks: _Three) -> None:
        if depth == len(self._order):
            self._best = spent, counts
            return
        one, gift = self._order[depth]
        low, high = self._range(depth, lacks)
        alone = math.floor(lacks[2] / gift[2] + _SLACK) if gift[2] > 0 else low - 1
        alone = max(low - 1, min(high, alone))
        # Away from where it alone would do, on either side, the bound only grows.
        for way in (range(alone + 1, high + 1), range(alone, low - 1, -1)):
            for count in way:
                cost = spent + count * one.cost
                if self._is_dear(depth + 1, cost, lacks[2] - count * gift[2]):
                    break
                left = _plus(lacks, (-count * part for part in gift))
                self._descend(depth + 1, {**counts, one.name: count}, cost, left)

    def _range(self, depth: int, lacks: _Three) -> tuple[int, int]:
        """The replicas with which the variants after it can still make up for every lack."""
        one, gift = self._order[depth]
        low, high = one.least, one.most
        for lack, part, left in zip(lacks, gift, self._left[depth + 1], strict=True):
            due = lack - left - self._slack
            if part > 0:
                low = max(low, math.ceil(due / part))
            elif part < 0:
                high = min(high, math.floor(due / part))
            elif due > 0:
                return 0, -1
        return low, high

    def _is_dear(self, depth: int, cost: float, lacking: float) -> bool:
        self._tries += 1
        if self._tries > _MOST_TRIES:
            return True
        least = cost + (lacking * self._dearness[depth] if lacking > self._slack else 0.0)
        return least == math.inf or (
            self._best is not None and least >= self._best[0] * (1 - _ALIKE)
        )


def _plus(one: _Three, other: Iterable[float]) -> _Three:
    first, second, third = (a + b for a, b in zip(one, other, strict=True))
    return first, second, third


def _gifts(one: Variant, aim: Aim, price: float) -> _Three:
    quality = one.capacity * (one.quality - aim.quality)
    return one.capacity, quality, one.capacity + price * quality


def _dearness(one: Variant, gifts: _Three) -> float:
    return one.cost / gifts[2] if gifts[2] > 0 else math.inf


def _prices(variants: Sequence[Variant], quality: float) -> list[float]:
    """None, and every price of quality at which two variants are equally dear."""
    found = [0.0]
    for one, other in itertools.combinations(variants, 2):
        dear, dearer = one.cost / one.capacity, other.cost / other.capacity
        divisor = dear * (other.quality - quality) - dearer * (one.quality - quality)
        if divisor and (price := (dearer - dear) / divisor) > 0:
            found.append(price)
    return found
