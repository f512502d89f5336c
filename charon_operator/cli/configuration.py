"""The configuration checked before anything starts: files that are named must be usable.

Reads: `settings.Settings` and the files it names. Gives: a ConfigurationError in one line, or
nothing. Never: a secret in words.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from charon_operator import settings
from charon_operator.cli.logs import Secrets
from charon_operator.clients.mimir import read_secret
from charon_operator.errors import ConfigurationError
from charon_operator.observe import scope

_POD_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def check(configured: settings.Settings) -> None:
    """Look at everything that can be known to be wrong without a network.

    Raises:
        ConfigurationError: names the setting and the remedy.
    """
    mimir = configured.mimir
    scope.check(mimir)
    for name in ("bearer_token_file", "password_file"):
        if (file := getattr(mimir, name)) is not None:
            _check_secret(f"mimir.{name}", file)
    _check_tls(mimir)
    if configured.journal.path is not None:
        _check_folder("journal.path", configured.journal.path)


def secrets(configured: settings.Settings, kubeconfig: Path | None) -> Secrets:
    """What must never be logged.

    Args:
        configured: its files.
        kubeconfig: by which the operator logs in; None means the pod's ServiceAccount.
    """
    mimir = configured.mimir
    named = (mimir.bearer_token_file, mimir.password_file)
    files = [file for file in named if file is not None]
    if kubeconfig is None:
        return Secrets((), [*files, _POD_TOKEN])
    values, token_files = _of_kubeconfig(kubeconfig)
    return Secrets(values, [*files, *token_files])


def _check_secret(name: str, file: Path) -> None:
    try:
        read_secret(file)
    except OSError as error:
        message = f"{name}: {file} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from None
    except ValueError as error:
        message = f"{name}: {file}: {error}; put the secret alone into it"
        raise ConfigurationError(message) from None


def _check_tls(mimir: settings.Mimir) -> None:
    if mimir.ca_file is not None:
        try:
            ssl.create_default_context(cafile=str(mimir.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(_unusable("mimir.ca_file", mimir.ca_file, error)) from None
    if mimir.certificate_file is not None and mimir.key_file is not None:
        try:
            context = ssl.create_default_context()
            context.load_cert_chain(str(mimir.certificate_file), str(mimir.key_file))
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                _unusable("mimir.certificate_file", mimir.certificate_file, error)
            ) from None


def _unusable(name: str, file: Path, error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{name}: {file} holds no usable PEM certificate (with its key, where one belongs)"
    why = error.strerror if isinstance(error, OSError) and error.strerror else "it cannot be read"
    return f"{name}: {file} cannot be used: {why}"


def _check_folder(name: str, file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab"):
            pass
    except OSError as error:
        raise ConfigurationError(f"{name}: {file} cannot be written: {error.strerror}") from None


def _of_kubeconfig(kubeconfig: Path) -> tuple[list[str], list[Path]]:
    try:
        content: Any = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        users = [dict(item["user"] or {}) for item in content["users"]]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        # Whoever logs in with it says what is wrong with it.
        return [], []
    return list(_values(users)), [
        kubeconfig.parent / user["tokenFile"] for user in users if "tokenFile" in user
    ]


def _values(users: list[dict[str, Any]]) -> Iterator[str]:
    for user in users:
        for name in ("token", "password", "client-key-data"):
            if isinstance(user.get(name), str):
                yield user[name]
