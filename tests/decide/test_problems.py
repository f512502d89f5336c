"""What stands in the way of control is named, with the field and the remedy."""

from dataclasses import replace
from typing import Any

import pytest

from charon_operator.decide import demand, objectives, problems
from charon_operator.model.facts import AppFacts, Broken
from charon_operator.model.placing import VariantFacts
from charon_operator.model.workload import Absent, Key, Target
from charon_operator.names import Reason
from tests.decide import build, gpus, stage

APP = build.app()
QUEUEING = build.policy(controller={"type": "Queueing"})
BROKEN = Broken(build.KEY, "u", 1, "spec.x", "is wrong")


def facts(**changes: Any) -> AppFacts:
    whole = AppFacts(APP, policy=QUEUEING, workload=build.workload(3))
    return replace(whole, **changes)


def controlled(**controller: Any) -> AppFacts:
    return facts(policy=build.policy(controller=controller))


def aiming(op: str, value: str) -> AppFacts:
    threshold = {"indicator": "queued", "op": op, "value": value}
    goal = {"name": "rate", "threshold": threshold, "target": "95"}
    return facts(app=build.ratio_app(objectives=[goal]), policy=build.policy())


ROWS = [
    pytest.param(facts(app=BROKEN), "InvalidSpec", "spec.x", "is wrong", id="broken app"),
    pytest.param(
        facts(app=build.app(deleting=True)), "Deleting", "metadata", "deleted", id="app goes"
    ),
    pytest.param(
        facts(broken_queries=(replace(BROKEN, reason=Reason.INVALID_QUERY),)),
        "InvalidQuery",
        "spec.x",
        "is wrong",
        id="broken query",
    ),
    pytest.param(
        facts(policy=None), "PolicyNotFound", "spec.policyRef.name", "create it", id="no policy"
    ),
    pytest.param(
        facts(policy=BROKEN), "InvalidPolicy", "spec.policyRef.name", "spec.x: is", id="bad policy"
    ),
    pytest.param(
        controlled(type="Magic"), "UnknownController", "spec.controller.type", "choose", id="no law"
    ),
    pytest.param(
        controlled(type="PD"), "InvalidParameters", "unitsPerReplica", "is required", id="parameter"
    ),
    pytest.param(
        facts(app=build.app(bindings={"backlog": "queued"})),
        "InvalidBinding",
        "spec.bindings.arrivals",
        "bind one",
        id="role without an indicator",
    ),
    pytest.param(
        facts(app=build.app(capacityPerReplica=None)),
        "InvalidSpec",
        "spec.capacityPerReplica",
        "one replica can serve",
        id="no capacity",
    ),
    pytest.param(
        aiming("GreaterThanOrEqual", "10"),
        "InvalidSpec",
        "spec.objectives[rate]",
        "op LessThanOrEqual",
        id="objective that the law would drive the wrong way",
    ),
    pytest.param(
        aiming("LessThanOrEqual", "0"),
        "InvalidSpec",
        "spec.objectives[rate]",
        "greater than 0",
        id="set point that the law cannot divide by",
    ),
    pytest.param(
        facts(app=build.app(namespace="kube-system")),
        "TargetNotAllowed",
        "scaleTargetRef",
        "kube-system",
        id="system namespace",
    ),
    pytest.param(
        facts(
            app=build.app(
                namespace="charon-system",
                scaleTargetRef={"kind": "Deployment", "name": "charon-operator"},
            )
        ),
        "TargetNotAllowed",
        "scaleTargetRef",
        "itself",
        id="the operator itself",
    ),
    pytest.param(
        facts(workload=Absent(Target("Deployment", "a", "b"), "NotFound", "there is none")),
        "TargetNotFound",
        "scaleTargetRef",
        "there is none",
        id="no target",
    ),
    pytest.param(
        facts(workload=Absent(Target("Deployment", "a", "b"), "TargetNotAllowed", "not that")),
        "TargetNotAllowed",
        "scaleTargetRef",
        "not that",
        id="a target that may not be scaled",
    ),
    pytest.param(
        facts(workload=build.workload(3, deleting=True)),
        "TargetNotFound",
        "scaleTargetRef",
        "being deleted",
        id="target goes",
    ),
    pytest.param(
        facts(workload=build.workload(0)),
        "TargetNotAllowed",
        "scaleTargetRef",
        "scaled to 0",
        id="switched off",
    ),
]


@pytest.mark.parametrize(("given", "reason", "field", "words"), ROWS)
def test_problem_is_named_and_the_turn_holds(
    given: AppFacts, reason: str, field: str, words: str
) -> None:
    found = problems.check(given, build.SAFETY)
    assert isinstance(found, Broken)
    assert found.reason == reason
    assert field in found.field
    assert words in found.message
    _, outcome = build.one(given, 1000.0)
    assert outcome.problem == found
    assert outcome.decision.reason == reason
    assert not outcome.decision.moves
    assert outcome.decision.final == outcome.decision.current


PLACED = stage.app(stage.FP32, stage.FP16)


def placed(**second: Any) -> AppFacts:
    """Facts of an app with two variants, of whose second something is given."""
    targets = dict(zip(("fp32", "fp16"), PLACED.targets, strict=True))
    known = {
        name: VariantFacts(replace(build.workload(1), target=target), stage.ONE)
        for name, target in targets.items()
    }
    known["fp16"] = replace(known["fp16"], **second)
    both = build.workload(2)
    return AppFacts(PLACED, policy=stage.policy(), workload=both, variants=known)


SECOND = "spec.placement.variants[fp16]"
PLACED_ROWS = [
    pytest.param(
        placed(need=None, problem="spec.template.spec: is not to be read; write it so"),
        "InvalidSpec",
        "write it so",
        id="a template that cannot be read",
    ),
    pytest.param(
        placed(need=replace(gpus.need(cpu=4000), runtime_class="nvidia")),
        "InvalidSpec",
        "leave runtimeClassName nvidia out",
        id="pods that would see every GPU",
    ),
    pytest.param(
        placed(workload=Absent(PLACED.targets[1], "NotFound", "there is none")),
        "TargetNotFound",
        "there is none",
        id="a target that is not there",
    ),
    pytest.param(
        placed(workload=replace(build.workload(1, deleting=True), target=PLACED.targets[1])),
        "TargetNotFound",
        "Deployment workload/ptycho-fp16 is being deleted",
        id="a target that goes",
    ),
    pytest.param(
        replace(
            placed(),
            app=build.app(
                namespace="charon-system",
                scaleTargetRef=None,
                capacityPerReplica=None,
                replicas=None,
                placement={
                    "variants": [
                        stage.FP32,
                        stage.variant("fp16", "1", "1", of="charon-operator"),
                    ]
                },
            ),
        ),
        "TargetNotAllowed",
        "does not scale itself",
        id="the operator as a variant",
    ),
]


@pytest.mark.parametrize(("given", "reason", "words"), PLACED_ROWS)
def test_problem_of_a_variant_names_it_and_nothing_moves(
    given: AppFacts, reason: str, words: str
) -> None:
    found = problems.check(given, build.SAFETY)
    assert isinstance(found, Broken)
    assert (found.reason, found.field) == (reason, SECOND)
    assert words in found.message
    _, outcome = build.one(given, 1000.0)
    assert outcome.problem == found
    assert outcome.placing is not None
    assert (outcome.placing.moves, outcome.placing.feasible) == (False, None)
    assert (outcome.placing.reason, outcome.placing.message) == (reason, outcome.decision.message)


def test_a_variant_that_was_not_read_is_no_problem_and_holds() -> None:
    assert problems.check(placed(workload=None), build.SAFETY) is None
    _, outcome = build.one(placed(workload=None), 1000.0)
    assert outcome.decision.reason == "Held"


def test_a_template_that_nobody_reads_is_told_with_the_remedy_and_holds() -> None:
    _, outcome = build.one(placed(need=None), 1000.0)
    assert outcome.decision.reason == "SupplyUnknown"
    assert outcome.placing is not None
    assert (outcome.placing.moves, outcome.placing.reason) == (False, "SupplyUnknown")
    assert "knobs.placement.enabled=true" in outcome.placing.message


def test_a_variant_at_0_is_not_switched_off() -> None:
    given = placed(workload=replace(build.workload(0), target=PLACED.targets[1]))
    assert isinstance(problems.check(given, build.SAFETY), problems.Usable)


def test_target_that_was_not_read_is_no_problem_and_holds() -> None:
    _, outcome = build.one(facts(workload=None), 1000.0)
    assert outcome.problem is None
    assert outcome.decision.reason == "Held"
    assert not outcome.decision.moves


def test_law_that_fails_is_a_problem_and_others_go_on() -> None:
    bad, good = build.ratio_app("bad"), build.ratio_app("good")
    absurd = {"unitsPerReplica": "0.000001", "kp": "1000000"}
    policies = [build.policy(controller={"type": "PD", "parameters": absurd}), build.policy()]
    seen = build.readings(999.0, queued=50.0)
    given = [
        build.facts(app, build.workload(3, of=app), seen, policy=policy)
        for app, policy in zip((bad, good), policies, strict=True)
    ]
    outcomes = build.turns(given, 1000.0).outcomes
    assert outcomes[0].problem is not None
    assert outcomes[0].problem.reason == "LawFailed"
    assert not outcomes[0].decision.moves
    assert outcomes[1].decision.final == 5


def test_fault_of_our_own_holds_one_app_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    real = problems.check

    def check(given: AppFacts, safety: Any) -> Any:
        if given.key == Key("workload", "bad"):
            raise RuntimeError("planted")
        return real(given, safety)

    monkeypatch.setattr(problems, "check", check)
    seen = build.readings(999.0, queued=50.0)
    apps = [build.ratio_app("bad"), build.ratio_app("good")]
    given = [build.facts(app, build.workload(3, of=app), seen) for app in apps]
    outcomes = build.turns(given, 1000.0).outcomes
    assert outcomes[0].problem is not None
    assert outcomes[0].problem.reason == "InternalError"
    assert outcomes[1].decision.final == 5


@pytest.mark.parametrize("broken", [(objectives, "states"), (demand, "missing")])
def test_fault_in_what_is_told_of_an_app_holds_it_and_others_go_on(
    broken: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = broken
    real = getattr(module, name)

    def explode(given: Any, *others: Any) -> Any:
        if "bad" in str(given):
            raise RuntimeError("planted")
        return real(given, *others)

    monkeypatch.setattr(module, name, explode)
    query = {"indicators": [{"name": "bad", "query": "q"}, {"name": "queued", "query": "q"}]}
    goal = {**build.ratio_app().spec.objectives[0].model_dump(by_alias=True, mode="json")}
    apps = [
        build.ratio_app("one", **query, objectives=[{**goal, "name": "bad"}]),
        build.ratio_app("good"),
    ]
    seen = build.readings(999.0, queued=50.0)
    given = [build.facts(app, build.workload(3, of=app), seen) for app in apps]
    outcomes = build.turns(given, 1000.0).outcomes
    assert outcomes[0].problem is not None
    assert outcomes[0].problem.reason == "InternalError"
    assert outcomes[0].key == apps[0].key
    assert outcomes[1].decision.final == 5
