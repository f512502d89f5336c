"""How fast a measured sum changes, when its parts are not sampled at the same moment.

Reads: a value with the time of its oldest part. Gives: its slope. Never: a slope over less time
than it takes until every part has been sampled again.

A sum over pods that are scraped at different moments takes a step at each of them, while the time
of its oldest part moves by what lies between two scrapes. Two pods scraped 0.3 s apart every 5 s
would seem to grow by 5 s of work within 0.3 s. Therefore a slope is taken only over at least half
the distance that samples are apart from time to time, and the last one counts until then.

Source: none; a difference quotient whose step follows the scrape interval, which nobody tells.
"""

from collections.abc import Mapping
from typing import Any, Final

# How fast a distance that was seen once is forgotten: after eight samples a sixth of it counts.
_FORGETTING: Final = 0.8

Track = Mapping[str, Any]  # JSON-able: the state of a law holds it


def begin() -> Track:
    """Nothing was seen: there is no slope."""
    return {"seen": None, "apart": 0.0, "from": None, "value": 0.0, "slope": None}


def follow(track: Track, time_s: float, value: float) -> Track:
    """The track after a sample; one that is not newer leaves it as it is.

    Args:
        track: so far.
        time_s: of the sample, seconds since 1970.
        value: in any unit.

    Returns:
        A track whose `slope` is in units a second, None until two distances between samples have
        been seen (the first alone may be one of those that say nothing).
    """
    seen_s = track["seen"]
    if seen_s is None:
        return {**track, "seen": time_s, "from": time_s, "value": value}
    if time_s <= seen_s:
        return track
    apart = max(time_s - seen_s, _FORGETTING * track["apart"])
    span_s = time_s - track["from"]
    if track["apart"] == 0.0 or span_s < apart / 2:
        return {**track, "seen": time_s, "apart": apart}
    slope = (value - track["value"]) / span_s
    return {"seen": time_s, "apart": apart, "from": time_s, "value": value, "slope": slope}
