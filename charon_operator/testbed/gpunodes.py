"""Fake nodes with GPUs, labelled as NVIDIA's device plugin and feature discovery label real ones.

Reads: a product and how it is shared. Gives: `gpu_node`. Never: a GPU.
"""

from collections.abc import Mapping, Sequence

from charon_operator import names
from charon_operator.testbed import config

_GPU = "nvidia.com/gpu"
# MiB, of the products that are well known; of others nothing is said.
_MEMORY_MIB = {"A100": 40960, "A30": 24576, "H100": 81559, "L4": 23034, "T4": 15360}


def gpu_node(
    name: str,
    product: str,
    count: int,
    *,
    shared_by: int = 1,
    mig: str = "",
    slices: int = 0,
    taints: Sequence[Mapping[str, str]] = (),
) -> config.Node:
    """A node with GPUs of one product.

    Args:
        name: of the node.
        product: as `A100-SXM4-40GB`, without what sharing appends to it.
        count: GPUs in it.
        shared_by: pods that may share each of them in time slices (`-SHARED`).
        mig: profile that each is cut into, as `1g.5gb`, under the MIG strategy `single`.
        slices: of each GPU, with `mig`.
        taints: as a node's `spec.taints` has them.
    """
    offered = count * (slices if mig else shared_by)
    suffixes = (f"-MIG-{mig}" if mig else "", "-SHARED" if shared_by > 1 else "")
    labels = {
        f"{_GPU}.present": "true",
        names.LABEL_GPU_PRODUCT: product + "".join(suffixes),
        f"{_GPU}.count": str(count),
        f"{_GPU}.replicas": str(shared_by),
        "nvidia.com/mig.strategy": "single" if mig else "none",
    }
    memory_mib = _MEMORY_MIB.get(product.partition("-")[0])
    if memory_mib:
        labels[f"{_GPU}.memory"] = str(memory_mib)
    return config.Node(name=name, labels=labels, extended={_GPU: str(offered)}, taints=taints)
