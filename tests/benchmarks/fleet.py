"""What a fleet costs and how fast it moves, on the real API server and the real Mimir.

    python -m tests.benchmarks.fleet --apps 100,1000

Per size: seconds until every new app is under control; then idle: CPU of each process a turn and as
a share of a core, resident memory, queries and requests a turn, API writes, and all that the API
server is asked (watches apart) by app and minute; then the time from a changed metric to the patch
of one app (repeated) and of all at once. Patch times are the API server's own audit stamps; "from
reading" counts from the turn that saw the step. The exit code is 1 if a size of at most 1000 apps
took more than is promised for 1000 (`LIMITS`).

With --resizing each size is measured a second time, with apps whose pods may be resized
(`resources.mode: InPlace`), and what that costs is said as a ratio. It is not judged. Figures that
were kept are in the README beside this.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from charon_operator import testbed
from tests.benchmarks import fleet_world
from tests.benchmarks.fleet_world import METRIC, USER, App, Operator
from tests.exporter import Exporter

SINGLES = 8
# What is promised at 1000 apps: cores and MiB at rest, seconds from reading to the last patch.
JUDGED_APPS = 1000
LIMITS = {"cores": 0.10, "resident_mib": 150.0, "all_reading_to_patch_s": 5.0}
MEASURED = ("operator", "mimir", "kube-apiserver", "etcd")


@dataclass(frozen=True)
class Usage:
    cpu_s: dict[str, float]
    counters: dict[str, float]
    time_s: float


def wait_for(predicate: Callable[[], bool], what: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            raise SystemExit(f"gave up after {timeout_s:.0f} s waiting for {what}")
        time.sleep(0.2)


def processes(bed: testbed.Testbed, operator: Operator) -> dict[str, psutil.Process]:
    pids = {entry.name: entry.pid for entry in bed.status() if entry.pid}
    pids["operator"] = operator.pid
    return {name: psutil.Process(pids[name]) for name in MEASURED}


def usage(bed: testbed.Testbed, operator: Operator) -> Usage:
    cpu = {name: sum(p.cpu_times()[:2]) for name, p in processes(bed, operator).items()}
    return Usage(cpu, scrape(operator.port), time.monotonic())


def scrape(port: int) -> dict[str, float]:
    """The operator's own metrics, summed over labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    totals: dict[str, float] = {}
    for line in text.splitlines():
        if match := re.match(r"([a-z_]+)(?:\{.*\})? (\S+)$", line):
            totals[match[1]] = totals.get(match[1], 0.0) + float(match[2])
    return totals


class AuditTail:
    """The operator's own requests from now on; the log is long, so it is read once."""

    def __init__(self, bed: testbed.Testbed) -> None:
        self._log = bed.audit_log
        self._offset = self._log.stat().st_size
        self.events: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """All of them so far; a line that is still being written waits for the next call."""
        with self._log.open("rb") as log:
            log.seek(self._offset)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        ours = (line for line in whole.splitlines() if USER.encode() in line)
        found = (json.loads(line) for line in ours)
        self.events += [event for event in found if event["user"]["username"] == USER]
        return self.events


def stamp(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["stageTimestamp"]).timestamp()


def writes(events: list[dict[str, Any]]) -> dict[str, int]:
    written = ("create", "update", "patch", "delete")
    return Counter(asked(event) for event in events if event["verb"] in written)


def asked(event: dict[str, Any]) -> str:
    """What a request is about, as `pods/resize`."""
    reference = event.get("objectRef", {})
    return "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))


def per_app_minute(events: list[dict[str, Any]], count: int, elapsed_s: float) -> dict[str, float]:
    """Requests by app and minute; what does not grow with the apps is left out (the Lease)."""
    found = Counter(f"{event['verb']} {asked(event) or 'APIs'}" for event in events)
    minutes = count * elapsed_s / 60
    return {what: round(n / minutes, 3) for what, n in found.items() if not what.endswith("leases")}


def patches(events: list[dict[str, Any]]) -> dict[App, float]:
    """When each app's scale was first patched with success."""
    first: dict[App, float] = {}
    for event in events:
        reference = event.get("objectRef", {})
        scaled = event["verb"] == "patch" and reference.get("subresource") == "scale"
        if scaled and event["responseStatus"]["code"] == 200:
            first.setdefault(App(reference["namespace"], reference["name"]), stamp(event))
    return first


def journal_turns(operator: Operator) -> Iterator[dict[str, Any]]:
    with operator.journal.open() as journal:
        for line in journal:
            row = json.loads(line)
            if row["kind"] == "turn":
                yield row


def under_control(bed: testbed.Testbed, count: int) -> bool:
    text = bed.kubectl(
        "get", "chargedapps", "-A", "-o", "jsonpath={.items[*].status.observedGeneration}"
    )
    return len(text.split()) == count


def idle(
    bed: testbed.Testbed, operator: Operator, count: int, turns: int, period_s: int
) -> dict[str, Any]:
    audit, before = AuditTail(bed), usage(bed, operator)
    time.sleep(turns * period_s)  # the measurement is over this time; nothing is waited for
    after = usage(bed, operator)
    elapsed = after.time_s - before.time_s
    spent = {name: after.cpu_s[name] - before.cpu_s[name] for name in MEASURED}
    queried = {
        name: (after.counters.get(name, 0) - before.counters.get(name, 0)) / turns
        for name in ("charon_queries_total", "charon_query_requests_total")
    }
    return {
        "cpu_s_per_turn": {name: round(value / turns, 4) for name, value in spent.items()},
        "cores": {name: round(value / elapsed, 4) for name, value in spent.items()},
        "resident_mib": round(psutil.Process(operator.pid).memory_info().rss / 2**20, 1),
        "queries_per_turn": queried["charon_queries_total"],
        "requests_per_turn": queried["charon_query_requests_total"],
        "writes": writes(audit.read()),
        "asked_per_app_minute": per_app_minute(audit.events, count, elapsed),
    }


def quantiles(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    ordered = sorted(values)
    found = {
        "p50": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        "max": ordered[-1],
    }
    return {name: round(value, digits) for name, value in found.items()}


def step(
    bed: testbed.Testbed, exporter: Exporter, chosen: list[App], value: float, timeout_s: float
) -> tuple[float, dict[App, float]]:
    """Set the metric of some apps; when (s since 1970) it was set and when each was patched."""
    audit, changed = AuditTail(bed), time.time()
    for app in chosen:
        exporter.set(METRIC, app.labels, value)
    wanted = set(chosen)
    wait_for(lambda: wanted <= patches(audit.read()).keys(), f"{len(chosen)} patches", timeout_s)
    seen = patches(audit.events)
    return changed, {app: seen[app] for app in chosen}


def from_reading(operator: Operator, changed: float, patched: dict[App, float]) -> list[float]:
    """Seconds from the turn that first wanted another count to the patch, an app each."""
    wanted: dict[str, float] = {}
    for row in journal_turns(operator):
        for app, decision in decisions(row):
            if row["time"] >= changed and decision["final"] != decision["current"]:
                wanted.setdefault(app, row["time"])
    return [at - wanted[f"{app.namespace}/{app.name}"] for app, at in patched.items()]


def decisions(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in row["apps"]:
        yield entry["app"], entry["decision"]


def onboarding(bed: testbed.Testbed, count: int, *, sized: bool) -> dict[str, float]:
    began = time.monotonic()
    fleet_world.onboard(bed, count, sized=sized)
    created = time.monotonic() - began
    wait_for(lambda: under_control(bed, count), "a status on every app", 600)
    return {"created_s": round(created, 1), "under_control_s": round(time.monotonic() - began, 1)}


def steps(
    bed: testbed.Testbed, exporter: Exporter, operator: Operator, fleet: list[App]
) -> dict[str, Any]:
    """One app at a time, then all at once; seconds from the change, and from the reading."""
    singles: list[float] = []
    for app in fleet[:: max(1, len(fleet) // SINGLES)][:SINGLES]:
        changed, patched = step(bed, exporter, [app], 20.0, 120)
        singles += [at - changed for at in patched.values()]
    changed, patched = step(bed, exporter, fleet, 30.0, 300)
    return {
        "one_app_change_to_patch_s": quantiles(singles),
        "all_change_to_patch_s": quantiles([at - changed for at in patched.values()]),
        "all_reading_to_patch_s": quantiles(from_reading(operator, changed, patched)),
    }


def one_size(
    chosen: argparse.Namespace, count: int, folder: Path, *, sized: bool = False
) -> dict[str, Any]:
    period_s: int = chosen.period
    with (
        fleet_world.world(folder / "bed", count, period_s, sized=sized) as (bed, exporter),
        Operator(bed, folder / "operator") as operator,
    ):
        wait_for(lambda: ready(operator), "leadership", 60)
        result: dict[str, Any] = {"apps": count, "period_s": period_s, "resizing": sized}
        result.update(onboarding(bed, count, sized=sized))
        time.sleep(2 * period_s)  # an app's first period is for looking only: left out
        result["idle"] = idle(bed, operator, count, chosen.idle_turns, period_s)
        if chosen.rest:
            return result
        return result | steps(bed, exporter, operator, fleet_world.apps(count))


def ratios(plain: dict[str, Any], sized: dict[str, Any]) -> dict[str, float]:
    """What it costs that pods may be resized, as a multiple of the same without."""

    def figures(result: dict[str, Any]) -> dict[str, float]:
        idle, cores = result["idle"], result["idle"]["cores"]
        return {
            **{f"idle_cores_{name}": value for name, value in cores.items()},
            "idle_resident_mib": idle["resident_mib"],
            "under_control_s": result["under_control_s"],
            **_patched(result),
        }

    before, after = figures(plain), figures(sized)
    return {name: round(after[name] / value, 2) for name, value in before.items()}


def _patched(result: dict[str, Any]) -> dict[str, float]:
    """How long it took until all were patched; nothing where they were only looked at."""
    name = "all_reading_to_patch_s"
    return {name: result[name]["max"]} if name in result else {}


def ready(operator: Operator) -> bool:
    try:
        return scrape(operator.port).get("charon_leader", 0) == 1
    except OSError:
        return False


def excesses(result: dict[str, Any]) -> list[str]:
    """What a size of at most 1000 apps took beyond what is promised, in words."""
    if result["apps"] > JUDGED_APPS:
        return []
    idle = result["idle"]
    found = {
        "cores": idle["cores"]["operator"],
        "resident_mib": idle["resident_mib"],
        **_patched(result),
    }
    size = f"{result['apps']} apps"
    over = [
        f"{size}: {name} is {value:g}, {LIMITS[name]:g} is promised"
        for name, value in found.items()
        if value > LIMITS[name]
    ]
    # Renewing the Lease is how one shows that one is there; all else is a write for nothing.
    idly = {what: count for what, count in idle["writes"].items() if what != "leases"}
    return [*over, *(f"{size}: {count} writes of {what} at rest" for what, count in idly.items())]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apps", default="100,1000", help="sizes, as 100,1000")
    parser.add_argument("--period", type=int, default=15, help="periodSeconds of the policy")
    parser.add_argument("--idle-turns", type=int, default=6, help="idle turns to measure over")
    parser.add_argument("--rest", action="store_true", help="at rest only: no metric changes")
    parser.add_argument("--resizing", action="store_true", help="again, with resources: InPlace")
    return parser.parse_args(given)


def main() -> int:
    chosen, broken = arguments(), list[str]()
    for count in (int(text) for text in chosen.apps.split(",")):
        found = []
        for sized in (False, True)[: 1 + chosen.resizing]:
            with tempfile.TemporaryDirectory(prefix="charon-bench-") as folder:
                found.append(one_size(chosen, count, Path(folder), sized=sized))
            print(json.dumps(found[-1], indent=2), flush=True)  # noqa: T201 - a command's output
        broken += excesses(found[0])
        if chosen.resizing:
            print(json.dumps({"ratios": ratios(*found)}, indent=2))  # noqa: T201 - likewise
    print("\n".join(broken), file=sys.stderr)  # noqa: T201 - a command's output
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
