"""A cluster of this folder's own: CRDs and releases come and go here, which others would feel."""

import json
import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from charon_operator import testbed
from tests.faults import install
from tests.ship import admission, chart
from tests.testbed_fixtures import wait_may, wait_until


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


@pytest.fixture(scope="module")
def policies(ship_bed: testbed.Testbed, crds: None) -> Iterator[None]:
    """The chart's account, rights and policies, without the operator itself."""
    ship_bed.kubectl("create", "namespace", chart.NAMESPACE)
    wanted = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    guards = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    documents = [d for d in chart.documents() if d["kind"] in (*wanted, *guards)]
    ship_bed.apply(yaml.safe_dump_all(documents))
    wait_until(lambda: admission.in_force(ship_bed), "both policies to be in force")
    wait_may(ship_bed, admission.OPERATOR, "patch", "--subresource=scale", "statefulsets")
    yield
    ship_bed.kubectl("delete", "--wait=false", "-f", "-", input=yaml.safe_dump_all(documents))
    ship_bed.kubectl("delete", "namespace", chart.NAMESPACE, "--timeout=60s")


@pytest.fixture
def workloads(ship_bed: testbed.Testbed, space: str) -> str:
    """A namespace with two Deployments, a StatefulSet, and users with different rights."""
    bodies = (
        admission.deployment(),
        admission.deployment("other"),
        admission.deployment("db", "StatefulSet"),
    )
    users = admission.bindings(
        outsider=["apps"],
        owner=["apps", "scale-one"],
        sets=["apps", "scale-sets"],
        scaler=["apps", "scale-all"],
        resizer=["apps", "scale-one", "resize"],
        author=["apps", "scale-one", "template"],
    )
    everything = "---\n".join(
        [admission.USERS, users, *(json.dumps(body) + "\n" for body in bodies)]
    )
    ship_bed.kubectl("create", "-n", space, "-f", "-", input=everything)
    make, scale = ("create", "chargedapps"), ("patch", "--subresource=scale")
    for user in ("outsider", "owner", "sets", "scaler", "resizer", "author"):
        wait_may(ship_bed, user, *make, namespace=space)
    for user in ("owner", "scaler", "resizer", "author"):
        wait_may(ship_bed, user, *scale, "deployments/consumer", namespace=space)
    wait_may(ship_bed, "resizer", "patch", "--subresource=resize", "pods", namespace=space)
    wait_may(ship_bed, "author", "patch", "deployments", namespace=space)
    wait_may(ship_bed, "sets", *scale, "statefulsets", namespace=space)
    return space


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
