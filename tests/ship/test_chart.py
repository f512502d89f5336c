"""The chart without a cluster: what it renders, refuses and documents."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from charon_operator import settings
from charon_operator.cli import crds
from charon_operator.model.placement import MOST_VARIANTS
from charon_operator.testbed import parts
from tests.ship import chart, values_schema


def test_chart_is_linted_without_complaint() -> None:
    assert "0 chart(s) failed" in chart.helm("lint", "--strict", chart.CHART)


def test_rendered_templates_are_the_goldens() -> None:
    wanted = chart.goldens()
    assert {p for p in chart.GOLDEN.rglob("*.yaml")} == set(wanted)
    for path, text in wanted.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make chart`"


def test_deploy_is_the_rendered_chart() -> None:
    assert chart.DEPLOY.read_text(encoding="utf-8") == chart.deploy(), "run `make chart`"


@pytest.mark.parametrize("folder", ["crds", "helm/charon-operator/files/crds"])
def test_copies_of_the_crds_are_what_the_models_render(folder: str) -> None:
    there = {
        path.name: path.read_text(encoding="utf-8") for path in (chart.ROOT / folder).iterdir()
    }
    assert there == crds.files(), "run `make crds`"


def test_schema_of_the_values_is_that_of_the_settings() -> None:
    text = values_schema.FILE.read_text(encoding="utf-8")
    assert text == values_schema.render(), "run `make chart`"


def test_every_value_is_documented() -> None:
    text = (chart.CHART / "values.yaml").read_text(encoding="utf-8")
    # Its comment stands before it, or it is a group and they stand inside.
    comment = r"  # -- |# -- .*\n(#.*\n)*"
    undocumented = [
        key
        for key in yaml.safe_load(text)
        if not re.search(rf"^({comment}){key}:|^{key}:\n  # -- ", text, re.MULTILINE)
    ]
    assert undocumented == []


BAD_VALUES = {
    "a count in words": "replicas=two",
    "a negative count": "replicas=-1",
    "an unknown value": "nosuch=1",
    "an unknown setting": "settings.mimir.urls=x",
    "a setting that the chart fills in": "settings.lease.name=x",
    "an address that is none": "settings.mimir.url=ftp://x",
    "two tenants": "settings.mimir.scopes[0].tenant=a|b",
    "a namespace in capitals": "watchNamespaces={Team}",
    "a mode that is not safe to force": "forceMode=Active",
    "a digest that is none": "image.digest=sha1:1",
    "a switch in words": "crds.install=maybe",
    "a port beyond ports": "service.port=70000",
    "an interval without a unit": "serviceMonitor.interval=a5",
    "a knob in words": "knobs.resources.enabled=InPlace",
    "another knob in words": "knobs.placement.enabled=maybe",
    "a part of it in words": "knobs.placement.templates=Yes",
    "a knob among the settings": "settings.placement.enabled=true",
    "a label that is none": "dashboards.label=_x",
    "a cap of nothing": "settings.safety.max_replicas=0",
}


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_b23_bad_values_are_refused_and_named(value: str) -> None:
    told = chart.helm("template", "x", chart.CHART, "--set", value, check=False)
    assert "values don't meet the specifications of the schema" in told
    assert value.partition("=")[0].split("[")[0] in told or "Additional property" in told


def settings_of(documents: list[dict[str, Any]], folder: Path) -> settings.Settings:
    """The settings file of a rendered chart, as the operator reads it."""
    maps = [one for one in documents if one["kind"] == "ConfigMap"]
    (config,) = [one for one in maps if "settings.yaml" in one["data"]]
    file = folder / "settings.yaml"
    file.write_text(config["data"]["settings.yaml"], encoding="utf-8")
    return settings.load(file)


@pytest.mark.parametrize(
    "arguments", [(), ("--values", chart.CUSTOM_VALUES)], ids=["default", "custom"]
)
def test_settings_file_is_one_that_the_operator_reads(
    arguments: tuple[str | Path, ...], tmp_path: Path
) -> None:
    read = settings_of(chart.documents(*arguments), tmp_path)
    assert read.lease.namespace == chart.NAMESPACE
    assert read.safety.own_deployment == f"{chart.NAMESPACE}/{chart.RELEASE}"
    assert (read.force_mode == "Advisory") is bool(arguments)


def rules_of(documents: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """(kind of role, group/resource, verb) of the operator's own roles."""
    mine = [d for d in documents if d["metadata"]["name"].startswith(chart.RELEASE)]
    return {
        (d["kind"], f"{group}/{resource}", verb)
        for d in mine
        for rule in d.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_operator_can_change_scale_status_events_and_its_lease_alone() -> None:
    writes = {
        rule for rule in rules_of(chart.documents()) if rule[2] not in ("get", "list", "watch")
    }
    assert writes == {
        ("ClusterRole", "apps/deployments/scale", "patch"),
        ("ClusterRole", "apps/statefulsets/scale", "patch"),
        ("ClusterRole", "charon.dev/chargedapps/status", "patch"),
        ("ClusterRole", "events.k8s.io/events", "create"),
        ("Role", "coordination.k8s.io/leases", "create"),
        ("Role", "coordination.k8s.io/leases", "update"),
    }


def test_operator_reads_no_secret_no_config_and_no_pod() -> None:
    reads = {
        what for _, what, verb in rules_of(chart.documents()) if verb in ("get", "list", "watch")
    }
    assert not reads & {"/secrets", "/configmaps", "/pods", "/nodes"}
    assert not any("*" in what for what in reads)


def test_resizing_pods_is_a_right_that_is_asked_for() -> None:
    with_it = chart.documents("--set", "knobs.resources.enabled=true")
    assert rules_of(with_it) - rules_of(chart.documents()) == {
        ("ClusterRole", "/pods", "list"),
        ("ClusterRole", "/pods/resize", "patch"),
    }


def test_watching_some_namespaces_gives_no_rights_in_others() -> None:
    documents = chart.documents("--values", chart.CUSTOM_VALUES)
    assert [d for d in documents if d["kind"] == "ClusterRoleBinding"] == []
    bound = {d["metadata"]["namespace"] for d in documents if d["kind"] == "RoleBinding"}
    assert bound == {"team-a", "team-b", chart.NAMESPACE}


@pytest.mark.parametrize("namespaces", ["", "{a}"], ids=["all namespaces", "one namespace"])
def test_placement_asks_for_nodes_and_pods_of_the_cluster_and_tells_the_operator(
    namespaces: str, tmp_path: Path
) -> None:
    watched = ("--set", f"watchNamespaces={namespaces}") if namespaces else ()
    without = chart.documents(*watched)
    placed = chart.documents(*watched, "--set", "knobs.placement.enabled=true")
    assert rules_of(placed) - rules_of(without) == {
        ("ClusterRole", what, verb)
        for what in ("/nodes", "/pods")
        for verb in ("get", "list", "watch")
    }
    bindings = [
        {one["roleRef"]["name"] for one in documents if one["kind"] == "ClusterRoleBinding"}
        for documents in (without, placed)
    ]
    assert bindings[1] - bindings[0] == {f"{chart.RELEASE}-placement"}
    for documents, enabled in ((without, False), (placed, True)):
        assert settings_of(documents, tmp_path).placement.enabled is enabled


PLACED = ("--set", "knobs.placement.enabled=true")
TEMPLATES = ("--set", "knobs.placement.templates=true")


def test_templates_ask_for_a_patch_of_deployments_and_tell_the_operator(tmp_path: Path) -> None:
    placed = chart.documents(*PLACED)
    templates = chart.documents(*PLACED, *TEMPLATES)
    patch = ("ClusterRole", "apps/deployments", "patch")
    assert rules_of(templates) - rules_of(placed) == {patch}
    for documents, given in ((placed, False), (templates, True)):
        read = settings_of(documents, tmp_path).placement
        assert (read.enabled, read.templates) == (True, given)


def test_templates_without_placement_are_refused() -> None:
    told = chart.helm("template", "x", chart.CHART, *TEMPLATES, check=False)
    words = "variants are not placed at all; set knobs.placement.enabled too"
    assert f"knobs.placement.templates: {words}" in told


@pytest.mark.parametrize(("enabled", "least"), [("false", 1), ("true", 0)])
def test_fence_lets_scale_to_0_with_placement_alone(enabled: str, least: int) -> None:
    documents = chart.documents("--set", f"knobs.placement.enabled={enabled}")
    (fence,) = (
        one
        for one in documents
        if one["kind"] == "ValidatingAdmissionPolicy" and "fence" in one["metadata"]["name"]
    )
    (caps,) = (one for one in fence["spec"]["validations"] if "replicas" in one["expression"])
    assert f">= {least} &&" in caps["expression"]
    assert f"between {least} and 1000 replicas" in caps["message"]


def test_authorizer_asks_for_as_many_variants_as_there_may_be() -> None:
    (policy,) = (
        one
        for one in chart.documents()
        if one["kind"] == "ValidatingAdmissionPolicy" and "authorizer" in one["metadata"]["name"]
    )
    for asked in ("subresource('scale')", "variables.templates["):
        asks = [one for one in policy["spec"]["validations"] if asked in one["expression"]]
        assert len(asks) == MOST_VARIANTS


def test_a_watched_namespace_is_read_by_the_binding_there_and_no_other() -> None:
    namespaces = {("ClusterRole", "/namespaces", "get")}
    for switch in ("true", "false"):
        rendered = chart.documents(
            *("--set", "watchNamespaces={a}", "--set", f"rbac.readNamespaces={switch}")
        )
        assert {rule for rule in rules_of(rendered) if rule[1] == "/namespaces"} == namespaces
        assert not any(one["kind"] == "ClusterRoleBinding" for one in rendered)


def test_a_monitor_without_a_service_is_refused() -> None:
    told = chart.helm(
        *("template", "x", chart.CHART, "--set", "serviceMonitor.create=true"),
        *("--set", "service.create=false"),
        check=False,
    )
    assert "serviceMonitor.create: there is no Service to scrape; set service.create too" in told


def test_crds_are_kept_by_helm() -> None:
    kinds = [d for d in chart.documents() if d["kind"] == "CustomResourceDefinition"]
    assert len(kinds) == 2
    for one in kinds:
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert "CustomResourceDefinition" not in chart.template("--set", "crds.install=false")


def test_testbed_says_the_version_of_the_modules_it_is_built_from() -> None:
    pinned = (parts.MODULES / "kubernetes" / "go.mod").read_text(encoding="utf-8")
    assert f"k8s.io/kubernetes {parts.KUBERNETES}" in pinned


def test_image_takes_only_what_the_lock_names() -> None:
    recipe = (chart.ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
    installs = re.findall(r"pip .*install .*", recipe)
    assert installs
    assert all("--require-hashes" in install for install in installs)
    assert "USER 65532" in recipe
    sent = (chart.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", recipe, re.MULTILINE)
    for name in " ".join(copied).split():
        assert f"!{name}" in sent
        assert (chart.ROOT / name).exists()


def test_chart_and_package_have_one_version() -> None:
    about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = (chart.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{about["appVersion"]}"' in project
