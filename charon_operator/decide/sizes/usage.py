r"""What pods use most of the time: a histogram whose past fades, as VPA's recommender keeps it.

Reads: the indicator of the cores that one pod uses. Gives: the histogram, the cores to have, for
how long usage has been seen. Never: a sample twice, or one that is made up.

Bucket i begins at 0.01 (1.05^i - 1) / 0.05 cores, up to 1000 cores. A sample weighs the seconds
since the one before, at most a minute; weights halve in 24 h. Wanted is the end of the bucket in
which the 90th percentile lies, and 15 % more.

Source: kubernetes/autoscaler, vertical-pod-autoscaler/pkg/recommender (util/decaying_histogram.go,
model/aggregations_config.go, the defaults of `target-cpu-percentile` and
`recommendation-margin-fraction`). Different here: VPA weighs a sample by the CPU requested, one a
minute and container; here one number stands for a pod and weighs the time it stands for, so that
the period plays no part. VPA widens its bounds by a confidence that grows with days and samples;
here less than an hour of usage forbids to lower, and that is all.
"""

import bisect
import hashlib
import itertools
import math
from typing import Final

from charon_operator.model.app import ChargedAppSpec
from charon_operator.model.learnt import Usage
from charon_operator.model.reading import Reading, Readings

PERCENTILE: Final = 0.9
MARGIN: Final = 1.15
# Without so much usage seen nothing is lowered; what has faded does not count.
ENOUGH_S: Final = 3600.0
_HALF_LIFE_S: Final = 24 * 3600.0
_FIRST: Final = 0.01
_GROWTH: Final = 1.05
_LARGEST: Final = 1000.0
_LONGEST_S: Final = 60.0
# What the first sample weighs, of which nobody knows for how long it has been so.
_SHORTEST_S: Final = 1.0
# Seconds below which a bucket is empty: a sample of a week ago still counts.
_EMPTY_S: Final = 1e-3


def noted(known: Usage | None, spec: ChargedAppSpec, readings: Readings) -> Usage | None:
    """The histogram with what was seen now; None for an app whose pods are not sized by usage."""
    resources = spec.sized
    if resources is None or not resources.by_usage or resources.cpu is None:
        return None
    source = _source(spec, resources.container, resources.cpu.usage or "")
    known = known if known and known.source == source else None
    reading = readings.get(resources.cpu.usage or "")
    if not isinstance(reading, Reading):
        return known
    if known is None:
        return _added(Usage(source, reading.sampled_at_s), reading, _SHORTEST_S)
    since_s = reading.sampled_at_s - known.sampled_at_s
    return known if since_s <= 0 else _added(known, reading, min(since_s, _LONGEST_S))


def wanted(known: Usage | None) -> float | None:
    """Cores that are enough most of the time, with the margin; None where nothing is known."""
    if known is None or not known.weights:
        return None
    buckets = [bucket for bucket, _ in known.weights]
    sums = list(itertools.accumulate(weight for _, weight in known.weights))
    bucket = buckets[bisect.bisect_left(sums, PERCENTILE * sums[-1])]
    return _begin(min(bucket + 1, _last())) * MARGIN


def seen_s(known: Usage | None, now_s: float) -> float:
    """For how long usage has been seen, in seconds that have not faded."""
    if known is None:
        return 0.0
    return sum(weight for _, weight in known.weights) * _faded(now_s - known.sampled_at_s)


def _added(known: Usage, reading: Reading, weight_s: float) -> Usage:
    kept = _faded(reading.sampled_at_s - known.sampled_at_s)
    weights = {bucket: weight * kept for bucket, weight in known.weights}
    bucket = _bucket(reading.value)
    weights[bucket] = weights.get(bucket, 0.0) + weight_s
    left = tuple(sorted(pair for pair in weights.items() if pair[1] >= _EMPTY_S))
    return Usage(known.source, reading.sampled_at_s, left)


def _faded(elapsed_s: float) -> float:
    return float(2.0 ** (-max(0.0, elapsed_s) / _HALF_LIFE_S))


def _bucket(cores: float) -> int:
    return min(_last(), int(_steps(min(max(0.0, cores), _LARGEST))))


def _begin(bucket: int) -> float:
    return float(_FIRST * (_GROWTH**bucket - 1) / (_GROWTH - 1))


def _steps(cores: float) -> float:
    return math.log(cores * (_GROWTH - 1) / _FIRST + 1) / math.log(_GROWTH)


def _last() -> int:
    return math.ceil(_steps(_LARGEST))


def _source(spec: ChargedAppSpec, container: str, name: str) -> str:
    # A query that is mended may have been wrong by a factor of a thousand.
    query = next((item.query for item in spec.indicators if item.name == name), "")
    return f"{container}/{name}/{hashlib.sha256(query.encode()).hexdigest()[:16]}"
