"""What GPUs stand on: all nodes of the cluster, and the pods that occupy them.

Reads: bodies of nodes and pods, one at a time or as whole lists. Gives: the `Inventory`, changed
with each of them and never built anew. Never: a part of it; while only nodes or only pods are
known, or the right to see either was taken away, nothing is known of what is free.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from charon_operator import ports
from charon_operator.decide.placement.inventory import Inventory
from charon_operator.errors import SpecError
from charon_operator.loop.store import Body, Kind, Scope, Store
from charon_operator.model import body as bodies
from charon_operator.model import gpu
from charon_operator.model.workload import Key

_log = logging.getLogger(__name__)

_WHOLE: Final = frozenset({(Kind.NODES, ""), (Kind.PODS, "")})
# More pods than any node takes.
_FULL: Final = (("pods", 2**31),)


class Floor(Store):
    """The inventory of the cluster, as the informer tells of it.

    Args:
        clock: stamps when a kind was last heard of (monotonic).
    """

    def __init__(self, clock: ports.Clock) -> None:
        super().__init__(clock)
        self._inventory = Inventory()

    def expect(self, scopes: Iterable[Scope]) -> None:
        """Say what is watched; what was listed of anything else has to be listed again."""
        watched = frozenset(scopes)
        with self._lock:
            super().expect(watched)
            self._listed &= watched

    @contextlib.contextmanager
    def inventory(self) -> Iterator[Inventory | None]:
        """Nodes and pods, which stand still meanwhile; None while not all of them are known.

        The informer waits as long as this is held: nothing may be awaited inside.
        """
        with self._lock:
            yield self._inventory if self._listed >= _WHOLE else None

    def free_devices(self) -> Mapping[str, int]:
        """Devices that no bound pod asks for, by resource name, on nodes that take pods."""
        with self.inventory() as there:
            if there is None:
                return {}
            stock = there.stock()
        found: Counter[str] = Counter()
        for name, amounts in stock.free.items():
            if stock.nodes[name].ready:
                devices = filter(gpu.is_extended, amounts)
                found.update({device: max(0, amounts[device]) for device in devices})
        return found

    def _read(self, kind: Kind, body: Body, before: Any) -> Any:
        try:
            return gpu.pod(body) if kind is Kind.PODS else gpu.node(body)
        except (SpecError, TypeError, ValueError, AttributeError) as error:
            if before is None:
                _log.warning("%s %s cannot be read: %s", kind, bodies.key(body), error)
            # Nobody is sent to such a node, nor to where such a pod is.
            return _filling(body) if kind is Kind.PODS else None

    def _relink(self, kind: Kind, name: Key, before: Any, entry: Any) -> None:
        if before == entry:
            return
        self._unlink(kind, name, before)
        if kind is Kind.PODS:
            self._inventory.pod_put(entry)
        else:
            self._inventory.node_put(entry)

    def _unlink(self, kind: Kind, name: Key, entry: Any) -> None:
        if entry is None:
            return
        if kind is Kind.PODS:
            self._inventory.pod_gone(entry.uid)
        else:
            self._inventory.node_dropped(entry.name)


def _filling(body: Body) -> gpu.Pod:
    spec = body.get("spec")
    node = str(spec.get("nodeName") or "") if isinstance(spec, Mapping) else ""
    standing = gpu.Standing.BOUND if node else gpu.Standing.PENDING
    return gpu.Pod(bodies.uid(body), None, standing, node, _FULL)
