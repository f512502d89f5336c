"""What is learnt of an app's pods and knobs while it is controlled.

Reads: nothing. Gives: `Usage`, `Delay` and both as `Learnt`, JSON-able and bounded. Never: a
conclusion (`decide.sizes.usage` and `decide.sizes.delays` draw them).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from charon_operator.model.reading import CLOCK_SKEW_S


@dataclass(frozen=True, slots=True)
class Usage:
    """A histogram of the cores that one pod used, weighed by time.

    `decide.sizes.usage` has its buckets.

    Attributes:
        source: what it is about; what is learnt of another source begins anew.
        sampled_at_s: newest sample time, seconds since 1970.
        weights: bucket and seconds, faded up to `sampled_at_s`; by bucket, without empty ones.
    """

    source: str
    sampled_at_s: float
    weights: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Delay:
    """How long moves of one knob took from the write to its effect.

    Attributes:
        seconds: of the last few moves, oldest first.
        until_s: moves up to then have been looked at, seconds since 1970.
    """

    seconds: tuple[float, ...] = ()
    until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Learnt:
    """Both, of one app.

    Attributes:
        usage: None where the pods' size does not follow it.
        replicas, resources: of the two knobs.
    """

    usage: Usage | None = None
    replicas: Delay = Delay()
    resources: Delay = Delay()

    def aged(self, now_s: float) -> Self:
        """The same after a clock may have been set back: what comes next is new again."""
        usage = self.usage
        if usage and usage.sampled_at_s > now_s + CLOCK_SKEW_S:
            usage = replace(usage, sampled_at_s=now_s)
        return replace(
            self,
            usage=usage,
            replicas=replace(self.replicas, until_s=min(self.replicas.until_s, now_s)),
            resources=replace(self.resources, until_s=min(self.resources.until_s, now_s)),
        )

    def dump(self) -> list[Any]:
        """The same as JSON-able values."""
        used, delays = self.usage, (self.replicas, self.resources)
        return [
            used and [used.source, used.sampled_at_s, [list(pair) for pair in used.weights]],
            *([list(delay.seconds), delay.until_s] for delay in delays),
        ]

    @classmethod
    def load(cls, row: Sequence[Any]) -> Self:
        """What `dump` gave."""
        used, *delays = row
        replicas, resources = (Delay(tuple(seconds), until_s) for seconds, until_s in delays)
        if used is None:
            return cls(None, replicas, resources)
        source, sampled_at_s, weights = used
        pairs = tuple((bucket, weight) for bucket, weight in weights)
        return cls(Usage(source, sampled_at_s, pairs), replicas, resources)
