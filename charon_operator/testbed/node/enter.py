"""Runs one program in the namespaces of a node.

Reads: `enter.py PID PROGRAM ARGUMENTS…`, PID of the process that made the namespaces; run as a
script, with nothing but the standard library. Gives: the program's exit code. Never: lets the
program outlive this process.

A process cannot move itself into another process namespace, only its children: hence two
processes for one program. Signals are sent to both (they share a process group); this one waits.
"""

import ctypes
import os
import signal
import sys

_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _join(libc, sys.argv[1])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: None)
    child = os.fork()
    if child == 0:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.execv(sys.argv[2], sys.argv[2:])
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) % 256)


def _join(libc: ctypes.CDLL, pid: str) -> None:
    namespaces = {"pid_for_children": _CLONE_NEWPID, "net": _CLONE_NEWNET, "mnt": _CLONE_NEWNS}
    # All are opened first: the last one hides where they are found.
    opened = [(os.open(f"/proc/{pid}/ns/{n}", os.O_RDONLY), k) for n, k in namespaces.items()]
    for descriptor, kind in opened:
        if libc.setns(descriptor, kind) != 0:
            sys.exit(f"joining the namespaces of {pid} failed: {os.strerror(ctypes.get_errno())}")
        os.close(descriptor)


if __name__ == "__main__":
    main()
