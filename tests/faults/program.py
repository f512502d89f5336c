"""The operator as fault tests run it: the real program, a process of its own.

Reads: a stage's addresses, the operator's journal and metrics. Gives: `Operator`, started, killed
and ended by its pid. Never: talks to it but by signals and its own HTTP port.
"""

import contextlib
import json
import sys
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charon_operator import names
from charon_operator.testbed import probes, process
from tests.faults import install

if TYPE_CHECKING:
    from tests.faults import harness

_READY_S = 30.0
# Nobody renews the file of a token as a kubelet does; an outage of the soak alone takes 30 min.
_TOKEN_S = 86400


class Operator:
    """The operator's process: started, killed and ended by its pid."""

    def __init__(self, stage: "harness.Stage", name: str, folder: Path, port: int) -> None:
        self.stage, self.name, self.folder = stage, name, folder
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "charon_operator", "run"]
        files = [f"--kubeconfig={folder / 'kubeconfig'}", f"--config={folder / 'config.yaml'}"]
        self.process = process.Process(
            process.Program(
                name=name,
                command=[*command, *files],
                log=folder / "log",
                port=port,
                is_ready=self.leads,
            )
        )
        self._keepers: list[threading.Thread] = []

    @property
    def pid(self) -> int | None:
        return self.process.pid

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def renew_token(self) -> None:
        """Writes its kubeconfig, with a fresh token in the file beside it."""
        stage = self.stage
        kubeconfig = stage.bed.service_account_kubeconfig(
            install.SYSTEM,
            install.ACCOUNT,
            self.folder / "kubeconfig",
            api_url=stage.api.url,
            ca_file=stage.bed.serving_ca_file,
            lifetime_s=_TOKEN_S,
        )
        stage.api.name_client(Path(f"{kubeconfig}.token").read_text(), self.name)

    def start(self) -> None:
        """Starts it and waits until it leads."""
        self.process.start(_READY_S)

    def kill(self) -> None:
        """SIGKILL: it has no chance to tidy up."""
        self.process.kill()

    def kill_and_restart(self) -> None:
        """SIGKILL, and a fresh start as a kubelet would make it, without waiting for it."""
        self.process.kill()
        keeper = threading.Thread(target=self.process.launch)
        self._keepers.append(keeper)
        keeper.start()

    def end(self) -> None:
        """SIGTERM, insisted on if need be."""
        for keeper in self._keepers:
            keeper.join()
        self.process.stop()

    def leads(self) -> bool:
        """Whether it says that it is ready and holds the Lease."""
        return probes.answers(f"{self.url}/readyz") and self.metric(names.Metric.LEADER) == 1

    def metric(self, name: str, **labels: str) -> float:
        """Sum of one of its own metrics over all other labels, 0 where it has none."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith((f"{name} ", f"{name}{{"))]
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        chosen = [line for line in found if all(text in line for text in wanted)]
        return sum(float(line.rpartition(" ")[2]) for line in chosen)

    def rows(self, kind: str = "") -> list[dict[str, Any]]:
        """Rows of its journal, over all its lives; a row cut short by a kill is left out."""
        if not self.journal.exists():
            return []
        whole, _, _ = self.journal.read_text().rpartition("\n")
        rows = []
        for line in whole.splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                rows.append(json.loads(line))
        return [row for row in rows if kind in ("", row.get("kind"))]
