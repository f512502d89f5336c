"""How fast replicas may change: `behavior` of HPA v2, to the letter.

Reads: rules, the recommendations and actions that are remembered. Gives: floors and ceilings.
Never: a rule of our own (those are in `limits`).

Source: k8s.io/kubernetes v1.34 pkg/controller/podautoscaler/horizontal.go
(stabilizeRecommendationWithBehaviors, calculateScaleUpLimitWithScalingRules,
calculateScaleDownLimitWithBehaviors), defaults of pkg/apis/autoscaling/v2/defaults.go.
"""

import math
from collections.abc import Sequence
from typing import Final

from charon_operator.model.memory import Action, Recommendation
from charon_operator.model.policy import PolicyType, ScalingPolicy, ScalingRules, SelectPolicy

UP_WINDOW_S: Final = 0
DOWN_WINDOW_S: Final = 300
UP_POLICIES: Final = (
    ScalingPolicy(type=PolicyType.PODS, value=4, period_seconds=15),
    ScalingPolicy(type=PolicyType.PERCENT, value=100, period_seconds=15),
)
DOWN_POLICIES: Final = (ScalingPolicy(type=PolicyType.PERCENT, value=100, period_seconds=15),)


def window_s(rules: ScalingRules, default_s: int) -> int:
    """The stabilisation window in seconds."""
    given = rules.stabilization_window_seconds
    return default_s if given is None else given


def smallest_within(
    history: Sequence[Recommendation], wanted: int, now_s: float, within_s: float
) -> int:
    """The smallest recommendation of the window, this one included."""
    since_s = now_s - within_s
    return min([wanted, *(past.replicas for past in history if past.time_s > since_s)])


def largest_within(
    history: Sequence[Recommendation], wanted: int, now_s: float, within_s: float
) -> int:
    """The largest recommendation of the window, this one included."""
    since_s = now_s - within_s
    return max([wanted, *(past.replicas for past in history if past.time_s > since_s)])


def most(rules: ScalingRules, current: int, actions: Sequence[Action], now_s: float) -> int:
    """The most replicas the policies for raising allow; never below `current`."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return current
    limits = [
        _raised(policy, _period_start(policy, current, actions, now_s))
        for policy in rules.policies or UP_POLICIES
    ]
    chosen = min(limits) if rules.select_policy is SelectPolicy.MIN else max(limits)
    return max(chosen, current)


def least(rules: ScalingRules, current: int, actions: Sequence[Action], now_s: float) -> int:
    """The fewest replicas the policies for lowering allow; never above `current`."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return current
    limits = [
        _lowered(policy, _period_start(policy, current, actions, now_s))
        for policy in rules.policies or DOWN_POLICIES
    ]
    chosen = max(limits) if rules.select_policy is SelectPolicy.MIN else min(limits)
    return min(chosen, current)


def _period_start(
    policy: ScalingPolicy, current: int, actions: Sequence[Action], now_s: float
) -> int:
    since_s = now_s - policy.period_seconds
    # A change that the target does not show is in `current` neither.
    made = [item for item in actions if item.time_s > since_s and item.stood_on is None]
    return current - sum(item.to - item.start for item in made)


def _raised(policy: ScalingPolicy, start: int) -> int:
    if policy.type is PolicyType.PODS:
        return start + policy.value
    # In floating point as the HPA does it: 10 % more than 100 is 111.
    return math.ceil(start * (1 + policy.value / 100))


def _lowered(policy: ScalingPolicy, start: int) -> int:
    if policy.type is PolicyType.PODS:
        return start - policy.value
    return math.trunc(start * (1 - policy.value / 100))
