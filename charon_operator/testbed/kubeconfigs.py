"""Writes kubeconfig files: with a client certificate, or with a token in a file beside them.

Reads: addresses and PEM files. Gives: files readable by their owner only. Never: talks to a server.
"""

import base64
import os
import pathlib
from typing import Any

import yaml

from charon_operator import errors
from charon_operator.testbed import certificates

_NAME = "charon-testbed"


def with_certificate(
    out: pathlib.Path, api_url: str, ca_file: pathlib.Path, pair: certificates.Pair
) -> pathlib.Path:
    """A kubeconfig that carries a client certificate; it needs no other file."""
    user = {
        "client-certificate-data": _encoded(pair.certificate),
        "client-key-data": _encoded(pair.key),
    }
    return _write(out, api_url, ca_file, user)


def with_token(out: pathlib.Path, api_url: str, ca_file: pathlib.Path, token: str) -> pathlib.Path:
    """A kubeconfig whose token is the file `<out>.token`: replace that file to renew it."""
    token_file = out.with_name(out.name + ".token")
    write_private(token_file, token)
    return _write(out, api_url, ca_file, {"tokenFile": str(token_file.resolve())})


def write_private(path: pathlib.Path, text: str) -> None:
    """Writes a file that only its owner can read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def server_of(kubeconfig: pathlib.Path) -> tuple[str, bytes | None]:
    """The API address of the current context, and its CA certificate if the file tells one.

    Raises:
        errors.TestbedError: the file cannot be read or is no kubeconfig.
    """
    try:
        return _server_of(kubeconfig)
    except (AttributeError, LookupError, OSError, TypeError, ValueError, yaml.YAMLError) as error:
        told = str(error).splitlines()[0]
        raise errors.TestbedError(f"{kubeconfig} is no usable kubeconfig: {told}") from None


def _server_of(kubeconfig: pathlib.Path) -> tuple[str, bytes | None]:
    config: dict[str, Any] = yaml.safe_load(kubeconfig.read_text()) or {}
    contexts = {c["name"]: c["context"] for c in config.get("contexts") or []}
    clusters = {c["name"]: c["cluster"] for c in config.get("clusters") or []}
    context = contexts.get(config.get("current-context"), {})
    cluster = clusters.get(context.get("cluster"), {})
    if "certificate-authority-data" in cluster:
        return cluster["server"], base64.b64decode(cluster["certificate-authority-data"])
    if "certificate-authority" in cluster:
        path = kubeconfig.parent / cluster["certificate-authority"]
        return cluster["server"], path.read_bytes()
    return cluster.get("server", ""), None


def _write(
    out: pathlib.Path, api_url: str, ca_file: pathlib.Path, user: dict[str, str]
) -> pathlib.Path:
    cluster = {"server": api_url, "certificate-authority-data": _encoded(ca_file)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": _NAME,
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
    }
    write_private(out, yaml.safe_dump(config, sort_keys=False))
    return out


def _encoded(path: pathlib.Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
