"""`charon compare`: an example with one knob, with the other, and with both, on the same loads.

Reads: manifests, a plant's file. Gives: a table and what both knobs lose; a CSV file where asked.
Never: a network.
"""

import json
import pathlib
from typing import Any

import click
import rich.console
import rich.progress

from charon_operator.cli import written
from charon_operator.cli.simulate import scene_of
from charon_operator.lab import comparison, example, loads, parameters, tally

_FILE = click.Path(path_type=pathlib.Path, dir_okay=False)


@click.command(
    epilog="""\b
Examples:
  charon compare examples/02-two-knobs
  charon compare examples/02-two-knobs --load step --load bursts --seeds 20 -o json
  charon compare examples/02-two-knobs --seeds 20 --csv two-knobs.csv
"""
)
@click.argument("path", type=click.Path(path_type=pathlib.Path, exists=True))
@click.option(
    "--load",
    "names",
    multiple=True,
    type=click.Choice(list(loads.LOADS)),
    help="Which loads; all without it.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all chance.")
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=1, help="How many seeds, from --seed on."
)
@click.option("--plant", type=_FILE, default=parameters.DEFAULT, help="Parameters of the plant.")
@click.option("--tail", type=click.FloatRange(0, 3600), default=60.0, help="Seconds played after.")
@click.option("--csv", type=_FILE, help="Write every run's figures.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def compare(path: pathlib.Path, names: tuple[str, ...], **chosen: Any) -> None:
    """Play an example by replicas alone, by CPU alone, and by both, on the same loads and luck.

    Costs are at the policy's prices. The decisions are made by the code that makes them in a
    cluster; pods, scrapes and frames are modelled.
    """
    played = example.read(path)
    first, count = chosen["seed"], chosen["seeds"]
    scenes = [
        (name, scene_of(played, loads.LOADS[name](seed), seed, chosen))
        for name in names or loads.LOADS
        for seed in range(first, first + count)
    ]
    plays = [
        play
        for name, scene in rich.progress.track(
            scenes, "Playing", console=rich.console.Console(stderr=True), transient=True
        )
        for play in comparison.plays(played, name, scene)
    ]
    if chosen["csv"]:
        written.lines(chosen["csv"], tally.csv(plays))
    prices = played.policy.spec.knobs.prices
    if chosen["output"] == "json":
        click.echo(json.dumps(tally.values(plays, prices), indent=2))
        return
    for line in tally.lines(plays, prices):
        click.echo(line)
