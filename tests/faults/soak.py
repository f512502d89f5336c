"""The fault tests at full length, and a long run of faults drawn at random.

Reads: how long, and a seed. Gives: pytest's verdict on the full lengths, then on the mix; exit code
0 only if nothing was broken. Never: part of `make test`: it takes hours.

    python -m tests.faults.soak                      # full lengths, then an hour of the mix
    python -m tests.faults.soak --hours 8 --seed 7   # a longer mix
    python -m tests.faults.soak --only f7            # only tests whose name contains a word
"""

import os
import subprocess
import sys
from pathlib import Path

import click

from tests.faults import lengths

HOURS = "CHARON_SOAK_HOURS"
SEED = "CHARON_SOAK_SEED"
_HERE = Path(__file__).parent


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--hours", type=click.FloatRange(0, 168), default=1.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the random mix.")
@click.option("--only", default="", help="Only tests whose name contains this.")
def main(hours: float, seed: int, only: str) -> None:
    """Run the fault tests at full length, then a random mix of faults for some hours."""
    environment = {**os.environ, lengths.VARIABLE: "full", HOURS: str(hours), SEED: str(seed)}
    command = [sys.executable, "-m", "pytest", str(_HERE), "-m", "faults or testbed", "-v"]
    command += ["-p", "no:cacheprovider", "--timeout=0"]
    command += ["-k", only] if only else []
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
