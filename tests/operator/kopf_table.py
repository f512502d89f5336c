"""What kopf does on a real API server, beside what was once seen of it on a fake one.

Reads: `kopf_subject` run on a testbed, with a fault proxy before its API server. Gives: a table:
probe, what was believed, what was seen, whether they are the same. Never: a verdict on
charon-operator; the table is why it uses kopf as an informer and as nothing else.

    python -m tests.operator.kopf_table              # all rows, about four minutes
    python -m tests.operator.kopf_table 422 hang     # rows whose name contains one of these
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click

from charon_operator import testbed
from tests.faults import actions, apifault, metricfault
from tests.operator.kopf_bench import NAMESPACE, Bench, Subject, bench, plural
from tests.operator.kopf_subject import PLURAL

_FAULT_S = 3.0
_WATCHED_S = 3.0
_FINALIZER = "kopf.zalando.org/KopfFinalizerMarker"


@dataclass(frozen=True)
class Probe:
    """One row: its name, what reliability.md A1 says, how to see for oneself."""

    name: str
    believed: str
    look: Callable[[Bench], str]
    cheap: bool = False


def _timer_after_patch_fails(code: int) -> Callable[[Bench], str]:
    def look(bench: Bench) -> str:
        rule = apifault.Rule(do=apifault.refusal(code), verbs=("patch",), resource=PLURAL)
        with bench.subject("timer-result") as subject:
            subject.wait(lambda: subject.count("tick") >= 3)
            with bench.proxy.broken(rule):
                subject.wait(lambda: rule.hits)
                time.sleep(_FAULT_S)
            bench.touch()
            before = subject.count("tick")
            time.sleep(_WATCHED_S)
            ticks = "goes on" if subject.count("tick") - before > 2 else "stops for good"
            return f"{ticks}; {subject.life()}; health {subject.health()}"

    return look


def _timer_that(handler: str) -> Callable[[Bench], str]:
    def look(bench: Bench) -> str:
        with bench.subject(handler) as subject:
            more = subject.wait(lambda: subject.count("tick") >= 4)
            return f"{'goes on' if more else 'stops'}; {subject.life()}"

    return look


def _timer_hangs(bench: Bench) -> str:
    with bench.subject("timer-hang") as subject:
        subject.wait(lambda: subject.count("tick"))
        time.sleep(_WATCHED_S)
        ticks = "stops" if subject.count("tick") == 1 else "goes on"
        return f"{ticks}; health {subject.health()}; {subject.ended(15)}"


def _loop_blocked(bench: Bench) -> str:
    with bench.subject("timer-block") as subject:
        subject.wait(lambda: subject.count("tick"))
        return f"health {subject.health()}; {subject.ended(25)}"


def _watch_answers(code: int, *options: str, seconds: float = 4.0) -> Callable[[Bench], str]:
    def look(bench: Bench) -> str:
        rule = apifault.Rule(do=apifault.refusal(code), verbs=("watch",), resource=PLURAL)
        with bench.subject("event", *options) as subject:
            subject.wait(lambda: subject.count("event"))
            with bench.proxy.broken(rule):
                bench.proxy.end_watches(PLURAL)
                subject.wait(lambda: subject.process.poll() is not None, seconds)
            return _recovery(bench, subject)

    return look


def _recovery(bench: Bench, subject: Subject) -> str:
    if subject.process.poll() is not None:
        return subject.life()
    seen = subject.count("event")
    bench.touch()
    flows = subject.wait(lambda: subject.count("event") > seen, 20)
    return f"alive; events {'flow' if flows else 'do not flow'}"


def _watch_error(
    code: int, handler: str = "event", seconds: float = 30.0
) -> Callable[[Bench], str]:
    def look(bench: Bench) -> str:
        with bench.subject(handler) as subject:
            subject.wait(lambda: subject.count("event"))
            subject.wait(lambda: bench.proxy.open_watches(PLURAL))
            bench.proxy.fail_watches(code, PLURAL)
            subject.wait(lambda: subject.process.poll() is not None, seconds)
            return _recovery(bench, subject)

    return look


def _storm_of_410(bench: Bench) -> str:
    rule = apifault.Rule(do=apifault.WatchError(410), verbs=("watch",), resource=PLURAL)
    with bench.subject("event") as subject:
        subject.wait(lambda: subject.count("event"))
        with bench.proxy.broken(rule):
            bench.proxy.end_watches(PLURAL)
            subject.wait(lambda: rule.hits)
            before = len(bench.proxy.requests("list", resource=PLURAL))
            time.sleep(4)
            lists = len(bench.proxy.requests("list", resource=PLURAL)) - before
        many = "more than 20 lists in 4 s" if lists > 20 else f"{lists} lists in 4 s"
        return f"{many}; {_recovery(bench, subject)}"


def _api_server_away(bench: Bench) -> str:
    with bench.subject("event", "--backoffs=forever") as subject:
        subject.wait(lambda: subject.count("event"))
        bench.bed.process("kube-apiserver").kill()
        time.sleep(8)
        bench.bed.process("kube-apiserver").start()
        return _recovery(bench, subject)


def _deleted_while_dead(bench: Bench) -> str:
    with bench.subject("timer-result") as subject:
        subject.wait(lambda: subject.count("tick"))
        subject.process.kill()
        subject.process.wait()
        bench.bed.kubectl("delete", plural(), "s0", f"-n{NAMESPACE}", "--wait=false")
        time.sleep(1)
        left = bench.objects().get("s0")
    if left is None:
        return "gone"
    return f"stays, with finalizer {','.join(left['metadata'].get('finalizers', []))}"


def _marks(bench: Bench, handler: str) -> str:
    before = len(bench.proxy.requests("patch", resource=PLURAL))
    with bench.subject(handler) as subject:
        subject.wait(lambda: subject.count("event"))
        time.sleep(1)
        meta = bench.objects()["s0"]["metadata"]
    patches = len(bench.proxy.requests("patch", resource=PLURAL)) - before
    found = [*meta.get("annotations", {}), *meta.get("finalizers", [])]
    return f"{'no' if not patches else 'some'} patches; marks: {', '.join(sorted(found)) or 'none'}"


def _worker_limit(bench: Bench) -> str:
    with bench.subject("event", "--worker-limit=2", objects=5) as subject:
        subject.wait(lambda: subject.count("event") >= 5, 8)
        return f"{subject.count('event')} of 5 events; {subject.life()}"


def _task_of_ours(bench: Bench) -> str:
    with bench.subject("task") as subject:
        subject.wait(lambda: subject.count("task started"))
        subject.wait(lambda: bench.proxy.open_watches(PLURAL))
        bench.proxy.fail_watches(500, PLURAL)
        subject.wait(lambda: subject.process.poll() is not None, 5)
        return "cancelled" if subject.count("task cancelled") else "not cancelled"


def _health_probe(handler: str) -> Callable[[Bench], str]:
    def look(bench: Bench) -> str:
        with bench.subject(handler) as subject:
            subject.wait(lambda: subject.count("event"))
            return f"health {subject.health()}"

    return look


def _redirect(bench: Bench) -> str:
    async def ask(url: str) -> None:
        headers = {"Authorization": "Bearer x", "X-Scope-OrgID": "one"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url):
            return

    with _answering(actions.Say(200)) as there:
        with _answering(metricfault.redirect(there.url)) as here:
            asyncio.run(ask(here.url))
        asked = there.seen[0].asked
    kept = {"Authorization": asked.authorized, "X-Scope-OrgID": asked.tenant}
    return f"forwarded: {', '.join(name for name, there in kept.items() if there) or 'none'}"


@contextlib.contextmanager
def _answering(answer: actions.Say) -> Iterator[metricfault.MetricFault]:
    with metricfault.MetricFault("http://127.0.0.1:1") as server:
        server.add(metricfault.Rule(do=answer))
        yield server


def _line_break_in_header(bench: Bench) -> str:
    async def ask(url: str) -> str:
        headers = {"X-Scope-OrgID": "a\r\nX-Evil: 1"}
        try:
            async with aiohttp.ClientSession(headers=headers) as session, session.get(url):
                return "sent"
        except ValueError:
            return "ValueError"

    with _answering(actions.Say(200)) as server:
        return asyncio.run(ask(server.url))


_DEAD = "stops for good; alive; health 200"
_WELL = "alive; events flow"
PROBES = [
    *(
        Probe(f"timer, its status patch answers {code}", _DEAD, _timer_after_patch_fails(code))
        for code in (500, 409, 403)
    ),
    Probe("timer, its status patch answers 422", _DEAD, _timer_after_patch_fails(422), cheap=True),
    Probe(
        "timer, its status patch answers 404",
        "goes on; alive; health 200",
        _timer_after_patch_fails(404),
    ),
    Probe("timer raises RuntimeError", "goes on; alive", _timer_that("timer-error")),
    Probe("timer raises PermanentError", "goes on; alive", _timer_that("timer-permanent")),
    Probe("timer hangs", "stops; health 200; gone in 5 s, rc 0", _timer_hangs),
    Probe("handler blocks the loop", "health no answer; not gone after 25 s", _loop_blocked),
    *(Probe(f"watch answers {c}", "exits with 1", _watch_answers(c)) for c in (503, 403, 404, 401)),
    Probe("watch ERROR 500", "exits with 1", _watch_error(500), cheap=True),
    Probe("watch ERROR 504", "exits with 1", _watch_error(504)),
    Probe(
        "watch ERROR 500, one of three kinds",
        "exits with 1",
        _watch_error(500, "event-many"),
    ),
    Probe("watch ERROR 410", _WELL, _watch_error(410, seconds=5)),
    Probe("watch ERROR 410, a storm", f"more than 20 lists in 4 s; {_WELL}", _storm_of_410),
    Probe("watch answers 429", _WELL, _watch_answers(429)),
    *(
        Probe(
            f"watch answers {code}, back-offs without end",
            _WELL,
            _watch_answers(code, "--backoffs=forever", seconds=8),
        )
        for code in (503, 403)
    ),
    Probe("API server away 8 s", _WELL, _api_server_away),
    Probe(
        "deleted while dead, with a timer",
        f"stays, with finalizer {_FINALIZER}",
        _deleted_while_dead,
    ),
    Probe(
        "only event and index",
        "no patches; marks: none",
        lambda bench: _marks(bench, "event"),
        cheap=True,
    ),
    Probe(
        "create handler",
        "some patches; marks: kopf.zalando.org/last-handled-configuration",
        lambda bench: _marks(bench, "create"),
    ),
    Probe("worker_limit 2 and an index", "0 of 5 events; alive", _worker_limit),
    Probe("task of ours when kopf exits", "cancelled", _task_of_ours),
    Probe("probe raises RuntimeError", "health no answer", _health_probe("probe-error")),
    Probe("probe raises PermanentError", "health 500", _health_probe("probe-permanent")),
    Probe("aiohttp follows a redirect", "forwarded: X-Scope-OrgID", _redirect, cheap=True),
    Probe("CR and LF in a header", "ValueError", _line_break_in_header, cheap=True),
]


def main(wanted: list[str]) -> int:
    """Prints the table, row by row as it is made; gives the exit code, 1 when a row differs."""
    rows = [p for p in PROBES if not wanted or any(text in p.name for text in wanted)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with testbed.start(testbed.Config(folder=folder / "bed", with_metrics=False)) as bed:
            click.echo("| probe | believed | seen on a real API server | |\n|---|---|---|---|")
            with bench(bed, folder) as made:
                return show(rows, made)


def show(rows: Sequence[Probe], bench: Bench) -> int:
    """Prints rows; 1 when one of them differs from what was believed."""
    differ = 0
    for row in rows:
        seen = row.look(bench)
        verdict = "same" if seen == row.believed else "**different**"
        differ += seen != row.believed
        click.echo(f"| {row.name} | {row.believed} | {seen} | {verdict} |")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
