"""The demo's stage: a testbed, the chart's objects, the operator beside it, the example.

Reads: a folder, the repository's chart and example. Gives: `Stage`. Never: leaves a process behind.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Final

from charon_operator import testbed
from charon_operator.errors import TestbedError
from charon_operator.testbed import claim, keeper, layout, operator, process, progress, sockets

# The scene is short: how the objective stands is asked for more often than once a minute.
_DEMO_SETTINGS: Final = {"attainment_period_seconds": 10}
_OPERATOR_READY_S: Final = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """Where things are; `root` is the repository's.

    Attributes:
        out: what the demo leaves behind.
    """

    root: pathlib.Path
    out: pathlib.Path

    @property
    def chart(self) -> pathlib.Path:
        return self.root / "helm" / "charon-operator"

    @property
    def example(self) -> pathlib.Path:
        return self.root / "examples" / "01-hold-a-queue"

    @property
    def bed(self) -> pathlib.Path:
        return self.out / "testbed"

    @property
    def journal(self) -> pathlib.Path:
        return self.out / "journal.jsonl"

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """Have the folder for this demo alone, without what an earlier one left in it.

        Raises:
            TestbedError: the chart or the example is not there, the folder was not made for a
                demo, or another demo runs in it.
        """
        for needed in (self.chart, self.example):
            if not needed.is_dir():
                raise TestbedError(f"{needed} is not there: the demo runs from a checkout")
        self.out.mkdir(parents=True, exist_ok=True)
        marker = self.out / ".charon-demo"
        if any(self.out.iterdir()) and not marker.exists():
            raise TestbedError(
                f"{self.out} was not made for a demo; it is left as it is: name another --folder"
            )
        refusal = f"another demo runs in {self.out}: wait for it, or name another --folder"
        with claim.take(marker, refusal):
            keeper.delete(layout.Layout(self.bed.resolve()))
            for old in self.out.glob("journal.jsonl*"):
                old.unlink()
            yield


@dataclasses.dataclass(slots=True)
class Stage:
    """A testbed with the operator running beside it, under the chart's own rights."""

    bed: testbed.Testbed
    operator: process.Process


@contextlib.contextmanager
def stage(places: Places, shows: progress.Progress) -> Iterator[Stage]:
    """Bring everything up, and down again however it ends.

    Raises:
        TestbedError: a step failed; it says which and shows the end of its log.
    """
    config = testbed.Config(folder=places.bed)
    ports = sockets.Reservation()
    with contextlib.ExitStack() as ends:
        ends.callback(ports.release)
        bed = ends.enter_context(testbed.start(config, progress=shows))
        shows.say("Installing the chart: rights, definitions, admission policies.")
        operator.install(bed, places.chart)
        settings = {"journal": {"path": str(places.journal.resolve())}, **_DEMO_SETTINGS}
        program = operator.program(bed, bed.folder / "operator", ports.port("health"), settings)
        running = process.Process(program)
        ends.callback(running.stop)
        shows.say("Starting the operator with the chart's ServiceAccount.")
        running.start(_OPERATOR_READY_S)
        # What it tells of itself is kept too, so that the dashboards show the demo.
        bed.scrape("operator", f"{sockets.LOOPBACK}:{program.port}")
        shows.say(f"Applying {places.example.relative_to(places.root)}.")
        bed.apply(places.example)
        yield Stage(bed, running)
