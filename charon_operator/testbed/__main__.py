"""`python -m charon_operator.testbed FILE`: owns the testbed that a file describes.

Reads: the command line. Gives: an exit code. Never: a traceback for something a person can mend.
"""

import pathlib
import sys

import click

from charon_operator import errors
from charon_operator.testbed import keeper


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=pathlib.Path))
def keep(file: pathlib.Path) -> None:
    """Start the testbed a file describes and hold it until SIGTERM."""
    keeper.keep(file)


if __name__ == "__main__":
    try:
        keep()
    except errors.TestbedError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
