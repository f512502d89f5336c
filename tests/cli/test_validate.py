"""`charon validate`: what it finds, where it says it is, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from charon_operator.cli import main, manifest
from tests.model import bad_input, bad_rows

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-hold-a-queue"


def validate(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["validate", *map(str, arguments)], input=stdin)


def found(text: str, *more: str) -> list[tuple[int, str, str]]:
    """(line, field, message) of what is to be mended in a text."""
    result = validate("-", "-o", "json", *more, stdin=text)
    told = json.loads(result.stdout)
    assert result.exit_code == (1 if told["problems"] else 0)
    return [(one["line"], one["field"], one["message"]) for one in told["problems"]]


def test_examples_are_good() -> None:
    result = validate(ROOT / "examples")
    assert result.exit_code == 0, result.output
    assert result.output == "8 resources are good.\n"


@pytest.mark.parametrize("row", bad_rows.ROWS, ids=lambda row: row.id)
def test_whatever_the_api_server_refuses_is_found_offline(row: bad_input.Row) -> None:
    text = yaml.safe_dump(row.body, allow_unicode=True)
    problems = found(text)
    # Queries, laws and roles are judged here before the operator would.
    judged_later = row.refused is None and row.id.startswith(("B12", "B13", "B16"))
    if row.refused is not None:
        assert problems, row.id
    elif not judged_later and row.id != "B4 a null hold is none":
        assert problems == []


TEXTS = {
    "a key written twice": (
        "apiVersion: charon.dev/v1alpha1\nkind: ChargedApp\nspec:\n"
        "  mode: Active\n  mode: Advisory\n",
        5,
        "'mode' is written twice, first in line 4",
    ),
    "a tab": ("kind: ChargedApp\nspec:\n\tmode: Active\n", 3, "is not YAML"),
    "an open bracket": ("spec: {a: [1\n", 2, "is not YAML"),
    "no resource at all": ("- 1\n- 2\n", 1, "this is no Kubernetes resource"),
    "another version": (
        "apiVersion: charon.dev/v2\nkind: ChargedApp\n",
        1,
        "v2 ChargedApp is unknown",
    ),
    "another kind": (
        "apiVersion: charon.dev/v1alpha1\nkind: chargedapp\n",
        1,
        "chargedapp is unknown",
    ),
    "a bomb of aliases": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n"
            for p, c in zip("abcdefg", "bcdefgh", strict=True)
        ),
        1,
        "too deep or too large",
    ),
    "an alias of itself": ("a: &a\n- *a\n", 1, "too deep or too large"),
    "deep nesting": ("[" * 5000 + "]" * 5000, 1, "too deep"),
    "a key that is a list": ("a: 1\n? [b, c]\n: d\n", 2, "is not YAML"),
    "a NUL byte": ("a: b\nc: \0\n", 2, "is not YAML: unacceptable character #x0000"),
    "what Python would make of a tag": ("a: !!python/object:os.system x\n", 1, "is not YAML"),
}


@pytest.mark.parametrize(("text", "line", "words"), TEXTS.values(), ids=TEXTS.keys())
def test_b5_text_that_cannot_be_read_is_a_finding_with_its_line(
    text: str, line: int, words: str
) -> None:
    (problem,) = found(text)[:1]
    assert words in problem[2]
    assert problem[0] == line or line == 1


def test_line_and_field_are_those_of_the_fault() -> None:
    lines = (EXAMPLE / "3-app.yaml").read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if "target: " in line)
    lines[at] = '    target: "100"'
    (problem,) = found("\n".join(lines))
    assert problem[0] == at + 1
    assert problem[1] == "spec.objectives[freshness].target"


def test_fault_of_a_variant_is_told_where_it_is() -> None:
    text = (ROOT / "examples" / "03-gpu-variants" / "3-app.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if 'quality: "0.97"' in line)
    lines[at] = '      quality: "97"'
    (problem,) = found("\n".join(lines))
    assert problem[:2] == (at + 1, "spec.placement.variants[fp16].quality")
    assert 'must be a number from "0" to "1"' in problem[2]


def test_target_of_several_variants_in_an_equality_is_told() -> None:
    text = (ROOT / "examples" / "03-gpu-variants" / "3-app.yaml").read_text(encoding="utf-8")
    ((_, field, message),) = found(
        text.replace("sum(frames_queued{app=~", "sum(frames_queued{app=")
    )
    assert field == "spec.indicators[queued].query"
    assert "$target stands for 3 workloads, one a variant: write =~ instead of =" in message


def test_all_faults_are_told_at_once() -> None:
    body = json.loads(json.dumps(bad_input.APP))
    body["spec"].update(turbo="on", mode="active", replicas={"min": 0, "max": "9"})
    fields = {field for _, field, _ in found(yaml.safe_dump(body))}
    assert fields == {"spec.turbo", "spec.mode", "spec.replicas.min", "spec.replicas.max"}


def test_unknown_field_is_answered_with_the_nearest() -> None:
    body = {**bad_input.APP, "spec": {**bad_input.APP["spec"], "replica": {}}}
    assert "did you mean replicas?" in found(yaml.safe_dump(body))[0][2]


def pair(app: dict[str, Any], policy: dict[str, Any]) -> str:
    return yaml.safe_dump_all([{**bad_input.APP, **app}, {**bad_input.POLICY, **policy}])


def test_policy_that_is_not_there_is_named() -> None:
    text = pair({}, {"metadata": {"name": "other"}})
    assert "no ControlPolicy stream in default; there are: other" in found(text)[0][2]


def test_policy_of_another_file_is_a_note() -> None:
    told = json.loads(validate("-", "-o", "json", stdin=yaml.safe_dump(bad_input.APP)).stdout)
    assert told["problems"] == []
    assert "not checked together" in told["notes"][0]["message"]


def test_app_must_give_the_law_what_it_needs() -> None:
    text = pair({}, {"metadata": {"name": "stream"}})
    ((_, field, message),) = found(text)
    assert field == "spec.bindings.arrivals"
    assert "Queueing needs to know which indicator is arrivals" in message


def test_objective_must_be_one_that_the_law_can_serve() -> None:
    ratio = {"metadata": {"name": "stream"}, "spec": {"controller": {"type": "Ratio"}}}
    goal = {**bad_input.APP["spec"]["objectives"][0], "setPoint": "0"}
    ((_, field, message),) = found(
        pair({"spec": {**bad_input.APP["spec"], "objectives": [goal]}}, ratio)
    )
    assert field == "spec.objectives[freshness]"
    assert "greater than 0" in message


LAWS = {
    "a law that is none": ({"type": "Magic"}, "spec.controller.type"),
    "a parameter that is none": (
        {"type": "PD", "parameters": {"unitsPerReplica": "64", "speed": "1"}},
        "spec.controller.parameters.speed",
    ),
    "a gain beyond reason": (
        {"type": "PD", "parameters": {"unitsPerReplica": "64", "kp": "999999999999"}},
        "spec.controller.parameters.kp",
    ),
    "a parameter that is missing": ({"type": "PD"}, "spec.controller.parameters.unitsPerReplica"),
}


@pytest.mark.parametrize(("controller", "field"), LAWS.values(), ids=LAWS.keys())
def test_b16_parameters_are_those_of_the_law(controller: dict[str, Any], field: str) -> None:
    body = {**bad_input.POLICY, "spec": {"controller": controller}}
    assert [one[1] for one in found(yaml.safe_dump(body))] == [field]


QUERIES = ["sum(", "up or", "a" * 4000 + "+", "{}", '{x="1" or y="2"}', "1 +" * 200 + "1"]


@pytest.mark.parametrize("query", QUERIES)
def test_b13_query_that_is_no_promql_is_found(query: str) -> None:
    indicators = [{"name": "queued", "query": query}]
    body = {**bad_input.APP, "spec": {**bad_input.APP["spec"], "indicators": indicators}}
    assert [one[1] for one in found(yaml.safe_dump(body))] == ["spec.indicators[queued].query"]


def test_scopes_are_those_of_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "charon.yaml"
    config.write_text("mimir: {scopes: [{namespaces: [elsewhere]}]}")
    ((_, field, message),) = found(yaml.safe_dump(bad_input.APP), "--config", str(config))
    assert field == "metadata.namespace"
    assert "no scope of the operator's configuration covers" in message


def test_resource_that_is_there_twice_is_named() -> None:
    text = yaml.safe_dump_all([bad_input.POLICY, bad_input.POLICY])
    assert "is there twice, first in (stdin):1" in found(text)[0][2]


def test_list_is_read_item_by_item() -> None:
    broken = {**bad_input.POLICY, "spec": {"periodSeconds": 0}}
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [broken]})
    assert found(text)[0][1] == "spec.periodSeconds"


def test_other_kinds_are_skipped_and_nothing_found_is_said() -> None:
    result = validate("-", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n")
    assert result.exit_code == 0
    assert "nothing to check" in result.stderr


def test_text_that_is_no_text_and_too_large_a_file_are_findings(tmp_path: Path) -> None:
    assert "is not UTF-8" in validate("-", stdin=b"a: \xff\n").output
    assert "is larger than 4 MiB" in validate("-", stdin="#" * (manifest.MAX_BYTES + 1)).output
    missing = validate(tmp_path / "none.yaml")
    assert missing.exit_code == 1
    assert "cannot be read: No such file" in missing.output
    assert "holds no .yaml" in validate(tmp_path).output
    assert validate().exit_code == 2


def test_times_stay_text() -> None:
    (document,) = manifest.read("a: 2030-01-01T06:00:00Z\n")
    assert isinstance(document, manifest.Document)
    assert document.body == {"a": "2030-01-01T06:00:00Z"}
