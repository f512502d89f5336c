"""How well a workload was held: one scorer for live, simulated and replayed runs.

Reads: a Trace and a Story. Gives: `Score`. Never: a figure that was not in them.
"""

import dataclasses
import itertools
import statistics
from collections.abc import Iterable, Iterator

from charon_operator.lab.story import Story
from charon_operator.lab.trace import Trace


@dataclasses.dataclass(frozen=True, slots=True)
class Score:
    """Figures from the step to the end of the horizon.

    Attributes:
        attainment: share of the time with the queue within the threshold, 0..1.
        peak: largest queue, units.
        above_s: seconds above the threshold.
        return_s: seconds from the step until the queue was within the threshold for good; None if
            it never was.
        longest_s: the longest stretch above the threshold, in seconds: to recover took no longer.
        replica_seconds: integral of the replicas asked for.
        core_seconds: integral of the CPU their pods hold; None where that is not known.
        lost: units lost (dropped, or in a queue whose pod ended).
        writes: changes of the replica count; reversals: of their direction.
        resizes: pods that were set to another size, counted each time.
        latency_s: from the sample under a decision to its write, median; None without writes.
        dead_time_s: the pipeline's own: from the step to the first turn on a sample taken after it,
            be it by a millisecond, and that turn's write. None where no turn had one.
    """

    attainment: float
    peak: float
    above_s: float
    return_s: float | None
    longest_s: float
    replica_seconds: float
    core_seconds: float | None
    lost: int
    writes: int
    reversals: int
    resizes: int
    latency_s: float | None
    dead_time_s: float | None


def score(trace: Trace, story: Story, *, threshold: float, end_s: float) -> Score:
    """Judge a run from its step to `end_s`, in seconds since 1970.

    Without a controller the story is empty.
    """
    spans = list(_spans(trace, end_s))
    seconds = sum(span.seconds for span in spans)
    above_s = sum(span.seconds for span in spans if span.queue > threshold)
    done = [item for item in story.done if trace.step_s <= item.time_s <= end_s]
    ways = [item.to > item.start for item in done]
    latencies = [item.time_s - item.sampled_s for item in done if item.sampled_s is not None]
    played = trace.until(end_s)
    return Score(
        attainment=1 - above_s / seconds if seconds else 1.0,
        peak=max(played.queue, default=0.0),
        above_s=above_s,
        return_s=return_s(played, threshold),
        longest_s=_longest_s(spans, threshold),
        replica_seconds=sum(span.seconds * span.wanted for span in spans),
        core_seconds=_core_seconds(spans),
        lost=played.dropped[-1] if played.dropped else 0,
        writes=len(done),
        reversals=sum(a != b for a, b in itertools.pairwise(ways)),
        resizes=story.resized,
        latency_s=statistics.median(latencies) if latencies else None,
        dead_time_s=dead_time_s(trace.step_s, story),
    )


def return_s(trace: Trace, threshold: float) -> float | None:
    """Seconds from the step until the queue was within the threshold for good.

    0 if it never left it; None if it was above at the last sample.
    """
    above = [at for at, queue in enumerate(trace.queue) if queue > threshold]
    if not above:
        return 0.0
    if above[-1] + 1 >= len(trace.queue):
        return None
    return trace.times_s[above[-1] + 1] - trace.step_s


def dead_time_s(step_s: float, story: Story) -> float | None:
    """The pipeline's own dead time at this step: of scrape, send, period and write, in s."""
    for item in story.decided:
        if item.sampled_s is not None and item.sampled_s >= step_s:
            return item.time_s - step_s + _write_s(story)
    return None


def _write_s(story: Story) -> float:
    """Median seconds from a turn to the write it led to."""
    times = [item.time_s for item in story.decided]
    delays = [done.time_s - max(t for t in times if t <= done.time_s) for done in story.done]
    return statistics.median(delays) if delays else 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Span:
    """A piece of a trace: how long, and what it was like."""

    seconds: float
    queue: float
    wanted: int
    cores: float | None


def _longest_s(spans: Iterable[_Span], threshold: float) -> float:
    """The longest run of pieces above the threshold."""
    stretches = itertools.groupby(spans, key=lambda span: span.queue > threshold)
    lengths = (sum(span.seconds for span in stretch) for above, stretch in stretches if above)
    return max(lengths, default=0.0)


def _core_seconds(spans: Iterable[_Span]) -> float | None:
    total = 0.0
    for span in spans:
        if span.cores is None:
            return None
        total += span.seconds * span.cores
    return total


def _spans(trace: Trace, end_s: float) -> Iterator[_Span]:
    """Every piece between the step and `end_s`."""
    for at, following in enumerate(trace.times_s[1:]):
        start_s = max(trace.times_s[at], trace.step_s)
        stop_s = min(following, end_s)
        if stop_s > start_s:
            yield _Span(stop_s - start_s, trace.queue[at], trace.wanted[at], trace.cores[at])
