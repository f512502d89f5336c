"""Whether a Deployment that may run as several variants becomes another one of them now.

Reads: how its variants stand, what the app was granted, what is left. Gives: a `Turned` with the
change, or why there is none. Never: a change at start-up, within the dwell, while anything is on
its way, or for room that others hold or were granted.

A Deployment whose replicas change together with its template scales its old pods first: it would
end some before any new one comes, or make more of those that are to go. So a change keeps the
replicas that there are; once all pods are new, the way goes on to as many as are wanted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from charon_operator.decide.placement import handover, mix
from charon_operator.decide.placement.inventory import Stock
from charon_operator.decide.placement.mix import Aim, Mix
from charon_operator.decide.placement.variants import Forms, Ground
from charon_operator.model.claim import Claim, Counts, Handover, Patience, Variant
from charon_operator.model.gpu import Amounts
from charon_operator.model.placing import FormChange

# Coming nearer by less than this is not worth a rollout.
_NEAR: Final = 0.03
_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Turned:
    """What comes of it.

    Attributes:
        way: after it; as it was where nothing changes.
        note: why a better form is not changed to, and what to set; else empty.
    """

    way: Handover
    change: FormChange | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A form that is better than what there is, and the mix that it is part of.

    Attributes:
        fits: pods of the form that may be there once all pods of the live one are gone.
        rank: the least comes first: what reaches the aim, what serves more, what costs less.
    """

    forms: Forms
    form: Variant
    best: Mix
    fits: int
    rank: tuple[bool, float, float]


def returned(ground: Ground, way: Handover, stock: Stock) -> FormChange | None:
    """The change back to where a way began, once what it went to did not come about."""
    for one in ground.forms:
        for home in one.others:
            replicas = way.target.get(home.name, 0)
            if replicas:
                target = ground.targets[one.live]
                kept = target.current - target.updated >= replicas
                surges = kept or _surges(ground, one, home, replicas, stock) is True
                # It comes from itself: from here there is nothing to go back to.
                return FormChange(one.live, home.name, replicas, surges, (home.name, replicas))
    return None


def turned(
    ground: Ground, claim: Claim, granted: Counts, given: tuple[Handover, Stock, float]
) -> Turned:
    """Change a form if that serves more of what is wanted, or the same for less.

    Args:
        ground: how the variants stand.
        claim: of the app.
        granted: replicas of each variant without a change.
        given: the way, what no app holds or was granted, and seconds since 1970.
    """
    way, stock, now_s = given
    if not _is_ripe(ground, claim, way, now_s):
        return Turned(way)
    note = ""
    for plan in sorted(_plans(ground, claim, granted, given), key=lambda one: one.rank):
        live, replicas = plan.forms.live, ground.asked[plan.forms.live]
        surges = _surges(ground, plan.forms, plan.form, replicas, stock)
        why = _why_not(ground, claim, plan) or _kept(ground, live, surges)
        if surges is not None and not why:
            change = FormChange(live, plan.form.name, replicas, surges, (live, replicas))
            target = {**dict.fromkeys(ground.asked, 0), **plan.best.counts}
            return Turned(replace(way, target=target, stuck_since_s=None), change)
        why = why or f"no node has room for a pod of it, even with one of {live} gone"
        note = note or f"{ground.targets[live].target} would become {plan.form.name}, but {why}"
    return Turned(way, note=note)


def _is_ripe(ground: Ground, claim: Claim, way: Handover, now_s: float) -> bool:
    """Whether nothing is on its way, and the mix has stood for its dwell."""
    since_s, dwell_s = claim.since_s, ground.spec.min_dwell_seconds
    if since_s is None or now_s <= since_s or now_s - since_s < dwell_s:
        return False
    return claim.wanted is not None and handover.rests(way, ground.standings)


def _plans(
    ground: Ground, claim: Claim, granted: Counts, given: tuple[Handover, Stock, float]
) -> Iterator[_Plan]:
    """Every form that is better than what was granted."""
    way, stock, now_s = given
    aim = Aim(claim.wanted or 0.0, claim.quality)
    present = mix.mix(ground.variants, granted, aim)
    for forms in ground.forms:
        for form in forms.others:
            if now_s < way.retry_at_s and (way.failed or {}).get(form.name):
                continue
            fits = _instead(ground, forms.live, form, stock)
            hoped = [
                one.within(granted[one.name]) for one in ground.variants if one.name != forms.live
            ]
            best = mix.cheapest([*(one for one in hoped if one.name != form.name),
                                 form.within(fits)], aim)  # fmt: skip
            runs = best.counts[form.name] and fits >= form.least
            if runs and _is_better(ground, best, present, aim):
                rank = (not best.reaches, -_served(best, aim), best.cost)
                yield _Plan(forms, form, best, fits, rank)


def _is_better(ground: Ground, best: Mix, present: Mix, aim: Aim) -> bool:
    if present.reaches:
        patience = Patience(ground.spec.saving_percent / 100)
        return best.reaches and mix.saves(best, present, patience)
    if best.reaches:
        return True
    margin = replace(best, capacity=best.capacity * (1 - _NEAR))
    return mix.nearness(margin, aim) > mix.nearness(present, aim)


def _served(found: Mix, aim: Aim) -> float:
    return min(found.capacity, aim.wanted)


def _instead(ground: Ground, live: str, form: Variant, stock: Stock) -> int:
    """How many pods of a form fit once all pods of the live one are gone."""
    emptied = stock.copy()
    for node in ground.standings[live].holding.nodes:
        emptied.put(node, _needs(ground, live), -1)
    return _room(emptied, form, form.most)


def _room(stock: Stock, form: Variant, most: int) -> int:
    """How many of so many pods fit; they are put in."""
    return sum(stock.place(form.need) is not None for _ in range(most))


def _why_not(ground: Ground, claim: Claim, plan: _Plan) -> str:
    """Why a better form cannot be changed to as things stand, and what to set; else empty."""
    shape, replicas = plan.forms.shape, ground.asked[plan.forms.live]
    if shape.paused:
        return "its rollouts are paused: set spec.paused to false"
    if not shape.rolls and replicas:
        return (
            "its strategy Recreate ends all pods at once: set spec.strategy.type to RollingUpdate"
        )
    if plan.fits < replicas:
        return (
            f"not as many pods of it fit, or are allowed by its replicas.max, as there are of "
            f"{plan.forms.live}"
        )
    there = ground.capacity(ground.asked)
    came = ground.capacity({**ground.asked, plan.forms.live: 0, plan.form.name: replicas})
    if came < min(there, claim.wanted or 0.0) * (1 - _SLACK):
        return f"as many pods of it as there are of {plan.forms.live} serve less than is wanted"
    return ""


def _kept(ground: Ground, live: str, surges: bool | None) -> str:
    """Why no pod may go before its successor comes, else empty: a rollout asks no budget."""
    least, replicas = ground.targets[live].min_available, ground.asked[live]
    if surges is not False or least is None or replicas > least:
        return ""
    return f"a PodDisruptionBudget keeps {least} available, and no new pod fits beside them"


def _surges(
    ground: Ground, forms: Forms, form: Variant, replicas: int, stock: Stock
) -> bool | None:
    """Whether new pods come first, as the strategy has it; False: one old pod goes first.

    None: not even then does one fit. Which pod goes is not ours to say, so any must do.
    """
    extra = forms.shape.surging(replicas)
    if not replicas or (extra and _room(stock.copy(), form, extra) == extra):
        return True
    emptied, needs = stock.copy(), _needs(ground, forms.live)
    for node in ground.standings[forms.live].holding.nodes:
        emptied.put(node, needs, -1)
        fits = any(emptied.room(at, form.need.requests) for at in emptied.candidates(form.need))
        emptied.put(node, needs)
        if not fits:
            return None
    # A strategy without a surge is as it should be.
    return not extra


def _needs(ground: Ground, name: str) -> Amounts:
    return next(one.need.requests for one in ground.variants if one.name == name)
