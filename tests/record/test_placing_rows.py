"""Rows of placement lose nothing: variants, where they go, and what there is to stand on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from charon_operator import names, settings
from charon_operator.decide.placement.inventory import Inventory
from charon_operator.model.app import ChargedApp
from charon_operator.model.decision import Decision
from charon_operator.model.facts import AppFacts, Outcome
from charon_operator.model.form import Shape
from charon_operator.model.gpu import NAME_FIELD, Node
from charon_operator.model.memory import FleetMemory
from charon_operator.model.placing import (
    FormChange,
    Holding,
    Placing,
    Supply,
    VariantFacts,
    VariantMove,
)
from charon_operator.model.workload import Absent, together
from charon_operator.names import Reason
from charon_operator.ports import WriteOutcome, WriteResult
from charon_operator.record import journal, journal_file, placing_encoding
from tests.decide import gpus
from tests.loop import placed_world
from tests.model.test_gpu_json import AMOUNTS, NEEDS, NODES
from tests.record import samples

NOW_S = 1_764_000_000.5
SAFETY = settings.Safety()
APP = ChargedApp.parse(placed_world.placed_app())
FP16, FP32 = APP.targets
COUNT = st.integers(0, 5)
TEXT = st.text(max_size=5)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)

workloads = st.one_of(
    st.none(),
    st.builds(lambda count: samples.workload(count, "fp16"), COUNT),
    st.builds(Absent, st.just(FP16), TEXT, TEXT),
)
holdings = st.builds(Holding, st.lists(TEXT, max_size=3).map(tuple), COUNT, COUNT)
came_from = st.tuples(TEXT, COUNT)
shapes = st.builds(
    Shape,
    st.dictionaries(TEXT, COUNT, max_size=2).map(lambda gpus: tuple(gpus.items())),
    TEXT,
    TEXT,
    st.booleans(),
    COUNT | st.just("25%"),
    st.booleans(),
    st.none() | came_from,
)
variants = st.builds(VariantFacts, workloads, st.none() | NEEDS, TEXT, holdings, st.none() | shapes)
moves = st.builds(VariantMove, TEXT, st.just(FP16), COUNT, COUNT, COUNT, COUNT, COUNT)
placings = st.builds(
    Placing,
    st.booleans(),
    st.lists(moves, max_size=3, unique_by=lambda one: one.name).map(tuple),
    st.none() | st.booleans(),
    TEXT,
    TEXT,
    NUMBER,
    st.none() | NUMBER,
    st.none() | st.builds(FormChange, TEXT, TEXT, COUNT, st.booleans(), came_from),
)


@st.composite
def supplies(draw: st.DrawFn) -> Supply:
    drawn = draw(st.dictionaries(st.sampled_from("abcd"), NODES))
    nodes = {name: Node(name, one.allocatable, one.labels) for name, one in drawn.items()}
    free = {name: draw(AMOUNTS) for name in nodes}
    held = draw(st.dictionaries(st.sampled_from([FP16, FP32]), st.lists(TEXT).map(tuple)))
    return Supply(nodes, free, held)


class Rows:
    """Keeps rows as lines, the way a file would."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.lines += [journal_file.encode(row) for row in rows]

    def kinds(self) -> list[str]:
        return [json.loads(line)["kind"] for line in self.lines]

    def read(self) -> list[Any]:
        reader = journal.Reader()
        return [item for line in self.lines if (item := reader.read(json.loads(line)))]


def facts(fp16: VariantFacts, fp32: VariantFacts, **changes: Any) -> AppFacts:
    return AppFacts(APP, samples.policy(), variants={"fp16": fp16, "fp32": fp32}, **changes)


def outcome(placing: Placing | None = None) -> Outcome:
    decision = Decision("id", "placement", True, 1, None, 1, Reason.UNCHANGED, "")
    return Outcome(APP.key, APP.uid, APP.generation, decision, placing=placing)


def turns(rows: Rows, given: Sequence[tuple[AppFacts, Supply | None]], anew: int = -1) -> None:
    recorder = journal.Recorder(rows, "test")
    recorder.start(NOW_S, SAFETY, FleetMemory())
    for number, (one, supply) in enumerate(given):
        if number == anew:
            recorder.start(NOW_S, SAFETY, FleetMemory())
        recorder.turn(f"t{number}", NOW_S, [one], [outcome()], supply=supply)


@given(variants, variants, st.booleans())
def test_facts_of_variants_when_written_and_read_then_are_the_same(
    fp16: VariantFacts, fp32: VariantFacts, fixed: bool
) -> None:
    whole = facts(fp16, fp32, fixed_forms=fixed)
    row = json.loads(json.dumps(journal.facts_to_json(whole)))
    assert journal.facts_from_json(row) == whole


@given(placings)
def test_placing_when_written_and_read_then_is_the_same(placing: Placing) -> None:
    row = json.loads(json.dumps(journal.placing_to_json(placing)))
    assert placing_encoding.placing_from_json(row) == placing


@given(st.lists(st.tuples(variants, variants, st.none() | supplies()), max_size=5), st.data())
def test_turns_when_read_then_were_given_what_they_were(
    played: list[tuple[VariantFacts, VariantFacts, Supply | None]], data: st.DataObject
) -> None:
    rows = Rows()
    told = [(facts(fp16, fp32), supply) for fp16, fp32, supply in played]
    turns(rows, told, anew=data.draw(st.integers(-1, len(told))))
    found = [one for one in rows.read() if isinstance(one, journal.Turn)]
    assert [(one.facts[0], one.supply) for one in found] == told


@given(placings, st.sampled_from(WriteOutcome))
def test_step_when_read_then_is_what_was_told(placing: Placing, written: WriteOutcome) -> None:
    rows = Rows()
    recorder = journal.Recorder(rows, "test")
    recorder.place("t", NOW_S, outcome(), placing, WriteResult(written, detail="quota"))
    assert rows.read() == [journal.Placed("t", NOW_S, APP.key, placing, written)]


def test_what_did_not_change_is_written_once() -> None:
    rows, need = Rows(), gpus.need("A100", gpu=1)
    known = [VariantFacts(samples.workload(2, name), need) for name in ("fp16", "fp32")]
    whole = together([samples.workload(2, name) for name in ("fp16", "fp32")])
    supply = gpus.stock(gpus.node("a", gpu=4))
    same = (facts(*known, workload=whole), Supply(supply.nodes, supply.free))
    turns(rows, [same] * 3)
    assert [rows.kinds().count(kind) for kind in ("need", "supply", "workload")] == [2, 1, 3]


def test_what_did_not_change_is_written_once_where_variants_share_a_workload() -> None:
    ways = [
        placed_world.variant(
            name,
            scaleTargetRef={"kind": "Deployment", "name": "web"},
            template={"container": "app", "gpus": gpus},
        )
        for name, gpus in (("fp16", 1), ("fp32", 2))
    ]
    shared = ChargedApp.parse(placed_world.placed_app("shared", 1, *ways))
    shape = Shape(gpus=(("app", 1),))
    known = {
        name: VariantFacts(samples.workload(count, "web"), gpus.need(gpu=1 + count), shape=shape)
        for name, count in (("fp16", 2), ("fp32", 0))
    }
    rows, whole = Rows(), AppFacts(shared, samples.policy(), variants=known)
    turns(rows, [(whole, None)] * 3)
    assert [rows.kinds().count(kind) for kind in ("need", "workload")] == [2, 2]
    assert [one.facts[0] for one in rows.read() if isinstance(one, journal.Turn)] == [whole] * 3


def test_app_when_forgotten_then_its_variants_are_told_anew() -> None:
    rows = Rows()
    known = facts(VariantFacts(samples.workload(2, "fp16"), gpus.need()), VariantFacts(None))
    recorder = journal.Recorder(rows, "test")
    recorder.start(NOW_S, SAFETY, FleetMemory())
    for gone in ((), (APP.key,), ()):
        recorder.turn("t", NOW_S, [known], [outcome()], gone)
    assert rows.kinds().count("need") == 2


def test_rows_of_apps_without_placement_do_not_mention_it() -> None:
    rows = Rows()
    recorder = journal.Recorder(rows, "test")
    recorder.turn("t", NOW_S, [samples.facts(100.0, NOW_S)], [outcome()])
    turn = json.loads(rows.lines[-1])
    assert "supply" not in turn
    assert not {"variants", "placing"} & set(turn["apps"][0])


def cluster(count: int) -> Inventory:
    """Nodes with eight GPUs each, labelled as by the NVIDIA operator, half of them in use."""
    found, need = Inventory(), gpus.need("A100-SXM4-40GB", gpu=1)
    features = {f"nvidia.com/gpu.feature-{number}": "some-value" for number in range(25)}
    for number in range(count):
        name = f"ip-10-0-{number // 250}-{number % 250}.eu-central-1.compute.internal"
        labels = {NAME_FIELD: name, names.LABEL_GPU_PRODUCT: "A100-SXM4-40GB", **features}
        allocatable = {"cpu": 96_000, "memory": 1 << 40, "pods": 110, gpus.GPU: 8}
        found.node_put(Node(name, allocatable, labels))
        for pod in range(4):
            found.pod_put(gpus.pod(f"{number}-{pod}", name, need))
    return found


def test_supply_of_100_nodes_is_told_whole_once_and_then_by_node() -> None:
    """README.md of the journal has these figures."""
    there, rows = cluster(100), Rows()
    recorder = journal.Recorder(rows, "test")
    recorder.start(NOW_S, SAFETY, FleetMemory())
    for change in range(3):
        if change == 1:
            node = next(iter(there.supply().nodes))
            there.pod_put(gpus.pod("new", node, gpus.need(gpu=1)))
        recorder.turn("t", NOW_S, [], [], supply=there.supply())
    sizes = [len(line) + 1 for line in rows.lines if json.loads(line)["kind"] == "supply"]
    assert [round(size, -1) for size in sizes] == [136_950, 180]
