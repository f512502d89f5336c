"""Plays a scenario file through the pure turn; README.md here has the notation.

A fake cluster of one target: what a turn decides is there, ready, before the next one, so that a
scenario shows decisions and nothing else.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from charon_operator import names
from charon_operator.loop.turn import Moment, acted, turn
from charon_operator.model.app import ChargedApp, timestamp
from charon_operator.model.decision import Past, PendingAction
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import FleetMemory
from charon_operator.model.reading import Missing, MissingReason, Reading, Sampled
from charon_operator.model.workload import Rival, Rollout, Workload
from charon_operator.ports import WriteOutcome
from tests.decide import build

START_S = timestamp("2026-11-01T12:00:00Z")


def read(file: Path) -> dict[str, Any]:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def items(text: object) -> list[str]:
    """`40*2 _` as ['40', '40', '_']."""
    found = []
    for item in str(text).split():
        value, _, times = item.partition("*")
        found += [value] * int(times or 1)
    return found


def sampled(item: str, now_s: float) -> Sampled:
    if item == "_":
        return Missing(MissingReason.NO_DATA)
    if item == "stale":
        return Missing(MissingReason.STALE)
    return Reading(float(item), now_s - 1)


@dataclass
class Stage:
    """The scene between turns."""

    script: Mapping[str, Any]
    app: ChargedApp
    target: Workload
    now_s: float = START_S
    policy: Any = None
    rivals: tuple[Rival, ...] = ()
    memory: FleetMemory = field(default_factory=FleetMemory)
    pending: PendingAction | None = None
    changed: dict[str, Any] = field(default_factory=dict)
    pinned: dict[str, Any] = field(default_factory=dict)
    quota: int | None = None

    @classmethod
    def of(cls, script: Mapping[str, Any]) -> "Stage":
        changes = dict(script.get("app") or {})
        stage = cls(script, build.ratio_app(**changes), build.workload(script["replicas"]))
        stage.changed = changes
        stage.policy = build.policy(**(script.get("policy") or {}))
        return stage

    def happen(self, event: Mapping[str, Any]) -> None:
        for what, detail in event.items():
            getattr(self, f"_{what}")(detail)

    def _target(self, changes: dict[str, Any]) -> None:
        if "rollout" in changes:
            changes = {**changes, "rollout": Rollout(changes["rollout"])}
        self.pinned.update(changes)
        self.target = replace(self.target, **changes)

    def _policy(self, changes: dict[str, Any] | str) -> None:
        self.policy = None if isinstance(changes, str) else build.policy(**changes)

    def _app(self, changes: dict[str, Any]) -> None:
        self.changed.update(changes)
        generation = self.app.generation + 1
        self.app = build.ratio_app(generation=generation, **self.changed)

    def _rivals(self, given: list[str]) -> None:
        self.rivals = tuple(
            Rival(kind, "workload", name, created_at_s=1.0)
            for kind, name in (item.split() for item in given)
        )

    def _now(self, moment: Any) -> None:
        self.now_s = moment.timestamp()

    def _revert(self, manager: str) -> None:
        assert self.pending is not None
        self._set(self.pending.start, manager)

    def _restart(self, _: bool) -> None:
        self.memory = FleetMemory()

    def _quota(self, pods: int | str) -> None:
        self.quota = None if isinstance(pods, str) else pods

    def _set(self, replicas: int, manager: str) -> None:
        generation = self.target.generation + 1
        self.target = replace(
            build.workload(replicas),
            generation=generation,
            observed_generation=generation,
            last_scaler=manager,
            **self._short(replicas),
            **self.pinned,
        )

    def _short(self, replicas: int) -> dict[str, Any]:
        if self.quota is None or replicas <= self.quota:
            return {}
        made = dict.fromkeys(("current", "ready", "updated"), self.quota)
        return {**made, "replica_failure": "exceeded quota: few"}

    def play(self, index: int) -> Outcome:
        given = [self._facts(self.app, self.script["series"], index)]
        result = turn(
            self.memory,
            Moment(f"turn-{index}", self.now_s),
            [*given, *self._others(index)],
            build.SAFETY,
        )
        self.memory, outcome = result.memory, result.outcomes[0]
        decision = outcome.decision
        if decision.moves:
            key, action = outcome.key, build.tried(outcome, self.now_s)
            self.memory = acted(self.memory, key, action, WriteOutcome.WRITTEN)
            self.pending = PendingAction(
                decision.decision_id, decision.knob, decision.current, decision.final, self.now_s
            )
            self._set(decision.final, names.FIELD_MANAGER)
        self.now_s += self.script.get("every", 15)
        return outcome

    def _facts(self, app: ChargedApp, series: Mapping[str, Any], index: int) -> AppFacts:
        seen = {name: sampled(items(text)[index], self.now_s) for name, text in series.items()}
        return AppFacts(
            app,
            policy=self.policy,
            workload=self.target if app is self.app else build.workload(4, of=app),
            rivals=self.rivals if app is self.app else (),
            readings=seen,
            past=Past(self.pending, decided=self.pending is not None)
            if app is self.app
            else Past(),
        )

    def _others(self, index: int) -> Iterator[AppFacts]:
        given = dict(self.script.get("others") or {})
        count, namespaces = given.pop("apps", 0), given.pop("namespaces", 1)
        for number in range(count):
            app = build.ratio_app(f"other-{number}", namespace=f"n{number % namespaces}")
            yield self._facts(app, given, index)


def shown(outcome: Outcome) -> str:
    """An outcome as an expectation is written, with single spaces."""
    decision = outcome.decision
    count = f"{decision.final}"
    if decision.final != decision.current:
        count = f"{decision.current} -> {decision.final}"
    words = [count, decision.reason.value]
    words += [str(clamp.limit) for clamp in decision.clamps]
    if outcome.conflict:
        words.append(f"!conflict={outcome.conflict.reason.value}")
    if outcome.problem:
        words.append("!problem")
    if outcome.blind_fleet:
        words.append("!blind")
    return " ".join(words)


def expected(script: Mapping[str, Any]) -> list[str]:
    lines = (line.split("#")[0].split() for line in script["expect"].splitlines())
    return [" ".join(words) for words in lines if words]


def played(script: Mapping[str, Any]) -> list[str]:
    stage, events = Stage.of(script), dict(script.get("at") or {})
    count = len(items(next(iter(script["series"].values()))))
    lines = []
    for index in itertools.islice(itertools.count(), count):
        stage.happen(events.pop(index + 1, {}))
        lines.append(shown(stage.play(index)))
    assert not events, f"events at turns that are not played: {sorted(events)}"
    return lines
