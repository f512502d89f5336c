"""What was written to the API server, by whom and when, as the API server itself recorded it.

Reads: the audit log (JSON lines) from a point on. Gives: `Write`s. Never: asks the operator.
"""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_VERBS = ("create", "update", "patch", "delete", "deletecollection")
_CREDENTIAL = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True)
class Write:
    """One write, applied or not.

    Attributes:
        asked_s, answered_s: when the API server got it and when it had done it, s since 1970.
        credential: id of the token it came with; two processes with tokens of their own differ.
        sent: the body of the request, where it is recorded.
        result: the body of the answer, where it is recorded.
    """

    asked_s: float
    answered_s: float
    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    credential: str = ""
    agent: str = ""
    sent: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def applied(self) -> bool:
        return 200 <= self.code < 300

    @property
    def is_scale(self) -> bool:
        """Whether it sets a replica count through the scale subresource."""
        return self.subresource == "scale" and self.verb in ("patch", "update")

    @property
    def is_status(self) -> bool:
        return self.resource == "chargedapps" and self.subresource == "status"

    @property
    def is_lease(self) -> bool:
        return self.resource == "leases"

    @property
    def replicas(self) -> int | None:
        """The replica count it asks for."""
        return (self.sent.get("spec") or {}).get("replicas")

    @property
    def target(self) -> tuple[str, str, str]:
        """Resource, namespace and name."""
        return (self.resource, self.namespace, self.name)

    def __str__(self) -> str:
        what = "/".join(filter(None, (self.resource, self.subresource)))
        stamp = datetime.datetime.fromtimestamp(self.asked_s, datetime.UTC).strftime("%T.%f")[:-3]
        value = "" if self.replicas is None else f" replicas={self.replicas}"
        return f"{stamp} {self.verb} {what} {self.namespace}/{self.name}{value} -> {self.code}"


@dataclass(frozen=True)
class Log:
    """The audit log from a byte on: what was before it belongs to other tests."""

    path: Path
    start: int = 0

    @classmethod
    def from_now(cls, path: Path) -> "Log":
        return cls(path, path.stat().st_size if path.exists() else 0)

    def writes(self, user: str = "", namespace: str = "") -> list[Write]:
        """Writes in the order in which they were answered.

        Args:
            user: exact name, as system:serviceaccount:charon-system:charon-operator; "" for all.
            namespace: of the object written; "" for all.
        """
        with self.path.open("rb") as file:
            file.seek(self.start)
            whole, newline, _ = file.read().rpartition(b"\n")
        events = (json.loads(line) for line in (whole + newline).splitlines())
        found = [_write(event) for event in events if event["verb"] in _VERBS]
        found.sort(key=lambda write: write.answered_s)
        return [w for w in found if user in ("", w.user) and namespace in ("", w.namespace)]


def _write(event: Mapping[str, Any]) -> Write:
    about = event.get("objectRef") or {}
    extra = event["user"].get("extra") or {}
    return Write(
        asked_s=_seconds(event["requestReceivedTimestamp"]),
        answered_s=_seconds(event["stageTimestamp"]),
        user=event["user"].get("username", ""),
        verb=event["verb"],
        resource=about.get("resource", ""),
        subresource=about.get("subresource", ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=(event.get("responseStatus") or {}).get("code", 0),
        credential=(extra.get(_CREDENTIAL) or [""])[0],
        agent=event.get("userAgent", ""),
        sent=_mapping(event.get("requestObject")),
        result=_mapping(event.get("responseObject")),
    )


def _mapping(body: Any) -> Mapping[str, Any]:
    """A JSON patch is a list: its operations are kept under one name."""
    if isinstance(body, Mapping):
        return body
    return {} if body is None else {"operations": body}


def _seconds(stamp: str) -> float:
    return datetime.datetime.fromisoformat(stamp).timestamp()
