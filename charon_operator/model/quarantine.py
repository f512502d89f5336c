"""What went wrong with a knob: a raise that could not be had, a lowering that did harm.

Reads: nothing. Gives: `Quarantine`, `Lowering`. Never: behaviour.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A knob that is left alone one way: it failed, or a lowering by it was undone.

    Attributes:
        knob: a `model.policy.Knob`.
        until_s: until when (s since 1970).
        failures: how often in a row; each doubles the next quarantine.
        reason: a `names.Reason`.
        detail: the same in words.
        floor: replicas or millicores below which an undone lowering may not go again; else 0.
    """

    knob: str
    until_s: float
    failures: int
    reason: str
    detail: str
    floor: int = 0

    def active_at(self, now_s: float) -> bool:
        """Whether it holds at a time in seconds since 1970."""
        return now_s < self.until_s


@dataclass(frozen=True, slots=True)
class Lowering:
    """The last lowering, until it is known to do no harm.

    Attributes:
        knob: a `model.policy.Knob`.
        time_s: when it was decided, seconds since 1970.
        start: replicas or millicores before it.
        arrivals: units a second then.
    """

    knob: str
    time_s: float
    start: int
    arrivals: float
