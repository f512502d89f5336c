"""`charon drift`: which containers run with another size than their template gives.

Reads: Deployments, StatefulSets and pods through the API server alone, so that it works after the
operator is gone. Gives: a table, or JSON. Never: a write, a traceback.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import click

from charon_operator import names
from charon_operator.cli import asking
from charon_operator.model import body, pod, quantity
from charon_operator.model.parts import items, part
from charon_operator.model.pod import CPU, MEMORY, Wanted
from charon_operator.model.sizes import Resizing

_APPS: Final = f"{names.APPS}/v1"
_KINDS: Final = (
    (names.DEPLOYMENT, names.DEPLOYMENTS),
    (names.STATEFUL_SET, names.STATEFUL_SETS),
)


@dataclass(frozen=True, slots=True)
class Drift:
    """One resource of one container that runs with another size than its template's."""

    namespace: str
    workload: str
    pod: str
    container: str
    resource: str
    template: str
    running: str


@click.command()
@click.option("-n", "--namespace", help="Look there alone. Default: in all namespaces.")
@click.option("--kubeconfig", type=asking.FILE, help="Default: what kubectl uses.")
@click.option("--context", help="Context of the kubeconfig. Default: its current one.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def drift(namespace: str | None, output: str, **where: Path | str | None) -> None:
    """List containers that run with another size than their template's.

    Pods that are born later have the template's size again. A limit is compared, or where there
    is none a request. Nothing is needed of the operator: it works after it was uninstalled.

    \b
    charon drift
    charon drift -n workload
    charon drift -n workload -o json
    """
    server = asking.Server(**where)  # type: ignore[arg-type]
    found = sorted(_drifts(server, namespace), key=lambda one: tuple(asdict(one).values()))
    if output == "json":
        click.echo(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo("Every container runs with the size that its template gives.")
        return
    for line in _table([tuple(asdict(one).values()) for one in found]):
        click.echo(line)


def _drifts(server: asking.Server, namespace: str | None) -> Iterator[Drift]:
    pods: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in server.listed("v1", names.PODS, namespace):
        pods[body.key(one).namespace].append(one)
    for kind, plural in _KINDS:
        for workload in server.listed(_APPS, plural, namespace):
            yield from _of(kind, workload, pods[body.key(workload).namespace])


def _of(
    kind: str, workload: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]
) -> Iterator[Drift]:
    key, own = body.key(workload), [one for one in pods if pod.is_own(workload, one)]
    for container in items(part(workload, "spec", "template", "spec"), "containers"):
        name = str(container.get("name"))
        found = pod.sizes(workload, own, Wanted(name))
        for one in found.pods:
            # What is read back of a cgroup is rounded; a settled pod runs with what it was asked.
            settled = one.resizing is Resizing.SETTLED
            runs = one.asked if settled or one.actual is None else one.actual
            for resource, is_, was, text in (
                (CPU, runs.cpu_m, found.template.cpu_m, quantity.render_cpu),
                (MEMORY, runs.memory_b, found.template.memory_b, quantity.render_memory),
            ):
                if is_ is not None and was is not None and is_ != was:
                    where = f"{kind} {key.name}", one.name, name
                    yield Drift(key.namespace, *where, resource, text(was), text(is_))


def _table(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    heads = "NAMESPACE", "WORKLOAD", "POD", "CONTAINER", "RESOURCE", "TEMPLATE", "RUNNING"
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = [f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)]
        yield "  ".join(cells).rstrip()
