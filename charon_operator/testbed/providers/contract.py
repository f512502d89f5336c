"""What a provider of control planes is handed and what it gives back.

Reads: nothing. Gives: Protocols and the Cluster they speak of. Never: starts anything.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from charon_operator.testbed import layout, parts, process, sockets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """A control plane that answers."""

    kubeconfig: pathlib.Path
    api_url: str
    ca_file: pathlib.Path
    kubectl: pathlib.Path
    # kwok's own identity, where one can be made: the audit log then tells it from a person.
    kwok_kubeconfig: pathlib.Path | None = None
    audit_log: pathlib.Path | None = None
    can_sign: bool = False


class Launcher(Protocol):
    """What the starter does for a provider."""

    files: layout.Layout
    ports: sockets.Reservation
    binaries: Mapping[str, pathlib.Path]
    host: str
    """The address of servers that pods call: loopback, where no pod is real."""

    def launch(self, make: Callable[[], process.Program], *port_names: str) -> process.Process:
        """Starts a program and waits until it is ready; makes it anew if its port was taken."""


class Source(Protocol):
    """A provider of control planes."""

    def needs(self) -> Sequence[parts.Part]:
        """The parts that must be built for it."""

    def bring_up(self, launcher: Launcher) -> Cluster:
        """Makes the control plane answer."""

    def take_down(self) -> None:
        """Undoes what `bring_up` did beyond launching processes."""
