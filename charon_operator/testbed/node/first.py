"""The first process of a node's namespaces: mounts what the node needs, then waits for its orphans.

Reads: `first.py TESTBED BINARIES READY`; run as a script, with nothing but the standard library, in
fresh mount, network and process namespaces. Gives: the node's own /run, /var/lib and /var/log, and
the file READY. Never: changes a file, a mount or a kernel setting that anything outside sees.

When this process ends, the kernel ends every other one in its namespaces, and the mounts, the
links and the packet filter rules with them.
"""

import ctypes
import os
import pathlib
import signal
import sys

_MS_BIND = 4096

# What kubelet would set for the whole machine: it finds it set already, in its own namespace.
_KERNEL_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}


def main() -> None:
    testbed, binaries, ready = (pathlib.Path(argument) for argument in sys.argv[1:4])
    # Opened before anything is hidden: either may lie below what is mounted over here.
    opened = {"testbed": os.open(testbed, os.O_PATH), "bin": os.open(binaries, os.O_PATH)}
    for hidden in ("/run", "/var/lib"):
        _mount("tmpfs", hidden, "tmpfs")
    for name, descriptor in opened.items():
        place = pathlib.Path("/run") / name
        place.mkdir()
        _mount(f"/proc/self/fd/{descriptor}", str(place), flags=_MS_BIND)
    _mount_logs()
    _set_kernel()
    (pathlib.Path("/run/testbed") / ready).touch()
    _wait()


def _mount(source: str, target: str, kind: str = "", flags: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, None) != 0:
        sys.exit(f"mounting {source} on {target} failed: {os.strerror(ctypes.get_errno())}")


def _mount_logs() -> None:
    logs = pathlib.Path("/run/testbed/data/node/log")
    logs.mkdir(parents=True, exist_ok=True)
    _mount(str(logs), "/var/log", flags=_MS_BIND)


def _set_kernel() -> None:
    for setting, value in _KERNEL_SETTINGS.items():
        file, real = pathlib.Path("/run/kernel") / setting, f"/proc/sys/{setting}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
        if pathlib.Path(real).exists():
            _mount(str(file), real, flags=_MS_BIND)
    # Of this network namespace only.
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")


def _wait() -> None:
    """Takes leave of every orphan until SIGTERM."""
    watched = {signal.SIGCHLD, signal.SIGTERM}
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    while signal.sigwait(watched) != signal.SIGTERM:
        while _reaped():
            pass


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


if __name__ == "__main__":
    main()
