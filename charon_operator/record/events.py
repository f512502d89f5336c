"""Events on a ChargedApp: told when a state changes, once, and not faster than anybody can read.

Reads: conditions before and after, writes. Gives: the Events worth posting. Never: the same one
again within a while, nor a flood.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from charon_operator.model.decision import Decision
from charon_operator.model.facts import Outcome
from charon_operator.model.workload import Key
from charon_operator.names import ConditionType, EventReason, Reason
from charon_operator.ports import Event
from charon_operator.record.conditions import FALSE, TRUE

# (condition, status it changed to) -> (reason, warning)
_TOLD: Final[Mapping[tuple[str, str], tuple[EventReason, bool]]] = {
    (ConditionType.METRICS_HEALTHY, FALSE): (EventReason.METRICS_MISSING, True),
    (ConditionType.METRICS_HEALTHY, TRUE): (EventReason.METRICS_RECOVERED, False),
    (ConditionType.OWNERSHIP_CONFLICT, TRUE): (EventReason.CONFLICT, True),
}
_SAME_WITHIN_S: Final = 600.0
_REMEMBERED: Final = 4096


def of_changes(
    outcome: Outcome, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[Event]:
    """Events of conditions that changed. Without conditions before, only bad news is news."""
    known = {str(item.get("type")): item.get("status") for item in before}
    found = []
    for item in after:
        told = _TOLD.get((item["type"], item["status"]))
        if told is None or known.get(item["type"]) == item["status"]:
            continue
        reason, warning = told
        # Healthy at first sight is no recovery.
        if warning or known.get(item["type"]) == FALSE:
            found.append(_event(outcome.key, outcome.uid, reason, item["message"], warning))
    return found + _invalid(outcome, known) + _rolled_back(outcome, before, after)


def _invalid(outcome: Outcome, known: Mapping[str, Any]) -> list[Event]:
    problem = outcome.problem
    if problem is None or known.get(ConditionType.READY) == FALSE:
        return []
    text = f"{problem.field}: {problem.message}"
    return [_event(outcome.key, outcome.uid, EventReason.INVALID, text, True)]


def _rolled_back(
    outcome: Outcome, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[Event]:
    """Pods of a variant waited too long: told by the reason, as the status may be no other one."""
    kind, reason = ConditionType.PLACEMENT_FEASIBLE, Reason.ROLLED_BACK
    if any(item.get("type") == kind and item.get("reason") == reason for item in before):
        return []
    return [
        _event(outcome.key, outcome.uid, EventReason.ROLLED_BACK, item["message"], True)
        for item in after
        if item["type"] == kind and item["reason"] == reason
    ]


def scaled(outcome: Outcome) -> Event:
    """The Event of a write that was made."""
    message = f"{outcome.decision.message} (decision {outcome.decision.decision_id})"
    return _event(outcome.key, outcome.uid, EventReason.SCALED, message, False)


def resized(outcome: Outcome) -> Event | None:
    """The Event of a size that was written to pods; None of an app whose pods are not resized."""
    resize = outcome.resize
    if resize is None:
        return None
    message = f"{resize.message} (decision {resize.decision_id})"
    return _event(outcome.key, outcome.uid, EventReason.RESIZED, message, False)


def placed(outcome: Outcome) -> Event:
    """The Event of a step between variants that was made."""
    message = f"{outcome.decision.message} (decision {outcome.decision.decision_id})"
    return _event(outcome.key, outcome.uid, EventReason.PLACED, message, False)


def refused(outcome: Outcome, decision: Decision, detail: str) -> Event:
    """The Event of a write that was refused."""
    message = f"{decision.knob} {decision.current} -> {decision.final} was refused: {detail}"
    return _event(outcome.key, outcome.uid, EventReason.WRITE_REFUSED, message, True)


class Gate:
    """Lets an Event pass unless it was told lately or there are too many.

    Args:
        rate_per_s: how many pass in the long run.
        burst: how many may pass at once.
    """

    def __init__(self, rate_per_s: float = 5.0, burst: int = 50) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled_at_s: float | None = None
        self._told: dict[tuple[str, str, str], float] = {}

    def admits(self, event: Event, now_s: float) -> bool:
        """Whether to post it.

        Args:
            event: the event.
            now_s: monotonic.
        """
        name = (event.app_uid, event.reason, event.message)
        told_at_s = self._told.get(name)
        if told_at_s is not None and now_s - told_at_s < _SAME_WITHIN_S:
            return False
        if self._filled_at_s is not None:
            gained = (now_s - self._filled_at_s) * self._rate_per_s
            self._tokens = min(self._burst, self._tokens + gained)
        self._filled_at_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        self._told.pop(name, None)
        self._told[name] = now_s
        while len(self._told) > _REMEMBERED:
            self._told.pop(next(iter(self._told)))
        return True


def _event(key: Key, uid: str, reason: EventReason, message: str, warning: bool) -> Event:
    return Event(key, uid, reason.value, message, warning)
