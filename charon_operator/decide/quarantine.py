"""Which knob is left alone for a while: its raise could not be had, or its lowering did harm.

Reads: what became of sizes asked for, how the objectives do, the last lowering. Gives: quarantines
with back-off, and the reason in words. Never: a judgement on data that is missing.
"""

from dataclasses import replace
from typing import Final

from charon_operator.decide import objectives
from charon_operator.model.app import ChargedAppSpec
from charon_operator.model.memory import Knobs
from charon_operator.model.policy import ControlPolicySpec, Knob
from charon_operator.model.quarantine import Lowering, Quarantine
from charon_operator.model.reading import Reading, Readings
from charon_operator.model.resources import Resources
from charon_operator.model.sizes import Resizing, SizedPod, Sizes
from charon_operator.names import Reason

ARRIVALS: Final = "arrivals"
_FIRST_S: Final = 60.0
_LONGEST_S: Final = 3600.0
# So much more load explains why an objective got worse.
_MORE_LOAD: Final = 1.05
# A lowering is watched for as long as one settles, and at least this long.
_WATCHED_S: Final = 60.0
_FAILURES: Final = {
    Resizing.DEFERRED: Reason.RESIZE_DEFERRED,
    Resizing.INFEASIBLE: Reason.RESIZE_INFEASIBLE,
    Resizing.FAILED: Reason.RESIZE_FAILED,
}


def judged(knobs: Knobs, resources: Resources, sizes: Sizes | None, now_s: float) -> Knobs:
    """Quarantine the size if a pod cannot have what it was asked to take; release it if all do."""
    if sizes is None or (knobs.failed and knobs.failed.active_at(now_s)):
        return knobs
    failed = failing(resources, sizes, now_s)
    if failed:
        pod, reason = failed[0], _FAILURES[failed[0].resizing]
        detail = f"pod {pod.name} cannot have {pod.asked}: {pod.detail or pod.resizing}"
        return replace(knobs, failed=begun(knobs.failed, (reason, detail), now_s))
    raised = [move for move in knobs.moves if move.to > move.start]
    settled = all(pod.resizing is Resizing.SETTLED for pod in sizes.sized)
    if knobs.failed and settled and raised and raised[-1].time_s >= knobs.failed.until_s:
        return replace(knobs, failed=None)
    return knobs


def failing(resources: Resources, sizes: Sizes, now_s: float) -> list[SizedPod]:
    """Pods whose size will not come: refused by the node, or put off for too long."""
    return [pod for pod in sizes.sized if _fails(pod, now_s, resources.give_back_seconds)]


def begun(before: Quarantine | None, why: tuple[Reason, str], now_s: float) -> Quarantine:
    """The quarantine of the size after one more failure."""
    failures = before.failures + 1 if before else 1
    length_s = _length_s(failures)
    reason, cause = why
    detail = f"{cause}: sizes are not raised for {length_s:.0f} s"
    return Quarantine(Knob.RESOURCES, now_s + length_s, failures, reason, detail)


def watched(
    knobs: Knobs, spec: ChargedAppSpec, policy: ControlPolicySpec, readings: Readings, now_s: float
) -> Knobs:
    """Undo the last lowering, once, if an objective got worse after it without more load."""
    lowering = knobs.lowering
    if lowering is None:
        return knobs
    if now_s - lowering.time_s > max(_WATCHED_S, policy.lowering.cooldown_seconds):
        return replace(knobs, lowering=None)
    worse = [one.name for one in spec.objectives if objectives.good_now(one, readings) is False]
    arrivals = arriving(spec, readings)
    if not worse or arrivals is None or arrivals > lowering.arrivals * _MORE_LOAD:
        return knobs
    past = knobs.undone
    again = past is not None and past.knob == lowering.knob
    failures = past.failures + 1 if past and again else 1
    unit = "m" if lowering.knob == Knob.RESOURCES else " replicas"
    detail = (
        f"{', '.join(worse)} got worse {now_s - lowering.time_s:.0f} s after a lowering from "
        f"{lowering.start}{unit} without more load, so it is undone, and not tried again for "
        f"{_length_s(failures):.0f} s"
    )
    until_s = now_s + _length_s(failures)
    undone = Quarantine(
        lowering.knob, until_s, failures, Reason.LOWERED, detail, floor=lowering.start
    )
    return replace(knobs, lowering=None, undone=undone)


def observed(
    knobs: Knobs, move: tuple[Knob, int, int], spec: ChargedAppSpec, seen: tuple[Readings, float]
) -> Knobs:
    """Begin to watch a lowering, if what it may harm is well now and the load is known."""
    (knob, start, to), (readings, now_s) = move, seen
    well = all(objectives.good_now(one, readings) for one in spec.objectives)
    arrivals = arriving(spec, readings)
    if to >= start or not well or arrivals is None:
        return knobs
    return replace(knobs, lowering=Lowering(knob, now_s, start, arrivals))


def arriving(spec: ChargedAppSpec, readings: Readings) -> float | None:
    """What arrives, units a second; None where no indicator is bound to it, or it is missing."""
    reading = readings.get(spec.bindings.get(ARRIVALS, ""))
    return reading.value if isinstance(reading, Reading) else None


def _fails(pod: SizedPod, now_s: float, patience_s: float) -> bool:
    if pod.resizing is Resizing.DEFERRED:
        return pod.since_s is not None and now_s - pod.since_s >= patience_s
    return pod.resizing in _FAILURES


def _length_s(failures: int) -> float:
    return float(min(_LONGEST_S, _FIRST_S * 2 ** min(failures - 1, 16)))
