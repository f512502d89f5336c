"""What happened to a workload over time: the one form that scores and pictures are made from.

Reads: samples, live or simulated. Gives: `Trace`. Never: what was decided; the journal has that.
"""

import dataclasses
from typing import Any, Self


@dataclasses.dataclass(slots=True)
class Trace:
    """Samples at ascending times; all lists are of one length.

    Attributes:
        step_s: when something first arrived, seconds since 1970.
        silent_s: when the arrivals ended for good, seconds since 1970.
        times_s: of the samples, seconds since 1970.
        arrivals: units a second.
        queue: units waiting.
        wanted: replicas asked for.
        ready: replicas that are Ready.
        dropped: units lost so far, for whatever reason.
        cores: CPU held by the pods; None where it is not known.
    """

    step_s: float
    silent_s: float
    times_s: list[float] = dataclasses.field(default_factory=list)
    arrivals: list[float] = dataclasses.field(default_factory=list)
    queue: list[float] = dataclasses.field(default_factory=list)
    wanted: list[int] = dataclasses.field(default_factory=list)
    ready: list[int] = dataclasses.field(default_factory=list)
    dropped: list[int] = dataclasses.field(default_factory=list)
    cores: list[float | None] = dataclasses.field(default_factory=list)

    def add(
        self,
        now_s: float,
        *,
        arrivals: float,
        queue: float,
        replicas: tuple[int, int],
        lost: int,
        cores: float | None = None,
    ) -> None:
        """Keep a sample; `replicas` are those asked for and those ready."""
        self.times_s.append(now_s)
        self.arrivals.append(arrivals)
        self.queue.append(queue)
        self.wanted.append(replicas[0])
        self.ready.append(replicas[1])
        self.dropped.append(lost)
        self.cores.append(cores)

    def seconds(self) -> list[float]:
        """Times relative to the step."""
        return [time_s - self.step_s for time_s in self.times_s]

    def until(self, end_s: float) -> Self:
        """The same trace without what came after `end_s`."""
        count = sum(time_s <= end_s for time_s in self.times_s)
        lists: dict[str, Any] = {
            field.name: getattr(self, field.name)[:count]
            for field in dataclasses.fields(self)
            if isinstance(getattr(self, field.name), list)
        }
        return dataclasses.replace(self, **lists)
