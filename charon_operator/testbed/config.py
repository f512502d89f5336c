"""What a testbed is asked to be: nodes, time constants, flags, provider.

Reads: nothing. Gives: Config, Node, RealNode. Never: starts or touches anything.
"""

import dataclasses
import enum
import pathlib
from collections.abc import Mapping, Sequence

from charon_operator import errors


class Provider(enum.StrEnum):
    """Where the control plane comes from."""

    MODULES = "modules"
    KUBECONFIG = "kubeconfig"
    KIND = "kind"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """One fake node: what the scheduler may place on it."""

    name: str
    cpu: str = "37"
    memory: str = "256Gi"
    pods: int = 200
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    extended: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Extended resources, as `{"nvidia.com/gpu": "4"}`."""
    taints: Sequence[Mapping[str, str]] = dataclasses.field(default_factory=list)
    """As `{"key": "nvidia.com/gpu", "effect": "NoSchedule"}`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RealNode:
    """A node that runs pods: this machine's kernel, as much of it as the machine has."""

    name: str = "real-0"
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


DEFAULT_NODES = (Node(name="node-0"),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """All that `start` needs; every field has the value a first run wants.

    `folder` holds everything of one testbed: data, logs, keys, kubeconfig. Flags given here come
    after ours, so they win. `audited` names the namespaces whose ServiceAccounts are audited with
    request and response. `kubeconfig` and `mimir_url` belong to the kubeconfig provider.
    """

    folder: pathlib.Path
    provider: Provider = Provider.MODULES
    nodes: Sequence[Node | RealNode] = DEFAULT_NODES
    scrape_interval_s: float = 1.0
    remote_write_deadline_s: float = 0.5
    with_metrics: bool = True
    with_kwok: bool = True
    fsync: bool = False
    apiserver_flags: Sequence[str] = ()
    controller_manager_flags: Sequence[str] = ()
    scheduler_flags: Sequence[str] = ()
    mimir_flags: Sequence[str] = ()
    audited: Sequence[str] = ("charon-system",)
    tenant: str = "charon"
    cache: pathlib.Path | None = None
    """Where built binaries are kept; None is the user's cache folder."""
    kubeconfig: pathlib.Path | None = None
    mimir_url: str | None = None
    start_timeout_s: float = 120.0

    @property
    def fake_nodes(self) -> list[Node]:
        return [node for node in self.nodes if isinstance(node, Node)]

    @property
    def real_node(self) -> RealNode | None:
        """The real node, if one is asked for.

        Raises:
            errors.TestbedError: several are, or the control plane is not ours.
        """
        real = [node for node in self.nodes if isinstance(node, RealNode)]
        if real and self.provider is not Provider.MODULES:
            raise errors.TestbedError(
                f"nodes: a real node joins only a control plane built here, not provider "
                f"{self.provider.value}: leave the provider out, or the real node"
            )
        if len(real) > 1:
            raise errors.TestbedError(f"nodes: one real node at most, not {len(real)}")
        return real[0] if real else None
