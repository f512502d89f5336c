"""The fleet guard: when many apps go blind together, the monitoring is broken and not the apps.

Reads: since when each app cannot be judged. Gives: whether lowering is blocked fleet-wide. Never: a
limit on raises.
"""

from collections.abc import Iterable
from typing import Final

from charon_operator.model.memory import AppMemory
from charon_operator.model.workload import Key
from charon_operator.settings import Safety

# Lost within so many seconds of each other counts as together: a few periods of most policies.
TOGETHER_S: Final = 120.0
# Judged at most so long before it was lost: recently healthy.
RECENT_S: Final = 900.0
# Metrics that stay away for longer are how things are now, and no reason to hold all others.
LASTING_S: Final = 1800.0


def is_blind(apps: Iterable[tuple[Key, AppMemory]], now_s: float, safety: Safety) -> bool:
    """Whether enough recently healthy apps of several namespaces lost their metrics together."""
    lost = sorted((app.lost_at_s, key.namespace) for key, app in apps if _freshly_lost(app, now_s))
    start = 0
    for end, (lost_at_s, _) in enumerate(lost):
        while (lost_at_s or 0.0) - (lost[start][0] or 0.0) > TOGETHER_S:
            start += 1
        together = lost[start : end + 1]
        if len(together) < safety.blind_fleet_apps:
            continue
        if len({namespace for _, namespace in together}) >= safety.blind_fleet_namespaces:
            return True
    return False


def _freshly_lost(app: AppMemory, now_s: float) -> bool:
    if app.lost_at_s is None or app.healthy_at_s is None:
        return False
    return app.lost_at_s - app.healthy_at_s <= RECENT_S and now_s - app.lost_at_s <= LASTING_S
