"""A cluster in containers, made by kind where docker answers.

NOT VERIFIED: written from kind's documentation, run by nobody yet; the default provider is tested.

Reads: the programs `docker` and `kind` on PATH. Gives: a Cluster whose nodes are containers.
Never: touches a kind cluster of another name.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence

from charon_operator import errors
from charon_operator.testbed import config, parts
from charon_operator.testbed.providers import contract, kubeconfig

_DOCKER_TIMEOUT_S = 20


class Kind:
    """One kind cluster a testbed folder."""

    def __init__(self, wanted: config.Config) -> None:
        digest = hashlib.sha256(str(wanted.folder).encode()).hexdigest()[:8]
        self._name = f"charon-{digest}"
        self._made = False

    def needs(self) -> Sequence[parts.Part]:
        check_tools()
        return () if shutil.which("kubectl") else (parts.KUBE,)

    def bring_up(self, launcher: contract.Launcher) -> contract.Cluster:
        file = launcher.files.kubeconfig
        self._made = True
        _run("create", "cluster", "--name", self._name, "--kubeconfig", str(file), "--wait", "120s")
        return kubeconfig.existing(file, launcher)

    def take_down(self) -> None:
        if self._made:
            _run("delete", "cluster", "--name", self._name)
            self._made = False


def check_tools() -> None:
    """Refuses early, with a remedy, where kind cannot work."""
    for tool, where in (
        ("docker", "https://docs.docker.com/engine/install"),
        ("kind", "https://kind.sigs.k8s.io"),
    ):
        if shutil.which(tool) is None:
            raise errors.TestbedError(
                f"the kind provider needs {tool} on PATH ({where}); "
                "the default provider (--provider modules) does not"
            )
    if not _docker_answers():
        raise errors.TestbedError(
            "docker does not answer (`docker info` fails): start it, or use --provider modules"
        )


def _docker_answers() -> bool:
    try:
        asked = subprocess.run(
            ["docker", "info"], capture_output=True, timeout=_DOCKER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _run(*arguments: str) -> None:
    done = subprocess.run(["kind", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise errors.TestbedError(f"kind {' '.join(arguments)} failed: {done.stderr.strip()}")
