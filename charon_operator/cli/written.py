"""Files that a verb writes: folders are made, and a file is there whole or not at all."""

import pathlib
from collections.abc import Iterable

from charon_operator.errors import SimulationError


def whole(file: pathlib.Path, content: bytes) -> None:
    """Write a file.

    Raises:
        SimulationError: it cannot be written; it says why.
    """
    draft = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(file)
    except OSError as error:
        raise SimulationError(f"{file}: cannot be written: {error.strerror}") from None


def lines(file: pathlib.Path, texts: Iterable[str]) -> None:
    """Write lines.

    Raises:
        SimulationError: as `whole`.
    """
    whole(file, "".join(f"{text}\n" for text in texts).encode())
