"""A host on which everything outside the script is played, and what became of it."""

import dataclasses
import hashlib
import io
import os
import re
import shutil
import signal
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.ship.chart import ROOT
from tests.testbed_fixtures import wait_until

BOOTSTRAP = ROOT / "bootstrap"
IMAGE = f"registry.example/charon-operator@sha256:{'1' * 64}"
ALL = ("server", "gpu", "stack", "operator")
_STAND_IN = Path(__file__).parent / "stand_in.bash"
# What is on the PATH of the script beside the host's own small tools.
_PLAYED = ["curl", "systemctl", "nvidia-smi", "nvidia-ctk", "id", "uname", "nproc", "sleep"]
# Small tools of the host, whose arguments others on it can read while they run.
_SMALL = ["awk", "cat", "chmod", "cmp", "cut", "env", "find", "grep", "head", "mkdir", "mv", "od"]
_SMALL += ["rm", "sed", "sh", "sha256sum", "sort", "stat", "tar", "tr"]
_SMALL_TOOL = """#!/bin/bash
line=$(printf '%q ' {name} "$@")
printf '%s\\n' "$line" >>"$WORLD/small"
if [ -e "$WORLD/kill-small" ] && ! /bin/grep -sqxF -- "$line" "$WORLD/broken"; then
    printf '%s\\n' "$line" >>"$WORLD/broken"
    kill -KILL 0
fi
exec {real} "$@"
"""
# What differs from run to run: random, or a hash of what is random.
_RANDOM = ("token", "agent-token", "k3s.applied", "k3s-agent.applied")


@dataclasses.dataclass(frozen=True)
class Told:
    """How a run of the script ended."""

    code: int
    out: str
    err: str


class Host:
    """One host: `root` is its file system, `world` what its programs changed elsewhere."""

    def __init__(self, folder: Path, *, gpu: bool = False) -> None:
        self.root, self.world = folder / "root", folder / "world"
        self.checkout = folder / "checkout"
        self.programs = folder / "programs"
        for place in ("units", "objects", "releases", "served", "answers"):
            (self.world / place).mkdir(parents=True)
        (self.root / "usr/bin").mkdir(parents=True)
        self.programs.mkdir()
        self.say(uid="0", ready="True", phase="Succeeded", processes="", toolkit="version 1.18.1")
        (self.world / "answers" / "any").write_text("1")
        self._lay_out()
        for name in _PLAYED:
            if gpu or not name.startswith("nvidia"):
                shutil.copy(_STAND_IN, self.programs / name)
        if gpu:
            shutil.copy(_STAND_IN, self.root / "usr/bin/nvidia-container-runtime")
        self.config(OPERATOR_IMAGE=IMAGE)

    def _lay_out(self) -> None:
        """A checkout whose versions.env has the checksums of what the played curl serves."""
        shutil.copytree(BOOTSTRAP, self.checkout / "bootstrap")
        (self.checkout / "helm").symlink_to(ROOT / "helm")
        played = _STAND_IN.read_bytes()
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            entry = tarfile.TarInfo("linux-amd64/helm")
            entry.size = len(played)
            tar.addfile(entry, io.BytesIO(played))
        self.serve("k3s", played, "K3S_AMD64_SHA256")
        # The real one is for sh, which may be another shell than the player's.
        self.serve("install.sh", b'exec "$WORLD/installer/install.sh"', "K3S_INSTALL_SHA256")
        (self.world / "installer").mkdir()
        shutil.copy(_STAND_IN, self.world / "installer/install.sh")
        versions = self.versions()
        helm = f"helm-{versions['HELM_VERSION']}-linux-amd64.tar.gz"
        self.serve(helm, archive.getvalue(), "HELM_AMD64_SHA256")
        for name, url in versions.items():
            if name.endswith("_URL"):
                chart = url.rpartition("/")[2]
                self.serve(chart, chart.encode(), name.replace("_URL", "_SHA256"))
            elif name.endswith("_DIGEST"):
                self.version(name, f"sha256:{'2' * 64}")

    def versions(self) -> dict[str, str]:
        text = (self.checkout / "bootstrap/versions.env").read_text()
        return dict(line.split("=", 1) for line in text.splitlines() if re.match("[A-Z]", line))

    def version(self, name: str, value: str) -> None:
        """Writes a line of versions.env, which must be there."""
        path = self.checkout / "bootstrap/versions.env"
        text, changed = re.subn(rf"(?m)^{name}=.*$", f"{name}={value}", path.read_text())
        assert changed == 1, name
        path.write_text(text)

    def serve(self, name: str, content: bytes, checksum: str) -> None:
        (self.world / "served" / name).write_bytes(content)
        self.version(checksum, hashlib.sha256(content).hexdigest())

    def say(self, **answers: str) -> None:
        """What the played programs answer."""
        for name, answer in answers.items():
            (self.world / name).write_text(answer)

    def answer(self, query: str, value: str) -> None:
        """What Mimir answers to a query."""
        key = hashlib.sha256(query.encode()).hexdigest()[:16]
        (self.world / "answers" / key).write_text(value)

    def config(self, **fields: str) -> None:
        text = "".join(f"{name}={value}\n" for name, value in fields.items())
        (self.checkout / "bootstrap/cluster.env").write_text(text)

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Told:
        """Runs the script to its end, as the leader of a process group of its own."""
        done = subprocess.run(
            [self._script, *arguments],
            input=stdin,
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            start_new_session=True,
        )
        return Told(done.returncode, self._neutral(done.stdout), self._neutral(done.stderr))

    def kill_when(self, ready: Callable[[], bool], *arguments: str) -> None:
        """Runs the script, and kills it with all it runs as soon as that holds."""
        running = subprocess.Popen(
            [self._script, *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(ready, "the moment to kill it", timeout_s=60)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()

    @property
    def _script(self) -> Path:
        return self.checkout / "bootstrap/charon-bootstrap"

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "WORLD": str(self.world),
            "CHARON_BOOTSTRAP_ROOT": str(self.root),
            "CHARON_VERIFY_PATIENCE_S": "0",
        }

    def succeed(self, *arguments: str, stdin: str = "") -> str:
        told = self.run(*arguments, stdin=stdin)
        assert told.code == 0, told
        return told.out

    def log(self) -> list[str]:
        """The calls so far, without the paths of this test; forgets them."""
        path = self.world / "log"
        lines = self._neutral(path.read_text()).splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def _neutral(self, text: str) -> str:
        return text.replace(str(self.root), "").replace(str(self.checkout), "CHECKOUT")

    def files(self) -> dict[str, tuple[str, str]]:
        """Mode and text of each file of the host, what is random left out."""
        return {
            f"/{path.relative_to(self.root)}": (_mode(path), self._text(path))
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }

    def _text(self, path: Path) -> str:
        text = path.read_text(errors="replace")
        return f"{len(text)} characters" if path.name in _RANDOM else self._neutral(text)

    def state(self) -> dict[str, object]:
        """All that a run is to bring about."""
        world = {
            place: {path.name: path.read_text() for path in (self.world / place).iterdir()}
            for place in ("units", "objects", "releases")
        }
        return {"files": self.files(), "secret": (self.world / "secret").exists(), **world}

    def touched(self) -> dict[str, tuple[int, int]]:
        """By which a file that was written again can be told."""
        told = {path: path.stat() for path in self.root.rglob("*") if path.is_file()}
        return {str(path): (status.st_ino, status.st_mtime_ns) for path, status in told.items()}

    def record_every_command(self) -> None:
        """Records the arguments of the host's small tools too; each kills the run once if told."""
        for name in _SMALL:
            real = shutil.which(name, path="/usr/bin:/bin")
            wrapper = self.programs / name
            wrapper.write_text(_SMALL_TOOL.format(name=name, real=real))
            wrapper.chmod(0o755)


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(os.stat(path).st_mode):04o}"
