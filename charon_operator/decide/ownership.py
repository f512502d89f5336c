"""Who moves the target: other controllers, an older app, a field manager that takes values back.

Reads: rivals, the target, what we wrote. Gives: a `Conflict` that names the other, and the memory
of reverts. Never: a fight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from charon_operator import names
from charon_operator.model.app import Actuation, ChargedApp, Mode
from charon_operator.model.claim import Written
from charon_operator.model.facts import Conflict
from charon_operator.model.memory import AppMemory, Revert, Yielded
from charon_operator.model.workload import Rival, Workload
from charon_operator.names import Reason
from charon_operator.settings import Safety

FIELD: Final = "spec.replicas"
_UNNAMED: Final = "an unnamed field manager"
_ALTERNATIVE: Final = (
    ", or set replicas.actuation to Metric and let it follow charon_desired_replicas"
)
# A ScaledObject makes an HPA: the ScaledObject is the one to remove, so it is named first.
_AUTOSCALERS: Final = (Reason.SCALED_OBJECT_OWNS_TARGET, Reason.HPA_OWNS_TARGET)


def claims(app: ChargedApp) -> bool:
    """Whether the app claims its target: only an Active one that scales does."""
    active = app.spec.mode is Mode.ACTIVE and not app.deleting
    return active and app.spec.bounds.actuation is Actuation.SCALE


def conflict(
    app: ChargedApp, targets: Sequence[Workload], rivals: Sequence[Rival], memory: AppMemory
) -> Conflict | None:
    """Who else owns one of the targets, if an app that claims them has to give way."""
    if not claims(app):
        return None
    for workload in targets:
        if workload.controlled_by:
            return _conflict(
                Reason.CONTROLLED_BY_OWNER,
                workload.controlled_by,
                f"{workload.target} is controlled by {workload.controlled_by}; scale that instead",
            )
    return _autoscaler(app, rivals) or _older_app(app, rivals) or _reverter(memory)


def watched(
    memory: AppMemory,
    app: ChargedApp,
    targets: Mapping[str, Workload],
    now_s: float,
    safety: Safety,
) -> AppMemory:
    """Remember whether someone took back what we wrote, and whether peace has returned.

    Args:
        memory: of the app.
        app: as it is.
        targets: by name of a variant; of an app without variants the name says nothing.
        now_s: seconds since 1970.
        safety: the operator's own bounds.
    """
    since_s = now_s - safety.revert_window_seconds
    if memory.reverts:
        recent = tuple(item for item in memory.reverts if since_s < item.time_s <= now_s)
        memory = replace(memory, reverts=recent)
    if memory.yielded:
        seen = (_replicas(targets), now_s, safety.quiet_seconds)
        return _quietened(memory, memory.yielded, app, seen)
    reverted = (name for name, one in targets.items() if _reverted(_written(memory, name), one))
    took_back = next(reverted, None)
    if took_back is None:
        return memory
    manager = targets[took_back].last_scaler or _UNNAMED
    reverts = (*memory.reverts, Revert(now_s, manager))
    memory = replace(_unwritten(memory, took_back), reverts=reverts)
    if sum(item.manager == manager for item in reverts) < safety.reverts_before_yielding:
        return memory
    return replace(memory, yielded=Yielded(manager, app.generation, _replicas(targets), now_s))


def _replicas(targets: Mapping[str, Workload]) -> int:
    return sum(one.replicas for one in targets.values())


def _written(memory: AppMemory, name: str) -> Written | None:
    return memory.placing.written.get(name) if memory.placing else memory.written


def _unwritten(memory: AppMemory, name: str) -> AppMemory:
    """Once said to be taken back, what was written says nothing any more."""
    if memory.placing is None:
        return replace(memory, written=None)
    left = {other: one for other, one in memory.placing.written.items() if other != name}
    return replace(memory, placing=replace(memory.placing, written=left))


def _reverted(written: Written | None, workload: Workload) -> bool:
    # A generation not above the one we wrote on is an old view of the target, not a revert.
    return (
        written is not None
        and workload.generation > written.generation
        and workload.replicas != written.replicas
        and workload.last_scaler != names.FIELD_MANAGER
    )


def _quietened(
    memory: AppMemory,
    yielded: Yielded,
    app: ChargedApp,
    seen: tuple[int, float, float],
) -> AppMemory:
    replicas, now_s, quiet_s = seen
    if app.generation != yielded.generation:
        return replace(memory, yielded=None, reverts=())
    if replicas != yielded.replicas or now_s < yielded.quiet_from_s:
        moved = replace(yielded, replicas=replicas, quiet_from_s=now_s)
        return replace(memory, yielded=moved)
    if now_s - yielded.quiet_from_s >= quiet_s:
        return replace(memory, yielded=None, reverts=())
    return memory


def _autoscaler(app: ChargedApp, rivals: Sequence[Rival]) -> Conflict | None:
    for reason in _AUTOSCALERS:
        for rival in sorted(item for item in rivals if item.kind == reason.value):
            return _conflict(
                reason,
                f"{rival.kind} {rival.name}",
                f"{rival.kind} {rival.namespace}/{rival.name} scales {_named(app)}; remove it"
                f"{_ALTERNATIVE if app.spec.placement is None else ''}",
            )
    return None


def _named(app: ChargedApp) -> str:
    return " or ".join(str(one) for one in dict.fromkeys(app.targets))


def _older_app(app: ChargedApp, rivals: Sequence[Rival]) -> Conflict | None:
    apps = [item for item in rivals if item.kind == names.CHARGED_APP]
    oldest = min(apps, key=lambda item: (item.created_at_s, item.uid), default=None)
    if oldest is None or (oldest.created_at_s, oldest.uid) >= (app.created_at_s, app.uid):
        return None
    return _conflict(
        Reason.CHARGED_APP_OWNS_TARGET,
        f"{names.CHARGED_APP} {oldest.name}",
        f"ChargedApp {oldest.namespace}/{oldest.name} is older and scales {_named(app)}; only it "
        "acts until one of the two is removed",
    )


def _reverter(memory: AppMemory) -> Conflict | None:
    if memory.yielded is None:
        return None
    manager = memory.yielded.manager
    return _conflict(
        Reason.REVERTED_BY_MANAGER,
        manager,
        f"field manager {manager} took back what was written; leave spec.replicas out of what it "
        "applies, then change this app's spec to resume at once",
    )


def _conflict(reason: Reason, manager: str, message: str) -> Conflict:
    return Conflict(reason=reason, manager=manager, field=FIELD, message=message)
