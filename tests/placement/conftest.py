"""One control plane and one operator for all placement tests; nodes are each test's own."""

from collections.abc import Iterator

import pytest

from charon_operator.testbed import sockets
from tests.placement.stage import Ground, Stage, running


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    ports = sockets.Reservation()
    try:
        with running(tmp_path_factory.mktemp("placement"), ports.port("operator")) as made:
            yield made
            made.stop()
            assert "Traceback" not in made.log
    finally:
        ports.release()


@pytest.fixture
def ground(stage: Stage) -> Iterator[Ground]:
    """No nodes yet, and the operator running, whatever the test before did to it."""
    stage.start()
    made = Ground(stage)
    yield made
    made.remove()
