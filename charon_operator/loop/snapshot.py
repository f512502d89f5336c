"""What the cluster looks like: written by the informer's thread, read by the fleet's.

Reads: bodies of watched kinds, one at a time or as whole lists. Gives: apps, policies, targets,
rivals, namespace labels, as nouns of the model. Never: an exception for what a user wrote (that
becomes `Broken`), nor a body kept (but for the status of a ChargedApp).
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from charon_operator import names, ports
from charon_operator.errors import SpecError
from charon_operator.loop.floor import Floor
from charon_operator.loop.store import Body, Kind, Store
from charon_operator.model import body as bodies
from charon_operator.model import form, gpu
from charon_operator.model.app import Actuation, ChargedApp, Mode
from charon_operator.model.decision import Past
from charon_operator.model.facts import Broken
from charon_operator.model.form import Shape
from charon_operator.model.gpu import Need
from charon_operator.model.parts import part
from charon_operator.model.placing import Holding, VariantFacts
from charon_operator.model.policy import ControlPolicy
from charon_operator.model.workload import Absent, Key, Rival, Target, Workload

T = TypeVar("T")
N = TypeVar("N")

TARGET_KINDS: Mapping[str, Kind] = {
    names.DEPLOYMENT: Kind.DEPLOYMENTS,
    names.STATEFUL_SET: Kind.STATEFUL_SETS,
}
_RIVAL_KINDS: Mapping[Kind, str] = {
    Kind.HPAS: names.HPA,
    Kind.SCALED_OBJECTS: names.SCALED_OBJECT,
}
# Whose changes the fleet should see at once. Targets and statuses change with every write of ours.
_WAKING = frozenset({Kind.APPS, Kind.POLICIES, Kind.NAMESPACES})
_NO_LABELS: Mapping[str, str] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class _App:
    """A ChargedApp with the last seen status; `being_deleted` belongs to what was parsed."""

    parsed: ChargedApp | Broken
    being_deleted: bool
    status: Body


@dataclasses.dataclass(frozen=True, slots=True)
class _Target:
    """A workload and the labels of its pods."""

    workload: Workload
    pods: bodies.Labels


@dataclasses.dataclass(frozen=True, slots=True)
class _Template:
    """What a pod of some template needs, or why that cannot be read.

    Attributes:
        version: uid and generation of the workload that has it.
        shape: of a Deployment.
        was_read: from a body; if not, it is what a write of ours left.
    """

    version: tuple[str, int]
    need: Need | None = None
    problem: str = ""
    shape: Shape | None = None
    was_read: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class _Variant(_Target):
    """A workload that may be a variant of an app with placement."""

    template: _Template


class Snapshot(Store):
    """The newest that is known of what a turn reads.

    Args:
        clock: stamps when a kind was last heard of (monotonic), and bounds times found in statuses.
        places: what pods need is read from every template, for apps with placement.

    Attributes:
        floor: nodes and their pods; nothing is known of them unless placement is on.
    """

    def __init__(self, clock: ports.Clock, *, places: bool = False) -> None:
        super().__init__(clock)
        self._places = places
        self.floor = Floor(clock)
        self._rivals: dict[Target, dict[str, Rival]] = {}
        self._claims: dict[Target, dict[Key, Rival]] = {}
        self._wakes: list[Callable[[], None]] = []

    # What is read afresh.

    def put_workload(self, found: Workload | Absent, left: VariantFacts | None = None) -> None:
        """A target was read afresh; the labels of its pods stay as they were seen.

        Args:
            found: the target.
            left: the variant as a write of ours left it; without it nothing new is known of its
                template.
        """
        name = Key(found.target.namespace, found.target.name)
        with self._lock:
            shelf_of = self._shelves[TARGET_KINDS[found.target.kind]]
            self.version += 1
            if isinstance(found, Absent):
                # One that may not be read now is there all the same.
                if found.reason == names.Reason.TARGET_NOT_FOUND:
                    shelf_of.drop(name)
            elif not shelf_of.is_older(name, found.uid, found.resource_version):
                before: _Target | None = shelf_of.get(name)
                known = before or _Target(found, ())
                entry = dataclasses.replace(known, workload=found)
                if left is not None and isinstance(entry, _Variant):
                    entry = dataclasses.replace(entry, template=_left(left, found))
                shelf_of.put(name, found.uid, found.resource_version, entry)

    # What the fleet reads.

    def apps(self) -> Sequence[ChargedApp | Broken]:
        """All ChargedApps, in the order of their names."""
        with self._lock:
            found = [entry.parsed for entry in self._shelves[Kind.APPS].values()]
        return sorted(found, key=lambda app: app.key)

    def app(self, key: Key) -> ChargedApp | Broken | None:
        """One ChargedApp, or None when it is not there (any more)."""
        with self._lock:
            entry: _App | None = self._shelves[Kind.APPS].get(key)
        return entry.parsed if entry else None

    def policy(self, key: Key) -> ControlPolicy | Broken | None:
        """A ControlPolicy, what is wrong with it, or None when there is none of that name."""
        with self._lock:
            found: ControlPolicy | Broken | None = self._shelves[Kind.POLICIES].get(key)
            return found

    def workload(self, target: Target) -> Workload | Absent | None:
        """A target with its floor; None only before its kind is listed."""
        with self._lock:
            entry = self._entry(target)
            if entry is not None:
                return self._with_floor(entry)
            kind = TARGET_KINDS[target.kind]
            known = {(kind, ""), (kind, target.namespace)} & self._listed
        return absent(target) if known else None

    def variant(
        self, target: Target, holding: Holding, targets: Sequence[Target] = ()
    ) -> VariantFacts:
        """A target as a variant, with the pods that it has.

        Args:
            target: of the variant.
            holding: its pods.
            targets: of all variants of the app; a budget over pods of several is no floor of one.
        """
        with self._lock:
            entry = self._entry(target)
            if not isinstance(entry, _Variant):
                return VariantFacts(self.workload(target), holding=holding)
            others = [self._entry(other) for other in targets if other != target]
            workload = self._with_floor(entry, [other.pods for other in others if other])
        template = entry.template
        # Whatever form an older generation was in says nothing of this one.
        shape = template.shape if _version(workload) == template.version else None
        return VariantFacts(workload, template.need, template.problem, holding, shape)

    def rivals(self, app: ChargedApp) -> tuple[Rival, ...]:
        """Other controllers that name a target of this app, the app itself left out."""
        others: set[Rival] = set()
        with self._lock:
            for target in app.targets:
                others |= set(self._rivals.get(target, {}).values())
                claims = self._claims.get(target, {})
                others |= {rival for key, rival in claims.items() if key != app.key}
        return tuple(sorted(others))

    def status(self, key: Key) -> Body:
        """The status last seen on a ChargedApp; empty when there is none. Not to be changed."""
        with self._lock:
            entry: _App | None = self._shelves[Kind.APPS].get(key)
        return entry.status if entry else {}

    def past(self, key: Key) -> Past:
        """What the status of a ChargedApp tells of before, as far as it can be read."""
        return bodies.past(self.status(key), self._clock.wall_s())

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Labels of a namespace; empty when namespaces may not be read."""
        with self._lock:
            found: Mapping[str, str] | None = self._shelves[Kind.NAMESPACES].get(Key("", namespace))
        return _NO_LABELS if found is None else found

    def wake(self, loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> Callable[[], None]:
        """Set an event of a loop whenever an app, a policy or a namespace changes.

        Returns:
            What ends it.
        """

        def ring() -> None:
            # A loop that has ended has nobody to wake.
            with contextlib.suppress(RuntimeError):
                if not event.is_set():
                    loop.call_soon_threadsafe(event.set)

        with self._lock:
            self._wakes = [*self._wakes, ring]
        return lambda: self._silence(ring)

    # How it is kept.

    def _entry(self, target: Target) -> _Target | None:
        name = Key(target.namespace, target.name)
        found: _Target | None = self._shelves[TARGET_KINDS[target.kind]].get(name)
        return found

    def _with_floor(self, entry: _Target, others: Sequence[bodies.Labels] = ()) -> Workload:
        # Without the labels of its pods only the read that found it knows its floor.
        if not entry.pods:
            return entry.workload
        budgets = self._shelves[Kind.BUDGETS].within(entry.workload.target.namespace)
        own = [one for one in budgets if not any(one.covers(pods) for pods in others)]
        floor = bodies.floor(own, entry.pods)
        return dataclasses.replace(entry.workload, min_available=floor)

    def _silence(self, ring: Callable[[], None]) -> None:
        with self._lock:
            self._wakes = [known for known in self._wakes if known is not ring]

    def _changed(self, kind: Kind) -> None:
        super()._changed(kind)
        if kind in _WAKING:
            for ring in self._wakes:
                ring()

    def _matters(self, before: Any, entry: Any) -> bool:
        if isinstance(entry, _App) and isinstance(before, _App):
            return entry.parsed is not before.parsed
        return super()._matters(before, entry)

    def _read(self, kind: Kind, body: Body, before: Any) -> Any:
        match kind:
            case Kind.APPS:
                return _read_app(body, before)
            case Kind.POLICIES:
                return _parsed(ControlPolicy.parse, body, names.Reason.INVALID_POLICY)
            case Kind.DEPLOYMENTS:
                return self._target(body, names.DEPLOYMENT, before)
            case Kind.STATEFUL_SETS:
                return self._target(body, names.STATEFUL_SET, before)
            case Kind.HPAS | Kind.SCALED_OBJECTS:
                return bodies.scaled_by(body, _RIVAL_KINDS[kind])
            case Kind.BUDGETS:
                return bodies.budget(body)
            case Kind.NAMESPACES:
                return bodies.labels(body)
            case Kind.NODES | Kind.PODS:
                return None  # the floor's

    def _target(self, body: Body, kind: str, before: _Target | None) -> _Target:
        workload, pods = bodies.workload(body, kind), bodies.pod_labels(body)
        if not self._places:
            return _Target(workload, pods)
        version = _version(workload)
        # Only its status changed, as it mostly does: the template is as it was read.
        known = before.template if isinstance(before, _Variant) else None
        if known is not None and known.was_read and known.version == version:
            return _Variant(workload, pods, known)
        return _Variant(workload, pods, _read_template(body, version, kind))

    def _relink(self, kind: Kind, name: Key, before: Any, entry: Any) -> None:
        if before is not None:
            self._unlink(kind, name, before)
        if kind in _RIVAL_KINDS:
            target, rival = entry
            self._rivals.setdefault(target, {})[f"{rival.kind}/{rival.name}"] = rival
        elif kind is Kind.APPS and (rival := _claim(entry.parsed)) is not None:
            for claimed in entry.parsed.targets:
                self._claims.setdefault(claimed, {})[name] = rival

    def _unlink(self, kind: Kind, name: Key, entry: Any) -> None:
        if entry is None:
            return
        if kind in _RIVAL_KINDS:
            target, rival = entry
            _forget(self._rivals, target, f"{rival.kind}/{rival.name}")
        elif kind is Kind.APPS and isinstance(entry.parsed, ChargedApp):
            for claimed in entry.parsed.targets:
                _forget(self._claims, claimed, name)


def absent(target: Target) -> Absent:
    """A target that is not there, in words."""
    detail = f"{target} does not exist: create it, or correct scaleTargetRef"
    return Absent(target, names.Reason.TARGET_NOT_FOUND, detail)


def _read_app(body: Body, before: _App | None) -> _App:
    meta = body.get("metadata") or {}
    found = body.get("status")
    status: Body = found if isinstance(found, Mapping) else {}
    leaving = bool(meta.get("deletionTimestamp"))
    # Only its own status changed, most often by us: what was parsed stays true.
    if before is not None and _same_spec(before, meta, leaving):
        return _App(before.parsed, leaving, status)
    parsed = _parsed(ChargedApp.parse, body, names.Reason.INVALID_SPEC)
    return _App(parsed, leaving, status)


def _same_spec(before: _App, meta: Body, leaving: bool) -> bool:
    known = before.parsed.uid, before.parsed.generation, before.being_deleted
    return known == (meta.get("uid"), meta.get("generation"), leaving)


def _parsed(parse: Callable[[Body], T], body: Body, reason: names.Reason) -> T | Broken:
    try:
        return parse(body)
    except SpecError as error:
        return _broken(body, error.field, error.message, reason)
    except (TypeError, ValueError, AttributeError) as error:
        # A body no schema has seen: an object stored before the CRD was tightened.
        return _broken(body, "metadata", f"cannot be read: {error}"[:256], reason)


def _broken(body: Body, field: str, message: str, reason: names.Reason) -> Broken:
    meta = body.get("metadata") or {}
    generation = meta.get("generation")
    return Broken(
        key=bodies.key(body),
        uid=bodies.uid(body),
        generation=generation if isinstance(generation, int) else 0,
        field=field,
        message=message,
        reason=reason,
    )


def _version(workload: Workload) -> tuple[str, int]:
    return workload.uid, workload.generation


def _left(known: VariantFacts, found: Workload) -> _Template:
    return _Template(_version(found), known.need, known.problem, known.shape, was_read=False)


def _read_template(body: Body, version: tuple[str, int], kind: str) -> _Template:
    try:
        need = gpu.need(part(body, "spec", "template"), "spec.template")
        return _Template(version, need, "", form.shape(body) if kind == names.DEPLOYMENT else None)
    except SpecError as error:
        return _Template(version, problem=f"{error.field}: {error.message}")
    except (TypeError, ValueError, AttributeError) as error:
        return _Template(version, problem=f"spec.template: cannot be read: {error}"[:256])


def _claim(app: ChargedApp | Broken) -> Rival | None:
    if not isinstance(app, ChargedApp) or app.deleting:
        return None
    scales = app.spec.bounds.actuation is Actuation.SCALE
    if app.spec.mode is not Mode.ACTIVE or not scales:
        return None
    key = app.key
    return Rival(names.CHARGED_APP, key.namespace, key.name, app.created_at_s, app.uid)


def _forget(index: dict[Target, dict[N, Rival]], outer: Target, inner: N) -> None:
    held = index.get(outer)
    if held is not None:
        held.pop(inner, None)
        if not held:
            del index[outer]
