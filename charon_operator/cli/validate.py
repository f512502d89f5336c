"""`charon validate`: resources checked offline, before a cluster sees them.

Reads: files, folders, standard input. Gives: what to mend, each with its file, line and field.
Never: a cluster, a network.
"""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import click

from charon_operator import settings
from charon_operator.cli import manifest, offline
from charon_operator.cli.offline import Finding, Resource

_STDIN: Final = "-"
_SUFFIXES: Final = (".yaml", ".yml", ".json")


@click.command(
    epilog="""\b
Examples:
  charon validate app.yaml policy.yaml
  charon validate examples/01-hold-a-queue
  helm template my-app | charon validate -
  charon validate --config charon.yaml -o json apps/

Exit code 0: nothing to mend. 1: something to mend. 2: wrong usage.
"""
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The operator's configuration, for the scopes that queries must fit into.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def validate(files: tuple[str, ...], config: Path | None, output: Literal["text", "json"]) -> None:
    """Check ChargedApps and ControlPolicies offline: fields, rules, laws, PromQL, references.

    FILE is a YAML or JSON file, a folder (all such files below it), or - for standard input.
    Resources of other kinds are skipped.
    """
    mimir = settings.load(config).mimir
    resources, findings = _read(files)
    findings = sorted(
        {*findings, *offline.check(resources, mimir)}, key=lambda one: (one.file, one.line)
    )
    if output == "json":
        _print_json(resources, findings)
    else:
        _print_text(resources, findings)
    if any(not one.note for one in findings):
        sys.exit(1)


def _read(files: Sequence[str]) -> tuple[list[Resource], list[Finding]]:
    resources: list[Resource] = []
    findings: list[Finding] = []
    for name, text in _texts(files):
        if isinstance(text, Finding):
            findings.append(text)
            continue
        for document in manifest.read(text):
            if isinstance(document, manifest.Fault):
                findings.append(Finding(name, document.line, "", "", document.message))
                continue
            found = offline.ours(name, document)
            if isinstance(found, Resource):
                resources.append(found)
            elif found is not None:
                findings.append(found)
    return resources, findings


def _texts(files: Sequence[str]) -> Iterator[tuple[str, str | Finding]]:
    for name in files:
        if name == _STDIN:
            yield "(stdin)", _text("(stdin)", sys.stdin.buffer.read(manifest.MAX_BYTES + 1))
            continue
        for path in _paths(Path(name)):
            yield str(path), _file(path)


def _paths(path: Path) -> list[Path]:
    """The file, or the manifests below the folder."""
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file())
    if not found:
        raise click.ClickException(f"{path}: holds no {', '.join(_SUFFIXES)} file")
    return found


def _file(path: Path) -> str | Finding:
    try:
        with path.open("rb") as opened:
            return _text(str(path), opened.read(manifest.MAX_BYTES + 1))
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be read: {error.strerror}") from None


def _text(name: str, content: bytes) -> str | Finding:
    if len(content) > manifest.MAX_BYTES:
        return Finding(name, 1, "", "", f"is larger than {manifest.MAX_BYTES // 2**20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return Finding(name, line, "", "", "is not UTF-8 text")


def _print_json(resources: Sequence[Resource], findings: Sequence[Finding]) -> None:
    told = {
        "resources": [one.name for one in resources],
        "problems": [_fields(one) for one in findings if not one.note],
        "notes": [_fields(one) for one in findings if one.note],
    }
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


def _fields(one: Finding) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(one).items() if name != "note"}


def _print_text(resources: Sequence[Resource], findings: Sequence[Finding]) -> None:
    for one in findings:
        where = ": ".join(part for part in (one.resource, one.field) if part)
        mark = "note: " if one.note else ""
        place = f"{one.file}:{one.line}: {mark}"
        click.echo(f"{place}{where}: {one.message}" if where else f"{place}{one.message}")
    problems = sum(not one.note for one in findings)
    if problems:
        click.echo(f"{problems} to mend in {len(resources)} resources.", err=True)
    elif resources:
        click.echo(f"{len(resources)} resources are good.")
    else:
        click.echo("No ChargedApp and no ControlPolicy found: nothing to check.", err=True)
