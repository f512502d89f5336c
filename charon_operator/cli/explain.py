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
from charon_operator.errors import CharonError
from charon_operator.record import explain as explaining

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_TIMEOUT_S = 10


@click.command()
@click.argument("app")
@click.option("-n", "--namespace", help="Of the app. Default: that of the kubeconfig's context.")
@click.option("--kubeconfig", type=_FILE, help="Default: what kubectl uses.")
@click.option("--context", help="Context of the kubeconfig. Default: its current one.")
@click.option("--journal", type=_FILE, help="The operator's journal: adds inputs, terms, writes.")
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
    # Only this verb needs them, and the operator's image does not carry them.
    try:
        import pykube
        import requests
    except ImportError:
        raise CharonError("this needs pykube-ng: pip install 'charon-operator[lab]'") from None
    client, default = _login(kubeconfig, context)
    where = namespace or default
    try:
        path = f"{names.CHARGED_APPS}/{app}"
        answer = client.get(version=names.API_VERSION, namespace=where, url=path)
    except (pykube.exceptions.PyKubeError, requests.RequestException, OSError) as error:
        raise CharonError(f"{client.url} cannot be asked: {_cause(error)}; try kubectl") from None
    if answer.status_code == 404:
        hint = f"see `kubectl get {names.CHARGED_APPS} -A`"
        raise CharonError(f"there is no ChargedApp {app} in namespace {where}: {hint}")
    if not answer.ok:
        raise CharonError(f"the API server refuses to show it: {_message(answer)}")
    try:
        body = answer.json()
        return str(body["metadata"]["namespace"]), body.get("status") or {}
    except (AttributeError, LookupError, TypeError, ValueError):
        raise CharonError(f"{client.url} answers like no Kubernetes API server") from None


def _login(kubeconfig: Path | None, context: str | None) -> tuple[Any, str]:
    """A client, and the namespace to look in when none is named."""
    import pykube

    where = str(kubeconfig) if kubeconfig else "the kubeconfig"
    try:
        found = pykube.KubeConfig.from_file(str(kubeconfig)) if kubeconfig else None
        config = found or pykube.KubeConfig.from_env()
        if context and context not in config.contexts:
            there = ", ".join(config.contexts) or "none"
            raise CharonError(f"{where} has no context {context!r}; it has: {there}")
        if context:
            config.set_current_context(context)
        return pykube.HTTPClient(config, timeout=_TIMEOUT_S), str(config.namespace)
    except CharonError:
        raise
    except Exception as error:
        # pykube checks nothing of a kubeconfig: whatever is wrong shows as any kind of error.
        what = type(error).__name__
        raise CharonError(f"{where} cannot be used ({what}); try kubectl with it") from None


def _message(answer: Any) -> str:
    try:
        return str(answer.json().get("message"))[:256]
    except (ValueError, AttributeError):
        return f"HTTP {answer.status_code}"


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


def _cause(error: BaseException) -> str:
    """What went wrong at first: the errors around it tell of urllib3's objects."""
    while error.__context__ is not None:
        error = error.__context__
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(told).splitlines()[0][:256]
