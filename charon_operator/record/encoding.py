"""Facts, outcomes and decisions as JSON-able values, and back, without loss.

Reads: nouns of the model. Gives: plain dicts (the keys are in README.md beside this file), and the
nouns again. Never: a rounded float, a key that is there for nothing.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from charon_operator.model import gpu_json
from charon_operator.model.app import ChargedApp, ChargedAppSpec
from charon_operator.model.decision import Clamp, Decision, Past, PendingAction, Resize
from charon_operator.model.facts import AppFacts, Broken, Conflict, ObjectiveState, Outcome
from charon_operator.model.policy import ControlPolicy, ControlPolicySpec
from charon_operator.model.reading import Attainment, Missing, MissingReason, Reading, Sampled
from charon_operator.model.workload import Absent, Key, Rival, Rollout, Target, Workload
from charon_operator.names import Reason
from charon_operator.record.placing_encoding import (
    placing_to_json,
    variant_from_json,
    variant_to_json,
)
from charon_operator.record.sizes_encoding import (
    size_from_json,
    size_to_json,
    sizes_from_json,
    sizes_to_json,
)

Json = dict[str, Any]


def key(text: str) -> Key:
    """The namespaced name that `str(key)` gave."""
    namespace, _, name = text.partition("/")
    return Key(namespace, name)


def app_to_json(app: ChargedApp | Broken) -> Json:
    """A `spec` row's content."""
    head = {"app": str(app.key), "uid": app.uid, "generation": app.generation}
    if isinstance(app, Broken):
        return {**head, "broken": _trouble(app)}
    spec = app.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {**head, "createdAt": app.created_at_s, "deleting": app.deleting, "spec": spec}


def app_from_json(row: Mapping[str, Any]) -> ChargedApp | Broken:
    """The app of a `spec` row."""
    if "broken" in row:
        return _broken(row["app"], row["uid"], row["generation"], row["broken"])
    return ChargedApp(
        key=key(row["app"]),
        uid=row["uid"],
        generation=row["generation"],
        created_at_s=row["createdAt"],
        deleting=row["deleting"],
        spec=ChargedAppSpec.model_validate(row["spec"]),
    )


def policy_to_json(policy: ControlPolicy | Broken) -> Json:
    """A `policy` row's content."""
    head = {"policy": str(policy.key), "uid": policy.uid, "generation": policy.generation}
    if isinstance(policy, Broken):
        return {**head, "broken": _trouble(policy)}
    spec = policy.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {**head, "spec": spec}


def policy_from_json(row: Mapping[str, Any]) -> ControlPolicy | Broken:
    """The policy of a `policy` row."""
    if "broken" in row:
        return _broken(row["policy"], row["uid"], row["generation"], row["broken"])
    spec = ControlPolicySpec.model_validate(row["spec"])
    return ControlPolicy(key(row["policy"]), row["uid"], row["generation"], spec)


def workload_to_json(workload: Workload | Absent) -> Json:
    """A `workload` row's content."""
    target = workload.target
    head: Json = {"kind": target.kind, "namespace": target.namespace, "name": target.name}
    if isinstance(workload, Absent):
        return {"target": head, "absent": {"reason": workload.reason, "detail": workload.detail}}
    fields = {name: getattr(workload, name) for name in _WORKLOAD_FIELDS}
    return {"target": head, "is": fields}


def workload_from_json(row: Mapping[str, Any]) -> Workload | Absent:
    """The target of a `workload` row."""
    target = Target(**row["target"])
    if "absent" in row:
        return Absent(target, row["absent"]["reason"], row["absent"]["detail"])
    return Workload(target, **{**row["is"], "rollout": Rollout(row["is"]["rollout"])})


_WORKLOAD_FIELDS = tuple(
    item.name for item in dataclasses.fields(Workload) if item.name != "target"
)


def sampled_to_json(sampled: Sampled) -> Any:
    """A reading or what is missing of it."""
    if isinstance(sampled, Reading):
        return [sampled.value, sampled.sampled_at_s, sampled.coverage]
    return {"missing": sampled.reason, "detail": sampled.detail}


def _sampled(content: Any) -> Sampled:
    if isinstance(content, list):
        return Reading(*content)
    return Missing(MissingReason(content["missing"]), content["detail"])


def variables_to_json(facts: AppFacts) -> Json:
    """What of an app's facts changes from turn to turn: everything but spec, policy, target."""
    found: Json = {}
    if facts.readings:
        found["readings"] = {name: sampled_to_json(one) for name, one in facts.readings.items()}
    if facts.attainments:
        found["attainments"] = {
            name: [one.good_ratio, one.coverage, one.computed_at_s, one.fresh_until_s]
            for name, one in facts.attainments.items()
        }
    if facts.rivals:
        found["rivals"] = [_rival(rival) for rival in facts.rivals]
    if facts.broken_queries:
        found["brokenQueries"] = [_named_trouble(broken) for broken in facts.broken_queries]
    if facts.forced_advisory:
        found["forcedAdvisory"] = facts.forced_advisory
    if facts.past != Past():
        found["past"] = _past(facts.past)
    if facts.sizes is not None:
        found["sizes"] = sizes_to_json(facts.sizes)
    if facts.fixed_forms:
        found["fixedForms"] = True
    return found


def variables_from_json(row: Mapping[str, Any]) -> Json:
    """Arguments of `AppFacts` from what `variables_to_json` gave."""
    readings: Mapping[str, Any] = row.get("readings") or {}
    attainments: Mapping[str, Any] = row.get("attainments") or {}
    return {
        "readings": {name: _sampled(one) for name, one in readings.items()},
        "attainments": {name: Attainment(*one) for name, one in attainments.items()},
        "rivals": tuple(
            Rival(r["kind"], r["namespace"], r["name"], r["createdAt"], r["uid"])
            for r in row.get("rivals") or ()
        ),
        "broken_queries": tuple(
            _broken(b["app"], b["uid"], b["generation"], b) for b in row.get("brokenQueries") or ()
        ),
        "forced_advisory": row.get("forcedAdvisory", ""),
        "past": past_from_json(row["past"]) if "past" in row else Past(),
        "sizes": sizes_from_json(row["sizes"]) if "sizes" in row else None,
        "fixed_forms": row.get("fixedForms", False),
    }


def facts_to_json(facts: AppFacts) -> Json:
    """All facts of an app in one value, without references to other rows."""
    policy = facts.policy
    found = {
        "spec": app_to_json(facts.app),
        "policy": None if policy is None else policy_to_json(policy),
        "workload": _known(facts.workload),
        **variables_to_json(facts),
    }
    if facts.variants:
        found["variants"] = {
            name: variant_to_json(
                one, _known(one.workload), one.need and gpu_json.need_to_json(one.need)
            )
            for name, one in facts.variants.items()
        }
    return found


def facts_from_json(content: Mapping[str, Any]) -> AppFacts:
    """The facts that `facts_to_json` was given."""
    policy = content["policy"]
    variants: Mapping[str, Any] = content.get("variants") or {}
    return AppFacts(
        app=app_from_json(content["spec"]),
        policy=None if policy is None else policy_from_json(policy),
        workload=_known_from(content["workload"]),
        variants={
            name: variant_from_json(
                row,
                _known_from(row["workload"]),
                gpu_json.need_from_json(row["need"]) if "need" in row else None,
            )
            for name, row in variants.items()
        },
        **variables_from_json(content),
    )


def _known(workload: Workload | Absent | None) -> Json | None:
    return None if workload is None else workload_to_json(workload)


def _known_from(row: Mapping[str, Any] | None) -> Workload | Absent | None:
    return None if row is None else workload_from_json(row)


def decision_to_json(decision: Decision) -> Json:
    """A decision; two decisions are the same when these are, to the byte."""
    found: Json = {
        "decisionId": decision.decision_id,
        "knob": decision.knob,
        "acts": decision.acts,
        "current": decision.current,
        "raw": decision.raw,
        "final": decision.final,
        "reason": decision.reason.value,
        "message": decision.message,
    }
    if decision.objective:
        found["objective"] = decision.objective
    if decision.clamps:
        found["clamps"] = [_clamp(clamp) for clamp in decision.clamps]
    if decision.terms:
        found["terms"] = dict(decision.terms)
    if decision.demand_age_s is not None:
        found["demandAge"] = decision.demand_age_s
    return found


def decision_from_json(row: Mapping[str, Any]) -> Decision:
    """The decision that `decision_to_json` was given."""
    return Decision(
        decision_id=row["decisionId"],
        knob=row["knob"],
        acts=row["acts"],
        current=row["current"],
        raw=row["raw"],
        final=row["final"],
        reason=Reason(row["reason"]),
        message=row["message"],
        objective=row.get("objective", ""),
        clamps=tuple(
            Clamp(c["limit"], c["before"], c["after"], c["detail"]) for c in row.get("clamps") or ()
        ),
        terms=row.get("terms") or {},
        demand_age_s=row.get("demandAge"),
    )


def outcome_to_json(outcome: Outcome) -> Json:
    """What a turn said of an app."""
    found: Json = {"decision": decision_to_json(outcome.decision)}
    if outcome.problem is not None:
        found["problem"] = _trouble(outcome.problem)
    if outcome.conflict is not None:
        found["conflict"] = _conflict(outcome.conflict)
    if outcome.missing:
        found["missing"] = {name: one.reason.value for name, one in outcome.missing.items()}
    if outcome.objectives:
        found["objectives"] = [_objective(state) for state in outcome.objectives]
    if outcome.blind_fleet:
        found["blindFleet"] = True
    if outcome.settling:
        found["settling"] = outcome.settling
    if outcome.resize is not None:
        found["resize"] = resize_to_json(outcome.resize)
    if outcome.placing is not None:
        found["placing"] = placing_to_json(outcome.placing)
    if outcome.delays:
        found["delays"] = dict(outcome.delays)
    return found


def resize_to_json(resize: Resize) -> Json:
    """What size was wanted; two are the same when these are, to the byte."""
    found: Json = {
        "decisionId": resize.decision_id,
        "acts": resize.acts,
        "container": resize.container,
        "current": size_to_json(resize.current),
        "final": size_to_json(resize.final),
        "reason": resize.reason.value,
        "message": resize.message,
    }
    if resize.clamps:
        found["clamps"] = [_clamp(clamp) for clamp in resize.clamps]
    if resize.give_back:
        found["giveBack"] = list(resize.give_back)
    if resize.restarts:
        found["restarts"] = True
    return found


def resize_from_json(row: Mapping[str, Any]) -> Resize:
    """The size that `resize_to_json` was given."""
    return Resize(
        decision_id=row["decisionId"],
        acts=row["acts"],
        container=row["container"],
        current=size_from_json(row["current"]),
        final=size_from_json(row["final"]),
        reason=Reason(row["reason"]),
        message=row["message"],
        clamps=tuple(
            Clamp(c["limit"], c["before"], c["after"], c["detail"]) for c in row.get("clamps") or ()
        ),
        give_back=tuple(row.get("giveBack") or ()),
        restarts=row.get("restarts", False),
    )


def pending_to_json(pending: PendingAction) -> Json:
    """An intent."""
    return {
        "id": pending.action_id,
        "knob": pending.knob,
        "from": pending.start,
        "to": pending.to,
        "time": pending.time_s,
    }


def pending_from_json(row: Mapping[str, Any]) -> PendingAction:
    """The intent that `pending_to_json` was given."""
    return PendingAction(row["id"], row["knob"], row["from"], row["to"], row["time"])


def past_from_json(row: Mapping[str, Any]) -> Past:
    """What a status told of before."""
    pending = pending_from_json(row["pending"]) if "pending" in row else None
    size = size_from_json(row.get("size"))
    return Past(pending, row["decided"], row["yieldedTo"], row["yieldedAt"], size)


def _past(past: Past) -> Json:
    found: Json = {
        "decided": past.decided,
        "yieldedTo": past.yielded_to,
        "yieldedAt": past.yielded_at,
    }
    if past.pending is not None:
        found["pending"] = pending_to_json(past.pending)
    if past.size is not None:
        found["size"] = size_to_json(past.size)
    return found


def _clamp(clamp: Clamp) -> Json:
    return {
        "limit": str(clamp.limit),
        "before": clamp.before,
        "after": clamp.after,
        "detail": clamp.detail,
    }


def _rival(rival: Rival) -> Json:
    return {
        "kind": rival.kind,
        "namespace": rival.namespace,
        "name": rival.name,
        "createdAt": rival.created_at_s,
        "uid": rival.uid,
    }


def _conflict(conflict: Conflict) -> Json:
    return {
        "reason": conflict.reason.value,
        "manager": conflict.manager,
        "field": conflict.field,
        "message": conflict.message,
    }


def _objective(state: ObjectiveState) -> Json:
    return {
        "name": state.name,
        "state": state.verdict.value,
        "goodNow": state.good_now,
        "attainment": state.attainment,
        "coverage": state.coverage,
        "budgetRemaining": state.budget_remaining,
    }


def _trouble(broken: Broken) -> Json:
    return {"field": broken.field, "message": broken.message, "reason": broken.reason.value}


def _named_trouble(broken: Broken) -> Json:
    head = {"app": str(broken.key), "uid": broken.uid, "generation": broken.generation}
    return {**head, **_trouble(broken)}


def _broken(name: str, uid: str, generation: int, row: Mapping[str, Any]) -> Broken:
    reason = Reason(row["reason"])
    return Broken(key(name), uid, generation, row["field"], row["message"], reason)
