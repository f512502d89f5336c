"""The programs of the testbed: which Go module each is built from, and what a cold build costs.

Reads: `modules/` of this package. Gives: Part, the table of parts, and their cache keys.
Never: builds.
"""

import dataclasses
import hashlib
import pathlib

MODULES = pathlib.Path(__file__).parent / "modules"

BUILD_FLAGS = (
    "-mod=readonly",
    "-trimpath",
    "-buildvcs=false",
    # A main package with a profile would compile everything below it a second time.
    "-pgo=off",
    # The linker strips debugging data anyway: not making it saves time and half the build cache.
    "-gcflags=all=-dwarf=false",
    "-ldflags=-s -w",
)

# As in modules/kubernetes/go.mod.
KUBERNETES = "v1.34.4"
_VERSION = "k8s.io/component-base/version"


@dataclasses.dataclass(frozen=True)
class Part:
    """One binary: its module's folder, its package, the names it is called by.

    `cold_cpu_s` and `disk_mb` are what one cold build cost on two cores, for the estimate shown
    before the first build; later estimates come from the build on this machine.
    """

    name: str
    module: str
    package: str
    cold_cpu_s: float
    disk_mb: int
    tags: str = ""
    links: tuple[str, ...] = ()
    stamps: tuple[tuple[str, str], ...] = ()
    """Variables set by the linker, as the projects' own releases do."""

    @property
    def build_flags(self) -> tuple[str, ...]:
        """Flags of `go build` for this part."""
        if not self.stamps:
            return BUILD_FLAGS
        stamped = [f"-X {name}={value}" for name, value in self.stamps]
        return (*BUILD_FLAGS[:-1], " ".join([BUILD_FLAGS[-1], *stamped]))

    @property
    def programs(self) -> tuple[str, ...]:
        return self.links or (self.name,)


KUBE = Part(
    name="kube",
    module="kubernetes",
    package="./kube",
    cold_cpu_s=475,
    disk_mb=4000,
    links=("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"),
    # Helm and kubectl read the version and refuse what the sources say before a release.
    stamps=(
        (f"{_VERSION}.gitVersion", KUBERNETES),
        (f"{_VERSION}.gitCommit", "0" * 40),
        (f"{_VERSION}.gitTreeState", "archive"),
    ),
)
ETCD = Part(name="etcd", module="kubernetes", package="./etcd", cold_cpu_s=20, disk_mb=300)
KWOK = Part(
    name="kwok",
    module="kwok",
    package="sigs.k8s.io/kwok/cmd/kwok",
    cold_cpu_s=150,
    disk_mb=1200,
)
MIMIR = Part(
    name="mimir",
    module="mimir",
    package="github.com/grafana/mimir/cmd/mimir",
    cold_cpu_s=350,
    disk_mb=3200,
    tags="remove_all_sd",
)
PROMETHEUS = Part(
    name="prometheus",
    module="mimir",
    package="github.com/prometheus/prometheus/cmd/prometheus",
    cold_cpu_s=24,
    disk_mb=300,
    tags="remove_all_sd",
)

# A part of its own: whoever needs no real node does not wait for it.
NODE = Part(
    name="node",
    module="kubernetes",
    package="./node",
    # Beside the control plane, with which it shares most packages.
    cold_cpu_s=45,
    disk_mb=500,
    links=("kubelet", "kube-proxy"),
    stamps=KUBE.stamps,
)

CONTROL_PLANE = (KUBE, ETCD)
REAL_NODES = (NODE,)
FAKE_NODES = (KWOK,)
METRICS = (MIMIR, PROMETHEUS)
ALL = (*CONTROL_PLANE, *FAKE_NODES, *METRICS)


def key(part: Part, go_version: str) -> str:
    """A short hash of all that decides what the binary is."""
    digest = hashlib.sha256()
    folder = MODULES / part.module
    # Another program of the same module does not change this one.
    of_part = {*folder.glob("*"), *(folder / part.package).rglob("*")}
    for path in sorted(p for p in of_part if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    digest.update(repr((part.package, part.tags, part.build_flags, go_version)).encode())
    return digest.hexdigest()[:16]
