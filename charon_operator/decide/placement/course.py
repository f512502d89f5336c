"""What an app does of what it was granted: where it goes, and its next step.

Reads: the app's bid, the shares of all. Gives: a `Course`, and a memory. Never: a pod that was left
for another app.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from charon_operator.decide.placement import forms, handover, newnodes
from charon_operator.decide.placement.bids import Bid
from charon_operator.decide.placement.claims import Grant
from charon_operator.decide.placement.handover import Standing
from charon_operator.decide.placement.inventory import Stock
from charon_operator.decide.placement.newnodes import Awaited
from charon_operator.decide.placement.shares import Shares
from charon_operator.model.claim import Counts, Handover
from charon_operator.model.memory import AppMemory
from charon_operator.model.placing import FormChange
from charon_operator.names import GrantReason


@dataclass(frozen=True, slots=True)
class Course:
    """What an app does of what it was granted.

    Attributes:
        grant: None where nothing is known of the nodes.
        granted: replicas of the grant, within bounds.
        way: after this turn.
        goal: where it goes, within bounds.
        counts: replicas to ask for now.
        awaited: what of it waits for new nodes.
        detail: what is waited for, else empty.
        change: of a Deployment's form, else None.
        note: why a better form is not changed to, else empty.
    """

    grant: Grant | None
    granted: Counts
    way: Handover
    goal: Counts
    counts: Counts
    awaited: Awaited
    detail: str = ""
    change: FormChange | None = None
    note: str = ""


def course(found: Bid, shares: Shares | None, now_s: float) -> Course:
    """Where the app goes, and its next step; new pods are taken from what is left for others."""
    ground, claim = found.ground, found.claim
    asked, way = ground.asked, ground.way
    grant = shares.grants.get(claim.key) if shares else None
    if shares is None or grant is None:
        nothing = Awaited({}, ground.standings, ground.awaited)
        return Course(None, asked, way, ground.within(way.target), asked, nothing)
    granted: Counts = way.target
    if grant.reason is not GrantReason.DEMAND_UNKNOWN and not ground.returns:
        granted = ground.within(grant.counts)
        way = handover.toward(way, granted, now_s)
    ahead = newnodes.awaited(ground, claim, grant, shares.due, shares.stock, now_s)
    deadline_s = float(ground.spec.pending_deadline_seconds)
    way = handover.seen(way, ahead.standings, now_s, deadline_s)
    turned = _turned(found, granted, way, (shares, now_s))
    if turned.change is not None:
        return _changed(found, grant, granted, (turned, ahead, shares.stock))
    return _stepped(found, grant, granted, (turned, ahead, shares.stock))


def _turned(
    found: Bid, granted: Counts, way: Handover, given: tuple[Shares, float]
) -> forms.Turned:
    """Whether a Deployment takes another form: back, or to a better one where all may move."""
    (shares, now_s), ground = given, found.ground
    if not ground.forms:
        return forms.Turned(way)
    back = forms.returned(ground, way, shares.stock)
    if back is not None:
        return forms.Turned(way, back)
    may_move = found.may_raise and found.may_lower and found.claim.acts and not ground.fixed
    if not may_move:
        return forms.Turned(way)
    return forms.turned(ground, found.claim, granted, (way, shares.unpromised(), now_s))


def _changed(
    found: Bid, grant: Grant, granted: Counts, given: tuple[forms.Turned, Awaited, Stock]
) -> Course:
    """Nothing else moves at the turn at which a Deployment takes another form."""
    (turned, ahead, stock), ground = given, found.ground
    change, way = turned.change, turned.way
    assert change is not None
    counts = {**ground.asked, change.before: 0, change.after: change.replicas}
    if found.claim.acts:
        _take(found, counts, ground.standings, stock)
    target = ground.targets[change.before].target
    verb = "goes back" if change.came_from[0] == change.after else "changes"
    detail = f"{target} {verb} from {change.before} to {change.after} by its pod template"
    if not change.surges:
        detail += ", one old pod before each new one, as there is no room beside them"
    return Course(grant, granted, way, way.target, counts, ahead, detail, change)


def _stepped(
    found: Bid, grant: Grant, granted: Counts, given: tuple[forms.Turned, Awaited, Stock]
) -> Course:
    (turned, ahead, stock), ground = given, found.ground
    asked, standings = ground.asked, ahead.standings
    goal = newnodes.fitting(ground.within(turned.way.target), ground, grant, ahead)
    # While a Deployment replaces its pods more replicas would be more of the old ones, too.
    toward = {
        name: standings[name].asked if name in ground.changing else count
        for name, count in goal.items()
    }
    must = _must_serve(found, grant, goal)
    step = handover.step(ground.variants, standings, toward, must, stock)
    fits = {name: _allowed(found, standings[name].asked, n) for name, n in step.counts.items()}
    if found.claim.acts:
        _take(found, fits, standings, stock)
    counts = {name: _allowed(found, asked[name], n) for name, n in ahead.on_top_of(fits).items()}
    goal, detail = ahead.on_top_of(goal), step.detail
    return Course(grant, granted, turned.way, goal, counts, ahead, detail, note=turned.note)


def remembered(memory: AppMemory, found: Bid, taken: Course, now_s: float) -> AppMemory:
    """The memory after a turn; of an app that does not act no way is remembered."""
    known = memory.placing
    if known is None:
        return memory
    if not found.claim.acts:
        return replace(memory, placing=replace(known, handover=None, awaited=None))
    before, after = found.ground.way.target, taken.way.target
    # A change of form counts from when it was written.
    exchanges = taken.change is None and _exchanges(before, after)
    since_s = now_s if exchanges else known.since_s
    known = replace(known, handover=taken.way, awaited=taken.awaited.way, since_s=since_s)
    return replace(memory, placing=known)


def _must_serve(found: Bid, grant: Grant, goal: Counts) -> float | None:
    """What must stay served on the way: what is wanted, less what others were given."""
    wanted = found.claim.wanted
    if wanted is None or not grant.robbed:
        return wanted
    return min(wanted, found.ground.capacity(goal))


def _allowed(found: Bid, asked: int, count: int) -> int:
    if count > asked:
        return count if found.may_raise else asked
    return count if found.may_lower else asked


def _take(found: Bid, counts: Counts, standings: Mapping[str, Standing], stock: Stock) -> None:
    for one in sorted(found.ground.variants, key=lambda one: -one.capacity):
        for _ in range(counts[one.name] - standings[one.name].asked):
            stock.place(one.need)


def _exchanges(before: Counts, after: Counts) -> bool:
    """Whether one variant takes another's place: that begins a dwell, a mere raise does not."""
    moved = [after.get(name, 0) - before.get(name, 0) for name in {*before, *after}]
    return min(moved, default=0) < 0 < max(moved, default=0)
