"""The way from one mix of variants to another: what to ask for now, and when to go back.

Reads: what every variant has, what is free. Gives: the next `Step`, the `Handover` to remember.
Never: less ready capacity than is demanded while there is another way; a wait without an end.

New pods come first wherever they fit (make before break). Where none fits, and giving up pods of
the app itself would make room, just so many go that one new pod fits (break before make), and the
next go once that pod is ready. A step stands only on what is there now, so that after a restart the
same way is gone on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from charon_operator.decide.placement.inventory import Stock
from charon_operator.model.claim import Counts, Handover, Variant
from charon_operator.model.placing import Holding

_MOST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a variant stands.

    Attributes:
        asked: replicas asked for, `spec.replicas`.
        ready: pods that are Ready.
        holding: its pods by node, and those that have none, which could not be made or placed.
        trouble: why pods could not be made, else empty.
        rolls: its Deployment, which may be of several forms, replaces its pods.
    """

    asked: int
    ready: int
    holding: Holding = field(default_factory=Holding)
    trouble: str = ""
    rolls: bool = False

    @property
    def leaves(self) -> bool:
        """Whether pods that were given up are still there."""
        return self.holding.exist > self.asked

    @property
    def comes(self) -> bool:
        """Whether pods that were asked for are not ready yet."""
        return self.rolls or self.ready < self.asked


@dataclass(frozen=True, slots=True)
class Step:
    """What to ask for now.

    Attributes:
        counts: replicas of each variant.
        breaks: ready capacity is given up before there is other capacity.
        detail: what is waited for, else empty.
    """

    counts: Counts
    breaks: bool = False
    detail: str = ""


def toward(way: Handover, target: Counts, now_s: float) -> Handover:
    """The same with another target, unless that one has failed and its time has not come.

    What has failed is not forgotten over another target, and pods that wait go on waiting: a demand
    that trembles must not make the wait endless.
    """
    if target == way.target or (target == way.failed and now_s < way.retry_at_s):
        return way
    if target == way.failed:
        return replace(way, target=target, stuck_since_s=None)
    return replace(way, target=target)


def seen(
    way: Handover, standings: Mapping[str, Standing], now_s: float, deadline_s: float
) -> Handover:
    """Learn what came about; pods that wait for a node past the deadline turn it back.

    A pod that waits to be admitted is no failure. Every failure doubles the time until what failed
    is tried again.
    """
    if not any(one.holding.pending for one in standings.values()):
        arrived = _arrived(standings, way.target)
        found = replace(way, stuck_since_s=None)
        if arrived and way.target == way.failed:
            return Handover(way.target, way.target)
        return replace(found, start=way.target) if arrived else found
    since_s = now_s if way.stuck_since_s is None else way.stuck_since_s
    if now_s - since_s < deadline_s or way.target == way.start:
        return replace(way, stuck_since_s=since_s)
    wait_s = min(_MOST_WAIT_S, deadline_s * 2.0 ** min(way.failures + 1, 16))
    why = f"{stuck(standings, deadline_s)}; tried again {wait_s:.0f} s after that"
    back = _came(way, standings)
    return Handover(back, back, None, way.target, way.failures + 1, now_s + wait_s, why)


def stuck(standings: Mapping[str, Standing], deadline_s: float) -> str:
    """Which pods wait past the deadline, and what is known of why."""
    counts = {name: one.holding.pending for name, one in standings.items() if one.holding.pending}
    named = ", ".join(f"{count} pod(s) of {name}" for name, count in counts.items())
    trouble = next((one.trouble for one in standings.values() if one.trouble), "")
    return f"{named} had no node for {deadline_s:.0f} s{f': {trouble}' if trouble else ''}"


def _came(way: Handover, standings: Mapping[str, Standing]) -> Counts:
    """Where it began, and what came about since."""
    return {
        # Of what is being replaced nobody knows how much is there already.
        name: count
        if standings[name].rolls
        else max(count, min(way.target.get(name, 0), len(standings[name].holding.nodes)))
        for name, count in way.start.items()
    }


def step(
    variants: Sequence[Variant],
    standings: Mapping[str, Standing],
    target: Counts,
    wanted: float | None,
    stock: Stock,
) -> Step:
    """The next step toward a target.

    Args:
        variants: in an order that decides between equals.
        standings: by name of a variant, all of them.
        target: replicas of each variant.
        wanted: units a second that must stay served; None (not known): all that are served now.
        stock: what is free now, pods on their way set apart; it is left as it is.
    """
    growing = [one for one in variants if standings[one.name].asked < target.get(one.name, 0)]
    waiting = any(one.holding.pending for one in standings.values())
    made = {} if waiting else _made(growing, standings, target, stock.copy())
    spared = _spared(variants, standings, target, wanted)
    counts = {name: made.get(name, spared[name]) for name in standings}
    if made or spared != {name: one.asked for name, one in standings.items()}:
        return Step(counts)
    if not growing:
        return Step(counts, detail="" if _arrived(standings, target) else "waits for pods")
    if waiting or any(one.leaves or one.comes for one in standings.values()):
        return Step(counts, detail="waits for pods that come or go")
    broken = _broken(variants, growing, standings, target, stock)
    if broken is None:
        return Step(counts, detail="no node has room, and giving up own pods would make none")
    return Step({**counts, **broken}, breaks=True)


def rests(way: Handover, standings: Mapping[str, Standing]) -> bool:
    """Whether it has come to its end, and nothing is on its way."""
    return way.start == way.target and _arrived(standings, way.target)


def _arrived(standings: Mapping[str, Standing], target: Counts) -> bool:
    return all(
        one.asked == one.ready == target.get(name, 0)
        and one.holding.exist <= one.asked
        and not one.rolls
        for name, one in standings.items()
    )


def _made(
    growing: Sequence[Variant], standings: Mapping[str, Standing], target: Counts, stock: Stock
) -> Counts:
    """What may be asked for as it fits now, the largest first."""
    found = {}
    for one in sorted(growing, key=lambda one: -one.capacity):
        asked, lacking = standings[one.name].asked, 0
        while asked + lacking < target[one.name] and stock.place(one.need):
            lacking += 1
        if lacking:
            found[one.name] = asked + lacking
    return found


def _spared(
    variants: Sequence[Variant],
    standings: Mapping[str, Standing],
    target: Counts,
    wanted: float | None,
) -> Counts:
    """What is left when all that the demand can spare is given up, the smallest pods first."""
    ready = sum(one.capacity * standings[one.name].ready for one in variants)
    spare = 0.0 if wanted is None else ready - wanted
    found = {}
    for one in sorted(variants, key=lambda one: one.capacity):
        stands = standings[one.name]
        surplus = max(0, stands.asked - target.get(one.name, 0))
        # A controller takes pods that are not ready first: they serve nothing.
        idle = min(surplus, max(0, stands.asked - stands.ready))
        serving = min(surplus - idle, max(0, int(spare / one.capacity + 1e-9)))
        spare -= serving * one.capacity
        found[one.name] = stands.asked - idle - serving
    return found


def _broken(
    variants: Sequence[Variant],
    growing: Sequence[Variant],
    standings: Mapping[str, Standing],
    target: Counts,
    stock: Stock,
) -> Counts | None:
    """The fewest own pods, the smallest first, that make room for a new one; None where none do.

    Which pods its controller takes is not ours to say: if others go than was thought, the next step
    looks again.
    """
    emptied = stock.copy()
    for one in sorted(variants, key=lambda one: one.capacity):
        stands = standings[one.name]
        surplus = stands.asked - target.get(one.name, 0)
        for given_up, node in enumerate(reversed(stands.holding.nodes), start=1):
            if given_up > surplus:
                break
            emptied.put(node, one.need.requests, -1)
            if any(emptied.room(node, new.need.requests) for new in growing
                   if node in emptied.candidates(new.need)):  # fmt: skip
                return {one.name: stands.asked - given_up}
    return None
