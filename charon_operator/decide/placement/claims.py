"""The apps at the table where GPUs are shared out: what they want, hold and are granted.

Reads: what an app claims. Gives: `Party` and `Turns` for `allocate`, the `Grant` that comes of it.
Never: a word of one app about another.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from charon_operator.decide.placement import mix
from charon_operator.decide.placement.inventory import Stock
from charon_operator.decide.placement.mix import Aim, Mix
from charon_operator.model.claim import Claim, Counts, Variant
from charon_operator.names import GrantReason, Shortage


@dataclass(frozen=True, slots=True)
class Grant:
    """What an app may ask for.

    Attributes:
        counts: replicas of each variant; with DemandUnknown what is bound, and no reason to
            ask for less than is asked for.
        detail: why, in words with numbers.
        shortage: why no more pods fit, where that is the reason; else None.
        robbed: pods that have to go although they are of use.
    """

    counts: Counts
    reason: GrantReason
    detail: str
    shortage: Shortage | None = None
    robbed: int = 0


class Party:
    """An app at the table.

    Attributes:
        variants: those that fewest nodes can run first, as the others can give way to them.
        ask: the mix it goes for.
        pods: node of each pod that it is granted, by variant.
        most: replicas of each variant that it may still hope for.
        in_reach: what it wants could be had if it had all that apps hold.
        might_reach: not that, but on nodes that are empty it could.
        served: units a second that these pods serve.
        has_swapped: it has given up what it had for another mix, which it does once a round.
        refused: why no more of a variant fits, the last such answer; `shortage` is its reason.
    """

    def __init__(self, claim: Claim, stock: Stock, total: Mapping[str, int]) -> None:
        self.claim = claim
        self.size = {one.name: _size(one, total) for one in claim.variants}
        self.variants = sorted(claim.variants, key=lambda one: len(stock.candidates(one.need)))
        self.by_name = {one.name: one for one in claim.variants}
        self.pods = {one.name: list(claim.held.get(one.name, ())) for one in claim.variants}
        self.most = {one.name: one.most for one in claim.variants}
        self.ask: Mix | None = None
        self.in_reach = False
        self.might_reach = False
        self.dwells = False
        self.served = sum(self.by_name[name].capacity * len(at) for name, at in self.pods.items())
        self.refused = ""
        self.shortage: Shortage | None = None
        self.robbed = 0
        self.has_swapped = False

    @property
    def counts(self) -> dict[str, int]:
        """Pods that it is granted."""
        return {name: len(nodes) for name, nodes in self.pods.items()}

    @property
    def may_be_robbed(self) -> bool:
        """Whether a gain of others may take what is above its minimum."""
        return not (self.claim.is_met or self.dwells or self.wanted is None)

    @property
    def wanted(self) -> float | None:
        """Units a second that count here; None where they are not known, or nothing is taken."""
        return self.claim.wanted if self.claim.acts else None

    def take(self, name: str, node: str) -> None:
        """One more pod."""
        self.pods[name].append(node)
        self.served += self.by_name[name].capacity

    def drop(self, name: str, node: str) -> None:
        """One pod less."""
        self.pods[name].remove(node)
        self.served -= self.by_name[name].capacity

    def worth(self, served: float) -> float:
        """What serving so much is worth: the priority, at the whole demand."""
        wanted = self.wanted
        return self.claim.priority * (min(1.0, served / wanted) if wanted else 0.0)

    def wish(self, now_s: float) -> Mix | None:
        """The mix to go for within its hopes, None while the demand is not known.

        It grows from what the app is on its way to, else from what it has.
        """
        claim, kept = self.claim, self._kept
        if self.wanted is None:
            return None
        return mix.chosen(self._within, self._aim, kept, claim.since_s, now_s, claim.patience)

    def grown(self) -> Mix:
        """The cheapest mix within its hopes with all that it is on its way to."""
        return mix.grown(self._within, self._aim, self._kept)

    def reaching(self, aim: Aim, rents: Mapping[str, float]) -> Mix | None:
        """The cheapest mix within its hopes that reaches an aim, as if the app had nothing.

        Args:
            aim: what is asked of it.
            rents: of a replica of each variant, beyond its cost.
        """
        charged = [replace(one, cost=one.cost + rents[one.name]) for one in self._within]
        return mix.reaching(charged, aim)

    def measured(self, counts: Counts) -> Mix:
        """What replicas amount to for what it wants."""
        return mix.mix(self.variants, counts, self._aim)

    def saves(self, best: Mix, kept: Mix) -> bool:
        """Whether a mix is so much cheaper that the other is left for it."""
        return mix.saves(best, kept, self.claim.patience)

    @property
    def on_its_way(self) -> Mix:
        """What it is on its way to, else what it has."""
        return self.measured(self._kept)

    @property
    def _kept(self) -> Counts:
        return self.counts if self.claim.goal is None else self.claim.goal

    @property
    def _aim(self) -> Aim:
        return Aim(self.wanted or 0.0, self.claim.quality)

    @property
    def _within(self) -> list[Variant]:
        return [one.within(self.most[one.name]) for one in self.variants]

    def next_pod(self) -> tuple[float, str] | None:
        """Gain for its size, and variant, of the pod that it would ask for next."""
        lacking = [one for one in self.variants if self._lacks(one)]
        found = [(self.gain(one) / self.size[one.name], one.name) for one in lacking]
        return max(found, key=lambda item: item[0], default=None)

    def gain(self, one: Variant) -> float:
        """What one more pod is worth."""
        return self.worth(self.served + one.capacity) - self.worth(self.served)

    def _lacks(self, one: Variant) -> bool:
        return self.ask is not None and len(self.pods[one.name]) < self.ask.counts[one.name]


class Turns:
    """Parties by the gain of their next pod for its size; who is in it twice is served once."""

    def __init__(self, parties: Sequence[Party]) -> None:
        self._places = {id(party): place for place, party in enumerate(parties)}
        self._parties = parties
        self._heap: list[tuple[float, int]] = []
        self.put(*parties)

    def put(self, *parties: Party) -> None:
        """Those that still ask for something, and belong here."""
        for party in parties:
            found, place = party.next_pod(), self._places.get(id(party))
            if found is not None and place is not None:
                heapq.heappush(self._heap, (-found[0], place))

    def next(self) -> Party | None:
        """Whose gain is largest now, or None when nobody asks."""
        while self._heap:
            gain, place = heapq.heappop(self._heap)
            found = self._parties[place].next_pod()
            if found is None:
                continue
            # It was served or robbed since it came: its turn is another.
            if -gain > found[0] * (1 + 1e-9):
                heapq.heappush(self._heap, (-found[0], place))
                continue
            return self._parties[place]
        return None


def _size(one: Variant, total: Mapping[str, int]) -> float:
    """The largest share that a pod takes of anything in the cluster."""
    return max(amount / max(amount, total.get(name, 0)) for name, amount in one.need.requests)


def grant(party: Party, *, short: bool) -> Grant:
    """What a party is granted in the end, and why.

    Args:
        party: after the round.
        short: its minimum does not fit.
    """
    wanted = party.wanted
    if short:
        return _granted(party, GrantReason.MINIMUM_DOES_NOT_FIT, party.refused)
    if wanted is None:
        return _granted(party, GrantReason.DEMAND_UNKNOWN, "nothing is given or taken")
    got = mix.mix(party.claim.variants, party.counts, Aim(wanted, party.claim.quality))
    served = f"{got.capacity:g} of {wanted:g} units a second can be served"
    if got.reaches:
        return _granted(party, GrantReason.ENOUGH, served)
    why = f"; {party.refused}" if party.refused else ""
    if not party.in_reach and not party.might_reach:
        never = f"{served}, more never on these nodes: served last{why}"
        return _granted(party, GrantReason.OUT_OF_REACH, never)
    if party.robbed:
        gone = f"{party.robbed} pod(s) gave way to a larger gain"
        return _granted(party, GrantReason.GAVE_WAY, f"{served}, {gone}")
    return _granted(party, GrantReason.LIMITED, f"{served}{why}")


def _granted(party: Party, reason: GrantReason, detail: str) -> Grant:
    wants = reason not in (GrantReason.ENOUGH, GrantReason.DEMAND_UNKNOWN, GrantReason.GAVE_WAY)
    shortage = party.shortage if wants else None
    return Grant(party.counts, reason, detail, shortage, party.robbed)
