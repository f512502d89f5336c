"""`--mimir distributed`: its values on the chart that comes inside Mimir's own module.

That chart is some weeks older than the pinned one. Each process's configuration is read by Mimir
itself, with the arguments the chart gives it; none is run, for want of a bucket.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from charon_operator.testbed import build, parts, toolchain
from tests.bootstrap.host import BOOTSTRAP
from tests.ship import chart

pytestmark = pytest.mark.testbed

_BUCKET = {"ENDPOINT": "s3.example", "BUCKET": "b", "ACCESS_KEY": "a", "SECRET_KEY": "s"}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    go, _ = toolchain.find()
    listed = [go, "list", "-mod=readonly", "-m", "-f={{.Dir}}", "github.com/grafana/mimir"]
    module = subprocess.run(
        listed, cwd=parts.MODULES / "mimir", capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    copied: Path = tmp_path_factory.mktemp("chart") / "mimir-distributed"
    shutil.copytree(f"{module}/operations/helm/charts/mimir-distributed", copied)
    # Modules are kept read-only. The subcharts, all switched off by the values, are not in it.
    for path in (copied, copied / "Chart.yaml"):
        path.chmod(0o755)
    about = yaml.safe_load((copied / "Chart.yaml").read_text())
    del about["dependencies"]
    (copied / "Chart.yaml").write_text(yaml.safe_dump(about))
    values = f"--values={BOOTSTRAP / 'values/mimir.yaml'}"
    text = chart.helm("template", "mimir", copied, "--namespace=monitoring", values)
    return [one for one in yaml.safe_load_all(text) if one]


def config(rendered: list[dict[str, Any]]) -> str:
    [found] = [
        one["data"]["mimir.yaml"]
        for one in rendered
        if one["kind"] == "ConfigMap" and "mimir.yaml" in one["data"]
    ]
    text: str = found
    return text


def containers(rendered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of Mimir's own processes."""
    pods = [
        one["spec"]["template"]["spec"]
        for one in rendered
        if one["kind"] in ("Deployment", "StatefulSet")
    ]
    every = [container for pod in pods for container in pod["containers"]]
    return [one for one in every if any("-target=" in word for word in one.get("args", ()))]


def test_address_when_rendered_then_it_is_that_of_the_monolithic_one(
    rendered: list[dict[str, Any]],
) -> None:
    [gateway] = [
        one for one in rendered if one["kind"] == "Service" and one["metadata"]["name"] == "mimir"
    ]
    assert [port["port"] for port in gateway["spec"]["ports"]] == [8080]
    assert gateway["spec"].get("type", "ClusterIP") == "ClusterIP"


def test_config_when_it_names_a_service_then_that_is_rendered(
    rendered: list[dict[str, Any]],
) -> None:
    services = {one["metadata"]["name"] for one in rendered if one["kind"] == "Service"}
    named = set(re.findall(r"([a-z0-9-]+)\.monitoring\.svc", config(rendered)))
    # Rules and alerts are switched off; the address of what would take them stays in the text.
    assert named - services == {"mimir-alertmanager-headless"}


def test_config_when_each_process_reads_it_then_mimir_takes_it(
    rendered: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "mimir.yaml"
    file.write_text(config(rendered))
    found = containers(rendered)
    targets = {word for one in found for word in one["args"] if word.startswith("-target=")}
    assert len(targets) == 7
    for container in found:
        words = [word.replace("/etc/mimir/mimir.yaml", str(file)) for word in container["args"]]
        told = subprocess.run(
            [build.programs()["mimir"], *words, "-modules"],
            env={**os.environ, **_BUCKET},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert told.returncode == 0, (words, told.stderr)


def test_processes_when_rendered_then_each_has_requests_and_the_bucket_from_a_secret(
    rendered: list[dict[str, Any]],
) -> None:
    for container in containers(rendered):
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), container["name"]
        assert {"secretRef": {"name": "mimir-bucket"}} in container["envFrom"], container["name"]
    assert not [one for one in rendered if "kafka" in one["metadata"]["name"]]
