"""Builds the testbed's programs from pinned Go modules, once, into a cache that runs share.

Reads: `modules/`, the Go toolchain, free disk. Gives: the paths of binaries, published whole or
not at all; what each build cost. Never: builds twice at once (a lock), nor downloads anything but
Go modules.

An interrupted build resumes: the Go build cache keeps every package that was compiled.
"""

import contextlib
import dataclasses
import fcntl
import json
import math
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from charon_operator import errors
from charon_operator.testbed import disk, parts, progress, toolchain

_CHILD = pathlib.Path(__file__).parent / "child.py"


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one build took on this machine; `wall_s` and `cpu_s` in seconds, sizes in MB."""

    part: str
    wall_s: float
    cpu_s: float
    packages_compiled: int
    build_cache_mb: int
    binary_mb: int


@dataclasses.dataclass(frozen=True)
class _Workshop:
    """The toolchain and where its results go."""

    go: pathlib.Path
    version: str
    cache: pathlib.Path
    shows: progress.Progress

    def folder(self, part: parts.Part) -> pathlib.Path:
        return self.cache / f"{part.name}-{parts.key(part, self.version)}"

    def programs(self, part: parts.Part) -> dict[str, pathlib.Path]:
        return {name: self.folder(part) / "bin" / name for name in part.programs}

    def is_built(self, part: parts.Part) -> bool:
        return (self.folder(part) / "cost.json").exists()


def default_cache() -> pathlib.Path:
    """`$XDG_CACHE_HOME/charon/testbed`, or the same below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "charon" / "testbed"


def programs(
    wanted: Sequence[parts.Part] = parts.ALL,
    cache: pathlib.Path | None = None,
    shows: progress.Progress | None = None,
) -> dict[str, pathlib.Path]:
    """Paths of the programs of the wanted parts, built first where they are missing.

    Raises:
        errors.TestbedError: no Go, no disk space, or a build that failed (with its last lines).
    """
    workshop = _workshop(cache, shows or progress.Silent())
    missing = [part for part in wanted if not workshop.is_built(part)]
    if missing:
        _announce(workshop, missing)
    for part in missing:
        with _locked(workshop, part):
            # Another run may have built it while this one waited for the lock.
            if not workshop.is_built(part):
                _build(workshop, part)
    return {name: path for part in wanted for name, path in workshop.programs(part).items()}


def costs(
    wanted: Sequence[parts.Part] = parts.ALL, cache: pathlib.Path | None = None
) -> list[Cost]:
    """What the builds in the cache cost when they were made."""
    workshop = _workshop(cache, progress.Silent())
    files = [workshop.folder(part) / "cost.json" for part in wanted]
    return [Cost(**json.loads(file.read_text())) for file in files if file.exists()]


def _workshop(cache: pathlib.Path | None, shows: progress.Progress) -> _Workshop:
    go, version = toolchain.find()
    return _Workshop(go, version, cache or default_cache(), shows)


def _announce(workshop: _Workshop, missing: Sequence[parts.Part]) -> None:
    """Says what will be built and how long that takes at most; checks the disk first."""
    _require_disk(workshop, sum(part.disk_mb for part in missing))
    cores = len(os.sched_getaffinity(0))
    minutes = sum(part.cold_cpu_s for part in missing) / min(cores, 8) / 60
    names = ", ".join(part.name for part in missing)
    workshop.shows.say(
        f"Building {names} with Go {workshop.version}: about {max(1, minutes):.0f} min on {cores} "
        f"cores if nothing is cached, once. It can be interrupted and resumes where it was."
    )


def _require_disk(workshop: _Workshop, cold_mb: int) -> None:
    """Checks the disks of Go's two caches, less what they hold already, and that of our own.

    Binaries, and what Go links them in, take a tenth of all at most, however much is cached.
    """
    own_mb = math.ceil(cold_mb / 10)
    remedy = "set XDG_CACHE_HOME to a folder on a larger disk"
    disk.require(workshop.cache, own_mb, "the build", remedy)
    caches = {name: pathlib.Path(path) for name, path in go_environment(workshop.go).items()}
    needed_mb = max(own_mb, cold_mb - sum(_size_mb(path) for path in caches.values()))
    for variable, path in caches.items():
        remedy = f"set {variable} to a folder on a larger disk"
        disk.require(path, needed_mb, "the build", remedy)


def go_environment(go: pathlib.Path) -> Mapping[str, str]:
    """Where this Go keeps its build cache and its modules."""
    asked = subprocess.run(
        [go, "env", "-json", "GOCACHE", "GOMODCACHE"], capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        raise errors.TestbedError(f"`{go} env` failed: {asked.stderr.strip()}")
    told: dict[str, str] = json.loads(asked.stdout)
    return told


@contextlib.contextmanager
def _locked(workshop: _Workshop, part: parts.Part) -> Iterator[None]:
    """Holds the lock of one part's build; it frees itself if the process dies."""
    workshop.cache.mkdir(parents=True, exist_ok=True)
    with (workshop.cache / f"{part.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            workshop.shows.say(f"Waiting: another process is building {part.name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(workshop: _Workshop, part: parts.Part) -> None:
    """Builds one part beside its place, then moves it there in one step."""
    target = workshop.folder(part)
    # What a killed build left: nobody else builds this part, we hold its lock.
    for left in target.parent.glob(f"{target.name}.draft*"):
        shutil.rmtree(left)
    draft = target.with_name(f"{target.name}.draft{os.getpid()}")
    (draft / "bin").mkdir(parents=True)
    (draft / "work").mkdir()
    try:
        cost = _compile(workshop, part, draft / "bin" / part.name)
        for name in part.links:
            os.link(draft / "bin" / part.name, draft / "bin" / name)
        shutil.rmtree(draft / "work")
        (draft / "cost.json").write_text(json.dumps(dataclasses.asdict(cost)) + "\n")
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _compile(workshop: _Workshop, part: parts.Part, out: pathlib.Path) -> Cost:
    cache_folder = pathlib.Path(go_environment(workshop.go)["GOCACHE"])
    before_mb, before_cpu_s, began = _size_mb(cache_folder), _children_cpu_s(), time.monotonic()
    workshop.shows.begin(f"{part.name}: fetching modules", 1)
    work = out.parents[1] / "work"
    total = len(_go(workshop, part, ["list", "-deps"], work))
    workshop.shows.finish()
    workshop.shows.begin(f"{part.name}: compiling", total)
    compiled = _go(workshop, part, ["build", "-v", *part.build_flags, "-o", str(out)], work)
    workshop.shows.finish()
    return Cost(
        part=part.name,
        wall_s=round(time.monotonic() - began, 1),
        cpu_s=round(_children_cpu_s() - before_cpu_s, 1),
        packages_compiled=len([line for line in compiled if not line.startswith("go: ")]),
        build_cache_mb=_size_mb(cache_folder) - before_mb,
        binary_mb=out.stat().st_size // 2**20,
    )


def _go(workshop: _Workshop, part: parts.Part, verb: list[str], work: pathlib.Path) -> list[str]:
    """Runs one Go command in the part's module; each line it says is a step of the progress."""
    command = [str(workshop.go), *verb, "-tags", part.tags, part.package]
    nice = shutil.which("nice")
    if nice:
        command = [nice, "-n", "10", *command]
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(_CHILD), str(os.getpid()), *_resolved(command)],
        cwd=parts.MODULES / part.module,
        env=_build_environment(work),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            lines.append(line.rstrip())
            workshop.shows.advance(line.rstrip())
    if running.returncode != 0:
        last = "\n  ".join(lines[-15:])
        raise errors.TestbedError(f"building {part.name} failed; Go said last:\n  {last}")
    return lines


def _resolved(command: list[str]) -> list[str]:
    return [shutil.which(command[0]) or command[0], *command[1:]]


def _build_environment(work: pathlib.Path) -> dict[str, str]:
    """The caller's environment without what would change the result or fetch another toolchain.

    Go's working files lie in `work`: what a killed Go leaves there goes with the next build.
    """
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOTMPDIR": str(work),
    }


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _size_mb(folder: pathlib.Path) -> int:
    """Disk that a cache of Go's takes; its files may vanish while they are counted."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (pathlib.Path(root) / name).stat().st_size
    return total // 2**20
