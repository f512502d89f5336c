"""A lock in a folder that one process at a time may have; it ends with that process.

Reads: a lock file. Gives: the lock, as an open file. Never: waits.
"""

import fcntl
import pathlib
from typing import TextIO

from charon_operator import errors


def take(lock: pathlib.Path, refusal: str) -> TextIO:
    """Locks a file until what is given back is closed.

    Raises:
        errors.TestbedError: another process has it; `refusal` is its text.
    """
    file = lock.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise errors.TestbedError(refusal) from None
    return file
