"""One stage for all fault tests, and one operator for those that do not break it for good."""

from collections.abc import Iterator

import pytest

from charon_operator import testbed
from tests.faults import harness


@pytest.fixture(scope="package")
def stage(
    bed: testbed.Testbed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[harness.Stage]:
    """Proxies, watcher and exporter around the operator; every test takes its rules back."""
    with harness.stage(bed, tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.fixture(scope="package")
def shared_operator(stage: harness.Stage) -> Iterator[harness.Operator]:
    made = stage.operator("shared")
    stage.shared = made
    made.start()
    yield made
    made.end()


@pytest.fixture
def operator(shared_operator: harness.Operator) -> harness.Operator:
    """The shared operator, running and leading, whatever the test before did to it."""
    shared_operator.start()
    return shared_operator


@pytest.fixture
def alone(stage: harness.Stage) -> harness.Stage:
    """The stage without the shared operator: what it watches belongs to operators of the test."""
    if stage.shared:
        stage.shared.end()
    return stage


@pytest.fixture
def world(stage: harness.Stage) -> Iterator[harness.World]:
    """A namespace with a workload at 2 replicas and its app."""
    with harness.world(stage) as made:
        yield made
