"""The addresses of one node and its link to this machine.

Reads: the routes of this machine, what other testbeds hold. Gives: a network of the run's own, and
the commands that join both ends. Never: changes the packet filter, nor forwards anything beyond
this machine.

The near end of the link is where pods find the API server and Mimir; the far end is the node.
Both ends vanish with the node's network namespace.
"""

import dataclasses
import ipaddress
import pathlib
import socket
import subprocess

from charon_operator import errors
from charon_operator.testbed import sockets
from charon_operator.testbed.node import needs

_POOL = ipaddress.IPv4Network("10.213.0.0/16")
# A route this wide is somebody's way out; ours is narrower and wins.
_WIDE = 16


@dataclasses.dataclass(frozen=True)
class Network:
    """A /24: its first eighth is the link, its second half is the pods'."""

    whole: ipaddress.IPv4Network

    @property
    def near(self) -> str:
        return str(self.whole[1])

    @property
    def far(self) -> str:
        return str(self.whole[2])

    @property
    def pods(self) -> str:
        return str(list(self.whole.subnets(new_prefix=25))[1])


def reserve(preferred: int) -> tuple[Network, socket.socket]:
    """A network that nobody uses, and the claim that keeps other testbeds off it.

    Args:
        preferred: where the search begins, so that a testbed tends to get its old network.

    Raises:
        errors.TestbedError: all are taken.
    """
    subnets = list(_POOL.subnets(new_prefix=24))
    taken = _routed()
    for offset in range(len(subnets)):
        subnet = subnets[(preferred + offset) % len(subnets)]
        if any(subnet.overlaps(other) for other in taken):
            continue
        claim = sockets.claim(f"subnet-{subnet.network_address}")
        if claim:
            return Network(subnet), claim
    raise errors.TestbedError(f"no free network for a node in {_POOL}: stop another testbed")


def connect(network: Network, link: str, pid: int) -> None:
    """Joins this machine and the network namespace of a process by a link of that name."""
    near, far = f"{network.near}/29", f"{network.far}/29"
    _ip("link", "add", "name", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _ip("address", "add", near, "dev", link)
    _ip("link", "set", link, "up")
    for change in (
        ("link", "set", "lo", "up"),
        ("address", "add", far, "dev", "eth0"),
        ("link", "set", "eth0", "up"),
        ("route", "add", "default", "via", network.near),
    ):
        _ip(*change, inside=pid)
    _ip("route", "add", network.pods, "via", network.far)


def disconnect(link: str) -> None:
    """Removes the link; nothing happens if it is not there."""
    if pathlib.Path("/sys/class/net", link).exists():
        # It vanishes by itself with the namespace, perhaps in this moment.
        _ip("link", "delete", link, check=False)


def _ip(*arguments: str, inside: int | None = None, check: bool = True) -> None:
    enter = [str(needs.tool("nsenter")), f"--target={inside}", "--net"] if inside else []
    command = [*enter, str(needs.tool("ip")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise errors.TestbedError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")


def _routed() -> list[ipaddress.IPv4Network]:
    """Networks this machine has routes to, those aside that are wide."""
    lines = pathlib.Path("/proc/net/route").read_text().splitlines()[1:]
    routes = [_route(*line.split()[1:8:6]) for line in lines]
    return [route for route in routes if route.prefixlen > _WIDE]


def _route(destination: str, mask: str) -> ipaddress.IPv4Network:
    address, bits = (
        ipaddress.IPv4Address(bytes.fromhex(text)[::-1]) for text in (destination, mask)
    )
    return ipaddress.IPv4Network(f"{address}/{bits}")
