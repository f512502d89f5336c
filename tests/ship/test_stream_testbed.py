"""The stream example as a real API server takes it: `kubectl apply -f examples/stream`."""

from collections.abc import Iterator

import pytest

from charon_operator import testbed
from tests.ship.chart import ROOT
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed
FILES = ("-f", str(ROOT / "examples" / "stream"))
SPACE = ("-n", "stream")


@pytest.fixture(scope="module")
def applied(ship_bed: testbed.Testbed, crds: None) -> Iterator[str]:
    """What kubectl said to the whole folder."""
    yield ship_bed.kubectl("apply", *FILES)
    ship_bed.kubectl("delete", "namespace", "stream", "--wait=false")


def test_pods_pass_the_restricted_standard_and_run(ship_bed: testbed.Testbed, applied: str) -> None:
    assert applied.count(" created\n") == 7, applied

    def running() -> bool:
        asked = ("get", "pods", *SPACE, "--field-selector=status.phase=Running")
        labels = ship_bed.kubectl(*asked, "-o", "jsonpath={.items[*].metadata.labels.app}")
        return sorted(labels.split()) == ["broker", "consumer", "source"]

    # The namespace enforces it: a pod that breaks it is never created.
    wait_until(running, "one pod of each program")


@pytest.mark.usefixtures("applied")
def test_applying_again_leaves_the_replicas_to_the_operator(ship_bed: testbed.Testbed) -> None:
    ship_bed.kubectl("scale", "deployment/consumer", *SPACE, "--replicas=3")
    assert "consumer unchanged" in ship_bed.kubectl("apply", *FILES)
    asked = ("get", "deployment/consumer", *SPACE, "-o", "jsonpath={.spec.replicas}")
    assert ship_bed.kubectl(*asked) == "3"
