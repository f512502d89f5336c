"""The status of a ChargedApp: composed from a turn, written when a state changes.

Reads: a `Standing` and the status as it is. Gives: the status as it should be, and the smallest
merge patch that is worth a write, or None. Never: a write because a number moved within its band.
"""

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from charon_operator.model import quantity
from charon_operator.model.app import ChargedApp
from charon_operator.model.body import meta_time, micro_time
from charon_operator.model.decision import Decision
from charon_operator.model.facts import ObjectiveState
from charon_operator.model.placing import Placing
from charon_operator.model.sizes import Size
from charon_operator.model.workload import Workload
from charon_operator.names import ConditionType, Reason
from charon_operator.record import conditions
from charon_operator.record.conditions import Aspect, Standing

Json = dict[str, Any]
Status = Mapping[str, Any]

# What only refines a state that is already told (bands, words, counts) may wait this long.
SOFT_INTERVAL_S: Final = 60.0
# Pods that come and go change nothing but `Actuating`; not every probe that fails is a write.
_PODS_INTERVAL_S: Final = 10.0
_BAND_PERCENT: Final = 10
# A window fills up slowly after the start: none, half, all of it is what matters to anybody.
_COVERAGE_BAND_PERCENT: Final = 50
# An objective that was missed a thousandfold is not more missed at each further percent.
_LOWEST_PERCENT: Final = -1000
_MOVES: Final = (Reason.RAISED.value, Reason.LOWERED.value, Reason.EXCHANGED.value)
# Of an app for which one of these is said of Actuating, a move is told and not made.
_NOT_MADE: Final = (Reason.ADVISING.value, Reason.FORCED_ADVISORY.value)
# What is served and wanted, which changes with the load: `640 of 812.5 units a second`.
_UNITS: Final = re.compile(r"\S+(?: of \S+)?(?= (?:units )?a second)")
# Between these the pods are on their way; telling the difference is not worth a write of its own.
_ON_THE_WAY: Final = (Reason.WRITING.value, Reason.WAITING_FOR_PODS.value)


def compose(standing: Standing, previous: Status, now_s: float) -> Json:
    """The status as it should be after a turn.

    Args:
        standing: the app after the turn.
        previous: its status as last written or seen; it may be forged, so only times and the last
            decision are carried over, if they have the right form.
        now_s: seconds since 1970.
    """
    outcome, facts = standing.outcome, standing.facts
    conflict, placement = outcome.conflict, _placement(standing, previous)
    found = conditions.dated(
        _in_its_words(conditions.aspects(standing), outcome.placing, placement),
        _items(previous, "conditions"),
        outcome.generation,
        meta_time(now_s),
    )
    decision, workload = outcome.decision, facts.workload
    replicas = None
    if isinstance(workload, Workload):
        replicas = {"current": workload.replicas, "desired": decision.final}
    return {
        "observedGeneration": outcome.generation,
        "conditions": found,
        "objectives": _objectives(outcome.objectives, _items(previous, "objectives")),
        "replicas": replicas,
        "resources": _resources(standing, previous.get("resources")),
        "placement": placement,
        "pendingAction": None,
        "lastDecision": _last_decision(standing, previous.get("lastDecision"), now_s),
        "conflicts": []
        if conflict is None
        else [{"manager": conflict.manager, "field": conflict.field}],
    }


def intent(standing: Standing, previous: Status, now_s: float) -> Json:
    """The status that announces a move, before it is made."""
    decision = standing.outcome.decision
    return {
        **compose(standing, previous, now_s),
        "pendingAction": {
            "id": decision.decision_id,
            "knob": decision.knob,
            "from": decision.current,
            "to": decision.final,
            "time": micro_time(now_s),
        },
        "lastDecision": _decided(decision, now_s),
    }


def patch(previous: Status, wanted: Json, since_last_s: float) -> Json | None:
    """The smallest merge patch that is worth a write now, or None.

    Args:
        previous: the status as last written or seen.
        wanted: as composed.
        since_last_s: seconds since the last write of this status.
    """
    changed = changes(previous, wanted)
    if not changed:
        return None
    if since_last_s >= SOFT_INTERVAL_S or _state(previous) != _state(wanted):
        return changed
    if since_last_s >= _PODS_INTERVAL_S and _pods(previous) != _pods(wanted):
        return changed
    return None


def changes(previous: Status, wanted: Json) -> Json:
    """Every top-level field that differs; empty and absent are the same."""
    return {
        name: value
        for name, value in wanted.items()
        if (value or None) != (previous.get(name) or None)
    }


def merged(previous: Status, patched: Status) -> Json:
    """The status after a merge patch of top-level fields."""
    return {name: value for name, value in {**previous, **patched}.items() if value is not None}


def _state(status: Status) -> tuple[object, ...]:
    """What has to be told at once."""
    told = tuple(
        (item.get("type"), item.get("status"), item.get("reason"), item.get("observedGeneration"))
        for item in _items(status, "conditions")
        if item.get("type") != ConditionType.ACTUATING
    )
    # A size that is wanted outlives a restart only in the status, so it is told before it is given.
    found = status.get("resources")
    size = [found.get(name) for name in ("cpu", "memory")] if isinstance(found, Mapping) else None
    generation, conflicts = status.get("observedGeneration"), status.get("conflicts") or None
    return generation, told, conflicts, size, _step(status)


def _step(status: Status) -> tuple[object, ...]:
    """The replicas of variants, and the last step between them: no intent tells it before."""
    placement, decision = status.get("placement"), status.get("lastDecision")
    if not isinstance(placement, Mapping):
        return ()
    asked = tuple((one.get("name"), one.get("asked")) for one in _items(placement, "variants"))
    advises = any(
        item.get("type") == ConditionType.ACTUATING and item.get("reason") in _NOT_MADE
        for item in _items(status, "conditions")
    )
    if not isinstance(decision, Mapping) or status.get("conflicts") or advises:
        return (asked,)
    return asked, decision.get("decisionId") if decision.get("reason") in _MOVES else None


def _pods(status: Status) -> tuple[object, ...]:
    """How the target stands; pods on their way are one state, an intent still told another."""
    actuating = tuple(
        (item.get("status"), None if item.get("reason") in _ON_THE_WAY else item.get("reason"))
        for item in _items(status, "conditions")
        if item.get("type") == ConditionType.ACTUATING
    )
    return bool(status.get("pendingAction")), actuating


def _resources(standing: Standing, before: Any) -> Any:
    """The size pods are meant to have; what is not known at this turn is told as it was."""
    app, resize = standing.facts.app, standing.outcome.resize
    if not isinstance(app, ChargedApp) or app.spec.sized is None:
        return None
    sizes = standing.facts.sizes
    if sizes is None or resize is None or resize.final is None:
        return before
    pods, settled = conditions.sized_pods(standing)
    # What only would be wanted of an app that does not act is no size that pods were given.
    meant = resize.final if resize.acts else resize.current
    return {
        "container": resize.container,
        **_size(meant or Size()),
        "template": _size(sizes.template),
        "pods": pods,
        "settled": settled,
    }


def _size(size: Size) -> Json:
    found = {}
    if size.cpu_m is not None:
        found["cpu"] = quantity.render_cpu(size.cpu_m)
    if size.memory_b is not None:
        found["memory"] = quantity.render_memory(size.memory_b)
    return found


def _placement(standing: Standing, previous: Status) -> Any:
    """How the variants stand; what is not known at this turn is told as it was."""
    app, placing, before = standing.facts.app, standing.outcome.placing, previous.get("placement")
    if not isinstance(app, ChargedApp) or app.spec.placement is None:
        return None
    if placing is None:
        return before
    told = ("name", "asked", "ready", "waiting", "goal")
    found: Json = {
        "variants": [{name: getattr(one, name) for name in told} for one in placing.variants],
        "capacity": quantity.render(round(placing.capacity, 3)),
        "reason": str(placing.reason),
        "message": placing.message,
    }
    if placing.wanted is not None:
        found["wanted"] = quantity.render(round(placing.wanted, 3))
    same = previous.get("observedGeneration") == standing.outcome.generation
    return before if same and _stands_the_same(before, found) else found


def _stands_the_same(before: Any, found: Json) -> bool:
    """Whether nothing but the units a second is another."""
    if not isinstance(before, Mapping) or ("wanted" in before) != ("wanted" in found):
        return False
    words = _UNITS.sub("", str(before.get("message"))) == _UNITS.sub("", found["message"])
    return words and all(before.get(name) == found[name] for name in ("variants", "reason"))


def _in_its_words(
    found: Sequence[Aspect], placing: Placing | None, placement: Any
) -> Iterator[Aspect]:
    """The aspects; that of the variants says what is said beside their counts."""
    for aspect in found:
        if placing is not None and aspect.kind is ConditionType.PLACEMENT_FEASIBLE:
            yield dataclasses.replace(aspect, message=placement["message"])
        else:
            yield aspect


def _last_decision(standing: Standing, before: Any, now_s: float) -> Any:
    decision = standing.outcome.decision
    known: Mapping[str, Any] = before if isinstance(before, Mapping) else {}
    # A move is told by its intent, but for a step between variants, which has none.
    told_before = decision.moves and standing.outcome.placing is None
    if standing.outcome.problem is not None or told_before:
        return before
    # What stands behind the present count is kept until something else does.
    if known and decision.reason is Reason.UNCHANGED:
        return before
    found = _decided(decision, now_s)
    told = ("reason", "to", "limitedBy") if decision.reason in _MOVES else ("reason", "limitedBy")
    same = bool(known) and all(known.get(name) == found[name] for name in told)
    return before if same else found


def _decided(decision: Decision, now_s: float) -> Json:
    found: Json = {
        "time": micro_time(now_s),
        "decisionId": decision.decision_id,
        "knob": decision.knob,
        "from": decision.current,
        "to": decision.final,
        "reason": decision.reason.value,
        "message": decision.message,
        "limitedBy": list(dict.fromkeys(str(clamp.limit) for clamp in decision.clamps)),
    }
    # An absent key is kept by a merge patch, so the last decision is always told whole.
    return {**found, "raw": decision.raw}


def _objectives(
    states: Sequence[ObjectiveState], previous: Sequence[Mapping[str, Any]]
) -> list[Json]:
    before = {str(item.get("name")): item for item in previous}
    return [_objective(state, before.get(state.name)) for state in states]


def _objective(state: ObjectiveState, before: Mapping[str, Any] | None) -> Json:
    found = {
        "name": state.name,
        "state": state.verdict.value,
        "coverage": str(_band(state.coverage, _COVERAGE_BAND_PERCENT)),
    }
    if state.budget_remaining is not None:
        found["budgetRemaining"] = str(_band(state.budget_remaining, _BAND_PERCENT))
    same = before is not None and all(before.get(name) == told for name, told in found.items())
    if (
        same
        and before is not None
        and ("budgetRemaining" in before) == ("budgetRemaining" in found)
    ):
        return dict(before)
    if state.attainment is not None:
        found["attainment"] = f"{100 * state.attainment:.2f}"
    return found


def _band(share: float, width_percent: int) -> int:
    """Percent, rounded down to its band."""
    # A share such as 0.3 is a little less than three bands of 0.1 in binary.
    percent = math.floor(100 * share / width_percent + 1e-9) * width_percent
    return max(_LOWEST_PERCENT, percent)


def _items(status: Status, name: str) -> list[Mapping[str, Any]]:
    found = status.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
