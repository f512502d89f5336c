"""The chart's whole life with the real helm: install, upgrade, uninstall, with the operator dead.

The pods run on fake nodes, so no operator acts here: that is the point of the deletions, and the
operator itself is run with this chart's rights by the suites of the operator.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from charon_operator import names, testbed
from tests.faults import install
from tests.model import bad_input
from tests.ship import chart
from tests.ship.admission import deployment
from tests.testbed_fixtures import wait_until

pytestmark = pytest.mark.testbed
# "At once", with room for a loaded machine; nothing here waits for an operator.
_AT_ONCE_S = 30.0
_CRDS = [f"{plural}.{names.GROUP}" for plural in (names.CHARGED_APPS, names.CONTROL_POLICIES)]


@pytest.fixture
def helm(ship_bed: testbed.Testbed) -> Callable[..., str]:
    """Runs helm against the testbed."""

    def run(*arguments: str, check: bool = True) -> str:
        where = (f"--kubeconfig={ship_bed.kubeconfig}", f"--namespace={chart.NAMESPACE}")
        return chart.helm(*arguments, *where, check=check)

    return run


@pytest.fixture
def release(ship_bed: testbed.Testbed, helm: Callable[..., str]) -> Iterator[str]:
    """The chart, installed with its default values into a namespace that is restricted."""
    ship_bed.kubectl("create", "namespace", chart.NAMESPACE)
    enforced = "pod-security.kubernetes.io/enforce=restricted"
    ship_bed.kubectl("label", "namespace", chart.NAMESPACE, enforced)
    helm("install", chart.RELEASE, str(chart.CHART), "--take-ownership")
    yield chart.RELEASE
    helm("uninstall", chart.RELEASE, "--ignore-not-found", check=False)
    ship_bed.kubectl("delete", "namespace", chart.NAMESPACE, "--timeout=60s")


@pytest.fixture
def controlled(ship_bed: testbed.Testbed, space: str) -> str:
    """A namespace with a workload that an Active app names; kwok runs its pods."""
    install.install_crds(ship_bed)
    app = {**bad_input.APP, "spec": {**bad_input.APP["spec"], "mode": "Active"}}
    for body in (deployment(), app, bad_input.POLICY):
        ship_bed.kubectl("create", "-n", space, "-f", "-", input=json.dumps(body))
    ship_bed.kubectl(
        "wait", "--for=condition=Available", "deployment/consumer", "-n", space, "--timeout=60s"
    )
    return space


def deployed(bed: testbed.Testbed) -> dict[str, Any]:
    told = bed.kubectl("get", "deployment", chart.RELEASE, "-n", chart.NAMESPACE, "-o", "json")
    found: dict[str, Any] = json.loads(told)
    return found


def pods_of(bed: testbed.Testbed, space: str) -> set[str]:
    told = bed.kubectl("get", "pods", "-n", space, "-o", "json")
    return {
        f"{pod['metadata']['uid']} {pod['status']['phase']}"
        for pod in json.loads(told)["items"]
        if "deletionTimestamp" not in pod["metadata"]
    }


def test_restricted_namespace_takes_the_pod(ship_bed: testbed.Testbed, release: str) -> None:
    wait_until(lambda: len(pods_of(ship_bed, chart.NAMESPACE)) == 1, "the operator's pod")
    told = ship_bed.kubectl("get", "events", "-n", chart.NAMESPACE, "-o", "name")
    events = ship_bed.kubectl("get", *told.split(), "-n", chart.NAMESPACE) if told else ""
    assert "violates PodSecurity" not in events
    for crd in _CRDS:
        ship_bed.kubectl("wait", "--for=condition=Established", f"crd/{crd}", "--timeout=30s")


def test_restricted_namespace_refuses_a_pod_with_less_care(
    ship_bed: testbed.Testbed, release: str
) -> None:
    pod = deployed(ship_bed)["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "careless"}, "spec": pod["spec"]}
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    create = ("create", "-n", chart.NAMESPACE, "--dry-run=server", "-f", "-")
    told = ship_bed.kubectl(*create, input=json.dumps(pod), check=False)
    assert "violates PodSecurity" in told


def test_upgrade_changes_what_is_asked_and_restarts_for_new_settings(
    ship_bed: testbed.Testbed, helm: Callable[..., str], release: str
) -> None:
    before = deployed(ship_bed)
    helm(
        "upgrade",
        release,
        str(chart.CHART),
        "--reset-then-reuse-values",
        "--set",
        "forceMode=Advisory",
    )
    after = deployed(ship_bed)
    checksum = ("spec", "template", "metadata", "annotations", "checksum/settings")
    assert _at(before, *checksum) != _at(after, *checksum)
    told = ship_bed.kubectl("get", "configmap", release, "-n", chart.NAMESPACE, "-o", "json")
    assert "force_mode: Advisory" in json.loads(told)["data"]["settings.yaml"]
    helm("upgrade", release, str(chart.CHART), "--reset-then-reuse-values", "--set", "replicas=0")
    assert deployed(ship_bed)["spec"]["replicas"] == 0


def test_upgrade_brings_the_crds_up_to_date(
    ship_bed: testbed.Testbed, helm: Callable[..., str], release: str
) -> None:
    # As an older release would have left them.
    older = json.dumps([{"op": "remove", "path": "/spec/names/categories"}])
    ship_bed.kubectl("patch", "crd", _CRDS[0], "--type=json", "-p", older)
    helm("upgrade", release, str(chart.CHART))
    told = json.loads(ship_bed.kubectl("get", "crd", _CRDS[0], "-o", "json"))
    assert told["spec"]["names"]["categories"] == [names.CATEGORY]


def test_uninstall_ends_at_once_and_leaves_workloads_and_resources(
    ship_bed: testbed.Testbed, helm: Callable[..., str], release: str, controlled: str
) -> None:
    before = pods_of(ship_bed, controlled)
    helm("uninstall", release, "--wait", f"--timeout={_AT_ONCE_S:.0f}s")
    assert pods_of(ship_bed, controlled) == before
    assert "good" in ship_bed.kubectl("get", "capp", "-n", controlled)
    left = "clusterroles,clusterrolebindings,validatingadmissionpolicies"
    selector = f"--selector=app.kubernetes.io/instance={release}"
    assert ship_bed.kubectl("get", left, selector, "-o", "name") == ""
    # Installed again, it takes over the CRDs it left.
    helm("install", release, str(chart.CHART))


def test_app_is_deleted_at_once_with_the_operator_dead(
    ship_bed: testbed.Testbed, controlled: str
) -> None:
    before = pods_of(ship_bed, controlled)
    ship_bed.kubectl("delete", "capp", "good", "-n", controlled, f"--timeout={_AT_ONCE_S:.0f}s")
    assert pods_of(ship_bed, controlled) == before


def test_namespace_is_deleted_at_once_with_the_operator_dead(
    ship_bed: testbed.Testbed, controlled: str
) -> None:
    ship_bed.kubectl("delete", "namespace", controlled, f"--timeout={_AT_ONCE_S:.0f}s")
    ship_bed.kubectl("create", "namespace", controlled)


def test_crds_are_deleted_at_once_with_the_operator_dead(
    ship_bed: testbed.Testbed, controlled: str
) -> None:
    before = pods_of(ship_bed, controlled)
    ship_bed.kubectl("delete", "crd", *_CRDS, f"--timeout={_AT_ONCE_S:.0f}s")
    assert pods_of(ship_bed, controlled) == before
    told = json.loads(
        ship_bed.kubectl("get", "deployment", "consumer", "-n", controlled, "-o", "json")
    )
    assert told["spec"]["replicas"] == 2
    install.install_crds(ship_bed)


def test_deploy_folder_installs_the_same(ship_bed: testbed.Testbed) -> None:
    try:
        ship_bed.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(chart.DEPLOY))
        wait_until(lambda: len(pods_of(ship_bed, chart.NAMESPACE)) == 1, "the operator's pod")
        again = ship_bed.kubectl("apply", "--server-side", "-f", str(chart.DEPLOY))
        assert "serverside-applied" in again
    finally:
        delete = ("delete", "--ignore-not-found", "--timeout=60s")
        ship_bed.kubectl(*delete, "-f", str(chart.DEPLOY))


def _at(body: Any, *path: str) -> Any:
    for step in path:
        body = body[step]
    return body
