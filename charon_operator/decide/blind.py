"""The fleet guard: when many apps go blind together, the monitoring is broken and not the apps.

Reads: since when each app cannot be judged. Gives: whether lowering is blocked fleet-wide. Never: a
limit on raises.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from charon_operator.model.memory import AppMemory
from charon_operator.model.workload import Key
from charon_operator.settings import Safety

# Lost within so many seconds of each other counts as together: a few periods of most policies.
TOGETHER_S: Final = 120.0
# Metrics that stay away for longer are how things are now, and no reason to hold all others.
LASTING_S: Final = 1800.0

_FROM, _TO = 0, 1


def is_blind(apps: Iterable[tuple[Key, AppMemory]], now_s: float, safety: Safety) -> bool:
    """Whether enough recently healthy apps of several namespaces lost their metrics together.

    When an app lost them is known to its period only: between the last turn that could judge it and
    the first that could not. Together are those for which these times have a moment in common.
    """
    lost: Counter[str] = Counter()
    for _, edge, namespace in sorted(_edges(apps, now_s)):
        if edge == _TO:
            lost[namespace] -= 1
            continue
        lost[namespace] += 1
        if lost.total() < safety.blind_fleet_apps:
            continue
        if len(+lost) >= safety.blind_fleet_namespaces:
            return True
    return False


def _edges(apps: Iterable[tuple[Key, AppMemory]], now_s: float) -> Iterator[tuple[float, int, str]]:
    """When each app that is freshly lost may have been lost: from, and to."""
    for key, app in apps:
        # An app that its last turn could not judge was not healthy then, and has no such time.
        if app.lost_at_s is None or app.healthy_at_s is None or now_s - app.lost_at_s > LASTING_S:
            continue
        yield min(app.healthy_at_s, app.lost_at_s), _FROM, key.namespace
        yield app.lost_at_s + TOGETHER_S, _TO, key.namespace
