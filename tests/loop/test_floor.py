"""The floor follows lists and events of nodes and pods, and is what a list of them would give."""

import copy
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.decide.placement.inventory import Stock
from charon_operator.loop.floor import Floor
from charon_operator.loop.store import Kind
from charon_operator.model.workload import Target
from tests.loop import cluster_bodies as make

GPU = "nvidia.com/gpu"
WHOLE = [(Kind.NODES, ""), (Kind.PODS, "")]
TARGETS = [Target("Deployment", "ns", name) for name in ("web", "api")]
Body = dict[str, Any]


def node(name: str = "a", gpus: int = 4, ready: str = "True", **spec: Any) -> Body:
    allocatable = {"cpu": "8", "pods": "110", GPU: str(gpus)}
    status = {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": ready}]}
    meta = {k: v for k, v in make.meta(name).items() if k != "namespace"}
    return {"metadata": meta, "spec": spec, "status": status}


def pod(
    name: str = "one",
    on: str = "a",
    gpus: int | str = 1,
    *,
    phase: str = "Running",
    of: str = "web",
    **meta: Any,
) -> Body:
    owner = {"kind": "ReplicaSet", "name": f"{of}-x7", "controller": True}
    labels = {"pod-template-hash": "x7"}
    container = {"resources": {"requests": {"cpu": "500m", GPU: str(gpus)}}}
    return {
        "metadata": make.meta(name, labels=labels, ownerReferences=[owner], **meta),
        "spec": {"containers": [container], **({"nodeName": on} if on else {})},
        "status": {"phase": phase},
    }


def relist(floor: Floor, kind: Kind, *bodies: Body) -> None:
    floor.relisted(kind, floor.listed(kind, copy.deepcopy(bodies)))


def listed(nodes: list[Body], pods: list[Body]) -> Floor:
    """A floor that has been told by lists alone."""
    floor = Floor(make.SetClock())
    floor.expect(WHOLE)
    relist(floor, Kind.NODES, *nodes)
    relist(floor, Kind.PODS, *pods)
    return floor


def stock(floor: Floor) -> Stock | None:
    with floor.inventory() as there:
        return there.stock() if there else None


def free(floor: Floor, name: str = "a") -> int:
    found = stock(floor)
    assert found is not None
    return found.free[name][GPU]


def known(floor: Floor) -> tuple[Any, ...]:
    """All that can be read of a floor, in no order."""
    with floor.inventory() as there:
        assert there is not None
        found = there.stock()
        held = [there.holding(target) for target in TARGETS]
    return found.nodes, found.free, [(sorted(one.nodes), one.pending, one.gated) for one in held]


def test_nothing_is_known_before_both_nodes_and_pods_are_listed() -> None:
    floor = Floor(make.SetClock())
    assert stock(floor) is None
    floor.expect(WHOLE)
    relist(floor, Kind.NODES, node())
    assert stock(floor) is None
    assert floor.free_devices() == {}
    relist(floor, Kind.PODS, pod())
    assert free(floor) == 3


def test_what_may_no_more_be_seen_is_not_known_until_it_is_listed_again() -> None:
    floor = listed([node()], [pod()])
    floor.expect([(Kind.NODES, "")])
    assert stock(floor) is None
    floor.expect(WHOLE)
    assert stock(floor) is None
    relist(floor, Kind.PODS)
    assert free(floor) == 4


def test_a_pod_of_the_same_name_is_another_pod() -> None:
    floor = listed([node()], [pod()])
    floor.put(Kind.PODS, pod(gpus=3, uid="new"))
    floor.drop(Kind.PODS, pod())
    assert free(floor) == 1


def test_devices_are_counted_on_nodes_that_take_pods() -> None:
    floor = listed([node(), node("b"), node("c", ready="False")], [pod(), pod("two", "b", 9)])
    assert floor.free_devices() == {GPU: 3}
    floor.put(Kind.NODES, node(unschedulable=True))
    assert floor.free_devices() == {GPU: 0}


@pytest.mark.parametrize(
    "wrong",
    [pod(gpus="0.5"), pod(gpus="many"), {**pod(), "spec": {"nodeName": "a", "containers": 3}}],
    ids=["half a GPU", "no number", "no containers"],
)
def test_a_pod_that_cannot_be_read_fills_its_node_and_no_other(
    wrong: Body, caplog: pytest.LogCaptureFixture
) -> None:
    floor = listed([node(), node("b")], [wrong])
    found = stock(floor)
    assert found is not None
    assert (found.room("a", (("pods", 1),)), found.room("b", (("pods", 1),))) == (0, 110)
    floor.put(Kind.PODS, {**wrong, "metadata": make.meta("one")})
    assert caplog.text.count("pods ns/one cannot be read") == 1
    floor.drop(Kind.PODS, wrong)
    assert free(floor) == 4


def test_a_node_that_cannot_be_read_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    floor = listed([node()], [])
    wrong = node()
    wrong["status"]["allocatable"][GPU] = "some"
    floor.put(Kind.NODES, wrong)
    found = stock(floor)
    assert found is not None
    assert found.nodes == {}


NODES = st.builds(
    node, st.sampled_from("ab"), st.integers(0, 8), st.sampled_from(["True", "False"])
)
PODS = st.builds(
    pod,
    st.sampled_from(["p", "q", "r"]),
    st.sampled_from(["", "a", "b", "c"]),
    st.integers(1, 3),
    phase=st.sampled_from(["Pending", "Running", "Succeeded"]),
    of=st.sampled_from(["web", "api"]),
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "drop", "list"]),
        st.one_of(st.tuples(st.just(Kind.NODES), NODES), st.tuples(st.just(Kind.PODS), PODS)),
        st.integers(0, 3),
    ),
    max_size=30,
)


class Truth:
    """A cluster that changes, and what is told of it: late, and twice."""

    def __init__(self) -> None:
        self.floor = listed([], [])
        self.there: dict[Kind, dict[str, Body]] = {Kind.NODES: {}, Kind.PODS: {}}
        self._lives = 0
        self._untold: list[tuple[str, Kind, Body]] = []

    def change(self, what: str, kind: Kind, body: Body) -> None:
        held, name = self.there[kind], body["metadata"]["name"]
        if what == "list":
            relist(self.floor, kind, *held.values())
        elif what == "put":
            self._lives += name not in held
            before = held.get(name, {"metadata": {"uid": str(self._lives)}})
            kept = {"uid": before["metadata"]["uid"], "resourceVersion": make.version()}
            held[name] = {**body, "metadata": {**body["metadata"], **kept}}
            self._untold.append((what, kind, held[name]))
        elif name in held:
            self._untold.append((what, kind, held.pop(name)))

    def tell(self) -> None:
        for what, kind, body in self._untold * 2:
            getattr(self.floor, what)(kind, copy.deepcopy(body))
        self._untold.clear()


@given(CHANGES)
def test_what_is_kept_is_what_a_list_gives(
    changes: list[tuple[str, tuple[Kind, Body], int]],
) -> None:
    truth = Truth()
    for what, (kind, body), late in changes:
        truth.change(what, kind, copy.deepcopy(body))
        if late == 0:
            truth.tell()
    truth.tell()
    anew = listed(list(truth.there[Kind.NODES].values()), list(truth.there[Kind.PODS].values()))
    assert known(truth.floor) == known(anew)


def test_a_pod_takes_less_than_1500_bytes() -> None:
    floor, pods = listed([], []), 2000
    fields = [{"manager": "kubelet", "fieldsV1": {f"f:x{n}": {} for n in range(100)}}]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for n in range(pods):
            body = pod(f"web-x7-{n}", f"node-{n % 100}", managedFields=copy.deepcopy(fields))
            floor.put(Kind.PODS, body)
        del body
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown / pods < 1500
