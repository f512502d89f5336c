"""The invariants the operator is held to, judged by what the API server recorded.

Reads: audited writes, sights of the unproxied watcher, rows of the operator's journal. Gives:
violations in words, an empty list when there are none. Never: believes the operator where the API
server knows better; the journal is asked only what a decision stood on.

The numbers are those of the project's table of invariants: I1 bounds, I2 cooldown, I3 no lowering
on missing metrics, I4 one writer, I5 allow-list, I6 own namespace, I7 stable in the end, I8 the
spec is seen, I12 deletions end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.faults.audit import Write
from tests.faults.watcher import CHARGED_APPS, DEPLOYMENTS, Sight

Violations = list[str]

# verb, resource, subresource: everything the operator may write.
ALLOWED_WRITES = {
    ("patch", "deployments", "scale"),
    ("update", "deployments", "scale"),
    ("patch", "statefulsets", "scale"),
    ("update", "statefulsets", "scale"),
    ("patch", "chargedapps", "status"),
    ("create", "events", ""),
    ("patch", "events", ""),
    ("create", "leases", ""),
    ("update", "leases", ""),
    ("patch", "leases", ""),
}
_ALLOWED_FIELDS = {
    "scale": {"apiVersion", "kind", "metadata", "spec"},
    "status": {"apiVersion", "kind", "metadata", "status"},
}
# Stamps of two records of one moment differ by the time the API server takes to answer.
_SLACK_S = 0.05
# A write is in the journal under the time of its turn.
_JOURNALED_S = 5.0


@dataclass(frozen=True)
class Move:
    """An applied change of a target's replica count by the operator."""

    write: Write
    before: int
    after: int

    @property
    def lowers(self) -> bool:
        return self.after < self.before


def moves(writes: Iterable[Write], sights: Sequence[Sight]) -> list[Move]:
    """Applied replica writes with the value they replaced, writes that changed nothing left out.

    The value replaced is that of the target's last version seen before the write was answered,
    or of the operator's own write before it, whichever is younger.
    """
    found, ours = [], dict[tuple[str, str, str], tuple[float, int]]()
    for write in writes:
        if not (write.is_scale and write.applied) or write.replicas is None:
            continue
        before = _replaced(write, sights, ours.get(write.target))
        ours[write.target] = (write.answered_s, write.replicas)
        if before != write.replicas:
            found.append(Move(write, write.replicas if before is None else before, write.replicas))
    return found


def _replaced(write: Write, sights: Sequence[Sight], ours: tuple[float, int] | None) -> int | None:
    precondition = (write.sent.get("metadata") or {}).get("resourceVersion")
    last = None
    for sight in sights:
        if sight.path != DEPLOYMENTS or (sight.namespace, sight.name) != write.target[1:]:
            continue
        if sight.version == precondition:
            return int(sight.spec.get("replicas", 1))
        if sight.time_s < write.asked_s:
            last = (sight.time_s, int(sight.spec.get("replicas", 1)))
    known = [pair for pair in (last, ours) if pair is not None]
    return max(known)[1] if known else None


def bounds_are_kept(writes: Iterable[Write], sights: Sequence[Sight]) -> Violations:
    """I1: every replica count asked for lies within the bounds of an app that names the target."""
    bad = []
    for write in writes:
        if not write.is_scale:
            continue
        allowed = [_bounds(sight) for sight in _claims(write, sights)]
        value = write.replicas
        if value is None or not any(low <= value <= high for low, high in allowed):
            bad.append(f"I1: {write}: outside {allowed or 'everything: no app names the target'}")
    return bad


def cooldowns_are_kept(found: Sequence[Move], cooldown_s: float) -> Violations:
    """I2: no lowering within the cooldown after any change of ours to the same target."""
    bad, last = [], dict[tuple[str, str, str], Move]()
    for move in found:
        earlier = last.get(move.write.target)
        last[move.write.target] = move
        if earlier is None or not move.lowers:
            continue
        gap = move.write.asked_s - earlier.write.asked_s
        if gap < cooldown_s - _SLACK_S:
            bad.append(f"I2: {move.write}: {gap:.2f} s after {earlier.write}")
    return bad


def no_step_is_repeated(found: Sequence[Move], period_s: float) -> Violations:
    """I2: the same step is not made twice within a period: that is one decision done twice."""
    bad, last = [], dict[tuple[str, str, str], Move]()
    for move in found:
        earlier = last.get(move.write.target)
        last[move.write.target] = move
        if earlier is None or (earlier.before, earlier.after) != (move.before, move.after):
            continue
        if move.write.asked_s - earlier.write.asked_s < period_s:
            bad.append(f"I2: {move.write}: the step {move.before} -> {move.after} was made twice")
    return bad


def no_blind_lowering(
    found: Iterable[Move], windows: Iterable[tuple[float, float]], period_s: float
) -> Violations:
    """I3: no lowering while the metrics were away, a decision's own period after the start.

    Args:
        windows: when the metrics were away, from and to, s since 1970.
    """
    spans = list(windows)
    return [
        f"I3: {move.write}: lowered {move.before} -> {move.after} while metrics were away"
        for move in found
        if move.lowers and any(start + period_s < move.write.asked_s < end for start, end in spans)
    ]


def no_lowering_on_missing(entries: Iterable[Mapping[str, Any]]) -> Violations:
    """I3: no turn in the journal wants fewer replicas with an indicator missing."""
    bad = []
    for entry in entries:
        decision, missing = entry.get("decision"), entry.get("missing")
        if not decision or not missing or not decision.get("acts"):
            continue
        if decision["final"] < decision["current"]:
            step = f"{decision['current']} -> {decision['final']}"
            bad.append(f"I3: decision {decision.get('decisionId')}: {step} without {missing}")
    return bad


def explained(found: Iterable[Move], rows: Sequence[Mapping[str, Any]]) -> Violations:
    """Every change of replicas is a write in the journal, with the same values and about then."""
    return [
        f"journal: {move.write}: {move.before} -> {move.after} is not explained"
        for move in found
        if not any(
            (row["from"], row["to"]) == (move.before, move.after)
            and abs(row["time"] - move.write.asked_s) < _JOURNALED_S
            for row in rows
        )
    ]


def one_writer(writes: Sequence[Write], lease: str, duration_s: float) -> Violations:
    """I4: whoever writes holds the Lease and renewed it within its duration.

    Processes are told apart by their credential, holders by the Lease's holderIdentity.
    """
    bad: Violations = []
    identity: dict[str, str] = {}
    holder, renewed_s = "", float("-inf")
    for write in writes:
        if write.is_lease:
            spec = {**(write.result.get("spec") or {}), **(write.sent.get("spec") or {})}
            if write.applied and lease in (write.name, _name(write.result)):
                holder, renewed_s = str(spec.get("holderIdentity") or ""), write.asked_s
                identity[write.credential] = holder or identity.get(write.credential, "")
            continue
        if not write.applied or write.resource == "events":
            continue
        if identity.get(write.credential, "") != holder or not holder:
            bad.append(f"I4: {write}: its writer does not hold the Lease ({holder or 'nobody'})")
        elif write.answered_s > renewed_s + duration_s:
            bad.append(f"I4: {write}: {write.asked_s - renewed_s:.1f} s after the last renewal")
    return bad


def _name(body: Mapping[str, Any]) -> str:
    return str((body.get("metadata") or {}).get("name", ""))


def only_allowed(writes: Iterable[Write]) -> Violations:
    """I5: only verbs, resources and fields of the allow-list."""
    bad = []
    for write in writes:
        if (write.verb, write.resource, write.subresource) not in ALLOWED_WRITES:
            bad.append(f"I5: {write}: not one of the operator's writes")
        fields = _ALLOWED_FIELDS.get(write.subresource)
        if fields and (extra := set(write.sent) - fields):
            bad.append(f"I5: {write}: sends {sorted(extra)}")
        if write.is_scale and (extra := set(write.sent.get("spec") or {}) - {"replicas"}):
            bad.append(f"I5: {write}: sends spec {sorted(extra)}")
    return bad


def none_forbidden(writes: Iterable[Write]) -> Violations:
    """I5: the rights the chart grants are enough: nothing was answered 403."""
    return [f"I5: {write}: forbidden" for write in writes if write.code == 403]


def own_namespace(writes: Iterable[Write], sights: Sequence[Sight]) -> Violations:
    """I6: a target is scaled only if an Active app of its own namespace names it."""
    bad = []
    for write in writes:
        if not (write.is_scale and write.applied):
            continue
        active = [s for s in _claims(write, sights) if s.spec.get("mode") == "Active"]
        if not active:
            bad.append(f"I6: {write}: no Active app of that namespace names this target")
    return bad


def is_stable(writes: Iterable[Write], since_s: float, until_s: float, apps: int = 1) -> Violations:
    """I7: nothing was scaled in this time, at most one status write was made a minute and app."""
    late = [w for w in writes if since_s <= w.asked_s < until_s]
    bad = [f"I7: {w}: scaled though nothing changed" for w in late if w.is_scale]
    statuses = [w for w in late if w.is_status]
    allowed = apps * (1 + int((until_s - since_s) // 60))
    if len(statuses) > allowed:
        fields = [sorted(w.sent.get("status") or {}) for w in statuses]
        bad.append(f"I7: {len(fields)} status writes in {until_s - since_s:.0f} s: {fields}")
    return bad


def specs_are_seen(sights: Sequence[Sight], within_s: float, until_s: float) -> Violations:
    """I8: each generation of an app is in its status in time, unless it was replaced before.

    Args:
        within_s: how long a generation may go unseen.
        until_s: when the watcher ended; younger generations are not judged.
    """
    bad = []
    for uid in {sight.uid for sight in sights if sight.path == CHARGED_APPS}:
        history = [s for s in sights if s.uid == uid and s.path == CHARGED_APPS]
        for generation in sorted({sight.generation for sight in history}):
            bad += _generation_is_seen(history, generation, within_s, until_s)
    return bad


def _generation_is_seen(
    history: list[Sight], generation: int, within_s: float, until_s: float
) -> Violations:
    began = next(s for s in history if s.generation == generation)
    ended = next((s.time_s for s in history if s.generation > generation or s.gone), until_s)
    seen = next((s.time_s for s in history if _observed(s) >= generation), float("inf"))
    due = began.time_s + within_s
    if seen <= due or ended <= due:
        return []
    took = "never" if seen == float("inf") else f"after {seen - began.time_s:.1f} s"
    return [f"I8: {began.namespace}/{began.name} generation {generation} was seen {took}"]


def _observed(sight: Sight) -> int:
    return int(sight.status.get("observedGeneration") or 0)


def deletions_end(sights: Sequence[Sight], within_s: float, until_s: float) -> Violations:
    """I12: an object that is being deleted is gone in time."""
    bad = []
    for uid in {sight.uid for sight in sights}:
        history = [s for s in sights if s.uid == uid]
        began = next(
            (s.time_s for s in history if s.body["metadata"].get("deletionTimestamp")), None
        )
        if began is None:
            continue
        gone = next((s.time_s for s in history if s.gone), until_s)
        if gone - began > within_s:
            bad.append(
                f"I12: {history[0].namespace}/{history[0].name} took {gone - began:.1f} s to go"
            )
    return bad


def namespace_ends(writes: Sequence[Write], namespace: str, within_s: float) -> Violations:
    """I12: from the delete of a namespace to its finalizer's removal, by audit stamps."""
    about = [w for w in writes if w.resource == "namespaces" and w.name == namespace]
    asked = [w.asked_s for w in about if w.verb == "delete"]
    ended = [w.answered_s for w in about if w.subresource == "finalize" and w.applied]
    if not asked or not ended:
        return [f"I12: namespace {namespace}: not deleted, or still there"]
    took = max(ended) - min(asked)
    return [] if took <= within_s else [f"I12: namespace {namespace} took {took:.1f} s to go"]


def gaps(stamps: Sequence[float]) -> list[float]:
    """Seconds between neighbours."""
    return [b - a for a, b in pairwise(stamps)]


def _claims(write: Write, sights: Sequence[Sight]) -> list[Sight]:
    """Versions of apps that named the target when it was written or a moment before."""
    _, namespace, name = write.target
    found: dict[str, Sight] = {}
    recent: list[Sight] = []
    for sight in sights:
        if sight.path != CHARGED_APPS or sight.namespace != namespace:
            continue
        if sight.time_s > write.answered_s + _SLACK_S:
            break
        superseded = found.pop(sight.uid, None)
        if superseded is not None and sight.time_s > write.asked_s - 1.0:
            recent.append(superseded)
        if not sight.gone:
            found[sight.uid] = sight
    claims = [*recent, *found.values()]
    return [s for s in claims if (s.spec.get("scaleTargetRef") or {}).get("name") == name]


def _bounds(sight: Sight) -> tuple[int, int]:
    replicas = sight.spec.get("replicas") or {}
    return int(replicas.get("min", 1)), int(replicas.get("max", 0))
