"""Who else moves the target, and what we do about it."""

from dataclasses import replace
from typing import Any

import pytest

from charon_operator import names
from charon_operator.decide import ownership, recall
from charon_operator.model import body
from charon_operator.model.claim import PlacingMemory, Written
from charon_operator.model.memory import AppMemory
from charon_operator.model.workload import Rival, Workload
from tests.decide import build, stage

MEMORY = AppMemory("uid", "target", first_seen_s=0.0)
APP = build.app(created="2026-11-01T00:00:00Z")
HPA = Rival("HorizontalPodAutoscaler", "workload", "web")
SCALED = Rival("ScaledObject", "workload", "web")
OLDER = Rival("ChargedApp", "workload", "first", created_at_s=1.0, uid="a")
YOUNGER = Rival("ChargedApp", "workload", "last", created_at_s=9e9, uid="a")
TWIN = Rival("ChargedApp", "workload", "twin", created_at_s=APP.created_at_s, uid="a")


@pytest.mark.parametrize(
    ("rivals", "reason"),
    [
        pytest.param((), None, id="nobody"),
        pytest.param((HPA,), "HorizontalPodAutoscaler", id="an HPA"),
        pytest.param((SCALED,), "ScaledObject", id="a ScaledObject"),
        pytest.param((HPA, SCALED), "ScaledObject", id="the ScaledObject before the HPA it made"),
        pytest.param((OLDER,), "OlderChargedApp", id="an older app"),
        pytest.param((YOUNGER,), None, id="a younger one gives way to us"),
        pytest.param((TWIN,), "OlderChargedApp", id="of one age: the smaller uid acts"),
    ],
)
def test_rivals_stop_us_in_a_fixed_order(rivals: tuple[Rival, ...], reason: str | None) -> None:
    found = ownership.conflict(APP, [build.workload(3)], rivals, MEMORY)
    assert (found and found.reason.value) == reason


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"mode": "Advisory"}, id="an Advisory app claims nothing"),
        pytest.param(
            {"replicas": {"min": 1, "max": 9, "actuation": "Metric"}},
            id="an app that publishes expects an HPA",
        ),
        pytest.param({"deleting": True}, id="an app that goes claims nothing"),
    ],
)
def test_app_that_claims_nothing_has_no_conflict(changes: dict[str, Any]) -> None:
    target = build.workload(3, controlled_by="Rollout web")
    assert ownership.conflict(build.app(**changes), [target], (HPA, OLDER), MEMORY) is None


def test_controlling_owner_is_named() -> None:
    target = build.workload(3, controlled_by="Rollout web")
    found = ownership.conflict(APP, [target], (), MEMORY)
    assert found is not None
    assert found.manager == "Rollout web"


def reverted(
    memory: AppMemory, now_s: float, *, manager: str = "argocd", generation: int = 6
) -> AppMemory:
    """We wrote 8 on generation 5, and the target shows 3 again."""
    memory = replace(memory, written=Written(8, 5))
    target = build.workload(3, generation=generation, last_scaler=manager)
    return ownership.watched(memory, APP, {"": target}, now_s, build.SAFETY)


def test_second_revert_within_ten_minutes_makes_us_yield() -> None:
    once = reverted(MEMORY, 1000.0, generation=7)
    assert once.yielded is None
    assert once.written is None
    twice = reverted(once, 1599.0, generation=7)
    assert twice.yielded is not None
    assert twice.yielded.manager == "argocd"
    found = ownership.conflict(APP, [build.workload(3)], (), twice)
    assert found is not None
    assert found.manager == "argocd"


def test_second_revert_after_ten_minutes_does_not() -> None:
    assert reverted(reverted(MEMORY, 1000.0), 1600.0).yielded is None


def test_reverts_of_two_managers_are_counted_apart() -> None:
    assert reverted(reverted(MEMORY, 1000.0), 1001.0, manager="flux").yielded is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"generation": 5}, "an old view", id="view from before our write"),
        pytest.param({"manager": names.FIELD_MANAGER}, "ours", id="we wrote it ourselves"),
    ],
)
def test_it_is_no_revert(changes: dict[str, Any], why: str) -> None:
    assert reverted(MEMORY, 1000.0, **changes).reverts == (), why


def yielded() -> AppMemory:
    return reverted(reverted(MEMORY, 1000.0), 1001.0)


def watch(memory: AppMemory, now_s: float, replicas: int = 3, generation: int = 1) -> AppMemory:
    app = build.app(generation=generation)
    return ownership.watched(memory, app, {"": build.workload(replicas)}, now_s, build.SAFETY)


def test_new_generation_of_the_app_releases_at_once() -> None:
    after = watch(yielded(), 1002.0, generation=2)
    assert after.yielded is None
    assert after.reverts == ()


def test_thirty_quiet_minutes_release() -> None:
    assert watch(yielded(), 1001.0 + 1799).yielded is not None
    assert watch(yielded(), 1001.0 + 1800).yielded is None


def test_a_move_of_the_target_begins_the_quiet_time_anew() -> None:
    moved = watch(yielded(), 2000.0, replicas=4)
    assert watch(moved, 2000.0 + 1799, replicas=4).yielded is not None
    assert watch(moved, 2000.0 + 1800, replicas=4).yielded is None


def told(**changes: Any) -> dict[str, Any]:
    """The status of an app that has given way to argocd."""
    condition = {
        "type": "OwnershipConflict",
        "status": "True",
        "reason": "RevertedByManager",
        "observedGeneration": 1,
    }
    conflicts = [{"manager": "argocd", "field": "spec.replicas"}]
    return {
        "conditions": [{**condition, **changes.pop("condition", {})}],
        "conflicts": conflicts,
    } | changes


def met(status: dict[str, Any]) -> AppMemory:
    past = body.past(status, 1000.0)
    fresh = recall.meet(None, "uid", build.workload(3), past, 1000.0)
    return ownership.watched(fresh, APP, {"": build.workload(3)}, 1000.0, build.SAFETY)


def test_yielding_outlives_a_restart_for_thirty_quiet_minutes() -> None:
    fresh = met(told())
    found = ownership.conflict(APP, [build.workload(3)], (), fresh)
    assert found is not None
    assert (found.reason, found.manager) == ("RevertedByManager", "argocd")
    assert watch(fresh, 1000.0 + 1799).yielded is not None
    assert watch(fresh, 1000.0 + 1800).yielded is None


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(told(condition={"observedGeneration": 7}), id="said of another generation"),
        pytest.param(told(condition={"observedGeneration": "1"}), id="of no generation"),
        pytest.param(told(condition={"status": "False"}), id="not so any more"),
        pytest.param(told(condition={"reason": "HorizontalPodAutoscaler"}), id="another conflict"),
        pytest.param(told(conflicts=[]), id="of nobody"),
        pytest.param(told(conflicts=[{"manager": 5}]), id="of no name"),
        pytest.param(told(conflicts="junk"), id="conflicts are junk"),
        pytest.param({"conditions": [7], "conflicts": [None]}, id="all is junk"),
        pytest.param({}, id="no status"),
    ],
)
def test_status_that_does_not_say_so_makes_nobody_yield(status: dict[str, Any]) -> None:
    assert met(status).yielded is None


def test_target_that_was_left_to_another_is_not_lowered_at_once() -> None:
    policy = build.policy(lowering={"cooldownSeconds": 60})
    memory, app = None, build.ratio_app()
    for now_s, rivals, final in (
        (1000.0, (OLDER,), 20),
        (1100.0, (OLDER,), 20),
        (1115.0, (), 20),
        (1160.0, (), 3),
    ):
        seen = build.readings(now_s, queued=30.0)
        facts = build.facts(app, build.workload(20), seen, policy=policy, rivals=rivals)
        memory, outcome = build.one(facts, now_s, memory)
        assert outcome.decision.final == final


PLACED = stage.app(stage.FP32, stage.FP16)


def variants(**second: Any) -> list[Workload]:
    """The targets of an app with variants, of whose second something is given."""
    first, other = (replace(build.workload(2), target=target) for target in PLACED.targets)
    return [first, replace(other, **second)]


def test_an_owner_of_any_variants_target_is_named() -> None:
    found = ownership.conflict(PLACED, variants(controlled_by="Rollout web"), (), MEMORY)
    assert found is not None
    assert "Deployment workload/ptycho-fp16 is controlled by Rollout web" in found.message


def test_a_rival_of_variants_is_to_be_removed() -> None:
    found = ownership.conflict(PLACED, variants(), (HPA,), MEMORY)
    assert found is not None
    assert found.message.endswith(
        "scales Deployment workload/ptycho-fp32 or Deployment workload/ptycho-fp16; remove it"
    )


def test_who_takes_back_a_variants_replicas_twice_is_given_way_to() -> None:
    known = replace(MEMORY, placing=PlacingMemory(0.0))
    for generation in (6, 8):
        assert known.placing is not None
        written = {"fp16": Written(4, generation - 1)}
        known = replace(known, placing=replace(known.placing, written=written))
        taken = dict(
            zip(
                ("fp32", "fp16"),
                variants(generation=generation, last_scaler="argocd"),
                strict=True,
            )
        )
        known = ownership.watched(known, PLACED, taken, 1000.0 + generation, build.SAFETY)
        assert known.placing is not None
        assert known.placing.written == {}
    found = ownership.conflict(PLACED, variants(), (), known)
    assert found is not None
    assert found.manager == "argocd"
    assert known.yielded is not None
    assert known.yielded.replicas == 4


def test_a_form_that_is_gone_though_we_wrote_it_was_taken_back() -> None:
    written = {"fp32": Written(0, 4), "fp16": Written(4, 4)}
    known = replace(MEMORY, placing=PlacingMemory(0.0, written=written))
    live, gone = variants(generation=5, replicas=0, last_scaler="")
    live = replace(live, replicas=0, generation=5)
    # An old view of the Deployment is none.
    early = {"fp32": live, "fp16": replace(gone, generation=4)}
    assert ownership.watched(known, PLACED, early, 1000.0, build.SAFETY).reverts == ()
    late = {"fp32": live, "fp16": gone}
    (revert,) = ownership.watched(known, PLACED, late, 1000.0, build.SAFETY).reverts
    assert revert.manager == "an unnamed field manager"
