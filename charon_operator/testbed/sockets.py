"""Picks loopback ports that stay ours for the life of a testbed.

Reads: the kernel's range of ephemeral ports, what other testbeds hold. Gives: free ports.
Never: hands out a port another testbed on this machine reserved, even while its server is stopped.

Ports come from below the kernel's ephemeral range: inside it, an outgoing connection can take the
port of a server that is stopped for a moment, and the server cannot come back.

A reservation is an abstract Unix socket named after the port: it lives in the same network
namespace as the port, and vanishes with the process that holds it.
"""

import contextlib
import errno
import pathlib
import random
import socket

from charon_operator import errors

LOOPBACK = "127.0.0.1"
_LOWEST, _FALLBACK_HIGHEST = 15000, 32000
_ATTEMPTS = 500


def is_free(port: int) -> bool:
    """True if a server could listen on the loopback port now."""
    with contextlib.closing(socket.socket()) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def accepts(port: int, timeout_s: float = 1.0) -> bool:
    """True if something listens on the loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def claim(name: str) -> socket.socket | None:
    """A claim on something of this machine, held until it is closed; None if another has it."""
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0charon-testbed-{name}")
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return held


class Reservation:
    """The ports of one testbed, by name; freed by `release` or by the end of the process."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, socket.socket]] = {}

    def port(self, name: str) -> int:
        """The port reserved under a name, reserved at the first call.

        Raises:
            errors.TestbedError: no free port was found.
        """
        if name not in self._held:
            self._held[name] = _reserve(name)
        return self._held[name][0]

    def renew(self, name: str) -> int:
        """Another port for a name whose port turned out to be taken."""
        self._drop(name)
        return self.port(name)

    def release(self) -> None:
        for name in list(self._held):
            self._drop(name)

    def _drop(self, name: str) -> None:
        if name in self._held:
            self._held.pop(name)[1].close()


def _reserve(name: str) -> tuple[int, socket.socket]:
    chance = random.SystemRandom()
    for _ in range(_ATTEMPTS):
        port = chance.randrange(_LOWEST, _highest())
        held = claim(f"port-{port}")
        if held and is_free(port):
            return port, held
        if held:
            held.close()
    raise errors.TestbedError(
        f"no free port for {name} on {LOOPBACK} between {_LOWEST} and {_highest()}: "
        "stop what listens there (`ss -ltn` lists it), or another testbed (`charon lab down`)"
    )


def _highest() -> int:
    try:
        text = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    except OSError:
        return _FALLBACK_HIGHEST
    lowest_ephemeral = int(text.split()[0])
    return lowest_ephemeral if lowest_ephemeral > _LOWEST + 1000 else _FALLBACK_HIGHEST
