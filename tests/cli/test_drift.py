"""`charon drift`: what runs with another size than its template, by the API server alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from charon_operator import testbed
from charon_operator.cli import main
from tests.cli.conftest import Serving, kubeconfig
from tests.model import pod_bodies as make

Body = dict[str, Any]
LARGER = {
    "requests": {"cpu": "100m", "memory": "64Mi"},
    "limits": {"cpu": "500m", "memory": "128Mi"},
}
HEADS = ["NAMESPACE", "WORKLOAD", "POD", "CONTAINER", "RESOURCE", "TEMPLATE", "RUNNING"]


def listing(lists: dict[str, list[Body]]) -> Callable[[str], bytes]:
    """Answers with these objects by path, one a page."""

    def answer(path: str) -> bytes:
        asked = urlsplit(path)
        found = lists.get(asked.path, [])
        number = int(parse_qs(asked.query).get("continue", ["0"])[0])
        more = str(number + 1) if number + 1 < len(found) else ""
        page = {"metadata": {"continue": more}, "items": found[number : number + 1]}
        return json.dumps(page).encode()

    return answer


def told(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["drift", *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_drift_when_pods_run_with_other_sizes_then_each_is_listed(
    tmp_path: Path, serving: Serving
) -> None:
    proxy = make.container("proxy")
    lists = {
        "/apis/apps/v1/deployments": [make.workload(make.container(), proxy)],
        "/api/v1/pods": [
            make.pod("web-2", make.container(resources=LARGER), proxy),
            make.pod("web-1", make.container(), proxy),
            make.pod("other-1", make.container(resources=LARGER), of="other"),
        ],
    }
    file = kubeconfig(tmp_path, serving(listing(lists)))
    head, row = told("--kubeconfig", file).output.splitlines()
    assert head.split() == HEADS
    assert row.split() == ["ns", "Deployment", "web", "web-2", "app", "cpu", "200m", "500m"]
    assert json.loads(told("--kubeconfig", file, "-o", "json").output) == [
        {
            "namespace": "ns",
            "workload": "Deployment web",
            "pod": "web-2",
            "container": "app",
            "resource": "cpu",
            "template": "200m",
            "running": "500m",
        }
    ]


def test_drift_when_a_resize_is_under_way_then_what_runs_counts(
    tmp_path: Path, serving: Serving
) -> None:
    status = {"containerStatuses": [{"name": "app", "resources": make.container()["resources"]}]}
    lists = {
        "/apis/apps/v1/namespaces/ns/deployments": [make.workload()],
        "/api/v1/namespaces/ns/pods": [
            make.pod("web-1", make.container(resources=LARGER), status=status)
        ],
    }
    file = kubeconfig(tmp_path, serving(listing(lists)))
    nothing = "Every container runs with the size that its template gives.\n"
    assert told("--kubeconfig", file, "-n", "ns").output == nothing
    assert json.loads(told("--kubeconfig", file, "-n", "ns", "-o", "json").output) == []


def test_drift_when_nobody_answers_then_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["drift", "--kubeconfig", kubeconfig(tmp_path, 9)])
    assert result.exit_code == 1
    assert "cannot be asked: Connection refused; try kubectl" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_help_when_asked_then_shows_examples() -> None:
    assert "charon drift -n workload -o json" in told("--help").output


@pytest.mark.testbed
def test_drift_on_a_real_api_server_is_what_was_resized(
    bed: testbed.Testbed, namespace: str
) -> None:
    body = make.workload(make.container(image="x"))
    body["spec"]["template"]["metadata"] = {"labels": {"app": "web"}}
    meta = {"name": "web", "namespace": namespace}
    bed.apply(json.dumps({**body, "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta}))
    bed.kubectl("wait", "--for=condition=Available", "deployment/web", "-n", namespace)
    make.kubelet_says(bed, namespace)
    name = bed.kubectl("get", "pods", "-n", namespace, "-o", "name").strip().removeprefix("pod/")
    larger = {"spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": "500m"}}}]}}
    resize = ("patch", "pod", name, "-n", namespace, "--subresource=resize")
    bed.kubectl(*resize, "-p", json.dumps(larger))
    arguments = ("--kubeconfig", str(bed.kubeconfig), "-n", namespace, "-o", "json")
    assert json.loads(told(*arguments).output) == []
    make.kubelet_says(bed, namespace)
    (row,) = json.loads(told(*arguments).output)
    assert (row["pod"], row["template"], row["running"]) == (name, "200m", "500m")
