"""CSV files whose rows are dataclasses: a column a field, an empty cell for what is missing."""

import csv
import dataclasses
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

Row = TypeVar("Row")


def columns(kind: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def write(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns(kind))
        writer.writerows(map(_cells, rows))


def read(path: Path, kind: type[Row]) -> Iterator[Row]:
    of = typing.get_type_hints(kind)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield kind(**{name: _value(of[name], row[name]) for name in columns(kind)})


def _cells(row: Any) -> list[Any]:
    """Numbers to four places: of seconds, a tenth of a millisecond."""
    return [round(v, 4) if isinstance(v, float) else v for v in dataclasses.astuple(row)]


def _value(kind: Any, text: str) -> Any:
    if isinstance(kind, types.UnionType):
        return _value(typing.get_args(kind)[0], text) if text else None
    return text == "True" if kind is bool else kind(text)
