"""`charon run`: the operator, in a cluster or beside one.

Reads: the command line, the configuration. Gives: exit code 0 after a signal, 2 for a wrong
configuration (one line, no traceback). Never: a secret on the command line.
"""

import asyncio
import gc
from pathlib import Path

import click

from charon_operator import settings
from charon_operator.cli import configuration, logs, service
from charon_operator.clients import kube_access
from charon_operator.errors import ConfigurationError

_FILE = click.Path(dir_okay=False, path_type=Path)


class _WrongConfigurationError(click.ClickException):
    exit_code = 2


@click.command()
@click.option(
    "--kubeconfig",
    type=_FILE,
    help="How to reach the cluster. Default: the pod's ServiceAccount, else what kubectl uses.",
)
@click.option("--context", help="Context of the kubeconfig. Default: its current one.")
@click.option("--config", type=_FILE, help="The operator's configuration (YAML).")
@click.option("--check-config", is_flag=True, help="Check the configuration and end.")
@click.option("--dry-run", is_flag=True, help="Decide and record, and send no write at all.")
@click.option(
    "--force-mode",
    type=click.Choice(["Advisory"]),
    help="Kill switch: every app is treated as Advisory; statuses are still written.",
)
@click.option(
    "--health-port", type=click.IntRange(0, 65535), help="Of /healthz, /readyz, /metrics."
)
@click.option(
    "--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False)
)
def run(config: Path | None, check_config: bool, **chosen: object) -> None:
    """Run the operator, in a cluster or beside one.

    Settings come from the file, from variables CHARON_* (CHARON_MIMIR__URL=…), and from here, the
    last wins. SIGTERM or Ctrl-C: writes under way are completed, the Lease is given back.

    \b
    charon run --config charon.yaml --check-config
    charon run --kubeconfig ~/.kube/config --config charon.yaml --dry-run
    charon run --force-mode Advisory
    """
    try:
        configured = _settings(config, chosen)
        configuration.check(configured)
        if check_config:
            click.echo("The configuration is good.")
            return
        _serve(configured, chosen)
    except ConfigurationError as error:
        raise _WrongConfigurationError(str(error)) from None


def _settings(config: Path | None, chosen: dict[str, object]) -> settings.Settings:
    level = chosen["log_level"]
    found = settings.load(config)
    changes = {"force_mode": chosen["force_mode"], "log_level": level and str(level).upper()}
    if chosen["health_port"] is not None:
        port = {"port": chosen["health_port"]}
        changes["health"] = found.health.model_copy(update=port)
    return found.model_copy(update={name: value for name, value in changes.items() if value})


def _serve(configured: settings.Settings, chosen: dict[str, object]) -> None:
    kubeconfig, context = chosen["kubeconfig"], chosen["context"]
    options = service.Options(
        kube_access.located(kubeconfig if isinstance(kubeconfig, Path) else None),
        context if isinstance(context, str) else None,
        bool(chosen["dry_run"]),
    )
    # What is loaded by now lives as long as the process: no collection needs to look at it.
    gc.collect()
    gc.freeze()
    hidden = configuration.secrets(configured, options.kubeconfig)
    with logs.to_stderr(configured.log_level, hidden):
        asyncio.run(service.serve(configured, options))
