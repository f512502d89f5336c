"""`charon lab plant`: a modelled workload on the pods of a testbed's Deployment.

Reads: the command line. Gives: pods that come up, crash and serve as the model says, and their
metrics. Never: touches pods without the label `plant.charon.dev/driven`.
"""

import asyncio
import contextlib
import pathlib
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import click
import yaml
from kubernetes.aio import client, config

from charon_operator import testbed
from charon_operator.cli.simulate import load_of, load_option
from charon_operator.errors import TestbedError
from charon_operator.lab import parameters
from charon_operator.lab import plant as plants
from charon_operator.testbed import plant_exporter

_FILE = click.Path(path_type=pathlib.Path, exists=True, dir_okay=False)
_FOLDER = click.Path(path_type=pathlib.Path, exists=True, file_okay=False)
TARGET = "plant"
# The loader checks little of a kubeconfig: what is wrong shows as one of these.
_WRONG = (
    config.ConfigException,
    yaml.YAMLError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
)


@click.command(
    epilog="""\b
Examples:
  charon lab plant --kubeconfig "$(charon lab kubeconfig)" --folder ~/.local/state/charon/lab
  charon lab plant --kubeconfig kubeconfig --namespace workload --deployment consumer --seed 7
  charon lab plant --kubeconfig kubeconfig --arrivals load.csv --port 9100 --speed 5
"""
)
@click.option("--kubeconfig", type=_FILE, required=True, help="Of an administrator.")
@click.option("--namespace", default="workload", show_default=True)
@click.option("--deployment", default="consumer", show_default=True)
@load_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of all chance.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Of /metrics; 0: a free one."
)
@click.option("--speed", type=click.FloatRange(0.01, 100), default=1.0, help="Plant s a second.")
@click.option("--folder", type=_FOLDER, help="Of the testbed whose agent is to scrape it.")
@click.option("--plant", "file", type=_FILE, default=parameters.DEFAULT, help="Its parameters.")
def plant(load: str, seed: int, file: pathlib.Path, **chosen: Any) -> None:
    """Play a modelled workload on the pods of a Deployment, until Ctrl-C.

    The Deployment's pod template needs the label plant.charon.dev/driven: "true". Pods that are
    there at the beginning count as warm.
    """
    model = plants.StreamPlant(parameters.load(file), load_of(load, seed), seed)
    asyncio.run(_play(model, chosen))


async def _play(model: plants.StreamPlant, chosen: dict[str, Any]) -> None:
    stop, started = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with connected(chosen["kubeconfig"]) as api:
        exporter = plant_exporter.PlantExporter(
            model,
            api,
            namespace=chosen["namespace"],
            deployment=chosen["deployment"],
            port=chosen["port"],
            speed=chosen["speed"],
        )
        playing = asyncio.create_task(exporter.run(stop, started))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({playing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not playing.done():
            model.begin(time.time())
            click.echo(f"Metrics at http://{exporter.address}/metrics. Ctrl-C ends it.")
        with _scraped(chosen["folder"], exporter.address):
            await playing


@contextlib.asynccontextmanager
async def connected(kubeconfig: pathlib.Path) -> AsyncIterator[Any]:
    """A `kubernetes.aio` ApiClient for a kubeconfig.

    Raises:
        TestbedError: the file is no kubeconfig.
    """
    configuration = client.Configuration()
    try:
        await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(kubeconfig), client_configuration=configuration
        )
    except _WRONG as error:
        told = str(error).splitlines()[0]
        raise TestbedError(f"{kubeconfig} cannot be used: {told}; try kubectl with it") from None
    async with client.ApiClient(configuration) as api:
        yield api


@contextlib.contextmanager
def _scraped(folder: pathlib.Path | None, address: str) -> Any:
    """Have the testbed's agent scrape it, if a testbed is named."""
    if folder is None or not address:
        yield
        return
    bed = testbed.attach(folder)
    bed.scrape(TARGET, address)
    try:
        yield
    finally:
        bed.unscrape(TARGET)
