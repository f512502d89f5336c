"""Scaling to 0 on the real API server: what the fence lets through where placement is on alone.

Without the value it is refused (`test_fence_caps_the_replicas`). A form is not changed without the
value of its own (`test_template_rights_testbed`).
"""

import json
from collections.abc import Iterator

import httpx
import pytest

from charon_operator import testbed
from tests.ship import chart
from tests.ship.admission import FENCED, deployment, patch
from tests.ship.conftest import client_of
from tests.ship.test_fence_testbed import targets
from tests.ship.test_resize_rights_testbed import all_rights, installed  # noqa: F401
from tests.ship.test_template_rights_testbed import asked as asked_for
from tests.ship.test_template_rights_testbed import change

pytestmark = pytest.mark.testbed


@pytest.fixture(scope="module")
def operator(ship_bed: testbed.Testbed) -> Iterator[httpx.Client]:
    """The operator's own token, with the rights of the chart and placement on."""
    for _ in installed(ship_bed, "--set", "knobs.placement.enabled=true"):
        with client_of(ship_bed, chart.NAMESPACE, chart.RELEASE) as client:
            yield client


@pytest.fixture
def paths(ship_bed: testbed.Testbed, space: str) -> tuple[str, str]:
    for body in (deployment(), deployment("db", "StatefulSet")):
        ship_bed.kubectl("create", "-n", space, "-f", "-", input=json.dumps(body))
    return targets(space)


def asked(client: httpx.Client, path: str) -> int:
    return int(client.get(path).json()["spec"]["replicas"])


def test_variants_are_scaled_to_0_and_back(operator: httpx.Client, paths: tuple[str, str]) -> None:
    for path in paths:
        for replicas in (0, 3, 0, 1):
            done = patch(operator, f"{path}/scale", {"spec": {"replicas": replicas}})
            assert done.status_code == 200, done.text
            assert asked(operator, path) == replicas


@pytest.mark.parametrize("replicas", [-1, 1001, 2**31 - 1])
def test_fence_caps_the_replicas_all_the_same(
    operator: httpx.Client, paths: tuple[str, str], replicas: int
) -> None:
    for path in paths:
        refused = patch(operator, f"{path}/scale", {"spec": {"replicas": replicas}})
        assert refused.status_code in (403, 422), refused.text
        assert asked(operator, path) == 2


def test_scaling_to_0_opens_no_system_namespace(
    operator: httpx.Client, ship_bed: testbed.Testbed
) -> None:
    ship_bed.kubectl("apply", "-n", "kube-system", "-f", "-", input=json.dumps(deployment("dns")))
    path = "/apis/apps/v1/namespaces/kube-system/deployments/dns/scale"
    try:
        refused = patch(operator, path, {"spec": {"replicas": 0}})
        assert (refused.status_code, FENCED in refused.text) == (403, True)
    finally:
        ship_bed.kubectl("delete", "deployment", "dns", "-n", "kube-system", "--wait=false")


def test_a_form_is_not_changed_without_a_value_of_its_own(
    operator: httpx.Client, paths: tuple[str, str]
) -> None:
    refused = asked_for(operator, paths[0], change())
    assert refused.status_code == 403
    assert 'cannot patch resource "deployments"' in refused.json()["message"]


@pytest.mark.usefixtures("all_rights")
def test_a_form_is_not_changed_without_a_value_of_its_own_even_with_all_rights(
    operator: httpx.Client, paths: tuple[str, str]
) -> None:
    refused = asked_for(operator, paths[0], change())
    assert (refused.status_code, FENCED in refused.text) == (403, True)
    assert "may scale and report, and nothing else" in refused.text
