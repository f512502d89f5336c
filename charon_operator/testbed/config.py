"""What a testbed is asked to be: nodes, time constants, flags, provider.

Reads: nothing. Gives: Config, Node. Never: starts or touches anything.
"""

import dataclasses
import enum
import pathlib
from collections.abc import Mapping, Sequence


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
    nodes: Sequence[Node] = DEFAULT_NODES
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
