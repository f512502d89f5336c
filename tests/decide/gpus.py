"""Nodes, needs and variants for tests of placement: small, whole, and changed by keyword."""

from charon_operator.decide.placement.inventory import Inventory, Stock
from charon_operator.model.body import Requirement
from charon_operator.model.claim import Variant
from charon_operator.model.gpu import NAME_FIELD, Need, Node, Pod, Standing, Taint, Toleration
from charon_operator.model.workload import Key, Target
from charon_operator.names import LABEL_GPU_PRODUCT

GPU = "nvidia.com/gpu"
TAINT = Taint(key=GPU, value="present", effect="NoSchedule")
TOLERATES = Toleration(key=GPU, operator="Exists")


def key(name: str = "app", namespace: str = "workload") -> Key:
    return Key(namespace, name)


def node(
    name: str, product: str = "A100", *, cpu: int = 64_000, pods: int = 110, ready: bool = True,
    taints: tuple[Taint, ...] = (), **devices: int,
) -> Node:  # fmt: skip
    """A node; devices by resource name, `gpu` for short."""
    allocatable = {"cpu": cpu, "pods": pods, **_named(devices)}
    labels = {NAME_FIELD: name} | ({LABEL_GPU_PRODUCT: product} if product else {})
    return Node(name, allocatable, labels, taints, ready)


def need(
    product: str = "", *, cpu: int = 100, tolerations: tuple[Toleration, ...] = (), **devices: int
) -> Need:
    """What one pod asks for, of a product if one is given."""
    amounts = {"cpu": cpu, "pods": 1, **_named(devices)}
    term = (Requirement(LABEL_GPU_PRODUCT, "In", frozenset([product])),) if product else ()
    return Need(tuple(sorted(amounts.items())), (term,), tolerations)


def stock(*nodes: Node) -> Stock:
    """Nodes with nothing on them."""
    found = Inventory()
    for one in nodes:
        found.node_put(one)
    return found.stock()


def pod(uid: str, at: str, of: Need, *, made_by: str = "") -> Pod:
    """A bound pod, or one without a node that waits for one."""
    target = Target("Deployment", "workload", made_by) if made_by else None
    return Pod(uid, target, Standing.BOUND if at else Standing.PENDING, at, of.requests)


def variant(
    name: str, of: Need, capacity: float = 100.0, cost: float = 1.0, quality: float = 1.0, *,
    least: int = 0, most: int = 10,
) -> Variant:  # fmt: skip
    return Variant(name, of, capacity, cost, quality, least, most)


def _named(devices: dict[str, int]) -> dict[str, int]:
    return {GPU if name == "gpu" else name: count for name, count in devices.items()}
