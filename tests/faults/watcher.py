"""Watches the API server beside every proxy, and remembers each version of each object.

Reads: Deployments and ChargedApps, as administrator. Gives: `Sight`s in order. Never: writes, nor
passes a fault proxy: what it saw is the truth the operator is judged by.
"""

import base64
import contextlib
import http.client
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

DEPLOYMENTS = "/apis/apps/v1/deployments"
CHARGED_APPS = "/apis/charon.dev/v1alpha1/chargedapps"
_RETRY_S = 0.2
_JOIN_S = 5.0


@dataclass(frozen=True)
class Sight:
    """One version of one object, when it was seen (s since 1970); `gone` when it was deleted."""

    time_s: float
    path: str
    gone: bool
    body: Mapping[str, Any]

    @property
    def namespace(self) -> str:
        return str(self.body["metadata"].get("namespace", ""))

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])

    @property
    def generation(self) -> int:
        return int(self.body["metadata"].get("generation", 0))

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.body.get("spec") or {}

    @property
    def status(self) -> Mapping[str, Any]:
        return self.body.get("status") or {}


class Watcher:
    """One thread a path; a context manager.

    Args:
        kubeconfig: of an administrator, with a client certificate inside.
        paths: collections to watch.
    """

    def __init__(
        self, kubeconfig: Path, paths: tuple[str, ...] = (DEPLOYMENTS, CHARGED_APPS)
    ) -> None:
        self.sights: list[Sight] = []
        self._address, self._context = access_of(kubeconfig)
        self._paths = paths
        self._connections: dict[str, http.client.HTTPSConnection] = {}
        self._stopped = threading.Event()
        self._listed = {path: threading.Event() for path in paths}
        self._threads = [
            threading.Thread(target=self._follow, args=(path,), daemon=True) for path in paths
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        for listed in self._listed.values():
            listed.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for connection in list(self._connections.values()):
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_JOIN_S)

    def of(self, path: str, namespace: str, name: str | None = None) -> list[Sight]:
        """Every version seen of the objects of a namespace, or of one."""
        return [
            sight
            for sight in list(self.sights)
            if sight.path == path and sight.namespace == namespace and name in (None, sight.name)
        ]

    def now(self, path: str, namespace: str, name: str) -> Sight | None:
        """The newest version of one object, None when there is none."""
        seen = self.of(path, namespace, name)
        return seen[-1] if seen and not seen[-1].gone else None

    def _follow(self, path: str) -> None:
        while not self._stopped.is_set():
            try:
                self._list_and_watch(path)
            except (OSError, http.client.HTTPException, ValueError):
                # The API server is away, or hung up; what was missed is in the next list.
                self._stopped.wait(_RETRY_S)

    def _list_and_watch(self, path: str) -> None:
        with self._get(path) as answer:
            listing = json.load(answer)
        if "items" not in listing:
            self._listed[path].set()  # the kind is not there (yet)
            self._stopped.wait(_RETRY_S)
            return
        self._see_list(path, listing["items"])
        self._listed[path].set()
        version = listing["metadata"]["resourceVersion"]
        with self._get(f"{path}?watch=1&resourceVersion={version}") as answer:
            for line in iter(answer.readline, b""):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                self._see(path, event["object"], gone=event["type"] == "DELETED")

    def _see_list(self, path: str, items: list[Mapping[str, Any]]) -> None:
        there = {item["metadata"]["uid"] for item in items}
        newest = {sight.uid: sight for sight in list(self.sights) if sight.path == path}
        for uid, sight in newest.items():
            if uid not in there and not sight.gone:
                self._see(path, sight.body, gone=True)
        known = {(s.uid, s.version) for s in newest.values()}
        for item in items:
            if (item["metadata"]["uid"], item["metadata"]["resourceVersion"]) not in known:
                self._see(path, item, gone=False)

    def _see(self, path: str, body: Mapping[str, Any], *, gone: bool) -> None:
        self.sights.append(Sight(time.time(), path, gone, body))

    @contextlib.contextmanager
    def _get(self, path: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(self._address, context=self._context)
        self._connections[path.partition("?")[0]] = connection
        try:
            connection.request("GET", path)
            with connection.getresponse() as answer:
                yield answer
        finally:
            connection.close()


def access_of(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Host and port, and a TLS context with the client certificate, of a kubeconfig."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile() as pem:
        pem.write(base64.b64decode(user["client-certificate-data"]) + b"\n")
        pem.write(base64.b64decode(user["client-key-data"]))
        pem.flush()
        context.load_cert_chain(pem.name)
    return urlsplit(cluster["server"]).netloc, context
