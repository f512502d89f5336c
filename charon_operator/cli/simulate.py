"""`charon simulate`: an example against a modelled plant, in seconds, without a cluster.

Reads: manifests, a plant's file. Gives: a scorecard; a picture and a journal where asked. Never: a
network.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import click
import rich.console
import rich.progress

from charon_operator.cli import written
from charon_operator.errors import SimulationError
from charon_operator.lab import (
    arrivals,
    contest,
    example,
    loads,
    parameters,
    picture,
    scorecard,
    world,
)
from charon_operator.laws import registry

_FILE = click.Path(path_type=pathlib.Path, dir_okay=False)
# Of every verb that plays one load; `load_of` reads it.
load_option = click.option(
    "--arrivals",
    "load",
    default=loads.STEP,
    show_default=True,
    help="`step` (1000 a second for 60 s), `ramp`, `bursts`, `noise`, or a CSV file with columns "
    "t_s, arrivals_per_s.",
)


@click.command(
    epilog="""\b
Examples:
  charon simulate examples/01-hold-a-queue
  charon simulate examples/01-hold-a-queue --law PD --parameter kp=1 --parameter unitsPerReplica=64
  charon simulate examples/01-hold-a-queue --seeds 20 -o json
  charon simulate examples/01-hold-a-queue --arrivals load.csv --plot run.png --journal run.jsonl
"""
)
@click.argument("path", type=click.Path(path_type=pathlib.Path, exists=True))
@click.option("--law", help="Another control law than the policy's: Queueing, PD, Ratio, Hold.")
@click.option(
    "--parameter", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the law."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all chance.")
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=1, help="How many seeds, from --seed on."
)
@load_option
@click.option("--plant", type=_FILE, default=parameters.DEFAULT, help="Parameters of the plant.")
@click.option("--tail", type=click.FloatRange(0, 3600), default=60.0, help="Seconds played after.")
@click.option("--plot", type=_FILE, help="Write a PNG of the (first) run.")
@click.option(
    "--journal", type=_FILE, help="Write the (first) run's decisions, for `charon replay`."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def simulate(path: pathlib.Path, seed: int, seeds: int, output: str, **chosen: Any) -> None:
    """Play an example against a modelled plant, beside PD and, for a step, the causal optimum.

    The decisions are made by the code that makes them in a cluster; pods, scrapes and frames are
    modelled.
    """
    played = example_of(path, chosen["law"], chosen["given"])
    scenes = [
        scene_of(played, load_of(chosen["load"], number), number, chosen)
        for number in range(seed, seed + seeds)
    ]
    contests = [
        contest.beside(played, scene, contest.play(played, scene))
        for scene in rich.progress.track(
            scenes, "Playing", console=rich.console.Console(stderr=True), transient=True
        )
    ]
    if chosen["journal"]:
        written.lines(
            chosen["journal"],
            (json.dumps(row, separators=(",", ":")) for row in contests[0].subject.rows),
        )
    if chosen["plot"]:
        title = f"{played.app.key}: {contests[0].subject.name} in simulation, seed {seed}"
        written.whole(chosen["plot"], picture.png(contests[0], title))
    _show(contests, output)


def load_of(text: str, seed: int) -> arrivals.Arrivals:
    """The arrivals that an option names: a load, or else a file."""
    named = loads.LOADS.get(text)
    return named(seed) if named else arrivals.read_csv(pathlib.Path(text))


def example_of(path: pathlib.Path, law: str | None, given: tuple[str, ...]) -> example.Example:
    """The example under the law and the parameters that options name."""
    played = example.read(path)
    pairs = [item.partition("=") for item in given]
    if any(not sign for _, sign, _ in pairs):
        raise SimulationError("--parameter needs NAME=VALUE, such as kp=1")
    if law is None and not pairs:
        return played
    own = played.policy.spec.controller
    name = law or own.type
    # Another law has no use for the policy's parameters; the same one keeps them.
    kept = own.parameters if name == own.type else {}
    parameters_ = {**kept, **{key: value for key, _, value in pairs}}
    registry.check_parameters(registry.find(name), parameters_)
    return played.under(name, parameters_)


def scene_of(
    played: example.Example, load: arrivals.Arrivals, seed: int, chosen: Mapping[str, Any]
) -> world.Scene:
    """The scene that options name; `chosen` has `plant` and `tail`."""
    return world.Scene(
        target=played.app.target,
        parameters=parameters.load(chosen["plant"]),
        arrivals=load,
        replicas=played.replicas,
        limit_cores=played.limit_cores,
        seed=seed,
        tail_s=chosen["tail"],
    )


def _show(contests: list[contest.Contest], output: str) -> None:
    if output == "json":
        click.echo(json.dumps([scorecard.values(one) for one in contests], indent=2))
        return
    for line in scorecard.lines(contests[0]):
        click.echo(line)
    click.echo("")
    click.echo(scorecard.yardstick(contests[0]))
    if len(contests) > 1:
        click.echo("")
        for line in scorecard.over_seeds(contests):
            click.echo(line)
