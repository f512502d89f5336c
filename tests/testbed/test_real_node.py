"""A real node: pods run, are read, entered, resized, reached and scraped."""

import json
import secrets
import urllib.request
from collections.abc import Iterator

import pytest

from charon_operator import names, testbed
from charon_operator.testbed import images
from charon_operator.testbed.node import cgroups
from tests.testbed_fixtures import ask, wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.node]

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeSelector: {{{label}: "true"}}
  terminationGracePeriodSeconds: 0
  containers:
  - name: work
    image: {image}
    command: {command}
    resources:
      requests: {{cpu: 100m, memory: 32Mi}}
      limits: {{cpu: 200m, memory: 128Mi}}
    securityContext:
      allowPrivilegeEscalation: false
      runAsNonRoot: true
      capabilities: {{drop: [ALL]}}
      seccompProfile: {{type: RuntimeDefault}}
"""
SERVE = (
    # Without the ending, httpd would not call it text and the agent would not read it.
    "echo here I am; mkdir /tmp/www; echo 'answer_total 42' >/tmp/www/metrics.txt; "
    "exec httpd -f -p 8080 -h /tmp/www"
)
RESIZED = {
    "spec": {
        "containers": [
            {"name": "work", "resources": {"requests": {"cpu": "200m"}, "limits": {"cpu": "500m"}}}
        ]
    }
}


@pytest.fixture
def place(real_bed: testbed.Testbed) -> Iterator[str]:
    """A namespace under restricted pod security; gone after the test."""
    name = f"test-{secrets.token_hex(4)}"
    real_bed.kubectl("create", "namespace", name)
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    real_bed.kubectl("label", "namespace", name, restricted)
    real_bed.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name)
    yield name
    real_bed.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def served(real_bed: testbed.Testbed, place: str) -> str:
    """A pod that serves one metric on port 8080; gives its address."""
    run(real_bed, place, "served", ["sh", "-c", SERVE])
    real_bed.kubectl("wait", "--for=condition=Ready", "pod/served", "-n", place, "--timeout=60s")
    return real_bed.kubectl("get", "pod/served", "-n", place, "-o", "jsonpath={.status.podIP}")


def run(
    bed: testbed.Testbed,
    namespace: str,
    name: str,
    command: list[str],
    image: images.Image | None = None,
) -> None:
    text = POD.format(
        name=name,
        label=names.LABEL_REAL_NODE,
        image=bed.load(image or images.busybox()),
        command=json.dumps(command),
    )
    bed.kubectl("apply", "-n", namespace, "-f", "-", input=text)


def quota_us(bed: testbed.Testbed, namespace: str, name: str) -> int | None:
    """CPU time in microseconds a period that the kernel grants the pod's container."""
    pod = json.loads(bed.kubectl("get", "pod", name, "-n", namespace, "-o", "json"))
    [container] = pod["status"]["containerStatuses"]
    return cgroups.cpu_of(container["containerID"].rpartition("/")[2]).quota_us


def test_node_when_started_then_is_ready_beside_a_fake_one(real_bed: testbed.Testbed) -> None:
    listed = json.loads(real_bed.kubectl("get", "nodes", "-o", "json"))["items"]
    runtimes = {n["metadata"]["name"]: n["status"]["nodeInfo"] for n in listed}
    assert runtimes["real-0"]["containerRuntimeVersion"].startswith("containerd://")
    assert runtimes["node-0"]["containerRuntimeVersion"].startswith("kwok")
    ready = {
        n["metadata"]["name"]: c["status"]
        for n in listed
        for c in n["status"]["conditions"]
        if c["type"] == "Ready"
    }
    assert ready == {"real-0": "True", "node-0": "True"}


def test_pod_when_it_runs_then_its_log_is_read_and_a_command_runs_in_it(
    real_bed: testbed.Testbed, place: str, served: str
) -> None:
    assert real_bed.kubectl("logs", "served", "-n", place) == "here I am\n"
    said = real_bed.kubectl("exec", "served", "-n", place, "--", "id", "-u")
    assert said.strip() == "65532"


def test_pod_when_resized_then_its_quota_follows_without_a_restart(
    real_bed: testbed.Testbed, place: str, served: str
) -> None:
    assert quota_us(real_bed, place, "served") == 20000
    real_bed.kubectl(
        "patch", "pod", "served", "-n", place, "--subresource=resize", "-p", json.dumps(RESIZED)
    )
    wait_until(lambda: quota_us(real_bed, place, "served") == 50000, "the quota to follow")
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
    assert real_bed.kubectl("get", "pod", "served", "-n", place, "-o", restarts) == "0"


def test_pod_when_it_calls_a_service_or_the_api_server_then_is_answered(
    real_bed: testbed.Testbed, place: str, served: str
) -> None:
    real_bed.kubectl("expose", "pod", "served", "-n", place, "--port=80", "--target-port=8080")
    address = real_bed.kubectl(
        "get", "service", "served", "-n", place, "-o", "jsonpath={.spec.clusterIP}"
    )

    def inside(*command: str) -> str:
        return real_bed.kubectl("exec", "served", "-n", place, "--", *command, check=False)

    asked = ("timeout", "2", "wget", "-qO-", f"http://{address}/metrics.txt")
    wait_until(lambda: inside(*asked) == "answer_total 42\n", "the Service to answer its own pod")
    health = 'wget -qO- --no-check-certificate "https://$KUBERNETES_SERVICE_HOST/healthz"'
    assert inside("sh", "-c", health) == "ok"


def test_pod_when_it_is_a_scrape_target_then_its_metric_is_in_mimir(
    real_bed: testbed.Testbed, served: str
) -> None:
    real_bed.scrape("served", f"{served}:8080", {"__metrics_path__": "/metrics.txt"})
    found = wait_until(lambda: ask(real_bed, "answer_total"), "the metric to arrive")
    assert [series["value"][1] for series in found] == ["42"]
    real_bed.unscrape("served")


def test_image_when_made_of_this_interpreter_then_numpy_and_we_are_in_it(
    real_bed: testbed.Testbed, place: str
) -> None:
    program = "import numpy, charon_operator; print(numpy.arange(4).sum())"
    run(real_bed, place, "python", ["python3", "-c", program], images.python())
    real_bed.kubectl("wait", "--for=create", "pod/python", "-n", place)
    wait_until(
        lambda: real_bed.kubectl("logs", "python", "-n", place, check=False) == "6\n",
        "Python to have said it",
        timeout_s=60,
    )


def test_pod_when_its_image_is_not_there_then_kwok_does_not_run_it(
    real_bed: testbed.Testbed, place: str
) -> None:
    text = POD.format(
        name="absent", label=names.LABEL_REAL_NODE, image="absent", command=[]
    ).replace("image: absent", "image: absent\n    imagePullPolicy: Never")
    real_bed.kubectl("apply", "-n", place, "-f", "-", input=text)
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    wait_until(
        lambda: (
            real_bed.kubectl("get", "pod", "absent", "-n", place, "-o", reason)
            == "ErrImageNeverPull"
        ),
        "the kubelet to miss the image",
    )


def test_kubelet_when_it_stops_then_pods_go_on_and_are_its_own_again(
    real_bed: testbed.Testbed, place: str, served: str
) -> None:
    real_bed.process("kubelet").stop()
    with urllib.request.urlopen(f"http://{served}:8080/metrics.txt", timeout=5) as answer:
        assert answer.read() == b"answer_total 42\n"
    real_bed.process("kubelet").start()
    real_bed.process("kubelet").pause()
    assert not real_bed.process("kubelet").program.is_ready()
    real_bed.process("kubelet").resume()
    wait_until(real_bed.process("kubelet").program.is_ready, "the kubelet to answer again")
    real_bed.kubectl("wait", "--for=condition=Ready", "node/real-0", "--timeout=30s")
    entering = ("exec", "served", "-n", place, "--", "echo", "same")
    # It learns from containerd what runs.
    wait_until(lambda: real_bed.kubectl(*entering, check=False) == "same\n", "exec to work again")
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
    assert real_bed.kubectl("get", "pod", "served", "-n", place, "-o", restarts) == "0"


def test_testbed_when_attached_then_images_can_be_loaded(real_bed: testbed.Testbed) -> None:
    attached = testbed.attach(real_bed.folder)
    assert attached.load(images.busybox()) == images.busybox().reference
