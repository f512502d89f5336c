"""The demo's play: the plant on the real pods, what it does over time, what the journal says.

Reads: a Stage, the journal's file as it grows. Gives: `Play`: a Trace, a Story, and the replica
changes that a watch of its own saw. Never: a decision.
"""

import asyncio
import contextlib
import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any, Final

from kubernetes.aio import client, watch

from charon_operator.cli import lab_plant
from charon_operator.cli.demo_stage import Stage
from charon_operator.errors import TestbedError
from charon_operator.lab.arrivals import Arrivals
from charon_operator.lab.example import Example
from charon_operator.lab.plant import StreamPlant
from charon_operator.lab.story import Story
from charon_operator.lab.trace import Trace
from charon_operator.ports import PlantOutput, PlantPod
from charon_operator.record import encoding, journal
from charon_operator.testbed import plant_exporter

_LOOK_S: Final = 0.5
_HEALTHY_S: Final = 90.0
_LONGEST_TAIL_S: Final = 120.0
_CALM_S: Final = 5.0


@dataclasses.dataclass(slots=True)
class Now:
    """What the view shows.

    Attributes:
        wanted: replicas asked for, as the journal has it.
        ready: pods that are Ready, terminating ones left out.
        reason: the last decision that moved something, else the last one, in words.
        said: what the play is doing.
    """

    seconds: float = 0.0
    arrivals: float = 0.0
    queue: int = 0
    wanted: int = 0
    ready: int = 0
    reason: str = ""
    said: str = ""


class Play:
    """One play of the step on a stage.

    Attributes:
        trace, story: what happened and what was decided.
        changes: replica counts of the Deployment, in order, as a watch of its own saw them.
        now: for the view.
    """

    def __init__(
        self,
        stage: Stage,
        file: pathlib.Path,
        example: Example,
        model: StreamPlant,
        load: Arrivals,
    ) -> None:
        self._stage = stage
        self._example = example
        self._model = model
        self._load = load
        self._ready = 0
        self._tail = _Tail(file)
        self._reader = journal.Reader()
        self._noted_s = 0.0
        self.begun_s = 0.0
        self.trace = Trace(0.0, 0.0)
        self.story = Story()
        self.changes: list[int] = []
        self.now = Now(said="Waiting for the first readings.")

    async def run(self, stop: asyncio.Event, view: Any) -> bool:
        """Play to the end; False if `stop` came before.

        Raises:
            TestbedError: the operator died, or nothing was read for too long.
        """
        target = self._example.app.target
        ended, started = asyncio.Event(), asyncio.Event()
        async with lab_plant.connected(self._stage.bed.kubeconfig) as api:
            exporter = plant_exporter.PlantExporter(
                self._model,
                api,
                namespace=target.namespace,
                deployment=target.name,
                observer=self._observe,
            )
            tasks = [
                asyncio.create_task(exporter.run(ended, started)),
                asyncio.create_task(self._watch_target(api)),
            ]
            try:
                await _first(tasks[0], started.wait())
                self._stage.bed.scrape(lab_plant.TARGET, exporter.address)
                return await self._follow(stop, tasks, view)
            finally:
                ended.set()
                tasks[1].cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(
        self, stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]], view: Any
    ) -> bool:
        """Watch the journal until readings are there, begin, go on until all is settled."""
        waited_from_s = time.time()
        while not stop.is_set():
            self.read()
            view(self.now)
            for task in tasks:
                if task.done():
                    task.result()
            if self._stage.operator.pid is None:
                raise TestbedError(f"the operator ended{self._stage.operator.tail()}")
            if not self.begun_s and self._healthy():
                self._begin()
            elif not self.begun_s and time.time() - waited_from_s > _HEALTHY_S:
                raise TestbedError(
                    f"no readings within {_HEALTHY_S:.0f} s{self._stage.operator.tail()}"
                )
            if self.begun_s and self._settled():
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_S)
        return False

    def _begin(self) -> None:
        self.begun_s = time.time()
        self.trace.step_s = self.begun_s + self._load.first_s
        self.trace.silent_s = self.begun_s + self._load.silent_s
        self._model.begin(self.begun_s)
        self.now.said = "The step is on its way."

    def _healthy(self) -> bool:
        """The operator read every indicator after the pods were ready."""
        return (
            bool(self.story.decided)
            and self.story.decided[-1].sampled_s is not None
            and self._ready >= self._example.app.spec.bounds.min
        )

    def _settled(self) -> bool:
        """The arrivals are over, replicas are at the minimum and stayed there for a moment."""
        now_s = time.time()
        if now_s > self.trace.silent_s + _LONGEST_TAIL_S:
            return True
        if now_s < self.trace.silent_s or not self.story.done:
            return False
        last = self.story.done[-1]
        low = self._example.app.spec.bounds.min
        return last.to == low and now_s - last.time_s > _CALM_S

    def _observe(self, now_s: float, output: PlantOutput, pods: Sequence[PlantPod]) -> None:
        """Called by the exporter after every step of the plant."""
        live = {pod.name for pod in pods if not pod.terminating}
        self._ready = sum(state.ready for name, state in output.pods.items() if name in live)
        if not self.begun_s or now_s - self._noted_s < _LOOK_S:
            return
        self._noted_s = now_s
        account = self._model.account()
        lost = account.unheard + account.dropped + account.lost
        self.trace.add(
            now_s,
            arrivals=self._model.rate(now_s),
            queue=account.queued,
            replicas=(self.now.wanted, self._ready),
            lost=lost,
        )
        self.now.seconds = now_s - self.trace.step_s
        self.now.arrivals, self.now.queue = self.trace.arrivals[-1], account.queued

    def read(self) -> None:
        """Take in what the journal has got since."""
        for row in self._tail.rows():
            item = self._reader.read(row)
            if isinstance(item, journal.Turn):
                self._take_turn(item)
            elif isinstance(item, journal.Write) and item.key == self._example.app.key:
                self.story.write(item)
                self.now.wanted = item.action.to
                if behind := self.story.behind(item):
                    self.now.reason = behind.decision.message
        self.now.ready = self._ready

    def _take_turn(self, item: journal.Turn) -> None:
        for facts, content in zip(item.facts, item.decisions, strict=True):
            if facts.key == self._example.app.key:
                decision = encoding.decision_from_json(content)
                self.story.decide(item.now_s, facts, decision)
                if not self.story.done:
                    self.now.wanted, self.now.reason = decision.current, decision.message

    async def _watch_target(self, api: Any) -> None:
        """Every replica count the Deployment has, seen without the operator."""
        apps = client.AppsV1Api(api)
        while True:
            with contextlib.suppress(*plant_exporter.PASSING):
                await self._watch_once(apps)
            await asyncio.sleep(_LOOK_S)

    async def _watch_once(self, apps: Any) -> None:
        target = self._example.app.target
        async with watch.Watch() as stream:  # type: ignore[no-untyped-call]
            async for event in stream.stream(
                apps.list_namespaced_deployment,
                target.namespace,
                field_selector=f"metadata.name={target.name}",
                timeout_seconds=300,
            ):
                count = event["raw_object"]["spec"].get("replicas")
                if count is not None and self.changes[-1:] != [count]:
                    self.changes.append(int(count))


class _Tail:
    """New whole lines of a growing file."""

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        self._at = 0

    def rows(self) -> list[dict[str, Any]]:
        """Rows that were added since the last call."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as content:
            content.seek(self._at)
            whole, newline, _ = content.read().rpartition(b"\n")
        self._at += len(whole) + len(newline)
        return [json.loads(line) for line in whole.splitlines() if line]


async def _first(task: asyncio.Task[None], event: Any) -> None:
    """Wait for an event, or for a task to fail before it."""
    waiting = asyncio.ensure_future(event)
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        task.result()
