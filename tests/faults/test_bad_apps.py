"""Apps that cannot be held: they are told why, and nobody else feels it."""

import json
from typing import Any, NamedTuple

import pytest

from charon_operator.names import ConditionType, Reason
from tests.faults import harness, install, manifests
from tests.faults.lengths import at_most
from tests.testbed_fixtures import wait_until

pytestmark = [pytest.mark.testbed, pytest.mark.faults, at_most(120)]
KUBE_SYSTEM = "kube-system"


class Bad(NamedTuple):
    """An app that must not act.

    Attributes:
        target: of the app; a Deployment of that name is there unless `replicas` is None.
        told: condition, status and reason.
        query: in place of a good one.
        owned: whether something else controls the Deployment.
    """

    target: str
    told: tuple[str, str, str]
    replicas: int | None = 2
    query: str = ""
    owned: bool = False


_NOT_READY = (ConditionType.READY, "False")
HERE = {
    "B8 no such target": Bad("nosuch", (*_NOT_READY, Reason.TARGET_NOT_FOUND), replicas=None),
    "B8 a target of 0": Bad("zero", (*_NOT_READY, Reason.TARGET_NOT_ALLOWED), replicas=0),
    "B8 a target with an owner": Bad(
        "owned",
        (ConditionType.OWNERSHIP_CONFLICT, "True", Reason.CONTROLLED_BY_OWNER),
        owned=True,
    ),
    "B13 no PromQL": Bad("broken", (*_NOT_READY, Reason.INVALID_QUERY), query="sum("),
    "B13 a text": Bad("text", (*_NOT_READY, Reason.INVALID_QUERY), query='"many"'),
    "B13 a range": Bad("range", (*_NOT_READY, Reason.INVALID_QUERY), query="faults_load[5m]"),
}


def test_bad_apps_when_applied_then_are_told_why_and_others_go_on(
    operator: harness.Operator, world: harness.World
) -> None:
    owner = _owner(world)
    for bad in HERE.values():
        objects = [_app(bad)]
        if bad.replicas is not None:
            objects.insert(0, _deployment(bad, owner))
        world.apply(*objects)
    for name, bad in HERE.items():
        kind, status, reason = bad.told
        found = world.wait_condition(kind, status, name=bad.target)
        assert found["reason"] == reason, (name, found)
    world.load(6)
    world.wait_settled(6)
    assert {move.write.name for move in world.moves()} == {"web"}
    assert [*world.violations(operator), *world.unseen()] == []


@pytest.mark.parametrize(
    ("namespace", "target"),
    [(KUBE_SYSTEM, "dns"), (install.SYSTEM, install.ACCOUNT)],
    ids=["a system namespace", "the operator itself"],
)
def test_b8_when_a_target_is_not_for_apps_then_it_is_refused(
    namespace: str, target: str, operator: harness.Operator, world: harness.World
) -> None:
    app = manifests.charged_app("forbidden", target)
    bodies = [manifests.policy(), app]
    if namespace == KUBE_SYSTEM:
        bodies.append(manifests.deployment(target, 2))
    where = f"-n{namespace}"
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})
    try:
        world.bed.kubectl("apply", where, "-f", "-", input=text)
        found = wait_until(
            lambda: harness.condition(world.stage, namespace, "forbidden", ConditionType.READY),
            "a condition",
        )
        assert (found["status"], found["reason"]) == ("False", Reason.TARGET_NOT_ALLOWED)
        scaled = [w for w in world.log.writes(harness.USER, namespace) if w.is_scale]
        assert scaled == []
    finally:
        world.bed.kubectl("delete", where, "--wait=false", "-f", "-", input=text)


def _owner(world: harness.World) -> dict[str, Any]:
    """A reference to what is there, or the garbage collector would take the Deployment."""
    world.bed.kubectl("create", "configmap", "owner", f"-n{world.namespace}")
    text = world.bed.kubectl("get", "configmap", "owner", f"-n{world.namespace}", "-ojson")
    uid = json.loads(text)["metadata"]["uid"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}


def _deployment(bad: Bad, owner: dict[str, Any]) -> dict[str, Any]:
    made = manifests.deployment(bad.target, bad.replicas or 0)
    if bad.owned:
        made["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    return made


def _app(bad: Bad) -> dict[str, Any]:
    made = manifests.charged_app(bad.target, bad.target)
    if bad.query:
        made["spec"]["indicators"][0]["query"] = bad.query
    return made
