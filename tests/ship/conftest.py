"""A cluster of this folder's own: CRDs and releases come and go here, which others would feel."""

import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from charon_operator import testbed
from tests.faults import install
from tests.testbed_fixtures import wait_may


@pytest.fixture(scope="session")
def ship_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testbed.Testbed]:
    folder = tmp_path_factory.mktemp("ship")
    with testbed.start(testbed.Config(folder=folder, with_metrics=False)) as running:
        yield running


@pytest.fixture
def space(ship_bed: testbed.Testbed) -> Iterator[str]:
    """A namespace of the test."""
    name = f"ship-{secrets.token_hex(4)}"
    ship_bed.kubectl("create", "namespace", name)
    yield name
    ship_bed.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def crds(ship_bed: testbed.Testbed) -> None:
    install.install_crds(ship_bed)


@pytest.fixture(scope="session")
def admin(
    ship_bed: testbed.Testbed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """The API server over plain HTTP calls, as an administrator."""
    ship_bed.kubectl("create", "serviceaccount", "admin", "-n", "default")
    ship_bed.kubectl(
        "create",
        "clusterrolebinding",
        "admin",
        "--clusterrole=cluster-admin",
        "--serviceaccount=default:admin",
    )
    wait_may(ship_bed, "system:serviceaccount:default:admin", "*", "*")
    with client_of(ship_bed, "default", "admin") as made:
        yield made


def client_of(bed: testbed.Testbed, namespace: str, account: str) -> httpx.Client:
    """Plain HTTP calls with a ServiceAccount's own token."""
    token = bed.kubectl("create", "token", account, f"--namespace={namespace}").strip()
    trust = ssl.create_default_context(cafile=str(Path(bed.ca_file)))
    return httpx.Client(
        base_url=bed.api_url,
        verify=trust,
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
