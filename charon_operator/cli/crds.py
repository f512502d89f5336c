"""`charon crds`: the custom resource definitions, printed, written or compared.

Reads: the models. Gives: YAML or JSON, or one file a definition. Never: a cluster.
"""

import json
from pathlib import Path
from typing import Any, Final, Literal

import click
import yaml

from charon_operator.cli import written
from charon_operator.model import crd

_HEADER: Final = "# Rendered from the models by `charon crds`: change those, not this.\n"
_FOLDER: Final = click.Path(path_type=Path, file_okay=False)


class _Plain(yaml.SafeDumper):
    """Writes what is shared out in full: an alias is hard to read and some tools refuse it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@click.command(
    epilog="""\b
Examples:
  charon crds | kubectl apply --server-side -f -
  charon crds --write crds
  charon crds --check crds
"""
)
@click.option(
    "--write", "wanted", type=_FOLDER, multiple=True, help="Write one file a definition there."
)
@click.option(
    "--check", "checked", type=_FOLDER, multiple=True, help="Fail if the files there differ."
)
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml")
def crds(
    wanted: tuple[Path, ...], checked: tuple[Path, ...], output: Literal["yaml", "json"]
) -> None:
    """Print the custom resource definitions, or write or check copies of them."""
    for folder in wanted:
        _write(folder)
    differing = [path for folder in checked for path in _differing(folder)]
    if differing:
        listed = ", ".join(str(path) for path in differing)
        remedy = " ".join(f"--write {folder}" for folder in checked)
        raise click.ClickException(f"out of date: {listed}; mend it by `charon crds {remedy}`")
    if not wanted and not checked:
        _print(output)


def files() -> dict[str, str]:
    """Content by file name, one file a definition."""
    return {f"{one['metadata']['name']}.yaml": _HEADER + _yaml(one) for one in crd.definitions()}


def _yaml(definition: crd.Schema) -> str:
    return yaml.dump(definition, Dumper=_Plain, sort_keys=False, width=100, allow_unicode=True)


def _print(output: Literal["yaml", "json"]) -> None:
    if output == "json":
        click.echo(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": crd.definitions()}, indent=2)
        )
    else:
        click.echo("---\n".join(files().values()), nl=False)


def _write(folder: Path) -> None:
    for name, content in files().items():
        written.whole(folder / name, content.encode())
        click.echo(str(folder / name))


def _differing(folder: Path) -> list[Path]:
    """Files that differ, are missing, or are there and should not be."""
    wanted = files()
    there = {path.name for path in folder.glob("*.yaml")}
    strangers = [folder / name for name in sorted(there - set(wanted))]
    return strangers + [
        folder / name for name, content in wanted.items() if _read(folder / name) != content
    ]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
