"""A real control plane, a real Mimir and fake nodes on this machine.

Reads: pinned Go modules (`modules/`), a Config. Gives: `start`, which returns a running Testbed,
and `attach`, a handle on one that another process owns. Never: is imported by the operator.
"""

from charon_operator.testbed.access import Access
from charon_operator.testbed.bed import ProcessStatus, Testbed
from charon_operator.testbed.config import Config, Node, Provider, RealNode
from charon_operator.testbed.gpunodes import gpu_node
from charon_operator.testbed.process import Process
from charon_operator.testbed.starter import prepare, start
from charon_operator.testbed.state import attach

__all__ = [
    "Access",
    "Config",
    "Node",
    "Process",
    "ProcessStatus",
    "Provider",
    "RealNode",
    "Testbed",
    "attach",
    "gpu_node",
    "prepare",
    "start",
]
