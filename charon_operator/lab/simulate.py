"""The operator's own turn, played against the simulated world.

Reads: a ChargedApp, its ControlPolicy, a Scene. Gives: a `Run`: what happened and what was decided,
with rows as the live journal has them. Never: a decision of its own, a clock, a network.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from charon_operator.actuate import resize as actuate
from charon_operator.lab.readings import Indicators
from charon_operator.lab.trace import Trace
from charon_operator.lab.world import Scene, World
from charon_operator.loop import turn
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Resize
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.memory import Action, FleetMemory
from charon_operator.model.policy import ControlPolicy
from charon_operator.ports import WriteOutcome, WriteResult
from charon_operator.record import journal
from charon_operator.settings import Safety

# Between turns that are further apart, pods that were born meanwhile are resized as often as this.
CHASE_S: Final = 2.0


@dataclasses.dataclass(slots=True)
class Run:
    """A play that is over: the workload's trace, and the journal's rows in order."""

    trace: Trace
    rows: list[Mapping[str, Any]]


def run(app: ChargedApp, policy: ControlPolicy, scene: Scene) -> Run:
    """Play a scene to its end under a policy.

    Raises:
        SimulationError: a query holds a form that the simulator does not know.
    """
    return _Player(app, policy, scene).play()


class _Rows:
    """A journal in memory."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows.extend(rows)


class _Player:
    """One play of a scene under a policy."""

    def __init__(self, app: ChargedApp, policy: ControlPolicy, scene: Scene) -> None:
        self._app = app
        self._policy = policy
        self._world = World(scene)
        self._indicators = Indicators(app)
        self._memory = FleetMemory()
        self._safety = Safety()
        self._turns = 0
        self._last: tuple[str, Resize] | None = None
        self._journal = _Rows()
        self._recorder = journal.Recorder(self._journal, "simulation")

    def play(self) -> Run:
        scene, world = self._world.scene, self._world
        self._recorder.start(world.now_s, self._safety, self._memory)
        period_s = float(self._policy.spec.period_seconds)
        due_s = world.now_s + scene.phase("turn") * period_s
        while due_s <= scene.end_s:
            self._advance(due_s)
            self._turn()
            due_s += period_s
        self._advance(scene.end_s)
        return Run(world.trace, self._journal.rows)

    def _advance(self, to_s: float) -> None:
        """Let time pass, as the loop does: after pods that are born between turns."""
        world = self._world
        while self._last is not None and world.now_s + CHASE_S < to_s:
            world.advance(world.now_s + CHASE_S)
            self._resize(*self._last)
        world.advance(to_s)

    def _turn(self) -> None:
        world = self._world
        self._turns += 1
        moment = turn.Moment(f"simulated-{self._turns}", world.now_s)
        facts = AppFacts(
            app=self._app,
            policy=self._policy,
            workload=world.cluster.workload(),
            readings=self._indicators.read(world.store, world.cluster.ready, world.now_s),
            sizes=world.cluster.sizes() if self._app.spec.sized else None,
        )
        result = turn.turn(self._memory, moment, [facts], self._safety)
        self._memory = result.memory
        self._recorder.turn(moment.turn_id, moment.now_s, [facts], result.outcomes)
        self._carry_out(moment, result.outcomes[0])

    def _carry_out(self, moment: turn.Moment, outcome: Outcome) -> None:
        """What the turn decided on, a write later; nothing takes time where nothing is written."""
        world, resize = self._world, outcome.resize
        self._last = None if resize is None else (moment.turn_id, resize)
        patches = resize and actuate.writes(resize, world.cluster.sizes(), None)
        if outcome.decision.moves or patches:
            world.advance(world.now_s + world.scene.pipeline.write_s)
        if outcome.decision.moves:
            self._scale(moment, outcome)
        if resize is not None:
            self._resize(moment.turn_id, resize)

    def _resize(self, turn_id: str, resize: Resize) -> None:
        """Patch every pod that was asked for another size than is decided on."""
        world, key = self._world, self._app.key
        for write in actuate.writes(resize, world.cluster.sizes(), None):
            world.cluster.resize(write.pod.name, write.size, world.now_s)
            result = WriteResult(WriteOutcome.WRITTEN)
            self._memory = turn.resized(self._memory, key, resize, result.outcome, world.now_s)
            self._recorder.resize(turn_id, world.now_s, key, resize, result)

    def _scale(self, moment: turn.Moment, outcome: Outcome) -> None:
        world, decision = self._world, outcome.decision
        world.cluster.scale(decision.final, world.now_s)
        result = WriteResult(WriteOutcome.WRITTEN)
        action = Action(world.now_s, decision.current, decision.final)
        self._memory = turn.acted(self._memory, self._app.key, action, result.outcome)
        self._recorder.write(moment.turn_id, world.now_s, self._app.key, decision, result)
