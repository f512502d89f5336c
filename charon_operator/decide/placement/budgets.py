"""What PodDisruptionBudgets keep of an app's variants, told where it is more than would be left.

Reads: where an app goes, and what it claims. Gives: a `Clamp` a variant. Never: a word of a budget
that changes nothing: without it the same pods would stay.
"""

from dataclasses import replace

from charon_operator.decide.placement import mix
from charon_operator.decide.placement.bids import Bid
from charon_operator.decide.placement.course import Course
from charon_operator.decide.placement.mix import Aim
from charon_operator.model.decision import Clamp
from charon_operator.names import LimitName


def told(found: Bid, taken: Course) -> Bid:
    """The same, with what budgets keep among its limits."""
    clamps = (*found.limited.clamps, *_clamps(found, taken))
    return replace(found, limited=replace(found.limited, clamps=clamps))


def _clamps(found: Bid, taken: Course) -> list[Clamp]:
    ground, claim = found.ground, found.claim
    own = {one.name: one.least for one in ground.variants}
    kept = {name: n for name, n in ground.kept.items() if n > own[name] and n == taken.goal[name]}
    if not kept or claim.wanted is None or taken.grant is None:
        return []
    free = [replace(one, least=min(one.least, own[one.name])) for one in claim.variants]
    left = mix.chosen(
        free,
        Aim(claim.wanted, claim.quality),
        taken.goal,
        claim.since_s,
        found.situation.now_s,
        claim.patience,
    ).counts
    return [
        Clamp(
            LimitName.DISRUPTION_BUDGET,
            left[name],
            count,
            f"a PodDisruptionBudget keeps {count} of {name} available",
        )
        for name, count in kept.items()
        if left[name] < count
    ]
