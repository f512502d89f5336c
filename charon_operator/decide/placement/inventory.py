"""What is free on every node, kept as nodes and pods come and go, and what still fits, and why not.

Reads: nodes and pods as they change. Gives: a `Stock` to count and place in, `Fit` with a reason.
Never: a sum over nodes taken for room (eight GPUs on eight nodes hold no pod that asks for two).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from charon_operator import names
from charon_operator.model import gpu
from charon_operator.model.gpu import Amounts, Need, Node, Pod, Standing
from charon_operator.model.placing import Holding, Supply
from charon_operator.model.workload import Target
from charon_operator.names import Shortage

_Why = tuple[Shortage, str]
# Names of the nodes that a need could be met on, or why there are none.
_Sifted = tuple[list[str], _Why | None]


@dataclass(frozen=True, slots=True)
class Fit:
    """How many pods of a need fit now.

    Attributes:
        per_node: by node name, where at least one fits.
        shortage, detail: why no more fit, None and empty where as many fit as were asked about.
    """

    per_node: Mapping[str, int]
    shortage: Shortage | None = None
    detail: str = ""

    @property
    def total(self) -> int:
        """Pods that fit, all nodes together."""
        return sum(self.per_node.values())


class Stock:
    """Nodes and what is free on them; pods may be put in and taken out to see what would be.

    Attributes:
        nodes: by name.
        free: by node name; negative where pods ask for more than there is.
    """

    def __init__(self, supply: Supply) -> None:
        self.nodes = supply.nodes
        self.free = {name: dict(amounts) for name, amounts in supply.free.items()}
        self._known: dict[Need, _Sifted] = {}
        self._devices = {
            name: [resource for resource in node.allocatable if gpu.is_extended(resource)]
            for name, node in supply.nodes.items()
        }

    def copy(self) -> "Stock":
        """One to try things in; what is known of the nodes is shared."""
        twin = Stock.__new__(Stock)
        twin.nodes, twin._known, twin._devices = self.nodes, self._known, self._devices
        twin.free = {name: dict(amounts) for name, amounts in self.free.items()}
        return twin

    def put(self, node: str, requests: Amounts, count: int = 1) -> None:
        """Occupy a node with pods; a negative count frees it. An unknown node is passed over."""
        free = self.free.get(node)
        if free is not None:
            for resource, amount in requests:
                free[resource] = free.get(resource, 0) - count * amount

    def place(self, need: Need) -> str | None:
        """Put one pod on the node that it fills best; its name, or None when no node has room.

        The scheduler may choose another node: what it fragments is seen when the pod is bound.
        """
        fitting = [name for name in self.candidates(need) if self.room(name, need.requests)]
        if not fitting:
            return None
        chosen = min(fitting, key=self._emptiness)
        self.put(chosen, need.requests)
        return chosen

    def room(self, node: str, requests: Amounts) -> int:
        """How many such pods one node has room for."""
        free = self.free[node]
        return max(0, min(free.get(resource, 0) // amount for resource, amount in requests))

    def fit(self, need: Need, wanted: int = 1) -> Fit:
        """Where pods fit now, and why fewer than `wanted` do."""
        found = {name: self.room(name, need.requests) for name in self.candidates(need)}
        per_node = {name: count for name, count in found.items() if count}
        total = sum(per_node.values())
        if total >= wanted:
            return Fit(per_node)
        return Fit(per_node, *(self._sifted(need)[1] or self._why_not_now(need, wanted, total)))

    def candidates(self, need: Need) -> list[str]:
        """Nodes on which such a pod would run if they were empty, in order of name."""
        return self._sifted(need)[0]

    def _emptiness(self, node: str) -> tuple[int, int]:
        free = self.free[node]
        return sum(free[device] for device in self._devices[node]), free.get("cpu", 0)

    def _sifted(self, need: Need) -> _Sifted:
        found = self._known.get(need)
        if found is None:
            nodes = [self.nodes[name] for name in sorted(self.nodes)]
            found = self._known[need] = _sift(nodes, need)
        return found

    def _why_not_now(self, need: Need, wanted: int, total: int) -> _Why:
        where = self.candidates(need)
        found = {
            resource: (sum(max(0, self.free[name].get(resource, 0)) for name in where), amount)
            for resource, amount in _devices_first(need)
        }
        scarce = [name for name, (free, amount) in found.items() if free < wanted * amount]
        shortage = Shortage.BUSY_NOW if scarce else Shortage.FRAGMENTED
        resource = (scarce or list(found))[0]
        free, amount = found[resource]
        detail = (
            f"{total} of {wanted} pods fit: {_said(resource, free)} free on {len(where)} node(s), "
            f"a pod asks for {_said(resource, amount)} on one node"
        )
        return shortage, detail


class Inventory:
    """The nodes and the pods on them. A change costs the same however large the cluster is."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._pods: dict[str, Pod] = {}
        # Pods of nodes not heard of count too: their node may be met after them.
        self._used: dict[str, Counter[str]] = {}
        self._made: dict[Target, dict[str, Pod]] = {}

    def node_put(self, node: Node) -> None:
        """A node is there, or has changed."""
        self._nodes[node.name] = node

    def node_dropped(self, name: str) -> None:
        """A node is gone; its pods are told of one by one."""
        self._nodes.pop(name, None)

    def pod_put(self, pod: Pod) -> None:
        """A pod is there, has been bound, or has changed."""
        self.pod_gone(pod.uid)
        if pod.standing is Standing.OVER:
            return
        self._pods[pod.uid] = pod
        if pod.node:
            self._used.setdefault(pod.node, Counter()).update(dict(pod.requests))
        if pod.target:
            self._made.setdefault(pod.target, {})[pod.uid] = pod

    def pod_gone(self, uid: str) -> None:
        """A pod has been deleted, or has run to its end."""
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        if pod.node:
            self._used[pod.node].subtract(dict(pod.requests))
            if not +self._used[pod.node]:
                del self._used[pod.node]
        if pod.target:
            del self._made[pod.target][uid]
            if not self._made[pod.target]:
                del self._made[pod.target]

    def stock(self) -> Stock:
        """What is free now, to count and place in."""
        return Stock(self.supply())

    def supply(self, targets: Iterable[Target] = ()) -> Supply:
        """What is free now, in a copy that later changes leave alone.

        Args:
            targets: workloads whose pods are told of one by one: those of all apps with variants,
                as what one of them has taken since its last turn is not free any more.
        """
        none: Counter[str] = Counter()
        free = {}
        for name, node in self._nodes.items():
            used = self._used.get(name, none)
            free[name] = {
                resource: amount - used[resource] for resource, amount in node.allocatable.items()
            }
        held = {target: self.holding(target).nodes for target in targets}
        return Supply(dict(self._nodes), free, held)

    def holding(self, target: Target) -> Holding:
        """The pods of a workload, the oldest told of first."""
        pods = self._made.get(target, {}).values()
        standings = Counter(pod.standing for pod in pods)
        nodes = tuple(pod.node for pod in pods if pod.standing is Standing.BOUND)
        return Holding(nodes, standings[Standing.PENDING], standings[Standing.GATED])


@dataclass(frozen=True, slots=True)
class _Sieve:
    """One of the things that a node must be, and what it is called when none is.

    Attributes:
        words: what is said of the nodes that came as far as this.
    """

    shortage: Shortage
    passes: Callable[[Node, Need], bool]
    words: Callable[[list[Node], Need], str]


def _is_offered(node: Node, need: Need) -> bool:
    return need.admits(node.labels) and all(name in node.allocatable for name, _ in need.extended)


def _works(node: Node, need: Need) -> bool:
    # A device plugin that is away leaves its resources behind, with nothing to give.
    return node.ready and all(node.allocatable[name] for name, _ in need.extended)


def _is_large_enough(node: Node, need: Need) -> bool:
    return all(node.allocatable.get(name, 0) >= amount for name, amount in need.requests)


def _not_offered(nodes: list[Node], need: Need) -> str:
    devices = " and ".join(name for name, _ in need.extended) or "room"
    said = f"none of {len(nodes)} node(s) is selected by the pods and offers {devices}"
    selected = _selected(need)
    products = {gpu.product(label) for label in selected}
    labels = {_label(node) for node in nodes if node.product and node.product in products}
    alike = sorted(labels - selected)
    if not alike:
        return said
    return f"{said}; the product is there as {', '.join(alike)}: select it by that name"


def _not_working(nodes: list[Node], need: Need) -> str:
    return f"{len(nodes)} node(s) are selected: cordoned, not ready, or their device plugin is away"


def _tainted(nodes: list[Node], need: Need) -> str:
    taints = {str(need.repelled_by(node.taints)) for node in nodes}
    return f"{len(nodes)} node(s) have taints that are not tolerated, as {min(taints)}"


def _too_small(nodes: list[Node], need: Need) -> str:
    for name, amount in _devices_first(need):
        largest = max(node.allocatable.get(name, 0) for node in nodes)
        if largest < amount:
            most = _said(name, largest)
            return f"a pod asks for {_said(name, amount)}, the largest of {len(nodes)} has {most}"
    return f"none of {len(nodes)} node(s) has all that a pod asks for at once"


_SIEVES: Final = (
    _Sieve(Shortage.NO_SUCH_PRODUCT, _is_offered, _not_offered),
    _Sieve(Shortage.NODES_NOT_READY, _works, _not_working),
    _Sieve(Shortage.TAINTS, lambda node, need: not need.repelled_by(node.taints), _tainted),
    _Sieve(Shortage.CAN_NEVER_FIT, _is_large_enough, _too_small),
)


def _sift(left: list[Node], need: Need) -> _Sifted:
    for sieve in _SIEVES:
        passed = [node for node in left if sieve.passes(node, need)]
        if not passed:
            return [], (sieve.shortage, sieve.words(left, need))
        left = passed
    return [node.name for node in left], None


def _selected(need: Need) -> set[str]:
    """Product labels that are selected by name."""
    asked = (one for term in need.terms for one in term if one.key == names.LABEL_GPU_PRODUCT)
    return {value for one in asked if one.operator == "In" for value in one.values}


def _label(node: Node) -> str:
    return node.labels[names.LABEL_GPU_PRODUCT]


def _devices_first(need: Need) -> Iterable[tuple[str, int]]:
    return sorted(need.requests, key=lambda item: (not gpu.is_extended(item[0]), item[0]))


def _said(resource: str, amount: int) -> str:
    if resource == "cpu":
        return f"{amount}m cpu"
    return f"{amount >> 20}Mi memory" if resource == "memory" else f"{amount} {resource}"
