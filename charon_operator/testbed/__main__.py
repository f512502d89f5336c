"""`python -m charon_operator.testbed build`: builds the programs; `keep FILE`: owns a testbed.

Reads: the command line. Gives: an exit code. Never: a traceback for something a person can mend.
"""

import pathlib
import sys

import click

from charon_operator import errors
from charon_operator.testbed import build, keeper, progress


@click.group()
def main() -> None:
    """Build the testbed's programs, or keep a testbed up."""


@main.command("build")
def build_() -> None:
    """Build what is missing into the cache."""
    with progress.shown() as shows:
        build.programs(shows=shows)


@main.command()
@click.argument("file", type=click.Path(exists=True, path_type=pathlib.Path))
def keep(file: pathlib.Path) -> None:
    """Start the testbed a file describes and hold it until SIGTERM."""
    keeper.keep(file)


if __name__ == "__main__":
    try:
        main()
    except errors.TestbedError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
