"""`charon lab curve`: what a pod of a modelled workload serves at each size.

Reads: a plant's file. Gives: points for `spec.resources.curve`. Never: a cluster.
"""

import pathlib

import click

from charon_operator.errors import SimulationError
from charon_operator.lab import parameters, service
from charon_operator.model import quantity

_FILE = click.Path(path_type=pathlib.Path, dir_okay=False)


@click.command(
    epilog="""\b
Examples:
  charon lab curve
  charon lab curve --at 100m --at 300m --at 1 --plant data/plants/ptychonn-2024.json
"""
)
@click.option(
    "--at",
    "sizes",
    multiple=True,
    default=("100m", "250m", "500m", "1"),
    show_default=True,
    metavar="CPU",
    help="Sizes, as quantities.",
)
@click.option("--plant", type=_FILE, default=parameters.DEFAULT, help="Parameters of the plant.")
def curve(sizes: tuple[str, ...], plant: pathlib.Path) -> None:
    """Print the points of spec.resources.curve: the rate that a pod of each size serves for good.

    They follow from the plant's law of service (CPU shared by receiving and inference), not from a
    measurement of their own.
    """
    model = parameters.load(plant)
    for text in sizes:
        try:
            cpu_m = quantity.cpu(text)
        except ValueError as error:
            raise SimulationError(f"--at {text}: {error}") from None
        served = service.sustained(model, cpu_m / 1000)
        click.echo(f'- {{cpu: {_yaml(quantity.render_cpu(cpu_m))}, capacity: "{served:.3g}"}}')


def _yaml(text: str) -> str:
    return f'"{text}"' if text.isdecimal() else text
