"""`charon`: one file a verb, loaded when it is called.

Reads: the command line. Gives: an exit code (0 done, 1 not done, 2 wrong usage). Never: a traceback
for something a person can mend.
"""

import importlib
from typing import Any, Final

import click

from charon_operator import __version__
from charon_operator.errors import CharonError

# verb -> (module, attribute, one line for the list of commands)
VERBS: Final = {
    "run": ("run", "run", "Run the operator, in a cluster or beside one."),
    "validate": ("validate", "validate", "Check resources offline: schema, rules, PromQL."),
    "crds": ("crds", "crds", "Print or write the custom resource definitions."),
    "explain": ("explain", "explain", "Say in words why an app has the replicas it has."),
    "drift": ("drift", "drift", "List containers that run with another size than born with."),
    "simulate": (
        "simulate",
        "simulate",
        "Play an example against a modelled plant, without a cluster.",
    ),
    "compare": (
        "compare",
        "compare",
        "Play an example by replicas alone, by CPU alone, and by both.",
    ),
    "replay": ("replay", "replay", "Decide a journal again and compare, to the byte."),
    "lab": ("lab", "lab", "A real control plane and Mimir on this machine."),
    "demo": ("demo", "demo", "The main job, end to end, on the testbed."),
}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, attribute, _ = VERBS[cmd_name]
        try:
            loaded = importlib.import_module(f"charon_operator.cli.{module}")
        except ModuleNotFoundError as error:
            if str(error.name).startswith("charon_operator"):
                raise
            remedy = "pip install 'charon-operator[lab]'"
            raise click.ClickException(f"this needs {error.name}: {remedy}") from None
        command = getattr(loaded, attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table: listing the verbs must not import plots and solvers.
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, _, line) in VERBS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CharonError as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            raise  # whoever read us has enough: click ends quietly
        except OSError as error:
            # The last net: files and folders that people name.
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="charon")
def main() -> None:
    """Hold applications on Kubernetes to the service levels they declare."""
