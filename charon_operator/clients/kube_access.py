"""How the API server is reached: where it is, whom to trust, who we are.

Reads: a pod's mounted ServiceAccount, or a kubeconfig (by the official package's loader). Gives:
`Access`, from which any event loop makes its own HTTP session. Never: the cluster's DNS (in a pod
the address is the service's IP), a token kept longer than its file says, or a redirect.
"""

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import configuration, rest

from charon_operator import names
from charon_operator.errors import ConfigurationError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CONNECTIONS = 32
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RUN_PLUGIN_AGAIN_S = 60.0

Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


class Access:
    """One identity at one API server. Used from several threads: it only reads files.

    Args:
        settled: the official package's configuration: address, CA, client certificate.
        token_file: a bearer token, read again whenever the file changes.
        plugin: renews the token of a kubeconfig's credential plugin.
    """

    def __init__(
        self,
        settled: configuration.Configuration,
        token_file: Path | None = None,
        plugin: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self._settled = settled
        self._token_file = token_file
        self._plugin = plugin
        self._plugin_ran_at_s = time.monotonic()
        self._token: tuple[tuple[int, ...], str] = ((), "")

    @property
    def server(self) -> str:
        """The address, without a slash at its end."""
        return str(self._settled.host).rstrip("/")

    async def authorization(self) -> str:
        """The value of the Authorization header; empty when a certificate says who we are.

        Raises:
            OSError: the token file cannot be read.
        """
        if self._token_file is not None:
            return f"Bearer {self._read_token(self._token_file)}"
        now_s = time.monotonic()
        if self._plugin is not None and now_s - self._plugin_ran_at_s >= _RUN_PLUGIN_AGAIN_S:
            self._plugin_ran_at_s = now_s
            self._settled.api_key["BearerToken"] = await self._plugin()
        return str(self._settled.api_key.get("BearerToken", ""))

    def session(self, **extra: Any) -> aiohttp.ClientSession:
        """An HTTP session of the running loop; its requests carry our newest credentials.

        Args:
            extra: more arguments of aiohttp.ClientSession.
        """
        pool = rest.RESTClientObject(self._settled)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=pool.ssl_context),
            proxy=self._settled.proxy,
            middlewares=(self._authorize,),
            headers={aiohttp.hdrs.USER_AGENT: names.FIELD_MANAGER},
            # A watch event is one line, and may be as long as an object.
            read_bufsize=2**21,
            **extra,
        )

    def fingerprint(self) -> tuple[tuple[int, ...], ...]:
        """Changes when a file changes that sessions are built from (CA, client certificate)."""
        files = self._settled.ssl_ca_cert, self._settled.cert_file, self._settled.key_file
        return tuple(_state_of(Path(file)) for file in files if file)

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: Handler
    ) -> aiohttp.ClientResponse:
        authorization = await self.authorization()
        if authorization:
            request.headers[aiohttp.hdrs.AUTHORIZATION] = authorization
        response = await handler(request)
        if response.status in _REDIRECTS:
            # Our credentials are for the API server alone.
            response.close()
            raise aiohttp.ClientPayloadError("the API server must not redirect")
        return response

    def _read_token(self, file: Path) -> str:
        state = _state_of(file)
        if state != self._token[0] or not state:
            self._token = state, file.read_text(encoding="ascii", errors="replace").strip()
        return self._token[1]


def located(kubeconfig: Path | None) -> Path | None:
    """The kubeconfig to log in by: that one, else what kubectl would use; None in a pod."""
    if kubeconfig is not None:
        return kubeconfig
    if os.environ.get("KUBERNETES_SERVICE_HOST") and (_ACCOUNT / "token").exists():
        return None
    fallback = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0] or "~/.kube/config"
    return Path(fallback).expanduser()


async def find(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """Log in: by that kubeconfig, else as the pod's ServiceAccount, else as kubectl would.

    Raises:
        ConfigurationError: none of them is there, or it cannot be used; the text says which.
    """
    file = located(kubeconfig)
    return in_pod(_ACCOUNT) if file is None else await _from_kubeconfig(file, context)


def in_pod(account: Path) -> Access:
    """The access of a pod whose ServiceAccount is mounted in a folder."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    address = f"[{host}]" if ":" in host else host
    authority = account / "ca.crt"
    if not authority.exists():
        raise ConfigurationError(f"{authority} is missing: mount the ServiceAccount's token")
    settled = configuration.Configuration(
        host=f"https://{address}:{port}", ssl_ca_cert=str(authority)
    )
    return Access(settled, token_file=account / "token")


async def _from_kubeconfig(file: Path, context: str | None) -> Access:
    if not file.is_file():
        raise ConfigurationError(
            f"{file} is not there: name a kubeconfig with --kubeconfig, or run in a pod with a "
            "ServiceAccount"
        )
    settled = configuration.Configuration()
    try:
        token_file = _token_file(file, context)
        loader = await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(file),
            context=context,
            client_configuration=settled,
            persist_config=False,
        )
    except (
        kube_config.ConfigException,
        yaml.YAMLError,
        OSError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise ConfigurationError(f"{file} cannot be used: {error}") from None
    return Access(settled, token_file, _plugin_of(loader))


def _plugin_of(loader: Any) -> Callable[[], Awaitable[str]] | None:
    if "exec" not in loader._user:
        return None

    async def renewed() -> str:
        await loader.load_from_exec_plugin()
        return str(loader.token)

    return renewed


def _token_file(file: Path, context: str | None) -> Path | None:
    # The official loader reads it once; a token is renewed by replacing its file.
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise kube_config.ConfigException("it is not a kubeconfig")
    wanted = context or content.get("current-context")
    contexts = {c["name"]: c.get("context") or {} for c in content.get("contexts") or []}
    users = {u["name"]: u.get("user") or {} for u in content.get("users") or []}
    named = users.get(contexts.get(wanted, {}).get("user"), {}).get("tokenFile")
    return file.parent / named if named else None


def _state_of(file: Path) -> tuple[int, ...]:
    try:
        state = file.stat()
    except OSError:
        return ()
    return state.st_mtime_ns, state.st_ino, state.st_size
