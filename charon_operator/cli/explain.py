"""`charon explain APP`: why this replica count, in words.

Reads: the app's status through the API server (pykube-ng, synchronous), and a journal file if
given. Gives: sentences, or JSON. Never: a write, a traceback.
"""

import datetime
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from charon_operator import names
from charon_operator.cli import asking
from charon_operator.errors import CharonError
from charon_operator.record import explain as explaining


@click.command()
@click.argument("app")
@click.option("-n", "--namespace", help="Of the app. Default: that of the kubeconfig's context.")
@click.option("--kubeconfig", type=asking.FILE, help="Default: what kubectl uses.")
@click.option("--context", help="Context of the kubeconfig. Default: its current one.")
@click.option(
    "--journal", type=asking.FILE, help="The operator's journal: adds inputs, terms, writes."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def explain(app: str, output: str, journal: Path | None, **where: Any) -> None:
    """Say in words why an app has the replicas it has.

    \b
    charon explain ptycho -n workload
    charon explain ptycho -n workload --journal journal.jsonl
    charon explain ptycho -n workload -o json
    """
    namespace, status = _read(app, **where)
    name = f"{namespace}/{app}"
    found = explaining.Found()
    try:
        if journal is not None:
            found = explaining.search(_rows(journal), name)
        words = [*explaining.words(status), *explaining.entry_words(found, _stamp)]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # Neither is checked against a schema: versions differ, files get damaged.
        source = f"status or {journal}" if journal else "status"
        raise CharonError(f"{name}: {source} is not as this version writes it: {error!r}") from None
    if output == "json":
        told = _as_json(name, words, status, found)
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for line in (name, *words):
        click.echo(line)
    if journal is not None and found.decided is None:
        click.echo(f"The journal {journal} says nothing of it.")


def _as_json(
    name: str, words: list[str], status: Mapping[str, Any], found: explaining.Found
) -> dict[str, Any]:
    entries = {"lastDecision": found.decided, "lastChange": found.moved}
    told = {
        key: {"time": entry[0], **entry[1]} for key, entry in entries.items() if entry is not None
    }
    return {
        "app": name,
        "words": words,
        "status": status,
        "journal": {**told, "writes": found.writes} if told else None,
    }


def _read(
    app: str, namespace: str | None, kubeconfig: Path | None, context: str | None
) -> tuple[str, Mapping[str, Any]]:
    """The app's namespace and status."""
    server = asking.Server(kubeconfig, context)
    where = namespace or server.namespace
    found = server.find(names.API_VERSION, f"{names.CHARGED_APPS}/{app}", where)
    if found is None:
        hint = f"see `kubectl get {names.CHARGED_APPS} -A`"
        raise CharonError(f"there is no ChargedApp {app} in namespace {where}: {hint}")
    try:
        return str(found["metadata"]["namespace"]), found.get("status") or {}
    except (LookupError, TypeError):
        raise server.alien() from None


def _rows(journal: Path) -> Iterator[Mapping[str, Any]]:
    with journal.open("rb") as file:
        for line in file:
            # A row that a kill cut short, perhaps within a character, is not one.
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, Mapping):
                yield row


def _stamp(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
