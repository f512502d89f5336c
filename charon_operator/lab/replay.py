"""A journal decided again: the same facts and memory must give the same decisions, to the byte.

Reads: the rows of a journal file. Gives: `Replayed`. Never: a tolerance; a difference is a finding.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from charon_operator.errors import SimulationError
from charon_operator.loop import turn
from charon_operator.model.memory import FleetMemory
from charon_operator.record import journal
from charon_operator.settings import Safety


@dataclasses.dataclass(frozen=True, slots=True)
class Mismatch:
    """A decision that came out otherwise; both as their JSON texts."""

    turn_id: str
    app: str
    recorded: str
    decided: str


@dataclasses.dataclass(slots=True)
class Replayed:
    """What a replay found.

    Attributes:
        turns, decisions, writes: how many were replayed.
        cut: lines that were cut short by a kill, and skipped.
    """

    turns: int = 0
    decisions: int = 0
    writes: int = 0
    cut: int = 0
    mismatches: list[Mismatch] = dataclasses.field(default_factory=list)


def replay(file: pathlib.Path) -> Replayed:
    """Replay a journal file.

    Raises:
        SimulationError: it cannot be read, is no journal, or does not begin with a start row.
    """
    result = Replayed()
    _replay(result, file, read(file, result))
    return result


def read(file: pathlib.Path, result: Replayed | None = None) -> Iterator[Mapping[str, Any]]:
    """The rows of a journal file; a line cut short by a kill is skipped.

    Raises:
        SimulationError: the file cannot be read.
    """
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if isinstance(row, dict):
                    yield row
                elif result is not None:
                    result.cut += 1
    except (OSError, UnicodeDecodeError) as error:
        raise SimulationError(f"{file}: cannot be read: {error}") from None


def _replay(result: Replayed, file: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
    reader = journal.Reader()
    memory: FleetMemory | None = None
    safety = Safety()
    for number, row in enumerate(rows, start=1):
        try:
            item = reader.read(row)
        except ValueError as error:
            raise SimulationError(f"{file}:{number}: not a row of a journal: {error}") from None
        if isinstance(item, journal.Start):
            memory, safety = item.memory, item.safety
        elif item is not None and memory is None:
            raise SimulationError(
                f"{file}:{number}: there is no start row before it; replay the whole file"
            )
        elif isinstance(item, journal.Turn) and memory is not None:
            memory = _turn(result, item, memory, safety)
        elif isinstance(item, journal.Write) and memory is not None:
            result.writes += 1
            memory = turn.acted(memory, item.key, item.action, item.outcome)
        elif isinstance(item, journal.Resized) and memory is not None:
            result.writes += 1
            memory = turn.resized(
                memory, item.key, item.resize, item.outcome, item.now_s, item.detail
            )
        elif isinstance(item, journal.Placed) and memory is not None:
            result.writes += 1
            memory = turn.placed(memory, item.key, item.placing, item.outcome, item.now_s)
    if memory is None:
        raise SimulationError(
            f"{file}: holds no start row, so it is no journal that can be replayed"
        )


def _turn(result: Replayed, item: journal.Turn, memory: FleetMemory, safety: Safety) -> FleetMemory:
    result.turns += 1
    moment = turn.Moment(item.turn_id, item.now_s)
    memory = memory.forgetting(item.forgotten)
    again = turn.turn(memory, moment, item.facts, safety, item.supply)
    recorded = zip(item.decisions, item.resizes, item.placings, strict=True)
    for outcome, told in zip(again.outcomes, recorded, strict=True):
        result.decisions += 1
        decided = (
            journal.decision_to_json(outcome.decision),
            journal.resize_to_json(outcome.resize) if outcome.resize else None,
            journal.placing_to_json(outcome.placing) if outcome.placing else None,
        )
        for before, after in zip(map(_text, told), map(_text, decided), strict=True):
            if before != after:
                result.mismatches.append(Mismatch(item.turn_id, str(outcome.key), before, after))
    return again.memory


def _text(decision: Mapping[str, Any] | None) -> str:
    return json.dumps(decision, separators=(",", ":"), ensure_ascii=False)
