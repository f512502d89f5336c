"""The control plane is real: pods, rights, tokens, audit; and what is left to the plant."""

import http.client
import json
import pathlib
import ssl
import urllib.parse
from typing import Any

import pytest

from charon_operator import errors, names, testbed
from tests.testbed_fixtures import wait_may, wait_until

pytestmark = pytest.mark.testbed

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}, {labels}}}}}
    spec:
      containers:
      - {{name: work, image: none, resources: {{requests: {{cpu: 100m}}}}}}
"""


def read(bed: testbed.Testbed, kind: str, name: str, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        bed.kubectl("get", kind, name, "-n", namespace, "-o", "json")
    )
    return found


def pods(bed: testbed.Testbed, namespace: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(
        bed.kubectl("get", "pods", "-n", namespace, "-o", "json")
    )["items"]
    return listed


def events(bed: testbed.Testbed) -> list[dict[str, Any]]:
    whole, _, _ = bed.audit_log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def test_apiserver_when_started_then_is_ready_and_trusted_by_its_ca(bed: testbed.Testbed) -> None:
    address = urllib.parse.urlsplit(bed.api_url)
    trust = ssl.create_default_context(cafile=str(bed.ca_file))
    connection = http.client.HTTPSConnection(str(address.hostname), address.port, context=trust)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"ok")
    connection.close()


def test_status_when_running_then_lists_every_process(bed: testbed.Testbed) -> None:
    assert {entry.name for entry in bed.status()} == {
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kwok",
        "mimir",
        "agent",
    }
    assert {entry.state for entry in bed.status()} == {"Running"}
    assert all(entry.log.exists() for entry in bed.status())


def test_nodes_when_started_then_offer_what_was_asked(bed: testbed.Testbed) -> None:
    allocatable = read(bed, "node", "node-1", "")["status"]["allocatable"]
    assert allocatable["nvidia.com/gpu"] == "4"
    assert allocatable["cpu"] == "37"


def test_deployment_when_applied_then_its_pods_become_ready(
    bed: testbed.Testbed, namespace: str
) -> None:
    bed.apply(DEPLOYMENT.format(name="ordinary", namespace=namespace, labels="a: b"))
    bed.kubectl("rollout", "status", "deployment/ordinary", "-n", namespace, "--timeout=30s")
    bed.kubectl("delete", "deployment", "ordinary", "-n", namespace)
    wait_until(lambda: not pods(bed, namespace), "deleted pods to be gone")


def test_pod_when_driven_by_the_plant_then_only_the_scheduler_touches_it(
    bed: testbed.Testbed, namespace: str
) -> None:
    label = f'{names.LABEL_PLANT_DRIVEN}: "true"'
    bed.apply(DEPLOYMENT.format(name="driven", namespace=namespace, labels=label))
    bed.apply(DEPLOYMENT.format(name="ordinary", namespace=namespace, labels="a: b"))
    bed.kubectl("rollout", "status", "deployment/ordinary", "-n", namespace, "--timeout=30s")

    def driven() -> list[dict[str, Any]]:
        return [p for p in pods(bed, namespace) if p["metadata"]["labels"]["app"] == "driven"]

    wait_until(
        lambda: len(driven()) == 2 and all(p["spec"].get("nodeName") for p in driven()),
        "driven pods to be scheduled",
    )
    assert {p["status"]["phase"] for p in driven()} == {"Pending"}
    assert not any(p["status"].get("containerStatuses") for p in driven())
    # Their deletion is the plant's too: kwok deletes the ordinary ones meanwhile.
    bed.kubectl("delete", "deployment", "driven", "ordinary", "-n", namespace)
    wait_until(
        lambda: {p["metadata"]["labels"]["app"] for p in pods(bed, namespace)} == {"driven"},
        "ordinary pods to be gone",
    )
    assert all(p["metadata"]["deletionTimestamp"] for p in driven())


def test_namespace_when_deleted_then_is_gone_with_all_in_it(bed: testbed.Testbed) -> None:
    bed.kubectl("create", "namespace", "brief")
    bed.kubectl("create", "configmap", "a", "-n", "brief")
    bed.kubectl("delete", "namespace", "brief", "--wait=false")
    wait_until(
        lambda: "not found" in bed.kubectl("get", "namespace", "brief", check=False),
        "the namespace to be gone",
    )


def test_service_account_when_given_a_token_then_has_its_rights_and_no_more(
    bed: testbed.Testbed, namespace: str, tmp_path: pathlib.Path
) -> None:
    bed.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    bed.kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods", "-n", namespace)
    account = f"{namespace}:reader"
    bed.kubectl(
        "create",
        "rolebinding",
        "r",
        "--role=reader",
        f"--serviceaccount={account}",
        "-n",
        namespace,
    )
    config = bed.service_account_kubeconfig(namespace, "reader", tmp_path / "reader.kubeconfig")
    as_reader = f"--kubeconfig={config}"
    assert (tmp_path / "reader.kubeconfig.token").read_text().count(".") == 2
    assert "reader" in bed.kubectl(as_reader, "auth", "whoami")
    bed.kubectl(as_reader, "get", "pods", "-n", namespace)
    with pytest.raises(errors.TestbedError, match="forbidden"):
        bed.kubectl(as_reader, "create", "configmap", "a", "-n", namespace)


def test_user_when_given_a_certificate_then_is_known_by_name_and_groups(
    bed: testbed.Testbed, tmp_path: pathlib.Path
) -> None:
    config = bed.user_kubeconfig("alice", ["dev", "ops"], tmp_path / "alice.kubeconfig")
    said = bed.kubectl(f"--kubeconfig={config}", "auth", "whoami", "-o", "json")
    known = json.loads(said)["status"]["userInfo"]
    assert known["username"] == "alice"
    assert {"dev", "ops"} <= set(known["groups"])
    with pytest.raises(errors.TestbedError, match="forbidden"):
        bed.kubectl(f"--kubeconfig={config}", "get", "nodes")


def test_audit_when_an_account_under_test_writes_then_request_and_response_are_logged(
    bed: testbed.Testbed, namespace: str, tmp_path: pathlib.Path
) -> None:
    bed.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: charon-system}\n")
    bed.kubectl("wait", "--for=create", "sa/default", "-n", "charon-system", "--timeout=30s")
    account = "--serviceaccount=charon-system:default"
    bed.kubectl("create", "rolebinding", "e", "--clusterrole=edit", account, "-n", namespace)
    user = "system:serviceaccount:charon-system:default"
    wait_may(bed, user, "create", "configmaps", namespace=namespace)
    config = bed.service_account_kubeconfig("charon-system", "default", tmp_path / "kubeconfig")
    as_operator = f"--kubeconfig={config}"
    bed.kubectl(as_operator, "create", "configmap", "seen", "--from-literal=a=b", "-n", namespace)
    [written] = [
        e
        for e in events(bed)
        if e["user"]["username"] == user
        and e["verb"] == "create"
        and e.get("objectRef", {}).get("namespace") == namespace
    ]
    assert written["level"] == "RequestResponse"
    assert written["requestObject"]["data"] == {"a": "b"}
    assert written["responseObject"]["metadata"]["uid"]


def test_audit_when_others_write_then_it_is_logged_without_bodies_and_reads_are_not(
    bed: testbed.Testbed, namespace: str
) -> None:
    bed.kubectl("create", "configmap", "other", "--from-literal=a=b", "-n", namespace)
    bed.kubectl("get", "configmap", "other", "-n", namespace)
    about = [e for e in events(bed) if e.get("objectRef", {}).get("name") == "other"]
    assert [(e["verb"], e["level"]) for e in about] == [("create", "Metadata")]
    assert "requestObject" not in about[0]
    assert not [e for e in events(bed) if e["verb"] == "watch"]


def test_kubectl_when_it_fails_then_its_words_are_in_the_error(bed: testbed.Testbed) -> None:
    with pytest.raises(errors.TestbedError, match="not found"):
        bed.kubectl("get", "namespace", "nowhere")
    assert "not found" in bed.kubectl("get", "namespace", "nowhere", check=False)


def test_serving_certificate_when_used_then_clients_trust_it(
    bed: testbed.Testbed,
) -> None:
    certificate, key = bed.serving_certificate(["127.0.0.1", "proxy.test"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=str(bed.serving_ca_file))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="proxy.test")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ours.getpeercert()
