"""GPUs between apps: every app's minimum, then the largest gain toward an objective for its size.

Reads: what every app wants and holds, what is free. Gives: a `Grant` an app, with a reason that
names no other app. Never: a gain counted for an objective that no amount can meet; an app robbed
that is within its objective, whose demand is not known, or whose mix has just changed: only
another's minimum comes before that.

An app asks for its cheapest mix. A pod's gain is the app's priority times the share of the demand
that it adds; apps take turns by gain for a pod's size, which is its largest share of anything that
the cluster has. A pod goes where there is room, else in place of pods that together are worth less
by a margin. Where it fits nowhere the app asks for another mix: once for one in place of what it
has, else without more of that variant. Apps whose objective is out of reach come last and may be
robbed by all. Nobody is robbed of its minimum.

Greedy, and placed node by node; no pod is moved to another node. A robbed pod is gone only when its
controller took it: what is granted is asked for as it fits by then (`handover`).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from charon_operator.decide.placement import room
from charon_operator.decide.placement.claims import Grant, Party, Turns, grant
from charon_operator.decide.placement.inventory import Stock
from charon_operator.decide.placement.mix import Mix
from charon_operator.model.claim import Claim, Variant
from charon_operator.model.placing import Supply
from charon_operator.model.workload import Key

# What a pod of an app that is not to be robbed counts for: only a minimum is worth more.
_PROTECTED: Final = 1e9
# So much more than the pods it replaces must a pod be worth.
_MARGIN: Final = 0.1


def allocate(claims: Sequence[Claim], stock: Stock, now_s: float) -> dict[Key, Grant]:
    """Share out what is free and what apps hold.

    Args:
        claims: of all apps that hold or want something, one of a key.
        stock: what is free now; it is left as it is.
        now_s: seconds since 1970.
    """
    return _Round(claims, stock, now_s).grants()


_Pods = tuple[Party, str]
"""A pod of a party: of which variant it is. Pods of one variant on one node are alike."""


class _Round:
    def __init__(self, claims: Sequence[Claim], stock: Stock, now_s: float) -> None:
        self._stock = stock.copy()
        self._now_s = now_s
        self._total: Counter[str] = Counter()
        for node in stock.nodes.values():
            self._total.update(node.allocatable)
        self._parties = [Party(claim, stock, self._total) for claim in claims]
        self._parties.sort(key=lambda one: (-one.claim.priority, one.claim.key))
        self._bereft: list[Party] = []
        self._on: dict[str, list[_Pods]] = {}
        for party in self._parties:
            for name, nodes in party.pods.items():
                for at in nodes:
                    self._on.setdefault(at, []).append((party, name))

    def grants(self) -> dict[Key, Grant]:
        """All of them, minima first."""
        self._hope()
        for party in self._parties:
            self._free(party)
        short = [party for party in self._parties if not self._has_minimum(party)]
        self._serve([party for party in self._parties if party.in_reach])
        self._serve([party for party in self._parties if not party.in_reach])
        for party in self._parties:
            self._explain(party)
        return {party.claim.key: grant(party, short=party in short) for party in self._parties}

    def _explain(self, party: Party) -> None:
        """Why what cannot be had in any way cannot be had: it was never asked for."""
        if party.in_reach or party.wanted is None:
            return
        party.might_reach = self._might_reach(party)
        short = [one for one in party.variants if len(party.pods[one.name]) < one.most]
        if short and not party.refused:
            self._refuse(party, short[0])

    def _might_reach(self, party: Party) -> bool:
        """Whether it is only for pods that nobody here may take away, as those of no app."""
        nodes = self._stock.nodes
        bare = Stock(Supply(nodes, {name: node.allocatable for name, node in nodes.items()}))
        alone = Party(replace(party.claim, held={}), bare, self._total)
        self._hope_on(alone, bare)
        return alone.in_reach

    def _refuse(self, party: Party, one: Variant) -> None:
        fit = self._stock.fit(one.need)
        if fit.shortage is not None:
            party.refused, party.shortage = (
                f"{one.name}: {fit.shortage}: {fit.detail}",
                fit.shortage,
            )

    def _hope(self) -> None:
        """What each could have if no other app were there: the bound of its first wish."""
        empty = self._stock.copy()
        for node, pods in self._on.items():
            for owner, name in pods:
                empty.put(node, owner.by_name[name].need.requests, -1)
        for party in self._parties:
            since_s, dwell_s = party.claim.since_s, party.claim.patience.dwell_s
            party.dwells = since_s is None or self._now_s - since_s < dwell_s
            self._hope_on(party, empty)

    def _hope_on(self, party: Party, empty: Stock) -> None:
        for one in party.variants:
            fits = room.elsewhere(party, one, empty) + sum(
                empty.room(node, one.need.requests) for node in empty.candidates(one.need)
            )
            party.most[one.name] = min(one.most, fits)
        party.ask = room.choose(party, empty, self._now_s)
        while party.ask is not None and (missed := room.missed(party, party.ask, empty)):
            party.most.update(missed)
            party.ask = party.wish(self._now_s)
        party.in_reach = party.ask is not None and party.ask.reaches

    def _fall_back(self, party: Party, refused: Variant) -> None:
        """Ask for another mix: one in place of what the app has, if it fits, else one with less."""
        swaps = party.served and not party.has_swapped
        instead = self._instead(party) if swaps else None
        if instead is not None:
            party.ask, party.has_swapped = instead, True
            self._free(party)
            while (found := party.next_pod()) and self._place(party, party.by_name[found[1]], 0.0):
                continue
            return
        party.most[refused.name] = len(party.pods[refused.name])
        party.ask = party.wish(self._now_s)
        self._free(party)

    def _instead(self, party: Party) -> Mix | None:
        """A mix in place of all that the app has, where one reaches the aim and fits."""
        held = [(node, name) for name, nodes in party.pods.items() for node in nodes]
        for node, name in held:
            self._stock.put(node, party.by_name[name].need.requests, -1)
        found = room.instead(party, self._stock)
        for node, name in held:
            self._stock.put(node, party.by_name[name].need.requests)
        return found

    def _free(self, party: Party) -> None:
        """Give up what the app has no use for, unless it gives up nothing now."""
        if party.claim.keeps:
            return
        for name, nodes in party.pods.items():
            while party.ask is not None and len(nodes) > party.ask.counts[name]:
                self._give_up(party, name, nodes[-1])

    def _has_minimum(self, party: Party) -> bool:
        if not party.claim.acts:
            return True
        for one in party.variants:
            while len(party.pods[one.name]) < one.least:
                if not self._place(party, one, math.inf):
                    return False
        return True

    def _serve(self, parties: Sequence[Party]) -> None:
        """Serve by gain until nobody asks for what can be had."""
        queue = Turns(parties)
        while (party := queue.next()) is not None:
            found = party.next_pod()
            if found is None:
                continue
            one = party.by_name[found[1]]
            if not self._place(party, one, party.gain(one) if party.in_reach else 0.0):
                self._fall_back(party, one)
            queue.put(party, *self._bereft)
            self._bereft.clear()

    def _place(self, party: Party, one: Variant, gain: float) -> bool:
        node = self._stock.place(one.need) or self._robbed(party, one, gain)
        if node is None:
            self._refuse(party, one)
            return False
        party.take(one.name, node)
        self._on.setdefault(node, []).append((party, one.name))
        return True

    def _give_up(self, party: Party, name: str, node: str) -> None:
        party.drop(name, node)
        self._on[node].remove((party, name))
        self._stock.put(node, party.by_name[name].need.requests, -1)

    def _robbed(self, party: Party, one: Variant, gain: float) -> str | None:
        """Make room where it costs least, if it costs less than is gained; the node it is on."""
        best, cheapest = None, gain / (1 + _MARGIN)
        for node in self._stock.candidates(one.need):
            found = self._victims(party, one, node, cheapest)
            if found is not None:
                cheapest, best = found[0], (node, found[1])
        if best is None:
            return None
        node, victims = best
        for victim, name in victims:
            self._give_up(victim, name, node)
            victim.robbed += 1
            self._bereft.append(victim)
        self._stock.put(node, one.need.requests)
        return node

    def _victims(
        self, party: Party, one: Variant, node: str, below: float
    ) -> tuple[float, list[_Pods]] | None:
        """The pods of a node that are worth least and make room, if they are worth less than so."""
        free = self._stock.free[node]
        lacks = {name: n - free.get(name, 0) for name, n in one.need.requests}
        taken: list[_Pods] = []
        worth = 0.0
        others = [
            pod
            for pod in self._on.get(node, ())
            if pod[0] is not party
            and not pod[0].claim.keeps
            and (pod[0].may_be_robbed or below > _PROTECTED)
        ]
        while any(lack > 0 for lack in lacks.values()):
            losses = [
                (_loss(pod, taken), index)
                for index, pod in enumerate(others)
                if _is_spare(pod, taken) and _helps(pod, lacks)
            ]
            loss, index = min(losses, default=(math.inf, 0))
            worth += loss
            if worth >= below:
                return None
            taken.append(others.pop(index))
            for name, amount in taken[-1][0].by_name[taken[-1][1]].need.requests:
                if name in lacks:
                    lacks[name] -= amount
        return worth, taken


def _is_spare(pod: _Pods, taken: Sequence[_Pods]) -> bool:
    party, name = pod
    return len(party.pods[name]) - taken.count(pod) > party.by_name[name].least


def _loss(pod: _Pods, taken: Sequence[_Pods]) -> float:
    party, name = pod
    if not party.may_be_robbed:
        return _PROTECTED
    if not party.in_reach:
        return 0.0
    gone = sum(party.by_name[other].capacity for who, other in taken if who is party)
    served = party.served - gone
    return party.worth(served) - party.worth(served - party.by_name[name].capacity)


def _helps(pod: _Pods, lacks: Mapping[str, int]) -> bool:
    party, name = pod
    return any(lacks.get(resource, 0) > 0 for resource, _ in party.by_name[name].need.requests)
