"""Conditions of a ChargedApp: what a turn found, in the words of the API.

Reads: facts and outcome of one app, and the conditions it has. Gives: the conditions it should
have. Never: a number that changes from turn to turn in a message (every change is a write).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from charon_operator.model.app import Actuation, ChargedApp, Mode
from charon_operator.model.decision import Resize
from charon_operator.model.facts import AppFacts, ObjectiveVerdict, Outcome
from charon_operator.model.reading import Missing, MissingReason
from charon_operator.model.sizes import Resizing, Size, SizedPod
from charon_operator.model.workload import Workload
from charon_operator.names import ConditionType, Reason

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
_REMEDIES: Final[Mapping[MissingReason, str]] = {
    MissingReason.NO_DATA: "check that the query finds series of this namespace",
    MissingReason.STALE: "see to what exports or scrapes it, or raise maxSampleAgeSeconds",
    MissingReason.NOT_A_NUMBER: "keep the query from dividing by zero",
    MissingReason.MANY_SERIES: "aggregate it, as sum(...)",
    MissingReason.LOW_COVERAGE: "see to the pods without fresh series, or set coverage: None",
    MissingReason.QUERY_FAILED: "mend the query, or see to Mimir where others fail, too",
    MissingReason.TIMEOUT: "ask for less, as by a recording rule, or see to Mimir",
}
# How a query's failure begins when the store itself speaks of that query.
_STORE_SAYS: Final = re.compile(r"(?:HTTP \d+|the store warns): (.*\S)", re.DOTALL)
# Numbers and the series that happen to be named differ from turn to turn.
_VARYING: Final = re.compile(r"\{[^{}]*(?:\}|$)|\S*\d\S*")
_WORDS_CHARS: Final = 120
FAILED_RESIZES: Final = (
    Reason.RESIZE_DEFERRED,
    Reason.RESIZE_INFEASIBLE,
    Reason.RESIZE_FAILED,
    Reason.RESIZE_REFUSED,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """One app after a turn.

    Attributes:
        refused: why the last write was refused, in the API server's words; else empty.
        writing: an intent to move is being written at this moment.
    """

    facts: AppFacts
    outcome: Outcome
    refused: str = ""
    writing: bool = False


@dataclass(frozen=True, slots=True)
class Aspect:
    """One condition, without its times; `reason` is a Reason, a GrantReason or a Shortage."""

    kind: ConditionType
    status: str
    reason: str
    message: str


def aspects(standing: Standing) -> tuple[Aspect, ...]:
    """All conditions; `Ready` sums up the others but for the objectives, sizes and variants."""
    others = (_metrics(standing), _objectives(standing), _actuating(standing), _owner(standing))
    return (_ready(standing, others), *others, *_resizes(standing), *_placement(standing))


def dated(
    found: Iterable[Aspect],
    previous: Sequence[Mapping[str, Any]],
    generation: int,
    now: str,
) -> list[dict[str, Any]]:
    """Conditions with times: a transition is a change of status, not of reason or message.

    Args:
        found: the aspects.
        previous: conditions as they are in the status.
        generation: of the spec they speak of.
        now: RFC 3339.
    """
    before = {str(item.get("type")): item for item in previous}
    return [_dated(aspect, before.get(aspect.kind), generation, now) for aspect in found]


def _dated(
    aspect: Aspect, before: Mapping[str, Any] | None, generation: int, now: str
) -> dict[str, Any]:
    since = before.get("lastTransitionTime") if before else None
    kept = before is not None and before.get("status") == aspect.status and isinstance(since, str)
    return {
        "type": aspect.kind.value,
        "status": aspect.status,
        "reason": str(aspect.reason),
        "message": aspect.message,
        "lastTransitionTime": since if kept else now,
        "observedGeneration": generation,
    }


def _ready(standing: Standing, others: Sequence[Aspect]) -> Aspect:
    kind, outcome, facts = ConditionType.READY, standing.outcome, standing.facts
    if outcome.problem is not None:
        problem = outcome.problem
        return Aspect(kind, FALSE, problem.reason, f"{problem.field}: {problem.message}")
    if not isinstance(facts.workload, Workload):
        return Aspect(kind, UNKNOWN, Reason.NOT_YET_ASKED, "The target has not been read yet.")
    metrics, _, actuating, owner = others
    if owner.status == TRUE:
        return Aspect(kind, FALSE, owner.reason, owner.message)
    if facts.forced_advisory:
        return Aspect(kind, FALSE, Reason.FORCED_ADVISORY, facts.forced_advisory)
    if metrics.status != TRUE:
        return Aspect(kind, metrics.status, metrics.reason, metrics.message)
    if actuating.reason is Reason.WRITE_REFUSED:
        return Aspect(kind, FALSE, actuating.reason, actuating.message)
    if _advises(standing):
        return Aspect(kind, TRUE, Reason.ADVISING, "Decides and records; writes nothing.")
    # Variants may share one.
    targets = dict.fromkeys(facts.app.targets) if isinstance(facts.app, ChargedApp) else ()
    return Aspect(kind, TRUE, Reason.CONTROLLING, f"Controls {', '.join(map(str, targets))}.")


def _metrics(standing: Standing) -> Aspect:
    kind, outcome = ConditionType.METRICS_HEALTHY, standing.outcome
    if outcome.problem is not None or not standing.facts.readings:
        return Aspect(kind, UNKNOWN, Reason.NOT_YET_ASKED, "No metric has been asked for yet.")
    if not outcome.missing:
        return Aspect(kind, TRUE, Reason.ALL_FRESH, "Every indicator has a fresh value.")
    listed = ", ".join(f"{name} ({_why(one)})" for name, one in sorted(outcome.missing.items()))
    if outcome.blind_fleet:
        message = f"No usable value for {listed}; many apps lost theirs at once: see to Mimir."
        return Aspect(kind, FALSE, Reason.BLIND_FLEET, message)
    remedies = " ".join(_remedies(outcome.missing.values()))
    message = f"No usable value for {listed}; replicas are not lowered. {remedies}"
    return Aspect(kind, FALSE, Reason.MISSING, message)


def _why(missing: Missing) -> str:
    """The reason; with the store's words, less what varies in them, where it refused the query."""
    said = _STORE_SAYS.match(missing.detail)
    if missing.reason is not MissingReason.QUERY_FAILED or said is None:
        return missing.reason.value
    return f"{missing.reason}: {_VARYING.sub('…', said[1])[:_WORDS_CHARS].strip()}"


def _remedies(missing: Iterable[Missing]) -> Iterator[str]:
    for reason in sorted({one.reason for one in missing}):
        yield f"{reason}: {_REMEDIES[reason]}."


def _objectives(standing: Standing) -> Aspect:
    kind, states = ConditionType.OBJECTIVES_MET, standing.outcome.objectives
    bad = sorted(one.name for one in states if one.verdict is ObjectiveVerdict.VIOLATED)
    if bad:
        message = f"Below target over the window: {', '.join(bad)}."
        return Aspect(kind, FALSE, Reason.BELOW_TARGET, message)
    if states and all(one.verdict is ObjectiveVerdict.MET for one in states):
        return Aspect(kind, TRUE, Reason.WITHIN_TARGET, "All objectives are within their targets.")
    if not standing.facts.attainments:
        message = "Attainment over the window has not been computed yet."
        return Aspect(kind, UNKNOWN, Reason.NOT_YET_ASKED, message)
    message = (
        "Too little of the window was observed, or none of it lately, to judge the objectives."
    )
    return Aspect(kind, UNKNOWN, Reason.LOW_COVERAGE, message)


def _actuating(standing: Standing) -> Aspect:
    kind, outcome, facts = ConditionType.ACTUATING, standing.outcome, standing.facts
    if outcome.problem is not None:
        return Aspect(
            kind, FALSE, outcome.problem.reason, "Nothing is written until this is mended."
        )
    if standing.refused:
        return Aspect(kind, FALSE, Reason.WRITE_REFUSED, standing.refused)
    if facts.forced_advisory:
        return Aspect(kind, FALSE, Reason.FORCED_ADVISORY, facts.forced_advisory)
    if _advises(standing):
        return Aspect(kind, FALSE, Reason.ADVISING, "Advisory: nothing is written.")
    if standing.writing:
        return Aspect(kind, TRUE, Reason.WRITING, "A change of replicas is being written.")
    if outcome.settling:
        failure = facts.workload.replica_failure if isinstance(facts.workload, Workload) else ""
        message = f"Pods cannot be made: {failure}" if failure else "Pods are becoming ready."
        return Aspect(kind, TRUE, Reason.WAITING_FOR_PODS, message)
    return Aspect(kind, FALSE, Reason.SETTLED, "The target has the replicas asked for, all ready.")


def _owner(standing: Standing) -> Aspect:
    kind, conflict = ConditionType.OWNERSHIP_CONFLICT, standing.outcome.conflict
    if conflict is None:
        return Aspect(kind, FALSE, Reason.SOLE_OWNER, "Nobody else is known to scale the target.")
    return Aspect(kind, TRUE, conflict.reason, conflict.message)


def _resizes(standing: Standing) -> tuple[Aspect, ...]:
    kind, app, resize = ConditionType.RESIZE_SETTLED, standing.facts.app, standing.outcome.resize
    if not isinstance(app, ChargedApp) or app.spec.resources is None:
        return ()
    if app.spec.sized is None:
        return (Aspect(kind, TRUE, Reason.RESIZES_OFF, "Sizes of pods are left alone (mode Off)."),)
    sizes = standing.facts.sizes
    if resize is None or resize.final is None:
        problem = sizes.problem if sizes else ""
        message = f"Sizes are not known: {problem or 'the pods have not been read yet'}."
        return (Aspect(kind, UNKNOWN, Reason.NOT_YET_ASKED, message),)
    if resize.reason in FAILED_RESIZES:
        return (Aspect(kind, FALSE, resize.reason, _why_not(resize)),)
    refusals = sorted({pod.refusal for pod in sizes.pods if pod.refusal}) if sizes else []
    if refusals:
        message = f"Not every pod may be resized: {'; '.join(refusals)}"
        return (Aspect(kind, FALSE, Reason.RESIZE_REFUSED, message),)
    wanted, have = sized_pods(standing)
    if have < wanted:
        return (Aspect(kind, FALSE, Reason.RESIZING, "Pods are taking the size that is wanted."),)
    return (Aspect(kind, TRUE, Reason.SETTLED, "Every pod has the size that is wanted."),)


def _placement(standing: Standing) -> tuple[Aspect, ...]:
    kind, app, outcome = ConditionType.PLACEMENT_FEASIBLE, standing.facts.app, standing.outcome
    if not isinstance(app, ChargedApp) or app.spec.placement is None:
        return ()
    if outcome.problem is not None:
        message = "Nothing is placed until this is mended."
        return (Aspect(kind, UNKNOWN, outcome.problem.reason, message),)
    placing = outcome.placing
    if placing is None:
        message = "The variants have not been read yet."
        return (Aspect(kind, UNKNOWN, Reason.NOT_YET_ASKED, message),)
    status = {True: TRUE, False: FALSE, None: UNKNOWN}[placing.feasible]
    return (Aspect(kind, status, placing.reason, placing.message),)


def sized_pods(standing: Standing) -> tuple[int, int]:
    """How many pods may be resized, and how many of them have the size that is wanted."""
    sizes, resize = standing.facts.sizes, standing.outcome.resize
    if sizes is None or resize is None or resize.final is None:
        return 0, 0
    pods = sizes.sized
    return len(pods), sum(pod.resizing is Resizing.SETTLED for pod in pods if _has(pod, resize))


def _has(pod: SizedPod, resize: Resize) -> bool:
    has, wanted = pod.actual or pod.asked, resize.final or Size()
    return (wanted.cpu_m in (None, has.cpu_m)) and (wanted.memory_b in (None, has.memory_b))


def _why_not(resize: Resize) -> str:
    # The sentence up to its last `; ` has numbers that change with the load.
    return resize.message.rpartition("; ")[2]


def _advises(standing: Standing) -> bool:
    app = standing.facts.app
    if not isinstance(app, ChargedApp):
        return True
    return app.spec.mode is Mode.ADVISORY or app.spec.bounds.actuation is Actuation.METRIC
