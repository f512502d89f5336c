"""The simulated world: plant, cluster, scrapes and time, without any controller.

Reads: a Scene, scale and resize commands. Gives: samples that can be asked for, and a Trace. Never:
a clock; time moves when it is told to.
"""

import dataclasses
import random
from typing import Final

from charon_operator.lab import cluster, plant, samples
from charon_operator.lab.arrivals import Arrivals
from charon_operator.lab.parameters import Parameters
from charon_operator.lab.trace import Trace
from charon_operator.model.workload import Target
from charon_operator.ports import PlantOutput

# Any moment would do; a fixed one makes the same run write the same journal.
EPOCH_S: Final = 1_700_000_000.0
STRIDE_S: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Pipeline:
    """How samples come to the controller and commands to the cluster.

    Attributes:
        scrape_s: between scrapes.
        send_s: from a scrape until its samples can be asked for.
        write_s: from a decision until the cluster has it.
    """

    scrape_s: float = 1.0
    send_s: float = 0.5
    write_s: float = 0.05

    def longest_s(self, period_s: float) -> float:
        """The dead time that its parts and a controller's period amount to at worst."""
        return self.scrape_s + self.send_s + period_s + self.write_s


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """What is played.

    Attributes:
        replicas: that are there, warm, when it begins.
        limit_cores: CPU limit that pods are born with; None without one.
        node_cores: that all pods share; None: as many as are asked for.
        seed: of pods' luck and of the phases of scrapes and turns.
        tail_s: seconds played on after the arrivals have ended.
    """

    target: Target
    parameters: Parameters
    arrivals: Arrivals
    replicas: int = 1
    limit_cores: float | None = 1.0
    node_cores: float | None = None
    seed: int = 0
    pipeline: Pipeline = dataclasses.field(default_factory=Pipeline)
    tail_s: float = 120.0

    @property
    def step_s(self) -> float:
        """When something first arrives, seconds since 1970."""
        return EPOCH_S + self.arrivals.first_s

    @property
    def silent_s(self) -> float:
        """When the arrivals have ended, seconds since 1970."""
        return EPOCH_S + self.arrivals.silent_s

    @property
    def end_s(self) -> float:
        """When the play is over, seconds since 1970."""
        return self.silent_s + self.tail_s

    def phase(self, of: str) -> float:
        """A number in 0..1, the same for every controller that plays this scene."""
        return random.Random(f"{of}:{self.seed}").random()


class World:
    """A scene under way.

    Attributes:
        now_s: seconds since 1970.
        cluster, store, trace: its parts.

    Args:
        scene: what is played.
        measured: whether metrics are scraped; without a controller nobody reads them.
    """

    def __init__(self, scene: Scene, *, measured: bool = True) -> None:
        self.scene = scene
        self.now_s = EPOCH_S
        self.cluster = cluster.Cluster(
            scene.target,
            scene.replicas,
            EPOCH_S,
            grace_s=scene.parameters.termination_grace,
            limit_cores=scene.limit_cores,
            resize_s=scene.parameters.resize_latency,
            node_cores=scene.node_cores,
        )
        common = {"namespace": scene.target.namespace, "app": scene.target.name}
        self.store = samples.Store(common, scene.pipeline.send_s)
        self.trace = Trace(scene.step_s, scene.silent_s)
        self.plant = plant.StreamPlant(scene.parameters, scene.arrivals, scene.seed)
        self._scrape_s = EPOCH_S + scene.phase("scrape") * scene.pipeline.scrape_s
        self._trace_s = EPOCH_S
        self._measured = measured
        self._step()
        self.plant.begin(EPOCH_S)

    def advance(self, to_s: float) -> None:
        """Let time pass until `to_s`."""
        while self.now_s < to_s:
            due_s = min(self._scrape_s, self._trace_s, self.cluster.due_s)
            self.now_s = min(to_s, due_s, self.now_s + STRIDE_S)
            output = self._step()
            if self.now_s >= self._scrape_s:
                if self._measured:
                    self.store.scrape(self.now_s, output.metrics)
                self._scrape_s += self.scene.pipeline.scrape_s
            if self.now_s >= self._trace_s:
                self._note()

    def _step(self) -> PlantOutput:
        output = self.plant.step(self.now_s, self.cluster.pods())
        self.cluster.advance(self.now_s, output.pods)
        return output

    def _note(self) -> None:
        self._trace_s += STRIDE_S
        account = self.plant.account()
        self.trace.add(
            self.now_s,
            arrivals=self.plant.rate(self.now_s),
            queue=account.queued,
            replicas=(self.cluster.replicas, self.cluster.ready),
            lost=account.unheard + account.dropped + account.lost,
            cores=self.cluster.cores,
        )
