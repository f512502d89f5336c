"""A testbed that serves our CRDs."""

import pathlib

import pytest

from charon_operator import testbed
from tests.testbed_fixtures import wait_served

CRDS = pathlib.Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def charged_bed(bed: testbed.Testbed) -> testbed.Testbed:
    bed.apply(CRDS)
    for file in sorted(CRDS.glob("*.yaml")):
        wait_served(bed, file.stem)
    return bed
