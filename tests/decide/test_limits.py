"""Each limit on its own: what it changes, and the sentence it leaves."""

from dataclasses import replace
from typing import Any

import pytest

from charon_operator.decide import limits
from charon_operator.decide.situation import Situation
from charon_operator.decide.sizes import chains
from charon_operator.model.memory import Action, AppMemory
from charon_operator.model.quarantine import Quarantine
from charon_operator.model.reading import Missing, MissingReason
from charon_operator.model.workload import Rollout, Target
from charon_operator.names import LimitName
from tests.decide import build

NOW_S = 100_000.0
LONG_AGO_S = NOW_S - 50_000
MEMORY = AppMemory("uid", "target", first_seen_s=LONG_AGO_S, acted_at_s=LONG_AGO_S)
STALE = {"queued": Missing(MissingReason.STALE)}


def situation(
    current: int = 10,
    *,
    app: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
    memory: dict[str, Any] | None = None,
    cap: int = 1000,
    **changes: Any,
) -> Situation:
    spec = build.app(**(app or {})).spec
    high = min(spec.bounds.max, cap)
    whole = Situation(
        spec=spec,
        policy=build.policy(**(policy or {})).spec,
        workload=build.workload(current, **(target or {})),
        memory=replace(MEMORY, **(memory or {})),
        now_s=NOW_S,
        current=current,
        low=min(spec.bounds.min, high),
        high=high,
        missing={},
    )
    return replace(whole, **changes)


def lowered(ago_s: float) -> Action:
    return Action(NOW_S - ago_s, 5, 4)


REFUSED = Quarantine("Replicas", NOW_S + 60, 1, "PodsRefused", "only 6 could be made", level=6)
HOLD = {"name": "pause", "reason": "release"}
ROWS = [
    pytest.param(situation(), 15, 15, None, "", id="nothing in the way of a raise"),
    pytest.param(situation(), 5, 5, None, "", id="nothing in the way of a lowering"),
    pytest.param(
        situation(missing=STALE), 5, 10, "MetricsMissing", "queued (Stale)", id="missing: no lower"
    ),
    pytest.param(situation(missing=STALE), 15, 15, None, "", id="missing: raise all the same"),
    pytest.param(
        situation(unknown=("freshness",)), 5, 10, "MetricsMissing", "freshness", id="unknown"
    ),
    pytest.param(
        situation(memory={"refused": REFUSED}), 15, 6, "PodsRefused", "only 6", id="pods refused"
    ),
    pytest.param(
        situation(app={"replicas": {"min": 8, "max": 20}}, memory={"refused": REFUSED}),
        15,
        8,
        "PodsRefused",
        "only 6",
        id="pods refused, and more are the minimum",
    ),
    pytest.param(
        situation(memory={"refused": REFUSED}, unknown=("freshness",)),
        10,
        10,
        None,
        "",
        id="pods refused, and the demand is unknown",
    ),
    pytest.param(
        situation(memory={"refused": replace(REFUSED, until_s=NOW_S)}),
        15,
        15,
        None,
        "",
        id="pods refused, and it is time to try again",
    ),
    pytest.param(situation(blind=True), 5, 10, "BlindFleet", "monitoring", id="blind: no lower"),
    pytest.param(situation(blind=True), 15, 15, None, "", id="blind: raise all the same"),
    pytest.param(
        situation(policy={"lowering": {"cooldownSeconds": 60}}, memory={"acted_at_s": NOW_S - 59}),
        5,
        10,
        "LoweringCooldown",
        "59 s since the last change, lowered after 60 s",
        id="59 s after a change",
    ),
    pytest.param(
        situation(policy={"lowering": {"cooldownSeconds": 60}}, memory={"acted_at_s": NOW_S - 59}),
        15,
        15,
        None,
        "",
        id="cooldown never delays a raise",
    ),
    pytest.param(
        situation(policy={"lowering": {"cooldownSeconds": 60}}, memory={"acted_at_s": NOW_S - 60}),
        5,
        5,
        None,
        "",
        id="60 s after a change",
    ),
    pytest.param(
        situation(
            policy={"lowering": {"cooldownSeconds": 60}},
            memory={"acted_at_s": None, "first_seen_s": NOW_S - 10},
        ),
        5,
        10,
        "LoweringCooldown",
        "since the app was first seen",
        id="unknown last change: a full cooldown from first sight",
    ),
    pytest.param(
        situation(
            policy={"lowering": {"cooldownSeconds": 0, "maxPerHour": 2}},
            memory={"actions": (lowered(3000), lowered(10))},
        ),
        5,
        10,
        "LoweringsPerHour",
        "lowered 2 times in the last hour, 2 are allowed",
        id="twice in the hour",
    ),
    pytest.param(
        situation(
            policy={"lowering": {"cooldownSeconds": 0, "maxPerHour": 2}},
            memory={"actions": (lowered(3600), lowered(10))},
        ),
        5,
        5,
        None,
        "",
        id="an hour ago no longer counts",
    ),
    pytest.param(
        situation(
            policy={"lowering": {"cooldownSeconds": 0, "maxPerHour": 20}},
            memory={"counted_from_s": NOW_S - 1000, "actions": (lowered(179),)},
        ),
        5,
        10,
        "LoweringsPerHour",
        "180 s apart",
        id="after a restart lowerings are spaced",
    ),
    pytest.param(
        situation(target={"ready": 7}), 5, 7, "PodsWarming", "7 of 10", id="down to the ready"
    ),
    pytest.param(situation(target={"ready": 7}), 8, 8, None, "", id="starts may be cancelled"),
    pytest.param(situation(target={"ready": 7}), 15, 15, None, "", id="warming: raise"),
    pytest.param(
        situation(target={"ready": 7, "target": Target("StatefulSet", "workload", "consumer")}),
        8,
        10,
        "PodsWarming",
        "a StatefulSet is not lowered",
        id="a StatefulSet takes the highest ordinals: it waits",
    ),
    pytest.param(
        situation(target={"rollout": Rollout.IN_FLIGHT, "updated": 3}),
        5,
        10,
        "RolloutInFlight",
        "3 of 10 pods updated",
        id="rollout: no lower",
    ),
    pytest.param(
        situation(target={"rollout": Rollout.STUCK}), 5, 10, "RolloutInFlight", "stuck", id="stuck"
    ),
    pytest.param(
        situation(target={"rollout": Rollout.IN_FLIGHT}), 15, 15, None, "", id="rollout: raise"
    ),
    pytest.param(
        situation(target={"generation": 7, "observed_generation": 6}),
        5,
        10,
        "RolloutInFlight",
        "generation 6 of 7",
        id="target not yet seen by its controller",
    ),
    pytest.param(
        situation(target={"min_available": 8}), 5, 8, "PodDisruptionBudget", "keeps 8", id="budget"
    ),
    pytest.param(
        situation(target={"min_available": 12}),
        5,
        10,
        "PodDisruptionBudget",
        "keeps 12",
        id="a budget above what is there raises nothing",
    ),
    pytest.param(situation(), 99, 50, "Bounds", "between 1 and 50", id="maximum"),
    pytest.param(
        situation(app={"replicas": {"min": 3, "max": 50}}),
        0,
        3,
        "Bounds",
        "between 3",
        id="minimum",
    ),
    pytest.param(situation(cap=12), 99, 12, "Bounds", "and 12", id="operator's own maximum"),
    pytest.param(
        situation(cap=5, app={"replicas": {"min": 7, "max": 9}}),
        8,
        5,
        "Bounds",
        "between 5 and 5",
        id="the operator's maximum beats the app's minimum",
    ),
    pytest.param(
        situation(app={"replicas": {"min": 1, "max": 6}}), 9, 6, "Bounds", "", id="above maximum"
    ),
    pytest.param(
        situation(app={"replicas": {"min": 1, "max": 6}}, missing=STALE),
        99,
        10,
        "Bounds",
        "forbids to go below 10",
        id="a smaller maximum waits for metrics",
    ),
    pytest.param(
        situation(app={"holds": [{**HOLD, "direction": "Up"}]}),
        15,
        10,
        "Hold",
        "paused at 10 by hold pause (release)",
        id="hold Up stops a raise",
    ),
    pytest.param(
        situation(app={"holds": [{**HOLD, "direction": "Up"}]}), 5, 5, None, "", id="not a lowering"
    ),
    pytest.param(
        situation(app={"holds": [{**HOLD, "direction": "Down"}]}), 5, 10, "Hold", "", id="hold Down"
    ),
    pytest.param(
        situation(app={"holds": [{**HOLD, "direction": "Down"}]}), 15, 15, None, "", id="may raise"
    ),
    pytest.param(
        situation(app={"holds": [{**HOLD, "direction": "sideways"}]}),
        15,
        10,
        "Hold",
        "",
        id="a hold that cannot be read stops everything",
    ),
    pytest.param(
        situation(app={"holds": [{**HOLD, "until": "1970-01-02T00:00:00Z"}]}),
        15,
        15,
        None,
        "",
        id="a hold that is over",
    ),
    pytest.param(
        situation(2, app={"replicas": {"min": 3, "max": 5}, "holds": [HOLD]}),
        4,
        2,
        "Hold",
        "",
        id="a hold stops even the way into the bounds",
    ),
]


@pytest.mark.parametrize(("given", "wanted", "final", "limit", "words"), ROWS)
def test_limit_changes_the_wish_and_says_why(
    given: Situation, wanted: int, final: int, limit: str | None, words: str
) -> None:
    limited = limits.apply(given, wanted)
    assert limited.final == final
    assert [clamp.limit for clamp in limited.clamps][-1:] == ([limit] if limit else [])
    if limit:
        assert words in limited.clamps[-1].detail
        assert limited.clamps[-1].after == final


def test_limits_apply_in_the_order_of_their_names() -> None:
    for chain in (limits.CHAIN, chains.SIZE, chains.MEMORY):
        order = [name for name, _ in chain]
        assert order == [name for name in LimitName if name in order]
    assert {name for name, _ in (*limits.CHAIN, *chains.SIZE)} == set(LimitName)


def test_fallback_raises_only_after_its_time() -> None:
    rule = {"fallback": {"afterSeconds": 60, "strategy": "AtLeast", "replicas": 12}}
    lost = {"lost_at_s": NOW_S - 60}
    ready = situation(policy=rule, memory=lost, unknown=("freshness",))
    assert limits.apply(ready, 10).final == 12
    assert limits.apply(ready, 10).clamps[0].limit == "Fallback"
    early = situation(policy=rule, memory={"lost_at_s": NOW_S - 59}, unknown=("freshness",))
    assert limits.apply(early, 10).final == 10
    more = situation(20, policy=rule, memory=lost, unknown=("freshness",))
    assert limits.apply(more, 20).final == 20


def test_clamps_form_a_chain_from_the_wish_to_the_end() -> None:
    given = situation(
        policy={"behavior": {}}, target={"min_available": 9}, app={"replicas": {"min": 1, "max": 8}}
    )
    limited = limits.apply(given, 99)
    steps = [(clamp.limit, clamp.before, clamp.after) for clamp in limited.clamps]
    assert steps == [("ScaleUpPolicy", 99, 20), ("Bounds", 20, 10)]
    assert limited.final == 10
