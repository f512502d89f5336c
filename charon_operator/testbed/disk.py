"""Refuses early where a disk is too full.

Reads: free space. Gives: nothing, or one error that says how much is missing and what to do.
Never: frees anything.
"""

import pathlib
import shutil

from charon_operator import errors


def require(path: pathlib.Path, needed_mb: int, what: str, remedy: str) -> None:
    """Checks the free space of the disk a path is on, or will be on.

    Raises:
        errors.TestbedError: less than `needed_mb` is free.
    """
    there = next(p for p in (path, *path.parents) if p.exists())
    free_mb = shutil.disk_usage(there).free // 2**20
    if free_mb < needed_mb:
        raise errors.TestbedError(
            f"too little disk space: {what} needs {needed_mb} MB and {path} has {free_mb} MB "
            f"free. Make room, or {remedy}."
        )
