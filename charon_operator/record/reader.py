"""The decision journal read again: rows become what happened (README.md has the schema).

Reads: rows, in their order. Gives: starts, turns and writes. Never: a file, or a row of another
schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from charon_operator import ports, settings
from charon_operator.model import gpu_json
from charon_operator.model import memory as memories
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Resize
from charon_operator.model.facts import AppFacts, Broken
from charon_operator.model.gpu import Need
from charon_operator.model.memory import Action, FleetMemory
from charon_operator.model.placing import Placing, Supply, VariantFacts
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.workload import Absent, Key, Workload
from charon_operator.record import encoding
from charon_operator.record.placing_encoding import (
    NOTHING,
    placing_from_json,
    supply_from_json,
    variant_from_json,
)

VERSION: Final = 4
Row = Mapping[str, Any]


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
        placings: as `placing_to_json` has them; None for an app without placement.
    """

    turn_id: str
    now_s: float
    facts: tuple[AppFacts, ...]
    decisions: tuple[Mapping[str, Any], ...]
    forgotten: tuple[Key, ...] = ()
    resizes: tuple[Mapping[str, Any] | None, ...] = ()
    placings: tuple[Mapping[str, Any] | None, ...] = ()
    supply: Supply | None = None


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


@dataclass(frozen=True, slots=True)
class Placed:
    """What of a step between variants was tried with one outcome."""

    turn_id: str
    now_s: float
    key: Key
    placing: Placing
    outcome: ports.WriteOutcome


Happened = Start | Turn | Write | Resized | Placed


class Reader:
    """Turns rows, in their order, into what happened."""

    def __init__(self) -> None:
        self._apps: dict[int, ChargedApp | Broken] = {}
        self._policies: dict[int, ControlPolicy | Broken] = {}
        self._workloads: dict[int, Workload | Absent] = {}
        self._needs: dict[int, Need] = {}
        # The newest alone: the next row tells what of it changed.
        self._supplies: dict[int, Supply] = {}

    def read(self, row: Row) -> Happened | None:
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

    def _read(self, row: Row) -> Happened | None:
        match row["kind"]:
            case "start":
                return self._start(row)
            case "turn":
                return self._turn(row)
            case "write":
                return self._write(row)
            case "resize":
                return self._resized(row)
            case "place":
                return self._placed(row)
        self._keep(row)
        return None

    def _keep(self, row: Row) -> None:
        """What other rows refer to."""
        match row["kind"]:
            case "spec":
                self._apps[row["ref"]] = encoding.app_from_json(row)
            case "policy":
                self._policies[row["ref"]] = encoding.policy_from_json(row)
            case "workload":
                self._workloads[row["ref"]] = encoding.workload_from_json(row)
            case "need":
                self._needs[row["ref"]] = gpu_json.need_from_json(row["need"])
            case "supply":
                before = next(iter(self._supplies.values()), NOTHING)
                self._supplies = {row["ref"]: supply_from_json(before, row)}

    def _start(self, row: Row) -> Start:
        everything = (self._apps, self._policies, self._workloads, self._needs, self._supplies)
        for held in everything:
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
            placings=tuple(entry.get("placing") for entry in row["apps"]),
            supply=self._supplies[row["supply"]] if "supply" in row else None,
        )

    def _facts(self, entry: Mapping[str, Any]) -> AppFacts:
        policy: int | None = entry["policy"]
        variants: Mapping[str, Any] = entry.get("variants", {})
        return AppFacts(
            app=self._apps[entry["spec"]],
            policy=None if policy is None else self._policies[policy],
            workload=self._workload(entry),
            variants={name: self._variant(one) for name, one in variants.items()},
            **encoding.variables_from_json(entry),
        )

    def _workload(self, entry: Row) -> Workload | Absent | None:
        ref: int | None = entry["workload"]
        return None if ref is None else self._workloads[ref]

    def _variant(self, row: Row) -> VariantFacts:
        need = self._needs[row["need"]] if "need" in row else None
        return variant_from_json(row, self._workload(row), need)

    def _write(self, row: Row) -> Write:
        key, action = encoding.key(row["app"]), Action(row["time"], row["from"], row["to"])
        outcome = ports.WriteOutcome(row["outcome"])
        return Write(row["turn"], key, row["decisionId"], action, outcome, row["detail"])

    def _resized(self, row: Row) -> Resized:
        key, resize = encoding.key(row["app"]), encoding.resize_from_json(row["resize"])
        outcome = ports.WriteOutcome(row["outcome"])
        return Resized(row["turn"], row["time"], key, resize, outcome, row["detail"])

    def _placed(self, row: Row) -> Placed:
        key, placing = encoding.key(row["app"]), placing_from_json(row["placing"])
        return Placed(row["turn"], row["time"], key, placing, ports.WriteOutcome(row["outcome"]))
