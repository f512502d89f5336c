"""What all apps are granted at a turn, and what is left.

Reads: the claims of all apps, what is free on the nodes. Gives: `Shares`. Never: a word of one app
about another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from charon_operator.decide.placement import allocate, newnodes
from charon_operator.decide.placement.claims import Grant
from charon_operator.decide.placement.inventory import Stock
from charon_operator.decide.placement.newnodes import Due
from charon_operator.model.claim import Claim
from charon_operator.model.gpu import Need
from charon_operator.model.placing import Supply
from charon_operator.model.workload import Key


@dataclass(frozen=True, slots=True)
class Shares:
    """What all apps are granted at a turn.

    Attributes:
        grants: by app; of the apps that were asked about.
        stock: what is left for new pods; apps take from it as their steps are decided.
        due: what apps are still to get.
        promised: needs of pods that each app was granted and has not asked for.
    """

    grants: Mapping[Key, Grant]
    stock: Stock
    due: tuple[Due, ...] = ()
    promised: Mapping[Key, tuple[Need, ...]] = field(default_factory=dict)

    def unpromised(self) -> Stock:
        """What is left when all have what they were granted."""
        stock = self.stock.copy()
        for needs in self.promised.values():
            for need in needs:
                stock.place(need)
        return stock


def share(claims: Iterable[Claim], due: Iterable[Key], supply: Supply, now_s: float) -> Shares:
    """Share out what is free between all apps, and tell those that do not act what they would get.

    Args:
        claims: of all apps, the last of those that are not due.
        due: apps that are decided on.
        supply: nodes and what is free on them.
        now_s: seconds since 1970.
    """
    known = [_up_to_date(one, supply) for one in claims]
    known.sort(key=lambda one: (-one.priority, one.key))
    stock = Stock(supply)
    grants = allocate.allocate([replace(one, keeps=one.keeps or not one.acts) for one in known],
                               stock, now_s)  # fmt: skip
    asking = set(due)
    still = {one.key for one in known if not one.acts and one.key in asking}
    if still:
        others = [replace(one, acts=not one.acts, keeps=one.keeps or one.acts) for one in known]
        would = allocate.allocate(others, stock, now_s)
        grants.update({key: would[key] for key in still})
    for one in known:
        _set_apart(one, stock)
    granted = {key: grant for key, grant in grants.items() if key in asking}
    promised = {one.key: _promised(one, grants[one.key]) for one in known}
    return Shares(granted, stock, newnodes.due(known, grants, stock), promised)


def _up_to_date(claim: Claim, supply: Supply) -> Claim:
    """With what it holds by now: pods may have come or gone since the app was last decided on."""
    held = {
        name: supply.held.get(claim.targets[name], nodes) if name in claim.targets else nodes
        for name, nodes in claim.held.items()
    }
    return replace(claim, held=held)


def _set_apart(claim: Claim, stock: Stock) -> None:
    """Room for pods that were asked for and are on no node yet."""
    for one in claim.variants:
        for _ in range(claim.asked.get(one.name, 0) - len(claim.held.get(one.name, ()))):
            stock.place(one.need)


def _promised(claim: Claim, grant: Grant) -> tuple[Need, ...]:
    """Needs of pods beyond those that it asks for or holds, of an app that acts."""
    if not claim.acts:
        return ()
    there = {one.name: max(claim.asked.get(one.name, 0), len(claim.held.get(one.name, ())))
             for one in claim.variants}  # fmt: skip
    return tuple(
        one.need
        for one in claim.variants
        for _ in range(grant.counts.get(one.name, 0) - there[one.name])
    )
