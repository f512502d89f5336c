"""The decision journal's rows: one schema for live, simulated and replayed runs (README.md).

Reads: turns and writes as they happen, or rows. Gives: rows, or turns and writes again. Never: a
file (journal_file.py has that), nor a fact twice that did not change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import charon_operator
from charon_operator import ports, settings
from charon_operator.model import memory as memories
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Decision, Resize
from charon_operator.model.facts import AppFacts, Broken, Outcome
from charon_operator.model.memory import Action, FleetMemory
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.workload import Absent, Key, Workload
from charon_operator.record import encoding
from charon_operator.record.encoding import (
    decision_to_json,
    facts_from_json,
    facts_to_json,
    resize_to_json,
)

VERSION: Final = 3
Row = Mapping[str, Any]


class Recorder:
    """Turns what happens into rows.

    Args:
        sink: where rows go.
        identity: of this process, for people.
        idle: the sink keeps nothing, so that no row needs to be made.
    """

    def __init__(self, sink: ports.Journal, identity: str = "", *, idle: bool = False) -> None:
        self._sink = sink
        self._idle = idle
        self._identity = identity
        self._ref = 0
        self._known: dict[tuple[str, Key], tuple[object, int]] = {}

    def start(self, now_s: float, safety: settings.Safety, memory: FleetMemory) -> None:
        """Begin anew: what follows can be replayed from here, without anything before."""
        self._ref = 0
        self._known.clear()
        if self._idle:
            return
        content = {
            "identity": self._identity,
            "version": charon_operator.__version__,
            "safety": safety.model_dump(mode="json"),
            "memory": memories.dump(memory),
        }
        self._sink.append([_row("start", now_s, "", content)])

    def turn(
        self,
        turn_id: str,
        now_s: float,
        facts: Sequence[AppFacts],
        outcomes: Sequence[Outcome],
        forgotten: Sequence[Key] = (),
    ) -> None:
        """Record a turn: what was known of each app and what was decided, in the turn's order.

        Args:
            turn_id: as given to the turn.
            now_s: as given to the turn, seconds since 1970.
            facts: as given to the turn.
            outcomes: one for each of `facts`, in their order.
            forgotten: apps that were dropped from memory since the turn before.
        """
        if self._idle:
            return
        rows: list[Row] = []
        place = (turn_id, now_s, rows)
        entries = [
            self._entry(place, one, outcome) for one, outcome in zip(facts, outcomes, strict=True)
        ]
        content: dict[str, Any] = {"apps": entries}
        if forgotten:
            content["forget"] = [str(key) for key in forgotten]
            for key in forgotten:
                self._forget(key)
        rows.append(_row("turn", now_s, turn_id, content))
        self._sink.append(rows)

    def write(
        self, turn_id: str, now_s: float, key: Key, decision: Decision, result: ports.WriteResult
    ) -> None:
        """Record a write that was tried; `now_s` is what `turn.acted` was told."""
        if self._idle:
            return
        content = {
            "app": str(key),
            "decisionId": decision.decision_id,
            "knob": decision.knob,
            "from": decision.current,
            "to": decision.final,
            "outcome": result.outcome.value,
            "detail": result.detail,
        }
        self._sink.append([_row("write", now_s, turn_id, content)])

    def resize(
        self, turn_id: str, now_s: float, key: Key, resize: Resize, result: ports.WriteResult
    ) -> None:
        """Record a resize of a pod that was tried; `now_s` is what `turn.resized` was told."""
        if self._idle:
            return
        content = {
            "app": str(key),
            "resize": encoding.resize_to_json(resize),
            "outcome": result.outcome.value,
            "detail": result.detail,
        }
        self._sink.append([_row("resize", now_s, turn_id, content)])

    def _entry(
        self, place: tuple[str, float, list[Row]], facts: AppFacts, outcome: Outcome
    ) -> dict[str, Any]:
        key = facts.key
        return {
            "app": str(key),
            "spec": self._reference(place, "spec", key, facts.app),
            "policy": self._reference(place, "policy", key, facts.policy),
            "workload": self._reference(place, "workload", key, facts.workload),
            **encoding.variables_to_json(facts),
            **encoding.outcome_to_json(outcome),
        }

    def _reference(
        self, place: tuple[str, float, list[Row]], kind: str, key: Key, value: Any
    ) -> int | None:
        """The number of the row that says this; the row is made when there is none."""
        if value is None:
            return None
        # Apps share policies: one row each, not one an app.
        slot = (kind, value.key if kind == "policy" else key)
        known = self._known.get(slot)
        if known is not None and (known[0] is value or known[0] == value):
            return known[1]
        turn_id, now_s, rows = place
        self._ref += 1
        content = {"ref": self._ref, **_ENCODE[kind](value)}
        rows.append(_row(kind, now_s, turn_id, content))
        self._known[slot] = (value, self._ref)
        return self._ref

    def _forget(self, key: Key) -> None:
        self._known.pop(("spec", key), None)
        self._known.pop(("workload", key), None)


_ENCODE: Final[dict[str, Any]] = {
    "spec": encoding.app_to_json,
    "policy": encoding.policy_to_json,
    "workload": encoding.workload_to_json,
}


def _row(kind: str, now_s: float, turn_id: str, content: Mapping[str, Any]) -> Row:
    return {"v": VERSION, "kind": kind, "time": now_s, "turn": turn_id, **content}


@dataclass(frozen=True, slots=True)
class Start:
    """Everything before is forgotten; this is what was remembered and which bounds held."""

    now_s: float
    safety: settings.Safety
    memory: FleetMemory


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn: what it was given, and the decisions it made, as `decision_to_json` has them.

    Attributes:
        resizes: as `resize_to_json` has them; None for an app whose pods are not resized.
    """

    turn_id: str
    now_s: float
    facts: tuple[AppFacts, ...]
    decisions: tuple[Mapping[str, Any], ...]
    forgotten: tuple[Key, ...] = ()
    resizes: tuple[Mapping[str, Any] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """A write that was tried, and what came of it; its decision may be of before the `start`."""

    turn_id: str
    key: Key
    decision_id: str
    action: Action
    outcome: ports.WriteOutcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Resized:
    """A resize of a pod that was tried, and what came of it."""

    turn_id: str
    now_s: float
    key: Key
    resize: Resize
    outcome: ports.WriteOutcome
    detail: str = ""


class Reader:
    """Turns rows, in their order, into what happened."""

    def __init__(self) -> None:
        self._apps: dict[int, ChargedApp | Broken] = {}
        self._policies: dict[int, ControlPolicy | Broken] = {}
        self._workloads: dict[int, Workload | Absent] = {}

    def read(self, row: Row) -> Start | Turn | Write | Resized | None:
        """Read the next row; None when only other rows refer to it.

        Raises:
            ValueError: the row is of another schema, or refers to a row that is not there.
        """
        if row.get("v") != VERSION:
            raise ValueError(f"a row of schema {row.get('v')!r}; this program reads {VERSION}")
        try:
            return self._read(row)
        except KeyError as error:
            raise ValueError(f"a {row.get('kind')} row without {error}") from None

    def _read(self, row: Row) -> Start | Turn | Write | Resized | None:
        match row["kind"]:
            case "start":
                return self._start(row)
            case "spec":
                self._apps[row["ref"]] = encoding.app_from_json(row)
            case "policy":
                self._policies[row["ref"]] = encoding.policy_from_json(row)
            case "workload":
                self._workloads[row["ref"]] = encoding.workload_from_json(row)
            case "turn":
                return self._turn(row)
            case "write":
                return self._write(row)
            case "resize":
                return self._resized(row)
        return None

    def _start(self, row: Row) -> Start:
        for held in (self._apps, self._policies, self._workloads):
            held.clear()
        safety = settings.Safety.model_validate(row["safety"])
        return Start(row["time"], safety, memories.load(row["memory"]))

    def _turn(self, row: Row) -> Turn:
        return Turn(
            turn_id=row["turn"],
            now_s=row["time"],
            facts=tuple(self._facts(entry) for entry in row["apps"]),
            decisions=tuple(entry["decision"] for entry in row["apps"]),
            forgotten=tuple(encoding.key(text) for text in row.get("forget", ())),
            resizes=tuple(entry.get("resize") for entry in row["apps"]),
        )

    def _facts(self, entry: Mapping[str, Any]) -> AppFacts:
        policy, workload = entry["policy"], entry["workload"]
        return AppFacts(
            app=self._apps[entry["spec"]],
            policy=None if policy is None else self._policies[policy],
            workload=None if workload is None else self._workloads[workload],
            **encoding.variables_from_json(entry),
        )

    def _write(self, row: Row) -> Write:
        key, action = encoding.key(row["app"]), Action(row["time"], row["from"], row["to"])
        outcome = ports.WriteOutcome(row["outcome"])
        return Write(row["turn"], key, row["decisionId"], action, outcome, row["detail"])

    def _resized(self, row: Row) -> Resized:
        key, resize = encoding.key(row["app"]), encoding.resize_from_json(row["resize"])
        outcome = ports.WriteOutcome(row["outcome"])
        return Resized(row["turn"], row["time"], key, resize, outcome, row["detail"])


__all__ = [
    "VERSION",
    "Reader",
    "Recorder",
    "Resized",
    "Start",
    "Turn",
    "Write",
    "decision_to_json",
    "facts_from_json",
    "facts_to_json",
    "resize_to_json",
]
