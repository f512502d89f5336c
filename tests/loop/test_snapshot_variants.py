"""Of apps with variants the snapshot knows who else moves a target, and what its pods need."""

import dataclasses
from typing import Any

import pytest

from charon_operator.loop.snapshot import Kind, Snapshot
from charon_operator.model import gpu
from charon_operator.model.app import ChargedApp
from charon_operator.model.gpu import Need
from charon_operator.model.placing import Holding
from charon_operator.model.workload import Key, Target, Workload
from tests.loop import cluster_bodies as make
from tests.loop import placed_world
from tests.loop.test_snapshot_changes import relist

FP16 = Target("Deployment", "ns", "fp16")


@pytest.fixture
def store() -> Snapshot:
    return Snapshot(make.SetClock())


def placed(name: str = "one", *targets: str, **meta: Any) -> dict[str, Any]:
    """An app with a variant for each target."""
    body = make.app(name, **meta)
    variants = [placed_world.variant(target) for target in targets or ("fp16", "fp32")]
    spec = {key: body["spec"][key] for key in body["spec"].keys() - {"scaleTargetRef", "replicas"}}
    return {**body, "spec": {**spec, "placement": {"variants": variants}}}


def names_of_rivals(store: Snapshot, key: Key) -> list[str]:
    found = store.app(key)
    assert isinstance(found, ChargedApp)
    return [rival.name for rival in store.rivals(found)]


def test_rivals_are_looked_for_on_every_target(store: Snapshot) -> None:
    hpa = {
        "metadata": make.meta("hpa"),
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fp32"}},
    }
    relist(store, Kind.HPAS, hpa)
    relist(store, Kind.APPS, placed("one"), placed("two"), make.app("three", target="fp32"))
    assert names_of_rivals(store, Key("ns", "one")) == ["three", "two", "hpa"]
    assert names_of_rivals(store, Key("ns", "three")) == ["one", "two", "hpa"]


def test_a_target_that_an_app_took_up_or_left_is_claimed_no_more_and_no_less(
    store: Snapshot,
) -> None:
    others = [make.app(name, target=name) for name in ("fp16", "fp32", "fp8")]
    relist(store, Kind.APPS, placed("one"), *others)

    def claimed() -> list[str]:
        keys = [Key("ns", name) for name in ("fp16", "fp32", "fp8")]
        return [key.name for key in keys if names_of_rivals(store, key)]

    assert claimed() == ["fp16", "fp32"]
    store.put(Kind.APPS, placed("one", "fp16", "fp8", generation=2))
    assert claimed() == ["fp16", "fp8"]
    wrong = placed("one", "fp16", generation=3)
    wrong["spec"]["placement"]["variants"] = []
    store.put(Kind.APPS, wrong)
    assert claimed() == []
    store.put(Kind.APPS, placed("one", "fp32", generation=4))
    assert claimed() == ["fp32"]
    store.drop(Kind.APPS, placed("one", "fp32", generation=4))
    assert claimed() == []


def need_of(store: Snapshot) -> Need | None:
    return store.variant(FP16, Holding()).need


def test_what_pods_need_is_kept_only_where_apps_are_placed(store: Snapshot) -> None:
    body = placed_world.deployment("fp16", 1)
    store.put(Kind.DEPLOYMENTS, body)
    assert need_of(store) is None
    store = Snapshot(make.SetClock(), places=True)
    store.put(Kind.DEPLOYMENTS, body)
    need = need_of(store)
    assert need is not None
    assert need.extended == ((placed_world.GPU, 1),)


def test_what_pods_need_follows_the_template_and_outlives_a_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, read = Snapshot(make.SetClock(), places=True), list[Any]()
    real = gpu.need
    monkeypatch.setattr(gpu, "need", lambda *given: read.append(given) or real(*given))
    store.put(Kind.DEPLOYMENTS, placed_world.deployment("fp16", 1))
    need = need_of(store)
    store.put(Kind.DEPLOYMENTS, placed_world.deployment("fp16", 1))
    assert len(read) == 1
    # A write of ours, as it is noted before the informer tells of it.
    found = store.workload(FP16)
    assert isinstance(found, Workload)
    written = dataclasses.replace(found, generation=2, resource_version=make.version())
    store.put_workload(written)
    assert (store.workload(FP16), need_of(store)) == (written, need)
    store.put(Kind.DEPLOYMENTS, placed_world.deployment("fp16", 1, gpus=2, generation=2))
    assert need_of(store) != need
    store.put(Kind.DEPLOYMENTS, placed_world.deployment("fp16", 1, uid="anew", generation=2))
    assert need_of(store) == need
    assert len(read) == 3


def test_a_shape_is_known_of_no_generation_but_its_own() -> None:
    store = Snapshot(make.SetClock(), places=True)
    store.put(Kind.DEPLOYMENTS, placed_world.deployment("fp16", 1))
    seen = store.variant(FP16, Holding())
    assert seen.shape is not None
    assert seen.shape.gpus == (("app", 1),)
    found = store.workload(FP16)
    assert isinstance(found, Workload)
    # It is read afresh, and somebody may have changed its template.
    newer = dataclasses.replace(found, generation=2, resource_version=make.version())
    store.put_workload(newer)
    assert store.variant(FP16, Holding()).shape is None
    # What a write of ours left is known at once, and read again when the informer tells of it.
    left = dataclasses.replace(seen, shape=dataclasses.replace(seen.shape, product="T4"))
    store.put_workload(newer, left)
    assert store.variant(FP16, Holding()).shape == left.shape
    store.put(Kind.DEPLOYMENTS, placed_world.deployment("fp16", 1, gpus=2, generation=2))
    shape = store.variant(FP16, Holding()).shape
    assert shape is not None
    assert (shape.gpus, shape.product) == ((("app", 2),), "")


def test_a_template_that_cannot_be_read_is_said_to_be_and_counts_as_a_change() -> None:
    store = Snapshot(make.SetClock(), places=True)
    store.put(Kind.DEPLOYMENTS, placed_world.deployment("fp16", 1))
    version = store.version
    broken = placed_world.deployment("fp16", 1, generation=2)
    broken["spec"]["template"]["spec"]["containers"] = None
    store.put(Kind.DEPLOYMENTS, broken)
    found = store.variant(FP16, Holding())
    assert (found.need, found.problem.partition(":")[0]) == (None, "spec.template.spec.containers")
    assert store.version > version


def test_a_budget_over_pods_of_one_variant_is_its_floor_and_one_over_several_is_none() -> None:
    store, both = Snapshot(make.SetClock(), places=True), (FP16, Target("Deployment", "ns", "fp32"))
    for target in both:
        body = placed_world.deployment(target.name, 2)
        body["spec"]["template"]["metadata"] = {"labels": {"app": "web", "variant": target.name}}
        store.put(Kind.DEPLOYMENTS, body)

    def floors() -> list[int | None]:
        found = [store.variant(target, Holding(), both).workload for target in both]
        return [one.min_available for one in found if isinstance(one, Workload)]

    store.put(Kind.BUDGETS, make.budget(3))
    assert floors() == [None, None]
    store.put(Kind.BUDGETS, make.budget(1, "own", {"matchLabels": {"variant": "fp16"}}))
    assert floors() == [1, None]
