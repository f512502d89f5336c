"""The best allocation there is, by trying all: what the greedy one is judged against."""

import itertools
from collections.abc import Mapping, Sequence
from functools import cache

from charon_operator.decide.placement import mix
from charon_operator.decide.placement.inventory import Stock
from charon_operator.decide.placement.mix import Aim
from charon_operator.model.claim import Claim, Counts, Variant
from charon_operator.model.workload import Key

Shares = Mapping[Key, Counts]


class Exact:
    """Every allocation of a small cluster, in which only GPUs are scarce."""

    def __init__(self, claims: Sequence[Claim], empty: Stock) -> None:
        self._claims = claims
        self._empty = empty
        self._reachable = {one.key for one in claims if self._reaches(one)}

    def value(self, shares: Shares) -> float:
        """Priority times the share of the demand that is served, of what is within reach."""
        return sum(
            _worth(one, shares[one.key]) for one in self._claims if one.key in self._reachable
        )

    def best(self) -> float | None:
        """Of all allocations with every minimum; None where there is none."""
        found = [self.value(shares) for shares in self._all() if self.packs(shares)]
        return max(found, default=None)

    def packs(self, shares: Shares) -> bool:
        """Whether all pods fit on the nodes at once."""
        pods = [
            (_size(one), tuple(self._empty.candidates(one.need)))
            for claim in self._claims
            for one in claim.variants
            for _ in range(shares[claim.key].get(one.name, 0))
        ]
        free = {
            name: amounts.get("nvidia.com/gpu", 0) for name, amounts in self._empty.free.items()
        }
        return _packs(tuple(sorted(pods, reverse=True)), tuple(sorted(free.items())))

    def _reaches(self, claim: Claim) -> bool:
        aim = Aim(claim.wanted or 0.0, claim.quality)
        nobody: Shares = {one.key: {} for one in self._claims}
        return any(
            mix.mix(claim.variants, counts, aim).reaches
            and self.packs({**nobody, claim.key: counts})
            for counts in _counts(claim.variants)
        )

    def _all(self) -> list[Shares]:
        each = [
            [counts for counts in _counts(one.variants) if _is_good(one, counts)]
            for one in self._claims
        ]
        keys = [one.key for one in self._claims]
        return [dict(zip(keys, chosen, strict=True)) for chosen in itertools.product(*each)]


def _counts(variants: Sequence[Variant]) -> list[Counts]:
    ranges = [range(one.least, one.most + 1) for one in variants]
    names = [one.name for one in variants]
    return [dict(zip(names, counts, strict=True)) for counts in itertools.product(*ranges)]


def _is_good(claim: Claim, counts: Counts) -> bool:
    return mix.mix(claim.variants, counts, Aim(0.0, claim.quality)).reaches


def _worth(claim: Claim, counts: Counts) -> float:
    aim = Aim(claim.wanted or 0.0, claim.quality)
    served = mix.mix(claim.variants, counts, aim).capacity
    return claim.priority * min(1.0, served / aim.wanted)


def _size(one: Variant) -> int:
    return dict(one.need.requests).get("nvidia.com/gpu", 0)


@cache
def _packs(
    pods: tuple[tuple[int, tuple[str, ...]], ...], free: tuple[tuple[str, int], ...]
) -> bool:
    if not pods:
        return True
    size, where = pods[0]
    left = dict(free)
    return any(
        _packs(pods[1:], tuple({**left, node: left[node] - size}.items()))
        for node in where
        if left[node] >= size
    )
