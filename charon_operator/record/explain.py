"""Why an app has the replicas it has, in words: from its status, and from journal rows if given.

Reads: a status, or an entry of a turn row with the writes that followed. Gives: sentences. Never: a
number that neither of them holds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from charon_operator.model.sizes import Size

Json = Mapping[str, Any]
_ATTENTION: Final = (
    "Ready",
    "MetricsHealthy",
    "ObjectivesMet",
    "Actuating",
    "OwnershipConflict",
    "ResizeSettled",
    "PlacementFeasible",
)
# The status that means that all is well, by condition; True for the others.
_WELL: Final = {"OwnershipConflict": ("False",), "Actuating": ("True", "False")}


@dataclass(slots=True)
class Found:
    """What a journal says of one app.

    Attributes:
        decided: the newest turn entry, and its time (s since 1970).
        moved: the newest entry whose decision was written, its time, and the writes of it.
    """

    decided: tuple[float, Json] | None = None
    moved: tuple[float, Json] | None = None
    writes: list[Json] = field(default_factory=list)
    indicators: Json = field(default_factory=dict)


def search(rows: Iterable[Json], app: str) -> Found:
    """Find the newest decisions on an app (`namespace/name`) in journal rows, in their order."""
    found, decided = Found(), dict[str, tuple[float, Json]]()
    for row in rows:
        match row.get("kind"):
            case "spec" if row.get("app") == app:
                found.indicators = _units(row)
            case "turn":
                for entry in row.get("apps", ()):
                    if entry.get("app") == app:
                        found.decided = (row["time"], entry)
                        for move in (entry["decision"], entry.get("resize")):
                            if move:
                                _remember(decided, move["decisionId"], found.decided)
            case "write" | "place" if row.get("app") == app:
                _take(found, decided.get(row["decisionId"]), row)
            case "resize" if row.get("app") == app:
                _take(found, decided.get(row["resize"]["decisionId"]), row)
    return found


def words(told: Json) -> list[str]:
    """What a status says: the last decision, what stands in the way, how the objectives do."""
    lines = [*_replicas(told), *_placement(told)]
    decision = told.get("lastDecision")
    if isinstance(decision, Mapping):
        lines += _decision(decision)
    else:
        lines.append("No decision has been told yet.")
    lines += _conditions(told.get("conditions") or ())
    lines += _objectives(told.get("objectives") or ())
    pending = told.get("pendingAction")
    if isinstance(pending, Mapping):
        move = f"{pending.get('knob')} {pending.get('from')} -> {pending.get('to')}"
        lines.append(f"Announced at {pending.get('time')}: {move} (decision {pending.get('id')}).")
    return lines


def entry_words(found: Found, stamp: Any) -> list[str]:
    """What a journal says.

    Args:
        found: as searched.
        stamp: makes a text of seconds since 1970.
    """
    lines: list[str] = []
    if found.moved is not None:
        time_s, entry = found.moved
        lines.append(f"The last change, decided at {stamp(time_s)}:")
        lines += [f"  {line}" for line in _entry(entry, found.indicators)]
        lines += [f"  {line}" for line in _writes(found.writes, stamp)]
    if found.decided is not None and found.decided is not found.moved:
        time_s, entry = found.decided
        lines.append(f"The last decision, at {stamp(time_s)}:")
        lines += [f"  {line}" for line in _entry(entry, found.indicators)]
    return lines


def _remember(decided: dict[str, tuple[float, Json]], name: str, entry: tuple[float, Json]) -> None:
    decided[name] = entry
    while len(decided) > 64:
        decided.pop(next(iter(decided)))


def _take(found: Found, decided: tuple[float, Json] | None, row: Json) -> None:
    if decided is None:
        return
    if decided is not found.moved:
        found.moved, found.writes = decided, []
    found.writes.append(row)


def _units(row: Json) -> Json:
    indicators = (row.get("spec") or {}).get("indicators") or ()
    return {str(one.get("name")): str(one.get("unit") or "") for one in indicators}


def _replicas(told: Json) -> Iterator[str]:
    replicas = told.get("replicas")
    if isinstance(replicas, Mapping):
        yield f"Replicas: {replicas.get('current')} asked for, {replicas.get('desired')} wanted."
    size = told.get("resources")
    if isinstance(size, Mapping):
        wanted, template = _told_size(size), _told_size(size.get("template") or {})
        pods = f"{size.get('settled')} of {size.get('pods')} pods have it"
        yield f"Size of {size.get('container')}: {wanted} ({pods}; the template says {template})."


def _placement(told: Json) -> Iterator[str]:
    placement = told.get("placement")
    if not isinstance(placement, Mapping):
        return
    for one in placement.get("variants") or ():
        counts = f"{one.get('asked')} asked for, {one.get('ready')} ready"
        without = f"{one.get('waiting')} without a node"
        yield f"Variant {one.get('name')}: {counts}, {without}, {one.get('goal')} aimed at."
    wanted = placement.get("wanted") or "an unknown number"
    serves = f"They serve {placement.get('capacity')} of {wanted} wanted a second"
    yield f"{serves} ({placement.get('reason')}): {placement.get('message')}"


def _told_size(size: Json) -> str:
    return " and ".join(str(size[name]) for name in ("cpu", "memory") if size.get(name)) or "none"


def _decision(decision: Json) -> Iterator[str]:
    yield f"{decision.get('time')}  {decision.get('message') or decision.get('reason')}"
    raw, to = decision.get("raw"), decision.get("to")
    limits = decision.get("limitedBy") or []
    if raw is not None and limits:
        yield f"The control law asked for {raw}; limits made it {to}: {', '.join(limits)}."
    elif raw is not None:
        yield f"The control law asked for {raw}, and no limit changed that."
    yield f"Decision {decision.get('decisionId')}; the journal has its inputs and terms."


def _conditions(conditions: Sequence[Json]) -> Iterator[str]:
    for condition in conditions:
        kind = condition.get("type")
        if kind not in _ATTENTION or condition.get("status") in _WELL.get(str(kind), ("True",)):
            continue
        state = f"{kind} is {condition.get('status')} since {condition.get('lastTransitionTime')}"
        yield f"{state} ({condition.get('reason')}): {condition.get('message')}"


def _objectives(objectives: Sequence[Json]) -> Iterator[str]:
    for one in objectives:
        parts = [f"Objective {one.get('name')}: {one.get('state')}"]
        if one.get("attainment") is not None:
            parts.append(f"good {one['attainment']} % of the observed time")
        if one.get("coverage") is not None:
            parts.append(f"at least {one['coverage']} % of the window observed")
        if one.get("budgetRemaining") is not None:
            parts.append(f"about {one['budgetRemaining']} % of the error budget left")
        yield ", ".join(parts) + "."


def _entry(entry: Json, units: Json) -> Iterator[str]:
    decision = entry["decision"]
    yield str(decision["message"])
    for name, reading in sorted((entry.get("readings") or {}).items()):
        yield _reading(name, reading, str(units.get(name, "")))
    if decision.get("objective"):
        terms = ", ".join(f"{name} {value:g}" for name, value in decision.get("terms", {}).items())
        law = f"Objective {decision['objective']} wants {decision['raw']}"
        yield f"{law} ({terms})." if terms else f"{law}."
    for clamp in decision.get("clamps", ()):
        yield f"{clamp['limit']}: {clamp['before']} -> {clamp['after']}, {clamp['detail']}."
    resize = entry.get("resize")
    if resize:
        yield f"Size of {resize['container']}: {resize['message']}"
        for clamp in resize.get("clamps", ()):
            yield f"{clamp['limit']}: {clamp['before']} -> {clamp['after']}, {clamp['detail']}."
        if resize.get("giveBack"):
            yield f"Given back what they could not have: {', '.join(resize['giveBack'])}."
    moves = _moves(entry.get("placing"))
    if moves:
        yield f"Variants: {moves}: {entry['placing']['message']}"
    if not decision["acts"] and (decision["final"] != decision["current"] or moves):
        why = entry.get("forcedAdvisory") or (entry.get("conflict") or {}).get("message")
        yield f"Not carried out: {why or 'the app is Advisory'}."


def _moves(placing: Json | None) -> str:
    """The variants that are moved, and where they go in the end."""
    variants = placing["variants"] if placing else {}
    moves = ", ".join(
        f"{name} {one['asked']} -> {one['final']}"
        + (f" on the way to {one['goal']}" if one["goal"] != one["final"] else "")
        for name, one in variants.items()
        if one["asked"] != one["final"]
    )
    change = placing.get("change") if placing else None
    if change is None:
        return moves
    how = "" if change["surges"] else ", one old pod before each new one"
    return f"{moves} (pod template from {change['before']} to {change['after']}{how})"


def _reading(name: str, reading: Any, unit: str) -> str:
    if isinstance(reading, Mapping):
        return f"{name}: no usable value ({reading['missing']}: {reading['detail']})."
    value = f"{reading[0]:g} {unit}".strip()
    return f"{name}: {value}."


def _writes(writes: Sequence[Json], stamp: Any) -> Iterator[str]:
    for row in writes:
        if "resize" in row:
            move = f"size {_size(row['resize']['current'])} -> {_size(row['resize']['final'])}"
            yield f"{stamp(row['time'])}  {move}: {row['outcome']}: {row['detail']}"
            continue
        if "placing" in row:
            move = f"variants {_moves(row['placing']) or 'as they were'}"
        else:
            move = f"{row['knob']} {row['from']} -> {row['to']}"
        detail = f": {row['detail']}" if row.get("detail") else ""
        yield f"{stamp(row['time'])}  {move}: {row['outcome']}{detail}"


def _size(size: Sequence[int | None] | None) -> str:
    return str(Size(*size)) if size else "unknown"
