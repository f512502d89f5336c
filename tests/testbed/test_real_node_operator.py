"""The operator as people run it: in a pod, installed by helm, under restricted pod security."""

import json

import pytest

from charon_operator import testbed
from charon_operator.testbed import operator
from tests.ship.chart import CHART
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.node]


def test_operator_when_installed_by_helm_then_its_pod_leads_and_is_ready(
    real_bed: testbed.Testbed,
) -> None:
    operator.deploy(real_bed, CHART)
    inside = f"--namespace={operator.NAMESPACE}"
    enforced = "jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}"
    assert real_bed.kubectl("get", "namespace", operator.NAMESPACE, "-o", enforced) == "restricted"
    [pod] = json.loads(real_bed.kubectl("get", "pods", inside, "-o", "json"))["items"]
    assert pod["spec"]["nodeName"] == "real-0"
    lease = ("get", "lease", operator.ACCOUNT, inside, "-o", "jsonpath={.spec.holderIdentity}")
    name = pod["metadata"]["name"]
    wait_until(
        lambda: real_bed.kubectl(*lease, check=False).startswith(name), "the pod to take the Lease"
    )
    operator.helm(real_bed, "uninstall", operator.ACCOUNT, "--wait")
