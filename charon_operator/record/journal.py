"""The decision journal's rows: one schema for live, simulated and replayed runs (README.md).

Reads: turns and writes as they happen. Gives: rows; reader.py makes turns and writes of them again.
Never: a file (journal_file.py has that), nor a fact twice that did not change.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import charon_operator
from charon_operator import ports, settings
from charon_operator.model import gpu_json
from charon_operator.model import memory as memories
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Decision, Resize
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import FleetMemory
from charon_operator.model.placing import Placing, Supply
from charon_operator.model.workload import Key, Target
from charon_operator.record import encoding
from charon_operator.record.encoding import (
    decision_to_json,
    facts_from_json,
    facts_to_json,
    resize_to_json,
)
from charon_operator.record.placing_encoding import (
    NOTHING,
    placing_to_json,
    supply_to_json,
    variant_to_json,
)
from charon_operator.record.reader import (
    VERSION,
    Placed,
    Reader,
    Resized,
    Row,
    Start,
    Turn,
    Write,
)

# Turn id, time, and the rows of a turn so far.
_Place = tuple[str, float, list[Row]]
# What a row is of; variants that share a workload have each their own.
_Owner = Key | tuple[Target, str]


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
        self._known: dict[tuple[str, _Owner], tuple[object, int]] = {}
        # What the newest row of a supply said, with its number.
        self._supply = (NOTHING, 0)

    def start(self, now_s: float, safety: settings.Safety, memory: FleetMemory) -> None:
        """Begin anew: what follows can be replayed from here, without anything before."""
        self._ref = 0
        self._known.clear()
        self._supply = (NOTHING, 0)
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
        supply: Supply | None = None,
    ) -> None:
        """Record a turn: what was known of each app and what was decided, in the turn's order.

        Args:
            turn_id: as given to the turn.
            now_s: as given to the turn, seconds since 1970.
            facts: as given to the turn.
            outcomes: one for each of `facts`, in their order.
            forgotten: apps that were dropped from memory since the turn before.
            supply: as given to the turn.
        """
        if self._idle:
            return
        rows: list[Row] = []
        place = (turn_id, now_s, rows)
        entries = [
            self._entry(place, one, outcome) for one, outcome in zip(facts, outcomes, strict=True)
        ]
        content: dict[str, Any] = {"apps": entries}
        if supply is not None:
            content["supply"] = self._supplied(place, supply)
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

    def place(
        self,
        turn_id: str,
        now_s: float,
        outcome: Outcome,
        placing: Placing,
        result: ports.WriteResult,
    ) -> None:
        """Record what of a step between variants was tried with one outcome.

        Args:
            turn_id: of the turn that decided on it.
            now_s: what `turn.placed` was told.
            outcome: of the turn.
            placing: what `turn.placed` was told.
            result: of its writes.
        """
        if self._idle:
            return
        content = {
            "app": str(outcome.key),
            "decisionId": outcome.decision.decision_id,
            "placing": placing_to_json(placing),
            "outcome": result.outcome.value,
            "detail": result.detail,
        }
        self._sink.append([_row("place", now_s, turn_id, content)])

    def _entry(self, place: _Place, facts: AppFacts, outcome: Outcome) -> dict[str, Any]:
        key = facts.key
        # Apps share policies: one row each, not one an app.
        shared = key if facts.policy is None else facts.policy.key
        found = {
            "app": str(key),
            "spec": self._reference(place, "spec", key, facts.app),
            "policy": self._reference(place, "policy", shared, facts.policy),
            "workload": self._reference(place, "workload", key, facts.workload),
            **encoding.variables_to_json(facts),
            **encoding.outcome_to_json(outcome),
        }
        if facts.variants:
            found["variants"] = self._variants(place, facts)
        return found

    def _variants(self, place: _Place, facts: AppFacts) -> dict[str, Any]:
        assert isinstance(facts.app, ChargedApp)
        found = {}
        for target, (name, one) in zip(facts.app.targets, facts.variants.items(), strict=True):
            workload = self._reference(place, "workload", (target, name), one.workload)
            need = self._reference(place, "need", (target, name), one.need)
            found[name] = variant_to_json(one, workload, need)
        return found

    def _reference(self, place: _Place, kind: str, owner: _Owner, value: object) -> int | None:
        """The number of the row that says this; the row is made when there is none."""
        if value is None:
            return None
        slot = (kind, owner)
        known = self._known.get(slot)
        if known is not None and (known[0] is value or known[0] == value):
            return known[1]
        ref = self._refer(place, kind, _ENCODE[kind](value))
        self._known[slot] = (value, ref)
        return ref

    def _supplied(self, place: _Place, supply: Supply) -> int:
        """The number of the row that brings the supply to this; made when there is none."""
        before, ref = self._supply
        changed = supply_to_json(before, supply)
        if changed or not ref:
            ref = self._refer(place, "supply", changed)
        self._supply = (supply, ref)
        return ref

    def _refer(self, place: _Place, kind: str, content: Row) -> int:
        """Make a row that others refer to, and number it."""
        turn_id, now_s, rows = place
        self._ref += 1
        rows.append(_row(kind, now_s, turn_id, {"ref": self._ref, **content}))
        return self._ref

    def _forget(self, key: Key) -> None:
        spec, _ = self._known.pop(("spec", key), (None, 0))
        self._known.pop(("workload", key), None)
        if isinstance(spec, ChargedApp) and spec.spec.placement is not None:
            for target, variant in zip(spec.targets, spec.spec.placement.variants, strict=True):
                self._known.pop(("workload", (target, variant.name)), None)
                self._known.pop(("need", (target, variant.name)), None)


_ENCODE: Final[dict[str, Any]] = {
    "spec": encoding.app_to_json,
    "policy": encoding.policy_to_json,
    "workload": encoding.workload_to_json,
    "need": lambda need: {"need": gpu_json.need_to_json(need)},
}


def _row(kind: str, now_s: float, turn_id: str, content: Mapping[str, Any]) -> Row:
    return {"v": VERSION, "kind": kind, "time": now_s, "turn": turn_id, **content}


__all__ = [
    "VERSION",
    "Placed",
    "Reader",
    "Recorder",
    "Resized",
    "Start",
    "Turn",
    "Write",
    "decision_to_json",
    "facts_from_json",
    "facts_to_json",
    "placing_to_json",
    "resize_to_json",
]
