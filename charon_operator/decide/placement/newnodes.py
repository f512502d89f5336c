"""Pods asked for beyond what fits, where a cluster autoscaler is to bring the nodes for them.

Reads: what an app was granted of the nodes there are, what other apps are still to get of them.
Gives: `Awaited`, the pods that are to wait and the way back. Never: less asked for of what fits; a
pod that waits where another app is to get room, as the scheduler would give that room to it.

What is gone for is the cheapest mix as if nodes could be had, and what fits serves meanwhile. A mix
that fits and serves all is left for it as for any other: for a saving, and after the dwell.

The nodes there are say nothing of those that could be had: a group that has none now may have other
devices, sizes and taints, and a node that starts up has taints that pass and no devices yet. So
every shortage is waited on, and only the deadline tells that no node comes. A variant's minimum
waits without one, as its user wants never fewer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from charon_operator.decide.placement import handover, mix
from charon_operator.decide.placement.claims import Grant
from charon_operator.decide.placement.handover import Standing
from charon_operator.decide.placement.inventory import Stock
from charon_operator.decide.placement.mix import Aim
from charon_operator.decide.placement.variants import Ground
from charon_operator.model.claim import Claim, Counts, Handover, Patience, Variant
from charon_operator.model.placement import NewNodes
from charon_operator.model.workload import Key
from charon_operator.names import GrantReason

_NOWHERE: Final = Handover({}, {})
# What waits already goes on as long as it saves anything.
_NONE: Final = Patience(saving=0.0, dwell_s=0.0)


@dataclass(frozen=True, slots=True)
class Due:
    """Pods that an app was granted and that have no node yet.

    Attributes:
        nodes: those on which they would run if they were empty.
        fits: they are about to take their room; if not, it is being made.
    """

    key: Key
    nodes: frozenset[str]
    fits: bool


@dataclass(frozen=True, slots=True)
class Awaited:
    """Pods that wait for new nodes.

    Attributes:
        counts: asked for beyond what fits, by variant; without those of which none is.
        standings: of all variants, as if these pods were not there.
        way: that they are on, from what fits to all with them; None where nothing is remembered.
    """

    counts: Counts
    standings: Mapping[str, Standing]
    way: Handover | None = None

    def on_top_of(self, counts: Counts) -> dict[str, int]:
        """Replicas with these pods."""
        return {name: count + self.counts.get(name, 0) for name, count in counts.items()}


def due(claims: Sequence[Claim], grants: Mapping[Key, Grant], stock: Stock) -> tuple[Due, ...]:
    """What apps are still to get of the nodes there are.

    Args:
        claims: of all apps, in the order in which they take what is free.
        grants: of all of them.
        stock: what is free, pods on their way set apart; it is left as it is.
    """
    left, found = stock.copy(), []
    for claim in claims:
        grant = grants[claim.key]
        if not claim.acts or grant.reason is GrantReason.DEMAND_UNKNOWN:
            continue
        for one in claim.variants:
            granted = grant.counts[one.name]
            fits = all(left.place(one.need) for _ in range(granted - claim.asked.get(one.name, 0)))
            if granted > len(claim.held.get(one.name, ())) or not fits:
                found.append(Due(claim.key, frozenset(left.candidates(one.need)), fits))
    return tuple(found)


def awaited(
    ground: Ground, claim: Claim, grant: Grant, others: Iterable[Due], stock: Stock, now_s: float
) -> Awaited:
    """What an app asks for beyond what fits, and for how long.

    Args:
        ground: how its variants stand.
        claim: what it wants.
        grant: what it may have of the nodes there are.
        others: what apps are still to get, this one's own left aside.
        stock: of the nodes; it is left as it is.
        now_s: seconds since 1970.
    """
    if ground.spec.new_nodes is NewNodes.NONE:
        return Awaited({}, ground.standings)
    if ground.changing or ground.returns:
        # Whether pods of a new form find nodes is what their own deadline tells.
        return Awaited({}, ground.standings, ground.awaited)
    known = ground.awaited or _NOWHERE
    base = _base(ground, grant)
    sought = _sought(ground, claim, grant, known, now_s)
    if not sought and now_s >= known.retry_at_s:
        return Awaited({}, ground.standings)
    rivals = [one for one in others if one.key != claim.key]
    allowed = _allowed(ground, base, sought, rivals, stock)
    total = {name: base[name] + count for name, count in allowed.items()}
    deadline_s = float(ground.spec.pending_deadline_seconds)
    way = _watched(known, base, total, _waiting(ground, base, total), now_s, deadline_s)
    counts = allowed if way.target == total else {}
    return Awaited(counts, _without(ground.standings, counts), way)


def fitting(goal: Counts, ground: Ground, grant: Grant, found: Awaited) -> Counts:
    """Where the app goes with what fits: the minimum of a variant that waits may not."""
    base = _base(ground, grant)
    return {
        name: min(count, base[name]) if name in found.counts else count
        for name, count in goal.items()
    }


def _base(ground: Ground, grant: Grant) -> Counts:
    """What fits: while the demand is not known, what it was on its way to."""
    is_unknown = grant.reason is GrantReason.DEMAND_UNKNOWN
    return ground.way.target if is_unknown else grant.counts


def _sought(
    ground: Ground, claim: Claim, grant: Grant, known: Handover, now_s: float
) -> dict[str, int]:
    """Pods of each variant that it lacks to the cheapest mix as if nodes could be had."""
    base = _base(ground, grant)
    if grant.reason is GrantReason.DEMAND_UNKNOWN:
        # Nothing is given up for that.
        stands = ground.standings
        counts = {
            name: base[name] + min(one.holding.pending, one.asked - base[name])
            for name, one in stands.items()
        }
    else:
        aim = Aim(claim.wanted or 0.0, claim.quality)
        waits = known.target != known.start
        patience = _NONE if waits and not claim.keeps else claim.patience
        hoped = _hoped(claim.variants, base, known, now_s)
        counts = dict(mix.chosen(hoped, aim, base, claim.since_s, now_s, patience).counts)
    return {name: count - base[name] for name, count in counts.items() if count > base[name]}


def _hoped(
    variants: Sequence[Variant], base: Counts, known: Handover, now_s: float
) -> list[Variant]:
    """Of what waited in vain no more than fits and the minimum, before its time."""
    failed = known.failed if known.failed and now_s < known.retry_at_s else {}
    return [
        one.within(max(one.least, base[one.name])) if one.name in failed else one
        for one in variants
    ]


def _allowed(
    ground: Ground, base: Counts, sought: Counts, rivals: Sequence[Due], stock: Stock
) -> dict[str, int]:
    """Without what would take room from others: the scheduler does not know whose it is to be.

    Where room is being made for them no pod waits; where they are about to take it none is added.
    Nor does any of a variant that is to give up pods with nodes, as those that wait would go first,
    or of one that has room: if it is not to be taken, no new node makes a difference.
    """
    found = {}
    for one in ground.variants:
        count, holding = sought.get(one.name, 0), ground.standings[one.name].holding
        where = frozenset(stock.candidates(one.need))
        near = [rival for rival in rivals if rival.nodes & where]
        if near:
            count = min(count, holding.pending) if all(rival.fits for rival in near) else 0
        has_room = any(stock.room(node, one.need.requests) for node in where)
        if count and len(holding.nodes) <= base[one.name] and not has_room:
            found[one.name] = count
    return found


def _waiting(ground: Ground, base: Counts, total: Counts) -> dict[str, Standing]:
    """The pods above the minimum that wait, besides those that have nodes."""
    found = {}
    for one in ground.variants:
        if one.name in total:
            stands = ground.standings[one.name]
            above = total[one.name] - max(base[one.name], one.least)
            pending = max(0, min(above, stands.holding.pending))
            found[one.name] = replace(stands, holding=replace(stands.holding, pending=pending))
    return found


def _watched(
    known: Handover, base: Counts, total: Counts, waiting: Mapping[str, Standing], now_s: float,
    deadline_s: float,
) -> Handover:  # fmt: skip
    """The way after this turn. A pod that got its node starts the deadline of the others anew."""
    came = any(base[name] > known.start.get(name, base[name]) for name in total)
    since_s = None if came else known.stuck_since_s
    way = handover.toward(replace(known, stuck_since_s=since_s), total, now_s)
    way = replace(way, start={name: base[name] for name in total})
    way = handover.seen(way, waiting, now_s, deadline_s)
    if way.failed is not known.failed and known.failed and now_s < known.retry_at_s:
        return replace(way, failed={**known.failed, **(way.failed or {})})
    return way


def _without(standings: Mapping[str, Standing], counts: Counts) -> dict[str, Standing]:
    found = dict(standings)
    for name, count in counts.items():
        one = standings[name]
        waiting = min(count, one.holding.pending, one.asked)
        rest = replace(one.holding, pending=one.holding.pending - waiting)
        found[name] = replace(one, asked=one.asked - waiting, holding=rest)
    return found
