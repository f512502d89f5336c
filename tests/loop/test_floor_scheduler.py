"""What the inventory says fits is what the real scheduler binds, and no pod more."""

import json
from collections import Counter
from typing import Any

import pytest

from charon_operator import names, testbed
from charon_operator.loop.floor import Floor
from charon_operator.model import body
from charon_operator.names import Shortage
from tests import gpu_bed as make
from tests.gpu_bed import A30, A100, GPU, H100, SLICE, T4, Yard, gpu_bed, gpu_floor, yard
from tests.testbed_fixtures import wait_until

__all__ = ["gpu_bed", "gpu_floor", "yard"]
pytestmark = pytest.mark.testbed

MEMORY = {"key": f"{GPU}.memory", "operator": "Gt", "values": ["40000"]}
LIMITED = [{"name": "first", "image": "x", "resources": {"limits": {"cpu": "18"}}}]
FITS: dict[str, tuple[dict[str, Any], int]] = {
    "any GPU": (make.template(), 20),
    "any GPU, taint tolerated": (make.template(tolerates=True), 28),
    "one of a product": (make.template(product=A100), 8),
    "three of a product, one node each": (make.template(3, product=A100), 2),
    "of two products": (make.template(2, product=(A100, H100), tolerates=True), 8),
    "more than any node has": (make.template(5, product=A100), 0),
    "a product that is not there": (make.template(product="B200"), 0),
    "a product by its name without the suffix": (make.template(product=T4), 0),
    "a share of a GPU": (make.template(product=f"{T4}-SHARED"), 8),
    "a slice, under the GPU's name": (make.template(product=f"{A30}-MIG-1g.6gb"), 4),
    "a slice, under its own name": (make.template(3, resource=SLICE), 2),
    "by memory": (make.template(3, affinity=make.affinity(MEMORY), tolerates=True), 4),
    "CPU runs out first": (make.template(cpu="10", product=A100), 6),
    "what starts before asks for more": (
        make.template(product=A100, initContainers=LIMITED),
        4,
    ),
    "one node by name": (make.template(nodeSelector={"kubernetes.io/hostname": "a100-1"}), 4),
}


@pytest.mark.parametrize(("asked", "fits"), FITS.values(), ids=FITS.keys())
def test_as_many_fit_as_the_scheduler_binds(yard: Yard, asked: dict[str, Any], fits: int) -> None:
    told, replicas = yard.fit(asked, 99), fits + 2
    assert told.total == fits
    assert told.shortage is not None
    yard.deploy("app", asked, replicas)
    bound = yard.bound("app", replicas, fits)
    # All that fits is bound, so each node has what fitted there, whatever the scheduler prefers.
    assert bound == Counter(told.per_node)
    yard.seen("app", bound, pending=2)
    assert yard.fit(asked).total == 0


def test_free_gpus_in_pieces_are_called_fragmented_and_stay_free(yard: Yard) -> None:
    yard.deploy("large", make.template(3, product=A100), 2)
    yard.seen("large", yard.bound("large", 2, 2))
    told = yard.fit(make.template(2, product=A100))
    assert (told.total, told.shortage) == (0, Shortage.FRAGMENTED)
    yard.deploy("pair", make.template(2, product=A100), 1)
    yard.seen("pair", yard.bound("pair", 1, 0), pending=1)
    yard.scale("large", 1)
    yard.seen("pair", yard.bound("pair", 1, 1))
    assert yard.fit(make.template(product=A100)).total == 3


def test_a_cordoned_node_holds_what_it_has_and_takes_no_more(yard: Yard) -> None:
    asked = make.template(nodeSelector={"kubernetes.io/hostname": "a100-0"})
    yard.deploy("app", asked, 1)
    yard.seen("app", yard.bound("app", 1, 1))
    yard.bed.kubectl("cordon", "a100-0")
    try:
        wait_until(lambda: yard.fit(asked).total == 0, "the node to be seen cordoned")
        assert yard.fit(asked).shortage is Shortage.NODES_NOT_READY
        yard.scale("app", 3)
        yard.seen("app", yard.bound("app", 3, 1), pending=2)
    finally:
        yard.bed.kubectl("uncordon", "a100-0")
    yard.seen("app", yard.bound("app", 3, 3))
    assert yard.fit(asked, 4).total == 1


def test_a_node_that_is_not_ready_takes_nothing_until_it_is(yard: Yard) -> None:
    asked = make.template(nodeSelector={"kubernetes.io/hostname": "a100-0"})
    ours = f"{names.LABEL_FAKE_NODE}="
    # Nobody speaks for it any more, and what is said last is that it fails.
    yard.bed.kubectl("label", "node", "a100-0", ours.rstrip("=") + "-")
    condition = {"type": "Ready", "status": "False", "reason": "Test", "message": ""}
    patch = json.dumps({"status": {"conditions": [condition]}})
    try:
        yard.bed.kubectl("patch", "node", "a100-0", "--subresource=status", f"--patch={patch}")
        wait_until(lambda: yard.fit(asked).total == 0, "the node to be seen not ready")
        assert yard.fit(asked).shortage is Shortage.NODES_NOT_READY
        yard.deploy("app", asked, 1)
        yard.seen("app", yard.bound("app", 1, 0), pending=1)
    finally:
        yard.bed.kubectl("label", "node", "a100-0", ours + "true")
    yard.seen("app", yard.bound("app", 1, 1))


def test_pods_that_wait_to_be_admitted_ask_for_nothing_yet(yard: Yard) -> None:
    gate = [{"name": "kueue.x-k8s.io/admission"}]
    yard.deploy("gated", make.template(product=A100, schedulingGates=gate), 3)
    wait_until(lambda: yard.holding("gated").gated == 3, "three gated pods")
    assert yard.holding("gated").pending == 0
    assert yard.fit(make.template(product=A100), 8).total == 8
    pods = yard.bed.kubectl("get", "pods", "-lapp=gated", "-n", yard.space, "-o", "name").split()
    admitted = json.dumps([{"op": "remove", "path": "/spec/schedulingGates"}])
    yard.bed.kubectl("patch", pods[0], "-n", yard.space, "--type=json", f"--patch={admitted}")
    wait_until(lambda: len(yard.holding("gated").nodes) == 1, "the admitted pod to be bound")
    assert yard.holding("gated").gated == 2
    assert yard.fit(make.template(product=A100), 8).total == 7


def test_pods_that_end_or_are_deleted_leave_their_gpus(yard: Yard) -> None:
    asked = make.template(product=A100)
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": yard.space},
        "spec": {"template": {"spec": {**asked["spec"], "restartPolicy": "Never"}}},
    }
    yard.bed.apply(json.dumps(job))
    yard.bed.kubectl("wait", "--for=condition=Complete", "job/once", "-n", yard.space)
    yard.deploy("app", asked, 8)
    yard.seen("app", yard.bound("app", 8, 8))
    assert yard.fit(asked).shortage is Shortage.BUSY_NOW
    yard.scale("app", 0)
    yard.seen("app", Counter())
    assert yard.fit(asked, 8).total == 8


def test_a_quota_holds_pods_back_that_would_fit(yard: Yard) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "gpus", "namespace": yard.space},
        "spec": {"hard": {f"requests.{GPU}": "2"}},
    }
    yard.bed.apply(json.dumps(quota))
    hard = ("--for=jsonpath={.status.hard}", "resourcequota/gpus", "-n", yard.space)
    yard.bed.kubectl("wait", *hard, "--timeout=30s")
    asked = make.template(product=A100)
    yard.deploy("app", asked, 4)
    yard.seen("app", yard.bound("app", 2, 2))

    def refused() -> str:
        told = yard.bed.kubectl("get", "deployment/app", "-n", yard.space, "-o", "json")
        return body.workload(json.loads(told), names.DEPLOYMENT).replica_failure

    assert "exceeded quota: gpus" in wait_until(refused, "the quota to be told of")
    # Nothing waits for a node, and there is room: what is lacking is not a GPU.
    assert yard.holding("app").exist == 2
    assert yard.fit(asked, 6).total == 6


def test_an_inventory_kept_is_the_one_that_a_list_gives(yard: Yard) -> None:
    plain = make.template(0, nodeSelector={"kubernetes.io/hostname": "plain"}, cpu="10m")
    yard.deploy("many", plain, 45)
    yard.deploy("gpus", make.template(tolerates=True), 11)
    yard.seen("many", yard.bound("many", 45, 45))
    yard.seen("gpus", yard.bound("gpus", 11, 11))
    yard.scale("many", 41)
    yard.seen("many", yard.bound("many", 41, 41))
    kept = yard.free()
    # Three pages of pods.
    with make.watching(yard.bed.kubeconfig) as (anew, _):
        assert wait_until(lambda: make.free(anew), "the lists") == kept
        assert anew.free_devices() == {GPU: 28 - 11, SLICE: 7}


def test_a_right_that_is_missing_is_named_with_its_value_and_nothing_is_known_meanwhile(
    gpu_bed: testbed.Testbed, gpu_floor: Floor, yard: Yard, tmp_path: Any
) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": yard.space},
    }
    rule = {"apiGroups": [""], "verbs": ["get", "list", "watch"]}

    def grant(*resources: str) -> None:
        gpu_bed.apply(json.dumps({**role, "rules": [{**rule, "resources": list(resources)}]}))

    grant("nodes")
    account = f"--serviceaccount={yard.space}:default"
    gpu_bed.kubectl(
        "create", "clusterrolebinding", yard.space, f"--clusterrole={yard.space}", account
    )
    missing = (
        "pods may not be listed in the cluster: grant the operator get, list and watch "
        "(helm: knobs.placement.enabled=true), or set placement.enabled false"
    )
    try:
        config = gpu_bed.service_account_kubeconfig(yard.space, "default", tmp_path / "config")
        with make.watching(config) as (floor, informer):
            wait_until(lambda: informer.problems == (missing,), "the missing right to be named")
            assert make.free(floor) == {}
            assert floor.free_devices() == {}
            grant("nodes", "pods")
            assert wait_until(lambda: make.free(floor), "all to be known") == yard.free()
            assert informer.problems == ()
            grant("nodes")
            wait_until(lambda: not make.free(floor), "nothing to be known")
            assert informer.problems == (missing,)
            grant("nodes", "pods")
            wait_until(lambda: make.free(floor) == yard.free(), "all to be known again")
    finally:
        gpu_bed.kubectl("delete", f"clusterrole/{yard.space}", f"clusterrolebinding/{yard.space}")
