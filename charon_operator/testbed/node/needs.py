"""What a real node needs of this machine, and what of it is missing.

Reads: PATH and Debian's folders, the user, the kernel. Gives: paths of tools, or one sentence that
names what is missing and how to get it. Never: installs anything.
"""

import functools
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from charon_operator import errors

# Debian's packages by the tool they bring.
PACKAGES: Final[Mapping[str, str]] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "busybox": "busybox-static",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
}
SEARCHED: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLUGINS: Final = tuple(map(pathlib.Path, ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")))
_PLUGIN_PACKAGE: Final = "containernetworking-plugins"


def tool(name: str) -> pathlib.Path:
    """The path of a tool.

    Raises:
        errors.TestbedError: it is not here.
    """
    found = _found(name)
    if found is None:
        raise errors.TestbedError(f"{name} is not here: `apt install {PACKAGES[name]}`")
    return found


def unshare() -> list[str]:
    """The beginning of a command that runs a program in a node's own namespaces.

    The kernel kills the program when `unshare` ends, and with it all in its process namespace.
    """
    namespaces = ["--mount", "--net", "--pid", "--mount-proc"]
    return [str(tool("unshare")), *namespaces, "--fork", "--kill-child"]


def plugins() -> pathlib.Path | None:
    """The folder of the network plugins."""
    return next((folder for folder in _PLUGINS if (folder / "bridge").exists()), None)


@functools.cache
def missing() -> str:
    """One sentence that says why no real node can run here; empty if one can."""
    if sys.platform != "linux":
        return "a real node needs Linux"
    if os.geteuid() != 0:
        return "a real node needs root: run this as root"
    packages = {package for name, package in PACKAGES.items() if _found(name) is None}
    if plugins() is None:
        packages.add(_PLUGIN_PACKAGE)
    if not packages and not _is_static(tool("busybox")):
        packages.add(PACKAGES["busybox"])
    if packages:
        return f"a real node needs what is not here: `apt install {' '.join(sorted(packages))}`"
    return _refused()


def require() -> None:
    """Refuses where no real node can run.

    Raises:
        errors.TestbedError: something is missing; the text says what.
    """
    if missing():
        raise errors.TestbedError(missing())


def _found(name: str) -> pathlib.Path | None:
    path = shutil.which(name) or shutil.which(name, path=SEARCHED)
    return pathlib.Path(path) if path else None


def _is_static(program: pathlib.Path) -> bool:
    """True if the program runs where no library is, as in an image."""
    asked = subprocess.run(["ldd", program], capture_output=True, check=False)
    return asked.returncode != 0


def _refused() -> str:
    """Root in a container may lack the right to make namespaces."""
    tried = subprocess.run([*unshare(), "true"], capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        return ""
    return f"a real node needs namespaces of its own and may not make them: {tried.stderr.strip()}"
