"""One program: started, waited for, faulted, and what is said when it dies."""

import pathlib
import sys

import pytest

from charon_operator import errors
from charon_operator.testbed import config, process, sockets, starter
from tests.testbed_fixtures import wait_until

SERVER = """
import socket, sys, time
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    server.bind(("127.0.0.1", int(sys.argv[1])))
except OSError:
    sys.exit("listen tcp: bind: address already in use")
server.listen()
print("listening", flush=True)
while True:
    server.accept()[0].close()
"""


def program(folder: pathlib.Path, port: int, source: str = SERVER) -> process.Program:
    return process.Program(
        name="server",
        command=[sys.executable, "-c", source, str(port)],
        log=folder / "server.log",
        port=port,
        is_ready=lambda: sockets.accepts(port),
    )


@pytest.fixture
def ports() -> sockets.Reservation:
    reserved = sockets.Reservation()
    yield reserved
    reserved.release()


def test_process_when_it_dies_at_start_then_its_last_lines_are_shown(
    tmp_path: pathlib.Path, ports: sockets.Reservation
) -> None:
    source = "import sys; print('line one'); sys.exit('no such flag: --frobnicate')"
    dying = process.Process(program(tmp_path, ports.port("x"), source))
    with pytest.raises(errors.TestbedError, match=r"Exited\(1\)(.|\n)*--frobnicate") as died:
        dying.start()
    assert "server.log" in str(died.value)


def test_process_when_it_is_never_ready_then_says_after_how_long(
    tmp_path: pathlib.Path, ports: sockets.Reservation
) -> None:
    idle = process.Process(program(tmp_path, ports.port("x"), "import time; time.sleep(60)"))
    with pytest.raises(errors.TestbedError, match="not ready after 0 s; its log is empty"):
        idle.start(timeout_s=0.1)
    idle.kill()


def test_process_when_restarted_then_it_has_another_pid_and_the_same_port(
    tmp_path: pathlib.Path, ports: sockets.Reservation
) -> None:
    server = process.Process(program(tmp_path, ports.port("x")))
    server.start()
    first = server.pid
    server.stop()
    assert (server.state, server.pid) == ("Stopped", None)
    server.start()
    assert server.state == "Running"
    assert server.pid != first
    server.kill()
    assert not sockets.accepts(server.program.port)


def test_process_when_paused_then_it_is_frozen_until_it_is_resumed(
    tmp_path: pathlib.Path, ports: sockets.Reservation
) -> None:
    server = process.Process(program(tmp_path, ports.port("x")))
    server.start()
    server.pause()
    assert server.state == "Paused"
    kernel = pathlib.Path(f"/proc/{server.pid}/stat")
    wait_until(lambda: kernel.read_text().rpartition(")")[2].split()[0] == "T", "the kernel's stop")
    server.resume()
    assert server.state == "Running"
    server.stop()


def test_process_when_it_does_not_run_then_it_cannot_be_paused(
    tmp_path: pathlib.Path, ports: sockets.Reservation
) -> None:
    with pytest.raises(errors.TestbedError, match="server does not run"):
        process.Process(program(tmp_path, ports.port("x"))).pause()


def test_process_when_it_ignores_sigterm_then_it_is_killed(
    tmp_path: pathlib.Path, ports: sockets.Reservation
) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER
    described = program(tmp_path, ports.port("x"), stubborn)
    server = process.Process(
        process.Program(**{**vars(described), "stop_timeout_s": 0.2}),
    )
    server.start()
    server.stop()
    assert not sockets.accepts(described.port)


def test_starter_when_a_port_is_taken_then_tries_another(
    tmp_path: pathlib.Path, ports: sockets.Reservation
) -> None:
    taken = ports.port("taken")
    squatter = process.Process(program(tmp_path / "squatter", taken))
    squatter.start()
    starting = starter.Starter(config.Config(folder=tmp_path), None)
    tried = [taken]

    def make() -> process.Program:
        # The first answer is the squatter's port, as if it had come after the reservation.
        port = tried.pop() if tried else starting.ports.port("server")
        described = program(tmp_path, port)
        ready = (tmp_path / "server.log").exists
        listening = lambda: ready() and "listening" in (tmp_path / "server.log").read_text()  # noqa: E731
        return process.Program(**{**vars(described), "is_ready": listening})

    server = starting.launch(make, "server")
    assert server.program.port != taken
    starting.undo()
    squatter.kill()


def test_reservation_when_two_reserve_then_no_port_is_given_twice(
    ports: sockets.Reservation,
) -> None:
    other = sockets.Reservation()
    given = [ports.port(f"a{i}") for i in range(50)] + [other.port(f"b{i}") for i in range(50)]
    other.release()
    assert len(set(given)) == 100


def test_reservation_when_no_port_is_free_then_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "is_free", lambda port: False)
    with pytest.raises(errors.TestbedError, match=r"no free port for mimir.*charon lab down"):
        sockets.Reservation().port("mimir")
