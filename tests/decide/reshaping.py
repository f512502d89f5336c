"""A Deployment that runs as one of several variants, played turn by turn with its controller.

The controller is modelled as far as a change of form stands on it: replicas that change together
with the template are first those of the old pods, pods come within maxSurge and go within
maxUnavailable, pods that are not ready go first. A pod is ready one turn after it was placed.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from charon_operator.decide.placement.inventory import Inventory
from charon_operator.loop.turn import Moment, TurnResult, placed, turn
from charon_operator.model.app import ChargedApp
from charon_operator.model.body import Requirement
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.form import GPU, Form, Shape
from charon_operator.model.gpu import Need, Node
from charon_operator.model.memory import FleetMemory
from charon_operator.model.placing import FormChange, Placing, VariantFacts
from charon_operator.model.workload import Rollout, Target, Workload, together
from charon_operator.names import LABEL_GPU_PRODUCT
from charon_operator.observe import forms
from charon_operator.ports import WriteOutcome
from charon_operator.settings import Safety
from tests.decide import build, gpus, stage
from tests.decide.stage import TURN_S

WEB = Target("Deployment", "workload", "web")
DWELL_S = 60.0


def way(name: str, gpu: int, capacity: str, cost: str, product: str = "", **changes: Any) -> Any:
    """A variant that is a form of the Deployment `web`."""
    template = {"container": "app", "gpus": gpu, "product": product}
    return stage.variant(name, capacity, cost, of=WEB.name, template=template, **changes)


SMALL = way("small", 1, "100", "4", "A100")
BIG = way("big", 1, "300", "9", "H100")
CHEAP = way("cheap", 1, "100", "2", "T4")
PAIR = way("pair", 2, "250", "6", "A100")


def need_of(form: Form) -> Need:
    """What a pod in that form asks for."""
    amounts = {"cpu": 100, "pods": 1, **({GPU: form.gpus} if form.gpus else {})}
    selected = Requirement(LABEL_GPU_PRODUCT, "In", frozenset([form.product]))
    term = (selected,) if form.product else ()
    return Need(tuple(sorted(amounts.items())), (term,), runtime_class=form.runtime_class_name)


@dataclass
class Pod:
    """A pod in some form; `age` in turns since it was placed, -1 while it has no node."""

    uid: str
    form: Form
    age: int = -1

    @property
    def ready(self) -> bool:
        return self.age > 0


@dataclass
class Web:
    """The Deployment.

    Attributes:
        surge, unavailable: of its strategy, in pods.
        barred: products whose pods find no node, whatever the inventory says.
        broken: products whose pods never get ready.
        quota: pods that there may be.
        floor: that a PodDisruptionBudget sets.
        deadline: turns that a rollout may take before its controller says that it is stuck.
    """

    form: Form
    replicas: int
    surge: int = 1
    unavailable: int = 0
    rolls: bool = True
    paused: bool = False
    came_from: tuple[str, int] | None = None
    generation: int = 1
    seen: int = 1
    barred: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    quota: int = 10**6
    floor: int | None = None
    deadline: int = 10**6
    rolling: int = 0
    pods: list[Pod] = field(default_factory=list)

    @property
    def new(self) -> list[Pod]:
        return [pod for pod in self.pods if pod.form == self.form]

    @property
    def old(self) -> list[Pod]:
        return [pod for pod in self.pods if pod.form != self.form]

    @property
    def shape(self) -> Shape:
        return Shape(
            gpus=(("app", self.form.gpus),),
            product=self.form.product,
            runtime_class=self.form.runtime_class_name,
            rolls=self.rolls,
            surge=self.surge,
            paused=self.paused,
            came_from=self.came_from,
        )

    @property
    def workload(self) -> Workload:
        ready = sum(pod.ready for pod in self.pods)
        settled = self.seen == self.generation and not self.old
        rollout = Rollout.SETTLED if settled else Rollout.IN_FLIGHT
        return Workload(
            target=WEB,
            uid="uid-web",
            resource_version=str(self.generation),
            generation=self.generation,
            observed_generation=self.seen,
            replicas=self.replicas,
            current=len(self.pods),
            ready=ready,
            updated=len(self.new),
            # A change of replicas alone is no rollout once the controller has seen it.
            rollout=Rollout.STUCK if self.rolling > self.deadline else rollout,
            replica_failure="exceeded quota: pods" if len(self.pods) >= self.quota else "",
            min_available=self.floor,
            last_scaler="charon-operator",
        )  # fmt: skip


class Reshaping:
    """One app whose variants share a Deployment, and nodes.

    Attributes:
        changes: of form, as written, with the time of each.
        served: units a second that ready pods serve, after each turn.
        waited: pods without a node, after each turn.
        writes: what becomes of a write.
    """

    def __init__(self, *nodes: Node, chosen: ChargedApp, live: str, replicas: int, **web: Any):
        self.inventory = Inventory()
        for one in nodes:
            self.inventory.node_put(one)
        self.app = chosen
        assert chosen.spec.placement is not None
        self.specs = {one.name: one for one in chosen.spec.placement.variants}
        self.web = Web(self.form(live), replicas, **web)
        self.memory, self.safety, self.now_s = FleetMemory(), Safety(), 10_000.0
        self.arrivals: float | None = 0.0
        self.changes: list[tuple[float, FormChange]] = []
        self.served: list[float] = []
        self.waited: list[int] = []
        self.facts_changed: dict[str, Any] = {}
        self.writes = WriteOutcome.WRITTEN
        self.last: Outcome | None = None
        self._made = 0
        for _ in range(3):
            self._obey()
        self.served.clear()
        self.waited.clear()

    def form(self, name: str) -> Form:
        found = self.specs[name].template
        assert found is not None
        return found

    @property
    def live(self) -> str:
        return next(name for name in self.specs if self.form(name) == self.web.form)

    @property
    def placing(self) -> Placing:
        assert self.last is not None
        assert self.last.placing is not None
        return self.last.placing

    def play(self, turns: int) -> list[dict[str, int]]:
        """What is asked for after each turn that changed it."""
        found = []
        for _ in range(turns):
            before = (self.live, self.web.replicas)
            self.turn()
            if (self.live, self.web.replicas) != before:
                found.append({self.live: self.web.replicas})
        return found

    def turn(self) -> TurnResult:
        """One turn; what it writes is obeyed before the next."""
        moment = Moment(f"turn-{self.now_s}", self.now_s)
        supply = self.inventory.supply([WEB])
        result = turn(self.memory, moment, [self.facts()], self.safety, supply)
        self.memory, (self.last,) = result.memory, result.outcomes
        if self.last.placing is not None and self.last.placing.moves:
            self._write(self.last.placing)
        self._obey()
        self.now_s += TURN_S
        return result

    def facts(self) -> AppFacts:
        whole = VariantFacts(
            self.web.workload,
            need_of(self.web.form),
            holding=self.inventory.holding(WEB),
            shape=self.web.shape,
        )
        known = forms.told_apart(list(self.specs.values()), dict.fromkeys(self.specs, whole))
        workloads = [one.workload for one in known.values()]
        found = AppFacts(
            self.app,
            policy=stage.policy(),
            workload=together([one for one in workloads if isinstance(one, Workload)]),
            readings=build.readings(self.now_s, queued=0.0, arrivals=self.arrivals),
            variants=known,
        )
        return replace(found, **self.facts_changed)

    def _write(self, placing: Placing) -> None:
        change, web = placing.change, self.web
        if self.writes is WriteOutcome.WRITTEN:
            if change is not None:
                self.changes.append((self.now_s, change))
                assert self.form(change.after) != web.form, "a live form is never written again"
                web.form, web.came_from = self.form(change.after), change.came_from
                web.replicas = change.replicas
                if not change.surges:
                    web.surge, web.unavailable = 0, 1
            else:
                web.replicas = sum(one.final for one in placing.variants)
            web.generation += 1
        self.memory = placed(self.memory, self.app.key, placing, self.writes, self.now_s)

    def _obey(self) -> None:
        """Controller and scheduler."""
        self.web.seen = self.web.generation
        self.web.rolling = self.web.rolling + 1 if self.web.old else 0
        for pod in self.web.pods:
            pod.age += pod.age >= 0 and not (pod.age == 0 and pod.form.product in self.web.broken)
        for _ in range(20):
            if not self._reconcile():
                break
        for pod in self.web.pods:
            if pod.age < 0:
                self._schedule(pod)
        capacities = {self.form(n): v.capacity_per_replica.value for n, v in self.specs.items()}
        self.served.append(sum(capacities[pod.form] for pod in self.web.pods if pod.ready))
        self.waited.append(sum(pod.age < 0 for pod in self.web.pods))

    def _reconcile(self) -> bool:
        web = self.web
        if len(web.new) > web.replicas or (not web.old and len(web.pods) > web.replicas):
            self._drop(sorted(web.new, key=lambda pod: pod.ready)[0])
            return True
        unready = [pod for pod in web.old if not pod.ready]
        if unready and len(web.pods) > web.replicas:
            self._drop(unready[0])
            return True
        ready = sum(pod.ready for pod in web.pods)
        if web.old and ready > web.replicas - web.unavailable:
            self._drop(web.old[-1])
            return True
        most = web.replicas + (web.surge if web.old else 0)
        if len(web.new) < web.replicas and len(web.pods) < min(most, web.quota):
            self._made += 1
            web.pods.append(Pod(f"web-{self._made}", web.form))
            return True
        return False

    def _drop(self, pod: Pod) -> None:
        self.web.pods.remove(pod)
        self.inventory.pod_gone(pod.uid)

    def _schedule(self, pod: Pod) -> None:
        need = need_of(pod.form)
        barred = pod.form.product in self.web.barred
        node = "" if barred else self.inventory.stock().place(need) or ""
        self.inventory.pod_put(gpus.pod(pod.uid, node, need, made_by=WEB.name))
        pod.age = 0 if node else -1


def nodes(a100: int = 2, h100: int = 2, t4: int = 4) -> list[Node]:
    """A node for each product, with so many GPUs."""
    counts = {"A100": a100, "H100": h100, "T4": t4}
    return [gpus.node(name.lower(), name, gpu=count) for name, count in counts.items() if count]


def play(
    *ways: Any, live: str = "small", replicas: int = 1, load: float | None = 100.0,
    on: list[Node] | None = None, web: dict[str, Any] | None = None, **changes: Any,
) -> Reshaping:  # fmt: skip
    """An app of these ways, or of a small and a big one, whose Deployment is in the form `live`.

    Args:
        ways: as a user writes them.
        live: the form.
        replicas: of the Deployment, all of them ready.
        load: units a second.
        on: nodes.
        web: how the Deployment differs.
        changes: of the app's placement and spec.
    """
    found = Reshaping(
        *(nodes() if on is None else on),
        chosen=stage.app(*(ways or (SMALL, BIG)), **{"minDwellSeconds": 60, **changes}),
        live=live,
        replicas=replicas,
        **(web or {}),
    )
    found.arrivals = load
    return found
