"""`charon replay`: a journal decided again, and compared to the byte.

Reads: a journal file. Gives: counts, the first mismatch, exit code 1 if there is one. Never: a
tolerance.
"""

import json
import pathlib

import click

from charon_operator.lab import replay as replays


@click.command(
    epilog="""\b
Examples:
  charon replay demo/journal.jsonl
  charon replay journal.jsonl -o json
"""
)
@click.argument("journal", type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False))
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def replay(journal: pathlib.Path, output: str) -> None:
    """Run the decisions of a journal again on what it recorded, and compare them to the byte."""
    found = replays.replay(journal)
    first = found.mismatches[0] if found.mismatches else None
    if output == "json":
        click.echo(json.dumps(_values(found, first), indent=2))
    else:
        click.echo(
            f"{found.turns} turns, {found.decisions} decisions, {found.writes} writes replayed; "
            f"{len(found.mismatches)} differ."
        )
        if found.cut:
            click.echo(f"{found.cut} lines were cut short and skipped.")
        if first is not None:
            click.echo(f"First difference, turn {first.turn_id}, app {first.app}:")
            click.echo(f"  recorded {first.recorded}")
            click.echo(f"  decided  {first.decided}")
    if first is not None:
        raise click.exceptions.Exit(1)


def _values(found: replays.Replayed, first: replays.Mismatch | None) -> dict[str, object]:
    return {
        "turns": found.turns,
        "decisions": found.decisions,
        "writes": found.writes,
        "cut": found.cut,
        "mismatches": len(found.mismatches),
        "first": first
        and {
            "turn": first.turn_id,
            "app": first.app,
            "recorded": first.recorded,
            "decided": first.decided,
        },
    }
