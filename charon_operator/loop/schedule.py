"""When which apps are due: all of one period and one tenant together, on a grid of time.

Reads: which group every app belongs to. Gives: groups that are due, and when the next one will be.
Never: one app a timer; merged queries need apps that ask at the same moment.
"""

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from charon_operator.model.workload import Key


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """Apps that are due together."""

    period_s: float
    tenant: str

    def next_s(self, now_s: float) -> float:
        """The first point of its grid after a monotonic time."""
        name = f"{self.period_s:g}/{self.tenant}".encode()
        # Groups of one period are spread over it; the same group always has the same phase.
        phase_s = self.period_s * (zlib.crc32(name) / 2**32)
        return (math.floor((now_s - phase_s) / self.period_s) + 1) * self.period_s + phase_s


@dataclass(frozen=True, slots=True)
class Due:
    """A group whose time has come: its apps, and by how much it is late, in seconds."""

    group: Group
    keys: tuple[Key, ...]
    late_s: float


class Schedule:
    """Groups with their members and their next times."""

    def __init__(self) -> None:
        self._members: dict[Group, list[Key]] = {}
        self._next_s: dict[Group, float] = {}
        self._of: dict[Key, Group] = {}

    def arrange(self, apps: Mapping[Key, Group], now_s: float) -> None:
        """Take over which app is in which group; a group that stays keeps its time."""
        if apps == self._of:
            return
        self._of = dict(apps)
        members: dict[Group, list[Key]] = {}
        for key, group in apps.items():
            members.setdefault(group, []).append(key)
        self._next_s = {
            group: self._next_s.get(group, group.next_s(now_s)) for group in sorted(members)
        }
        self._members = members

    def gathered(self, keys: Iterable[Key]) -> dict[Group, list[Key]]:
        """Apps by their group."""
        found: dict[Group, list[Key]] = {}
        for key in keys:
            group = self._of.get(key)
            if group is not None:
                found.setdefault(group, []).append(key)
        return found

    def due(self, now_s: float) -> list[Due]:
        """Groups whose time has come; points of the grid that were missed are not made up for."""
        found = []
        for group, at_s in self._next_s.items():
            if at_s <= now_s:
                self._next_s[group] = group.next_s(now_s)
                found.append(Due(group, tuple(self._members[group]), now_s - at_s))
        return found

    def wait_s(self, now_s: float, most_s: float) -> float:
        """Seconds until the next group is due, at most so many."""
        soonest_s = min(self._next_s.values(), default=math.inf)
        return min(most_s, max(0.0, soonest_s - now_s))
