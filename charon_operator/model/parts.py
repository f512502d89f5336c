"""Parts of bodies that somebody else wrote: what is absent or of another kind is empty.

Reads: any JSON. Gives: maps, lists of maps, counts. Never: an exception.
"""

from collections.abc import Mapping
from typing import Any


def part(body: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The map at a path, or an empty one."""
    here: Any = body
    for step in path:
        here = here.get(step) if isinstance(here, Mapping) else None
    return here if isinstance(here, Mapping) else {}


def items(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The maps in a list of that name."""
    found = body.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def is_count(value: object) -> bool:
    """Whether it is a whole number that could count something here."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**6


def count(value: object) -> int:
    """A whole number, or 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of that type, or an empty map."""
    found = [one for one in items(status, "conditions") if one.get("type") == kind]
    return found[0] if found else {}
