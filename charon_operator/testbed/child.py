"""Runs one program that dies with its parent, however the parent dies.

Reads: `child.py PARENT_PID PROGRAM ARGUMENTS…`; run as a script, with nothing but the standard
library. Gives: the program, under the same pid. Never: outlives the thread that started it.

A script and not a `preexec_fn`: that runs Python between fork and exec, unsafe with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent = int(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit("prctl(PR_SET_PDEATHSIG) failed: children could outlive the testbed")
    # The parent may have died before the line above: then no signal would ever come.
    if os.getppid() != parent:
        sys.exit("the testbed died while this program was starting")
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
