"""The way from one mix to another, played against a scheduler that places what fits."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from charon_operator.decide.placement import allocate, handover
from charon_operator.decide.placement.handover import Standing, seen, toward
from charon_operator.decide.placement.inventory import Inventory
from charon_operator.model.claim import Claim, Counts, Handover, Patience, Variant
from charon_operator.model.placing import Holding
from charon_operator.model.workload import Target
from tests.decide import gpus

ONE = gpus.need(gpu=1)
FP32 = gpus.variant("fp32", ONE, 600.0, 8.0, 1.0, most=1)
FP16 = gpus.variant("fp16", ONE, 1200.0, 10.0, 0.97, most=1)
DEADLINE_S = 120.0


class Play:
    """Deployments of variants on nodes; a pod is ready one turn after it was placed."""

    def __init__(self, gpus_of_nodes: Sequence[int], variants: Sequence[Variant]) -> None:
        self.variants = variants
        self.inventory = Inventory()
        for number, count in enumerate(gpus_of_nodes):
            self.inventory.node_put(gpus.node(f"n{number}", gpu=count))
        self.asked = {one.name: 0 for one in variants}
        self.ready = dict(self.asked)
        self.served: list[float] = []
        self._pods = 0
        self._uids: list[str] = []

    def standings(self) -> dict[str, Standing]:
        return {
            one.name: Standing(self.asked[one.name], self.ready[one.name], self._holding(one))
            for one in self.variants
        }

    def obey(self, counts: Counts) -> None:
        """Controllers and scheduler for a turn: the newest pods go, new ones go where they fit."""
        self.asked = dict(counts)
        self.ready = {
            one.name: min(counts[one.name], len(self._holding(one).nodes)) for one in self.variants
        }
        self.served.append(sum(one.capacity * self.ready[one.name] for one in self.variants))
        for one in self.variants:
            self._adjust(one, counts[one.name])

    def go(self, target: Counts, wanted: float | None, turns: int = 30) -> list[Counts]:
        """The steps to a target that change something."""
        steps = []
        for _ in range(turns):
            found = handover.step(
                self.variants, self.standings(), target, wanted, self.inventory.stock()
            )
            if found.counts != self.asked:
                steps.append({name: count for name, count in found.counts.items() if count})
            self.obey(found.counts)
        return steps

    def start(self, counts: Counts) -> None:
        for _ in range(2):
            self.obey({**self.asked, **counts})
        self.served.clear()

    def _holding(self, one: Variant) -> Holding:
        return self.inventory.holding(Target("Deployment", "workload", one.name))

    def _adjust(self, one: Variant, asked: int) -> None:
        alive = [uid for uid in self._uids if uid.startswith(one.name)]
        for uid in alive[asked:]:
            self._uids.remove(uid)
            self.inventory.pod_gone(uid)
        for _ in range(asked - len(alive)):
            self._pods += 1
            uid = f"{one.name}-{self._pods}"
            self._uids.append(uid)
            node = self.inventory.stock().place(one.need) or ""
            self.inventory.pod_put(gpus.pod(uid, node, one.need, made_by=one.name))


def wide(one: Variant, most: int = 8) -> Variant:
    return replace(one, most=most)


def test_new_pods_are_made_before_old_ones_are_broken_where_gpus_are_free() -> None:
    play = Play([8], [wide(FP32), wide(FP16)])
    play.start({"fp32": 4})
    assert play.go({"fp16": 2}, 2400.0) == [{"fp32": 4, "fp16": 2}, {"fp16": 2}]
    assert min(play.served) == 2400.0


def test_old_pods_are_broken_one_by_one_where_no_gpu_is_free() -> None:
    play = Play([4], [wide(FP32), wide(FP16)])
    play.start({"fp32": 4})
    steps = play.go({"fp16": 2}, 2400.0)
    assert steps[0] == {"fp32": 3}
    assert steps[-1] == {"fp16": 2}
    assert min(play.served) == 1800.0, "never more than one pod short"


def test_old_pods_go_by_the_capacity_that_took_their_place() -> None:
    play = Play([5], [wide(FP32), wide(FP16)])
    play.start({"fp32": 4})
    steps = play.go({"fp16": 2}, 2400.0)
    assert steps == [{"fp32": 4, "fp16": 1}, {"fp32": 2, "fp16": 1}, {"fp32": 2, "fp16": 2},
                     {"fp16": 2}]  # fmt: skip
    assert min(play.served) == 2400.0


def test_all_that_is_served_stays_served_while_the_demand_is_not_known() -> None:
    play = Play([8], [wide(FP32), wide(FP16)])
    play.start({"fp32": 4})
    assert play.go({"fp32": 2}, None) == []
    assert play.go({"fp32": 2}, 1200.0) == [{"fp32": 2}]


def test_what_needs_two_gpus_gets_them_from_one_node() -> None:
    pair = gpus.variant("pair", gpus.need(gpu=2), 3000.0)
    play = Play([2, 2], [wide(FP32), pair])
    play.start({"fp32": 4})
    steps = play.go({"pair": 1}, 2400.0)
    assert steps == [{"fp32": 2}, {"fp32": 2, "pair": 1}, {"pair": 1}]


def test_nothing_is_broken_where_it_would_make_no_room() -> None:
    large = gpus.variant("large", gpus.need(gpu=8))
    play = Play([2, 2], [wide(FP32), large])
    play.start({"fp32": 4})
    found = handover.step(
        play.variants, play.standings(), {"large": 1}, 2400.0, play.inventory.stock()
    )
    assert (found.counts, found.breaks) == ({"fp32": 4, "large": 0}, False)
    assert found.detail == "no node has room, and giving up own pods would make none"


@pytest.mark.parametrize(
    "stands",
    [
        Standing(1, 1, Holding(("n0", "n0"))),
        Standing(2, 1, Holding(("n0", "n0"))),
        Standing(2, 1, Holding(("n0",), gated=1)),
        Standing(2, 1, Holding(("n0",), pending=1)),
    ],
    ids=["a pod is still going", "a pod is coming", "a pod is to be admitted", "a pod has no node"],
)
def test_nothing_more_is_broken_while_pods_come_or_go(stands: Standing) -> None:
    standings = {"fp32": Standing(4, 4, Holding(("n0",) * 4)), "fp16": stands}
    found = handover.step(
        [wide(FP32), wide(FP16)], standings, {"fp16": 4}, 9000.0, gpus.stock(gpus.node("n0", gpu=0))
    )
    assert found.counts == {"fp32": 4, "fp16": stands.asked}
    assert "waits for pods" in found.detail


def test_upstreams_model_swap_follows_from_what_its_two_models_serve() -> None:
    """One GPU; 500 frames/s come, and the queue is to be drained within a minute.

    So fp32, which serves 600, does until the queue passes 6000 frames: upstream's own threshold.
    """
    play = Play([1], [FP32, FP16])
    play.start({"fp32": 1})

    def target(queue: float, since_s: float, now_s: float, saving: float = 0.15) -> Counts:
        held = {name: one.holding.nodes for name, one in play.standings().items()}
        wanted = 500.0 + queue / 60.0
        patience = Patience(saving, 300.0)
        app = Claim(
            gpus.key(), 10.0, wanted, 0.95, (FP32, FP16), held, since_s=since_s, patience=patience
        )
        free = play.inventory.stock()
        return allocate.allocate([app], free, now_s)[app.key].counts

    assert target(6000.0, 0.0, 10.0) == {"fp32": 1, "fp16": 0}
    swapped = target(6001.0, 0.0, 10.0)
    assert swapped == {"fp32": 0, "fp16": 1}, "at once, whatever the dwell"
    assert play.go(swapped, 600.0) == [{}, {"fp16": 1}], "to 0, then the other: there is one GPU"
    assert target(0.0, 10.0, 309.0) == swapped, "kept for the dwell"
    assert target(0.0, 10.0, 310.0) == {"fp32": 1, "fp16": 0}, "then back, a fifth cheaper"
    assert target(0.0, 10.0, 310.0, saving=1.0) == swapped, "or never back, as upstream has it"


def stuck(pending: int, gated: int = 0) -> dict[str, Standing]:
    return {"fp16": Standing(2, 2 - pending - gated, Holding(("n",) * (2 - pending), pending))}


def watched(way: Handover, *times: tuple[int, float]) -> Handover:
    """What becomes of it while so many pods are without a node, at these times."""
    for pending, now_s in times:
        way = seen(way, stuck(pending), now_s, DEADLINE_S)
    return way


START, TARGET = {"fp16": 1}, {"fp16": 2}
ARRIVED = {"fp16": Standing(2, 2, Holding(("n", "n")))}


def test_pods_without_a_node_past_the_deadline_turn_a_handover_back() -> None:
    way = watched(toward(Handover(START, START), TARGET, 0.0), (1, 10.0), (1, 129.0))
    assert (way.target, way.stuck_since_s) == (TARGET, 10.0)
    way = watched(way, (1, 130.0))
    assert (way.target, way.failed, way.retry_at_s) == (START, TARGET, 370.0)
    assert toward(way, TARGET, 369.0).target == START, "not tried again before its time"
    another = toward(way, {"fp16": 3}, 200.0)
    assert another.target == {"fp16": 3}, "another one may be"
    assert toward(another, TARGET, 369.0) == another, "and the failed one is not forgotten over it"


def test_every_failure_of_a_target_doubles_the_wait() -> None:
    way, now_s, waits = Handover(START, TARGET), 0.0, []
    for _ in range(6):
        way = watched(way, (1, now_s), (1, now_s + DEADLINE_S))
        waits.append(way.retry_at_s - now_s - DEADLINE_S)
        now_s = way.retry_at_s
        way = toward(way, TARGET, now_s)
    assert waits == [240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]
    assert seen(way, ARRIVED, now_s, DEADLINE_S) == Handover(TARGET, TARGET), (
        "forgotten once it came"
    )


def test_a_pod_that_finds_its_node_in_time_stops_the_clock() -> None:
    way = watched(Handover(START, TARGET), (1, 0.0), (0, 60.0), (1, 130.0))
    assert way.target == TARGET


def test_pods_that_wait_to_be_admitted_are_no_failure() -> None:
    gated = {"fp16": Standing(2, 1, Holding(("n",), gated=1))}
    way = Handover(START, TARGET)
    for now_s in (0.0, 1e6):
        way = seen(way, gated, now_s, DEADLINE_S)
    assert way == Handover(START, TARGET)


def test_where_there_is_nothing_to_go_back_to_it_stays() -> None:
    way = watched(Handover(START, START), (1, 0.0), (1, 1e6))
    assert (way.target, way.failed) == (START, None)


def test_a_mix_that_came_about_is_what_the_next_falls_back_on() -> None:
    way = seen(Handover(START, TARGET), ARRIVED, 0.0, DEADLINE_S)
    way = toward(way, {"fp16": 3}, 1.0)
    assert (way.start, way.target) == (TARGET, {"fp16": 3})


@pytest.mark.parametrize("rolls", [False, True], ids=["settled", "its pods are replaced"])
def test_a_deployment_that_replaces_its_pods_has_not_come_to_rest(rolls: bool) -> None:
    way = Handover({"fp32": 1, "fp16": 0}, {"fp32": 0, "fp16": 1})
    there = {"fp32": Standing(0, 0), "fp16": Standing(1, 1, Holding(("n0",)), rolls=rolls)}
    found = seen(way, there, 10.0, DEADLINE_S)
    assert found.start == (way.start if rolls else way.target)
    assert handover.rests(found, there) is not rolls


def test_of_what_is_replaced_nothing_is_kept_on_the_way_back() -> None:
    way = Handover({"fp32": 2, "fp16": 0}, {"fp32": 0, "fp16": 2}, stuck_since_s=0.0)
    there = {
        "fp32": Standing(0, 0),
        "fp16": Standing(2, 2, Holding(("n0", "n0"), pending=1), rolls=True),
    }
    found = seen(way, there, DEADLINE_S, DEADLINE_S)
    assert (found.target, found.failed) == ({"fp32": 2, "fp16": 0}, way.target)
