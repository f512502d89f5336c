"""What fits on which node, and what is said when nothing does."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charon_operator.decide.placement.inventory import Inventory, Stock
from charon_operator.model.gpu import Need, Node, Standing
from charon_operator.model.placing import Holding
from charon_operator.model.workload import Target
from charon_operator.names import Shortage
from tests.decide import gpus

ONE, TWO = gpus.need(gpu=1), gpus.need(gpu=2)
CONSUMER = Target("Deployment", "workload", "consumer")


def busy(*free: int) -> Stock:
    """Nodes of eight GPUs, so many of which are free."""
    found = Inventory()
    for number, count in enumerate(free):
        found.node_put(gpus.node(f"n{number}", gpu=8))
        if count < 8:
            found.pod_put(gpus.pod(f"u{number}", f"n{number}", gpus.need(gpu=8 - count)))
    return found.stock()


@pytest.mark.parametrize(
    ("stock", "need", "per_node"),
    [
        pytest.param(busy(8, 3, 0), ONE, {"n0": 8, "n1": 3}, id="by node"),
        pytest.param(busy(8, 3, 1), TWO, {"n0": 4, "n1": 1}, id="whole pods on one node"),
        pytest.param(
            gpus.stock(gpus.node("a", gpu=8, pods=3)), ONE, {"a": 3}, id="a node takes so many pods"
        ),
        pytest.param(
            gpus.stock(gpus.node("a", gpu=8, cpu=250)), ONE, {"a": 2}, id="CPU is short first"
        ),
        pytest.param(
            gpus.stock(gpus.node("a", "A100", gpu=2), gpus.node("b", "T4", gpu=4)),
            gpus.need("T4", gpu=1),
            {"b": 4},
            id="of the product that is selected",
        ),
        pytest.param(
            gpus.stock(gpus.node("a", gpu=2, taints=(gpus.TAINT,))),
            gpus.need(gpu=1, tolerations=(gpus.TOLERATES,)),
            {"a": 2},
            id="a taint that is tolerated",
        ),
    ],
)
def test_pods_fit_node_by_node(stock: Stock, need: Need, per_node: dict[str, int]) -> None:
    found = stock.fit(need, sum(per_node.values()))
    assert (dict(found.per_node), found.shortage) == (per_node, None)


SHORT = [
    pytest.param(
        [gpus.node("a", "A100", gpu=8)], gpus.need("H100", gpu=1), Shortage.NO_SUCH_PRODUCT,
        "none of 1 node(s) is selected by the pods and offers nvidia.com/gpu", id="no such product",
    ),
    pytest.param(
        [gpus.node("a", "T4-SHARED", gpu=8)], gpus.need("T4", gpu=1), Shortage.NO_SUCH_PRODUCT,
        "the product is there as T4-SHARED: select it by that name", id="shared under another name",
    ),
    pytest.param(
        [gpus.node("a", gpu=8)], gpus.need(**{"nvidia.com/mig-1g.5gb": 1}),
        Shortage.NO_SUCH_PRODUCT, "offers nvidia.com/mig-1g.5gb", id="no such slice",
    ),
    pytest.param([], ONE, Shortage.NO_SUCH_PRODUCT, "none of 0 node(s)", id="no node at all"),
    pytest.param(
        [gpus.node("a", gpu=8, ready=False), gpus.node("b", "", gpu=0)], ONE,
        Shortage.NODES_NOT_READY, "2 node(s) are selected", id="down, or its device plugin away",
    ),
    pytest.param(
        [gpus.node("a", gpu=8, taints=(gpus.TAINT,))], ONE, Shortage.TAINTS,
        "as nvidia.com/gpu=present:NoSchedule", id="a taint that is not tolerated",
    ),
    pytest.param(
        [gpus.node("a", gpu=1), gpus.node("b", gpu=1)], TWO, Shortage.CAN_NEVER_FIT,
        "a pod asks for 2 nvidia.com/gpu, the largest of 2 has 1 nvidia.com/gpu", id="too large",
    ),
    pytest.param(
        [gpus.node("a", gpu=2, cpu=100), gpus.node("b", gpu=1, cpu=900)], gpus.need(gpu=2, cpu=500),
        Shortage.CAN_NEVER_FIT, "none of 2 node(s) has all that a pod asks for at once",
        id="each of its wishes, and not all of them",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "need", "shortage", "words"), SHORT)
def test_the_reason_why_nothing_fits_ever(
    nodes: list[Node], need: Need, shortage: Shortage, words: str
) -> None:
    found = gpus.stock(*nodes).fit(need)
    assert (found.total, found.shortage) == (0, shortage)
    assert words in found.detail


@pytest.mark.parametrize(
    ("stock", "wanted", "shortage", "words"),
    [
        (busy(1, 1), 1, Shortage.FRAGMENTED, "0 of 1 pods fit: 2 nvidia.com/gpu free on 2 node(s)"),
        (busy(3, 3), 3, Shortage.FRAGMENTED, "2 of 3 pods fit: 6 nvidia.com/gpu free"),
        (busy(1, 0), 1, Shortage.BUSY_NOW, "0 of 1 pods fit: 1 nvidia.com/gpu free"),
        (busy(2, 0), 2, Shortage.BUSY_NOW, "1 of 2 pods fit"),
    ],
)
def test_fragmented_is_told_from_busy(
    stock: Stock, wanted: int, shortage: Shortage, words: str
) -> None:
    found = stock.fit(TWO, wanted)
    assert found.shortage is shortage
    assert words in found.detail


def test_a_pod_goes_where_it_leaves_least_behind() -> None:
    stock = busy(8, 2, 4)
    assert [stock.place(TWO) for _ in range(4)] == ["n1", "n2", "n2", "n0"]
    cpus = gpus.stock(gpus.node("a", gpu=8), gpus.node("b", ""))
    assert cpus.place(gpus.need()) == "b", "a node without GPUs first"
    assert busy(1).place(TWO) is None


def test_a_node_holds_pods_that_were_told_of_before_it() -> None:
    found = Inventory()
    found.pod_put(gpus.pod("u", "n", TWO))
    assert found.stock().free == {}
    found.node_put(gpus.node("n", gpu=8))
    assert found.stock().free["n"]["nvidia.com/gpu"] == 6
    found.node_dropped("n")
    found.node_put(gpus.node("n", gpu=4))
    assert found.stock().free["n"]["nvidia.com/gpu"] == 2


def test_a_pod_counts_from_its_binding_until_it_is_gone_or_over() -> None:
    found, bound = Inventory(), gpus.pod("u", "n", TWO, made_by="consumer")
    found.node_put(gpus.node("n", gpu=8))
    for pod, free in (
        (replace(bound, node="", standing=Standing.GATED), 8),
        (replace(bound, node="", standing=Standing.PENDING), 8),
        (bound, 6),
        (bound, 6),
        (replace(bound, standing=Standing.OVER), 8),
    ):
        found.pod_put(pod)
        assert found.stock().free["n"]["nvidia.com/gpu"] == free
    found.pod_put(bound)
    found.pod_gone("u")
    found.pod_gone("u")
    assert found.stock().free["n"]["nvidia.com/gpu"] == 8
    assert found.holding(CONSUMER) == Holding()


def test_pods_that_wait_to_be_admitted_are_told_from_those_without_a_node() -> None:
    found = Inventory()
    for uid, at in (("1", "n"), ("2", "m"), ("3", "")):
        found.pod_put(gpus.pod(uid, at, ONE, made_by="consumer"))
    gated = replace(gpus.pod("4", "", ONE, made_by="consumer"), standing=Standing.GATED)
    found.pod_put(gated)
    found.pod_put(gpus.pod("5", "n", ONE, made_by="other"))
    assert found.holding(CONSUMER) == Holding(("n", "m"), pending=1, gated=1)
    assert found.supply([CONSUMER]).held == {CONSUMER: ("n", "m")}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["node", "no node", "pod", "no pod"]),
            st.integers(0, 4),
            st.sampled_from(["n0", "n1", ""]),
            st.integers(1, 3),
        )
    )
)
def test_what_is_kept_is_what_counting_anew_would_give(
    changes: list[tuple[str, int, str, int]],
) -> None:
    kept, nodes, pods = Inventory(), {}, {}
    for what, uid, name, count in changes:
        match what:
            case "node" if name:
                nodes[name] = gpus.node(name, gpu=count)
                kept.node_put(nodes[name])
            case "no node":
                nodes.pop(name, None)
                kept.node_dropped(name)
            case "pod":
                pods[uid] = gpus.pod(str(uid), name, gpus.need(gpu=count), made_by="consumer")
                kept.pod_put(pods[uid])
            case "no pod":
                pods.pop(uid, None)
                kept.pod_gone(str(uid))
    anew = Inventory()
    for node in nodes.values():
        anew.node_put(node)
    for pod in pods.values():
        anew.pod_put(pod)
    assert kept.stock().free == anew.stock().free
    assert sorted(kept.holding(CONSUMER).nodes) == sorted(anew.holding(CONSUMER).nodes)
