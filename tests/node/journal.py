"""The operator's journal as its pod keeps it, and the moves of all knobs that are told in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charon_operator import testbed
from charon_operator.testbed import operator

Row = dict[str, Any]
_FILE = "/var/lib/charon/journal.jsonl"


def read(bed: testbed.Testbed, copy: Path) -> list[Row]:
    """The journal's rows, out of the operator's pod; `copy` keeps the text."""
    inside = (f"deployment/{operator.ACCOUNT}", f"--namespace={operator.NAMESPACE}")
    copy.write_text(bed.kubectl("exec", *inside, "--", "cat", _FILE))
    return [json.loads(line) for line in copy.read_text().splitlines()]


@dataclass(frozen=True)
class Move:
    """A knob that was moved: when (s since 1970), why, from what to what, in replicas or mcore."""

    time_s: float
    knob: str
    reason: str
    start: int
    to: int
    message: str


def moves(rows: list[Row]) -> list[Move]:
    """What was written and taken, in order; a size once, however many pods took it."""
    decided = {
        entry["decision"]["decisionId"]: entry["decision"]
        for row in rows
        if row["kind"] == "turn"
        for entry in row["apps"]
    }
    found: list[Move] = []
    for row in rows:
        if row.get("outcome") != "Written":
            continue
        if row["kind"] == "write":
            decision = decided[row["decisionId"]]
            found.append(_move(row, "Replicas", decision, row["from"], row["to"]))
        elif row["kind"] == "resize" and row["resize"]["current"] != row["resize"]["final"]:
            resize = row["resize"]
            start, to = (resize[when][0] for when in ("current", "final"))
            found.append(_move(row, "Resources", resize, start, to))
    return found


def _move(row: Row, knob: str, decision: Row, start: int, to: int) -> Move:
    return Move(row["time"], knob, decision["reason"], start, to, decision["message"])
