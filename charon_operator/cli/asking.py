"""How a verb asks the API server: synchronously, by pykube-ng, with one line for whatever fails.

Reads: a kubeconfig. Gives: `Server`. Never: a write, a traceback.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from charon_operator.errors import CharonError

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_TIMEOUT_S: Final = 10
_PAGE: Final = "500"


class Server:
    """An API server.

    Args:
        kubeconfig: None means what kubectl uses.
        context: of the kubeconfig; None means its current one.

    Attributes:
        namespace: the context's own.

    Raises:
        CharonError: there is no way to log in; the text says what to do.
    """

    def __init__(self, kubeconfig: Path | None, context: str | None) -> None:
        # Few verbs need it, and the operator's image does not carry it.
        try:
            import pykube
        except ImportError:
            raise CharonError("this needs pykube-ng: pip install 'charon-operator[lab]'") from None
        where = str(kubeconfig) if kubeconfig else "the kubeconfig"
        try:
            found = pykube.KubeConfig.from_file(str(kubeconfig)) if kubeconfig else None
            config = found or pykube.KubeConfig.from_env()
            if context and context not in config.contexts:
                there = ", ".join(config.contexts) or "none"
                raise CharonError(f"{where} has no context {context!r}; it has: {there}")
            if context:
                config.set_current_context(context)
            self._client = pykube.HTTPClient(config, timeout=_TIMEOUT_S)
            self.namespace = str(config.namespace)
        except CharonError:
            raise
        except Exception as error:
            # pykube checks nothing of a kubeconfig: whatever is wrong shows as any kind of error.
            what = type(error).__name__
            raise CharonError(f"{where} cannot be used ({what}); try kubectl with it") from None

    def find(
        self, version: str, path: str, namespace: str | None = None, **query: str
    ) -> Mapping[str, Any] | None:
        """What is at a path of an API; None when nothing is.

        Args:
            version: of the API, as `apps/v1`.
            path: below it, or below the namespace.
            namespace: None for the whole cluster.
            query: parameters of the query.

        Raises:
            CharonError: it cannot be asked, refuses, or answers like nothing we know.
        """
        import pykube
        import requests

        asked = {"version": version, "url": path, "namespace": namespace, "params": query}
        try:
            answer = self._client.get(**asked)
        except (pykube.exceptions.PyKubeError, requests.RequestException, OSError) as error:
            what = f"{self._client.url} cannot be asked: {_cause(error)}"
            raise CharonError(f"{what}; try kubectl") from None
        if answer.status_code == 404:
            return None
        if not answer.ok:
            raise CharonError(f"the API server refuses to show it: {_message(answer)}")
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, Mapping):
            raise self.alien()
        return body

    def listed(self, version: str, path: str, namespace: str | None) -> Iterator[Mapping[str, Any]]:
        """Every object of a list, page by page.

        Raises:
            CharonError: as `find`.
        """
        following: str = ""
        while True:
            more = {"continue": following} if following else {}
            page = self.find(version, path, namespace, limit=_PAGE, **more) or {}
            items, meta = page.get("items"), page.get("metadata")
            if not isinstance(items, list) or not isinstance(meta, Mapping):
                raise self.alien()
            yield from (item for item in items if isinstance(item, Mapping))
            following = str(meta.get("continue") or "")
            if not following:
                return

    def alien(self) -> CharonError:
        """What to raise when an answer has not the form of one."""
        return CharonError(f"{self._client.url} answers like no Kubernetes API server")


def _message(answer: Any) -> str:
    try:
        return str(answer.json().get("message"))[:256]
    except (ValueError, AttributeError):
        return f"HTTP {answer.status_code}"


def _cause(error: BaseException) -> str:
    """What went wrong at first: the errors around it tell of urllib3's objects."""
    while error.__context__ is not None:
        error = error.__context__
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(told).splitlines()[0][:256]
