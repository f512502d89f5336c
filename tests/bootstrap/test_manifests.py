"""What the stack is made of: resources, users, addresses; and the scrape configuration's text."""

import re
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from charon_operator.cli import main
from tests.bootstrap.host import BOOTSTRAP
from tests.ship import chart

_VALUES = sorted((BOOTSTRAP / "values").iterdir())


def manifest(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((BOOTSTRAP / "manifests" / name).read_text()))


def of_kind(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    [found] = [one for one in documents if one["kind"] == kind]
    return found


def alloy() -> str:
    """The configuration of Alloy, as its values carry it."""
    values = yaml.safe_load((BOOTSTRAP / "values/alloy.yaml").read_text())
    text: str = values["alloy"]["configMap"]["content"]
    return text


def test_mimir_when_read_then_it_is_bounded_and_not_root() -> None:
    documents = manifest("mimir.yaml")
    service, stateful = of_kind(documents, "Service"), of_kind(documents, "StatefulSet")
    assert "type" not in service["spec"]
    pod = stateful["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert set(container["resources"]["limits"]) == {"memory"}
    # The script puts the pinned image here.
    assert container["image"] == "mimir"


def test_gpu_probe_when_read_then_it_asks_for_one_gpu_and_is_not_root() -> None:
    [pod] = manifest("gpu-probe.yaml")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert pod["spec"]["containers"][0]["image"] == "probe"


def test_verify_when_validated_then_the_operator_takes_it() -> None:
    told = CliRunner().invoke(main, ["validate", str(BOOTSTRAP / "manifests/verify.yaml")])
    assert told.exit_code == 0, told.output
    app = of_kind(manifest("verify.yaml"), "ChargedApp")
    assert app["spec"]["mode"] == "Advisory"


@pytest.mark.parametrize("path", _VALUES, ids=lambda path: path.stem)
def test_values_when_read_then_nothing_is_exposed_and_no_password_is_in_them(path: Any) -> None:
    text = path.read_text()
    assert not re.search(r"NodePort|LoadBalancer|ingress: *\{? *enabled: true", text)
    assert not re.search(r"(?i)(admin)?password: (?!\"?\$|\{|admin-password)", text)


@pytest.mark.parametrize(
    "name",
    [
        "alloy",
        "dcgm-exporter",
        "grafana",
        "kube-state-metrics",
        "node-exporter",
        "nvidia-device-plugin",
    ],
)
def test_values_when_read_then_requests_and_a_memory_limit_are_set(name: str) -> None:
    values = yaml.safe_load((BOOTSTRAP / f"values/{name}.yaml").read_text())
    resources = values.get("alloy", values)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}


def test_operator_when_rendered_with_its_values_then_its_metrics_are_scraped() -> None:
    values = f"--values={BOOTSTRAP / 'values/charon-operator.yaml'}"
    deployment = of_kind(chart.documents(values), "Deployment")
    template = deployment["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "charon-operator"
    ports = [port["containerPort"] for port in template["spec"]["containers"][0]["ports"]]
    assert int(template["metadata"]["annotations"]["prometheus.io/port"]) in ports


def test_operator_when_rendered_with_its_values_then_grafana_finds_its_boards() -> None:
    values = f"--values={BOOTSTRAP / 'values/charon-operator.yaml'}"
    sidecar = yaml.safe_load((BOOTSTRAP / "values/grafana.yaml").read_text())["sidecar"]
    looked_for = sidecar["dashboards"]
    found = [
        one["metadata"]
        for one in chart.documents(values)
        if one["metadata"].get("labels", {}).get(looked_for["label"]) == looked_for["labelValue"]
    ]
    assert len(found) == len(list((chart.CHART / "dashboards").iterdir()))
    assert all(looked_for["folderAnnotation"] in one["annotations"] for one in found)


def test_boards_when_they_ask_for_a_figure_of_the_kubelet_then_alloy_keeps_it() -> None:
    boards = "".join(path.read_text() for path in (chart.CHART / "dashboards").iterdir())
    asked = set(re.findall(r"\bcontainer_\w+(?=[{\[])", boards))
    [kept] = re.findall(r'regex +?= "(up\|.*)"', alloy())
    assert asked
    assert not [name for name in asked if not re.fullmatch(kept, name)]


def test_alloy_when_rendered_as_a_template_then_its_text_stays_as_it_is() -> None:
    assert "{{" not in alloy()


def test_alloy_when_read_then_every_component_named_is_there() -> None:
    text = alloy()
    made = set(re.findall(r'(?m)^(\w+\.\w+) "(\w+)" \{$', text))
    used = set(
        re.findall(r"\b((?:discovery|prometheus)\.\w+)\.(\w+)\.(?:targets|output|receiver)", text)
    )
    assert used <= made
    assert text.count("{") == text.count("}")


def test_alloy_when_read_then_it_is_fast_enough_for_a_control_loop() -> None:
    text = alloy()
    scrapes = text.count('\nprometheus.scrape "')
    assert scrapes == 3
    assert len(re.findall(r'scrape_interval +?= "5s"', text)) == scrapes
    assert 'batch_send_deadline = "1s"' in text
    assert "/metrics/cadvisor" in text
    assert not re.search(r'replacement +?= "/metrics"', text)
