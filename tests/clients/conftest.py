"""A testbed that serves our CRDs."""

import pathlib

import pytest

from charon_operator import testbed

CRDS = pathlib.Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def charged_bed(bed: testbed.Testbed) -> testbed.Testbed:
    bed.apply(CRDS)
    for file in sorted(CRDS.glob("*.yaml")):
        bed.kubectl("wait", "--for=condition=established", f"crd/{file.stem}", "--timeout=30s")
    return bed
