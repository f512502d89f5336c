"""Queueing: serve what arrives, drain what has queued, and count what is still starting.

Reads: arrivals and backlog. Gives: replicas. Never: a decrease because a derivative says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from charon_operator.laws import slope
from charon_operator.laws.law import Parameters, Sample, State
from charon_operator.model.decision import Demand
from charon_operator.model.quantity import NonNegativeNumber, Number, PositiveNumber

# A ratio of measured rates that is a whole number but for rounding asks for no further replica.
_SLACK: Final = 1e-9


class QueueingParameters(Parameters):
    """Parameters of Queueing."""

    drain_seconds: PositiveNumber = Field(
        default=30.0, description="In how many seconds a backlog is to be gone."
    )
    start_seconds: NonNegativeNumber = Field(
        default=10.0,
        le=3600,
        description=(
            "How long a replica takes from being asked for to serving. Replicas that are not ready "
            "after that are not counted on, and others are asked for in their place."
        ),
    )
    start_success_percent: PositiveNumber = Field(
        default=100.0,
        le=100,
        description=(
            "Share of starts that serve within startSeconds, in percent; the others crash first. "
            "So many more are asked for at once."
        ),
    )
    headroom: NonNegativeNumber = Field(
        default=1.0, le=10, description="Replicas kept beyond the load, in square roots of it."
    )
    replacement_percent: NonNegativeNumber = Field(
        default=100.0,
        le=1000,
        description=(
            "At most so many replicas are asked for in place of those that do not start, in "
            "percent of those needed: a broken image is not answered with all that is allowed."
        ),
    )
    arrivals_fall_seconds: NonNegativeNumber = Field(
        default=0.0,
        le=3600,
        description="Time constant with which a fall of the arrivals is believed; 0: at once.",
    )
    backlog_set_point: Number | None = Field(
        default=None,
        description="Backlog to leave, where the objective's indicator is not the backlog itself.",
    )


@dataclass(frozen=True, slots=True)
class _Starting:
    """Replicas that are not ready, by how long they have been waiting.

    Attributes:
        overdue: waiting for longer than a start takes.
        warming: the others.
        headstart_s: sum over the warming of how long they have been starting, replica-seconds.
    """

    overdue: int
    warming: int
    headstart_s: float


class Queueing:
    r"""Square-root staffing with a backlog term and a prediction over the start-up time.

    At a sample, with L arrivals (units/s), B backlog and S set point (units), m capacity of a
    replica (units/s), r ready and w warming replicas, T `drainSeconds`, h `startSeconds`, b
    `headroom`, p the share of starts that succeed, and a_i (s) for how long the i-th warming
    replica has been starting::

        R(X) = (L + max(0, X - S) / T) / m + b sqrt(L / m)  serves L, drains X in T, and head-room
        X'   = B + L h - m (r h + p sum_i a_i)              backlog when one asked for now serves
        N    = max( R(X'), min( R(B), r + p w ) )           replicas that must be ready
        u    = r + (N - r) / p  if N > r, else N            replicas to ask for

    X' is what is left after the work of the ready replicas and of those already starting, so
    backlog they will drain is not asked for twice; and as the second term keeps what the backlog
    of this moment wants, nothing is lowered because the backlog is *predicted* to shrink. While the
    objective's threshold is broken, what is there is kept. L is the measured rate, or the growth of
    the backlog where that is more: a rate looks back over its window, and a queue cannot grow by
    more than what arrives.

    A replica that has not been ready for longer than h is *overdue*: it is no capacity. While
    N > r, overdue replicas are replaced: u <- u + min(overdue, N * replacementPercent / 100).

    How long replicas have been waiting is read off the count of those not ready: at least
    min over [t - x, t] of it have been waiting for x seconds; replicas that were asked for between
    two samples count from the first of them.

    Sampling: any interval; the growth is a difference quotient (`laws.slope`, over the backlog's
    own sample times) that can only raise. Saturation: no integral, so nothing winds up.
    Missing sample: not stepped; the waiting times go on. State: the smoothed arrivals, the
    backlog's track, the replicas last asked for, and the history of the not-ready count over h.

    Source: Halfin and Whitt 1981 and Gandhi et al., AutoScale (TOCS 2012) for the head-room; Smith
    1957 for predicting over the dead time. Different here: head-room is added to the load's share
    only, the prediction never lowers, and starts that fail are allowed for and replaced.
    """

    name = "Queueing"
    parameters = QueueingParameters
    roles = frozenset({"value", "backlog", "arrivals"})
    needs_capacity = True

    def start(self, parameters: QueueingParameters, replicas: int) -> State:
        """Nothing is known of arrivals or starts yet."""
        track = slope.begin()
        return {"arrivals": None, "backlog": track, "waiting": [], "replicas": replicas}

    def step(
        self, parameters: QueueingParameters, state: State, sample: Sample
    ) -> tuple[State, Demand]:
        """One step on new data."""
        track = slope.follow(
            state["backlog"], sample.readings["backlog"].sampled_at_s, _backlog(sample)
        )
        arrivals = _arrivals(parameters, state, sample, track["slope"])
        waiting = _waiting(state, sample, parameters.start_seconds)
        starting = _starting(waiting, sample.time_s, parameters.start_seconds)
        plan = _plan(parameters, sample, arrivals, starting)
        wanted = _asked(parameters, sample, plan["needed"], starting)
        terms = {**plan, "overdue": float(starting.overdue), "warming": float(starting.warming)}
        demand = Demand(replicas=wanted, terms=terms, sampled_at_s=sample.time_s)
        return {
            "arrivals": arrivals,
            "backlog": track,
            "waiting": waiting,
            "replicas": sample.replicas,
        }, demand


def _arrivals(
    parameters: QueueingParameters, state: State, sample: Sample, growth: float | None
) -> float:
    # A rate looks back over its window; a queue cannot grow by more than what arrives.
    measured: float = max(0.0, sample.readings["arrivals"].value, growth or 0.0)
    before, fall_s = state["arrivals"], parameters.arrivals_fall_seconds
    if before is None or sample.dt_s is None or measured >= before or fall_s <= 0:
        return measured
    return float(measured + (before - measured) * math.exp(-sample.dt_s / fall_s))


def _backlog(sample: Sample) -> float:
    return max(0.0, sample.readings["backlog"].value)


def _waiting(state: State, sample: Sample, start_s: float) -> list[list[float]]:
    """Times from which on at least so many were waiting, oldest first and counts ascending."""
    kept = [list(entry) for entry in state["waiting"]]
    count = float(max(0, sample.replicas - sample.ready))
    since_s = sample.time_s
    # Whoever waits now has done so since the count last was below today's.
    while kept and kept[-1][1] >= count:
        since_s = kept.pop()[0]
    if since_s == sample.time_s and kept and sample.dt_s and sample.dt_s < start_s:
        # What was asked for since the last sample was asked for on that sample.
        asked = min(max(0, sample.replicas - state["replicas"]), count - kept[-1][1])
        if asked > 0:
            kept.append([sample.time_s - sample.dt_s, kept[-1][1] + asked])
    if not kept or kept[-1][1] < count:
        kept.append([since_s, count])
    oldest = sample.time_s - start_s
    while len(kept) > 1 and kept[1][0] <= oldest:
        kept.pop(0)
    return kept


def _starting(waiting: Sequence[Sequence[float]], now_s: float, start_s: float) -> _Starting:
    overdue, headstart_s, below = 0.0, 0.0, 0.0
    for since_s, count in waiting:
        age_s = now_s - since_s
        if age_s >= start_s:
            overdue = count
        else:
            headstart_s += (count - below) * age_s
        below = count
    return _Starting(int(overdue), int(below - overdue), headstart_s)


def _plan(
    parameters: QueueingParameters, sample: Sample, arrivals: float, starting: _Starting
) -> Mapping[str, float]:
    capacity = sample.capacity_per_replica or math.nan
    set_point = parameters.backlog_set_point
    aim = sample.set_point if set_point is None else set_point
    backlog = _backlog(sample)
    horizon_s = parameters.start_seconds
    success = parameters.start_success_percent / 100
    work = capacity * (sample.ready * horizon_s + success * starting.headstart_s)
    predicted = max(0.0, backlog + arrivals * horizon_s - work)
    headroom = parameters.headroom * math.sqrt(arrivals / capacity)

    def replicas_for(queued: float) -> float:
        drain = max(0.0, queued - aim) / parameters.drain_seconds
        return (arrivals + drain) / capacity + headroom

    present = min(replicas_for(backlog), sample.ready + success * starting.warming)
    needed = max(replicas_for(predicted), present)
    return {
        "arrivals": arrivals,
        "backlog": backlog,
        "predictedBacklog": predicted,
        "headroom": headroom,
        "needed": needed,
    }


def _asked(
    parameters: QueueingParameters, sample: Sample, needed: float, starting: _Starting
) -> float:
    more = needed - sample.ready
    # Whole replicas are the turn's affair: where pods have sizes, less than one can be served, too.
    wanted = needed
    if more > _SLACK:
        successes = parameters.start_success_percent / 100
        most = math.ceil(needed * parameters.replacement_percent / 100)
        wanted = sample.ready + more / successes + min(starting.overdue, most)
    broken = sample.sign * (sample.readings["value"].value - sample.threshold) > 0
    return max(wanted, float(sample.replicas)) if broken else wanted
