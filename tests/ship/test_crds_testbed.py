"""The CRDs, judged by the real API server: served, explained, and refusing what they must."""

import json

import httpx
import pytest

from charon_operator import errors, names, testbed
from charon_operator.model import crd
from charon_operator.model.app import ChargedApp
from charon_operator.model.policy import ControlPolicy
from tests.model import bad_input, bad_rows, leaf_walk

pytestmark = [pytest.mark.testbed, pytest.mark.usefixtures("crds")]
PLURALS = {
    names.CHARGED_APP: names.CHARGED_APPS,
    names.CONTROL_POLICY: names.CONTROL_POLICIES,
}


def create(admin: httpx.Client, body: bad_input.Body) -> httpx.Response:
    """Asks for it without keeping it; unknown fields are errors, as with kubectl."""
    path = f"/apis/{names.API_VERSION}/namespaces/default/{PLURALS[body['kind']]}"
    strictly = {"dryRun": "All", "fieldValidation": "Strict"}
    return admin.post(path, params=strictly, json=body)


@pytest.mark.parametrize("row", bad_rows.ROWS, ids=lambda row: row.id)
def test_api_server_refuses_with_a_sentence_or_accepts(
    admin: httpx.Client, row: bad_input.Row
) -> None:
    answer = create(admin, row.body)
    if row.refused is None:
        assert answer.status_code == 201, answer.text
    else:
        assert 400 <= answer.status_code < 500, answer.text
        assert row.refused in answer.json()["message"]


def test_status_as_the_models_have_it_is_accepted(admin: httpx.Client, space: str) -> None:
    path = f"/apis/{names.API_VERSION}/namespaces/{space}/{names.CHARGED_APPS}"
    admin.post(path, json=bad_input.APP).raise_for_status()
    moment = "2026-01-02T03:04:05.678901Z"
    condition = {
        "status": "False",
        "reason": "Settled",
        "message": "…",
        "lastTransitionTime": moment,
    }
    status = {
        "observedGeneration": 1,
        "conditions": [{"type": kind, **condition} for kind in names.ConditionType],
        "objectives": [
            {
                "name": "freshness",
                "state": "Met",
                "attainment": "98",
                "coverage": "100",
                "budgetRemaining": "-20",
            }
        ],
        "replicas": {"current": 3, "desired": 5},
        "pendingAction": {"id": "a-1", "knob": "replicas", "from": 3, "to": 5, "time": moment},
        "lastDecision": {
            "time": moment,
            "decisionId": "a-1",
            "knob": "replicas",
            "from": 3,
            "raw": 7,
            "to": 5,
            "reason": "Raised",
            "message": "…",
            "limitedBy": ["Bounds"],
        },
        "placement": {
            "variants": [{"name": "fp16", "asked": 1, "ready": 1, "waiting": 0, "goal": 2}],
            "wanted": "812.5",
            "capacity": "640",
            "reason": "Limited",
            "message": "…",
        },
        "conflicts": [{"manager": "HorizontalPodAutoscaler web", "field": "spec.replicas"}],
    }
    answer = admin.patch(
        f"{path}/good/status",
        params={"fieldValidation": "Strict"},
        content=json.dumps({"status": status}),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == status


def test_a_listing_shows_what_a_person_wants(ship_bed: testbed.Testbed, space: str) -> None:
    app, policy = (
        {**one, "metadata": {"name": "good"}} for one in (bad_input.APP, bad_input.POLICY)
    )
    for body in (app, policy):
        ship_bed.kubectl("apply", "-n", space, "-f", "-", input=json.dumps(body))
    headings, row = ship_bed.kubectl("get", "capp", "-n", space).splitlines()
    columns = [
        "NAME",
        "MODE",
        "TARGET",
        "READY",
        "OBJECTIVES",
        "REPLICAS",
        "DESIRED",
        "LAST DECISION",
        "AGE",
    ]
    assert [column for column in columns if column not in headings] == []
    assert row.split()[:3] == ["good", "Advisory", "consumer"]
    assert "Queueing" in ship_bed.kubectl("get", "cpol", "-n", space)
    both = ship_bed.kubectl("get", names.CATEGORY, "-n", space, "-o", "name").split()
    assert both == [f"chargedapp.{names.GROUP}/good", f"controlpolicy.{names.GROUP}/good"]


@pytest.mark.parametrize("kind", PLURALS)
def test_explain_describes_every_field(ship_bed: testbed.Testbed, kind: str) -> None:
    told = ship_bed.kubectl("explain", f"{PLURALS[kind]}.spec", "--recursive")
    fields = {
        path.rpartition(".")[2] for path, _ in walk(crd.schemas()[kind]["properties"]["spec"])
    }
    unnamed = {field for field in fields - {"spec"} if field.strip("[]{}") not in told}
    assert unnamed == set()
    plain = ship_bed.kubectl("explain", f"{names.CHARGED_APPS}.spec.objectives.target")
    assert "<string>" in plain
    assert "Percent of the time" in plain


@pytest.mark.parametrize("kind", PLURALS)
def test_every_node_is_described_and_bounded(kind: str) -> None:
    for path, node in walk(crd.schemas()[kind]["properties"]["spec"]):
        parent_describes = path.endswith(("[]", "{}"))
        assert parent_describes or node.get("description"), path
        if node["type"] == "string" and "enum" not in node:
            assert "maxLength" in node, path
        if node["type"] == "array":
            assert "maxItems" in node, path
            assert "x-kubernetes-list-type" in node or path.endswith("policies"), path
        if node["type"] == "integer":
            assert "minimum" in node, path
            assert "maximum" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


def test_no_field_names_a_file_a_secret_or_an_address() -> None:
    paths = [
        path.lower()
        for schema in crd.schemas().values()
        for path, _ in walk(schema["properties"]["spec"])
    ]
    assert [
        p
        for p in paths
        if any(w in p for w in ("file", "path", "secret", "url", "tenant", "token"))
    ] == []


def walk(node: crd.Schema, path: str = "spec") -> list[tuple[str, crd.Schema]]:
    found = [(path, node)]
    for name, child in node.get("properties", {}).items():
        found += walk(child, f"{path}.{name}")
    if "items" in node:
        found += walk(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        found += walk(node["additionalProperties"], f"{path}{{}}")
    return found


def test_b20_what_the_api_server_takes_of_any_field_is_read_or_told_by_field(
    admin: httpx.Client,
) -> None:
    wrong, taken = [], 0
    for variant in leaf_walk.variants():
        answer = create(admin, variant.row.body)
        if answer.status_code == 201:
            taken += 1
            wrong += [f"{variant.id}: {text}" for text in _unread(answer.json())]
        elif not 400 <= answer.status_code < 500:
            wrong.append(f"{variant.id}: {answer.text}")
    assert wrong == []
    assert taken > 100


def _unread(body: bad_input.Body) -> list[str]:
    kind = ChargedApp if body["kind"] == names.CHARGED_APP else ControlPolicy
    try:
        kind.parse(body)
    except errors.SpecError as error:
        return [] if error.field and error.message else [f"no field or no remedy: {error}"]
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return []
