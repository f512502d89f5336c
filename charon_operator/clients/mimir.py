"""Mimir (or any Prometheus HTTP API) as a MetricSource: the only place that sends PromQL.

Reads: `settings.Mimir` and the files it names, again whenever they change. Gives: a Vector, or a
QueryFailure that says why not. Never: an exception, a redirect followed, a proxy from the
environment, a request without a tenant, a secret in words.
"""

import asyncio
import base64
import json
import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import httpx

from charon_operator import settings
from charon_operator.ports import FailureKind, QueryFailure, Series, Vector

TENANT_HEADER: Final = "X-Scope-OrgID"
_MAX_DETAIL: Final = 256
_MAX_CREDENTIAL_BYTES: Final = 64 * 1024
# What Mimir answers when the query itself is at fault; anything else there came from a proxy.
_QUERY_ERRORS: Final = frozenset({"bad_data", "execution"})
_TIMEOUT: Final = "timeout"
_TENANT: Final = re.compile(settings.TENANT)
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\u00a0-\u2027\u202a-\ud7ff]+")
# How Go writes a number.
_NUMBER: Final = re.compile(r"[+-]?(Inf|[0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?)|NaN", re.ASCII)

_Stamp = tuple[int, int, int]


class _AnswerError(Exception):
    """An answer that is not one; its text says why, without any of it."""


@dataclass(slots=True)
class _Connection:
    """A client built from the TLS files as they were; closed when replaced and no longer used."""

    client: httpx.AsyncClient
    stamps: tuple[_Stamp | None, ...]
    users: int = 0
    retired: bool = False


@dataclass(slots=True)
class _Secret:
    """The content of a mounted file, kept until the file changes."""

    stamp: _Stamp | None = None
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    body: bytes = field(repr=False)


class MimirClient:
    """Asks instant queries over HTTP."""

    def __init__(
        self, mimir: settings.Mimir, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Remember where to ask; nothing is opened before the first query.

        Args:
            mimir: the operator's configuration.
            transport: instead of the network, for tests.
        """
        self._mimir = mimir
        self._transport = transport
        self._connection: _Connection | None = None
        self._secret = _Secret()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            await self._connection.client.aclose()
            self._connection = None

    async def query(
        self, tenant: str, expression: str, *, time_s: float, timeout_s: float
    ) -> Vector | QueryFailure:
        """Ask one instant query.

        Args:
            tenant: value of X-Scope-OrgID.
            expression: PromQL.
            time_s: evaluation time, seconds since 1970.
            timeout_s: for everything, a second try included; `timeout_seconds` of the
                configuration is an upper bound.
        """
        if not _TENANT.fullmatch(tenant):
            return _unavailable("not asked: the tenant is not a valid X-Scope-OrgID")
        left_s = min(timeout_s, self._mimir.timeout_seconds)
        form = {"query": expression, "time": f"{time_s:.3f}", "timeout": f"{left_s:.3f}"}
        try:
            async with asyncio.timeout(left_s):
                return self._judge(await self._post(tenant, form))
        except (TimeoutError, httpx.TimeoutException):
            return QueryFailure(FailureKind.TIMEOUT, f"no answer within {left_s:.1f} s")
        except _AnswerError as error:
            return QueryFailure(FailureKind.MALFORMED, str(error))
        except UnicodeError:
            return QueryFailure(FailureKind.REJECTED, "the query is not valid Unicode")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return _unavailable(f"cannot be reached: {type(error).__name__}: {self._clean(error)}")

    async def _post(self, tenant: str, form: Mapping[str, str]) -> _Response:
        """Send; once more where the connection broke before an answer (a query changes nothing)."""
        try:
            return await self._post_once(tenant, form)
        except (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            return await self._post_once(tenant, form)

    async def _post_once(self, tenant: str, form: Mapping[str, str]) -> _Response:
        headers = {**self._credentials(), TENANT_HEADER: tenant}
        connection = await self._connect()
        connection.users += 1
        try:
            url = f"{self._mimir.url}/api/v1/query"
            async with connection.client.stream("POST", url, data=form, headers=headers) as got:
                return _Response(got.status_code, await self._body(got))
        finally:
            connection.users -= 1
            if connection.retired and not connection.users:
                await connection.client.aclose()

    async def _body(self, response: httpx.Response) -> bytes:
        """The body as sent: a compressed one was not asked for and is refused."""
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _AnswerError("the answer is compressed, which was not asked for")
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > self._mimir.max_body_bytes:
                return _TOO_LARGE
            chunks.append(chunk)
        return b"".join(chunks)

    def _judge(self, response: _Response) -> Vector | QueryFailure:
        if response.body is _TOO_LARGE:
            # As a rejection, because fewer questions at once may well be answered.
            detail = f"the answer is larger than {self._mimir.max_body_bytes} bytes"
            return QueryFailure(FailureKind.REJECTED, detail)
        if response.status == 200:
            return decode(response.body)
        kind, words = _words_of_the_store(response.body)
        detail = self._clean(f"HTTP {response.status}: {words}")
        if kind == _TIMEOUT:
            return QueryFailure(FailureKind.TIMEOUT, detail)
        refused = response.status in (400, 422) and kind in _QUERY_ERRORS and words
        if refused or response.status == 413:
            return QueryFailure(FailureKind.REJECTED, detail)
        return _unavailable(f"HTTP {response.status}")

    async def _connect(self) -> _Connection:
        """The client for the TLS files as they are now."""
        files = (self._mimir.ca_file, self._mimir.certificate_file, self._mimir.key_file)
        stamps = tuple(_stamp(file) for file in files)
        current = self._connection
        if current is not None and current.stamps == stamps:
            return current
        self._connection = _Connection(self._client(), stamps)
        if current is not None:
            current.retired = True
            if not current.users:
                await current.client.aclose()
        return self._connection

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._tls(),
            trust_env=False,
            follow_redirects=False,
            timeout=self._mimir.timeout_seconds,
            limits=httpx.Limits(max_connections=self._mimir.concurrency),
            headers={"Accept-Encoding": "identity", "User-Agent": "charon-operator"},
            transport=self._transport,
        )

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._mimir.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._mimir.certificate_file is not None:
            context.load_cert_chain(self._mimir.certificate_file, self._mimir.key_file)
        return context

    def _credentials(self) -> dict[str, str]:
        file = self._mimir.bearer_token_file or self._mimir.password_file
        if file is None:
            return {}
        stamp = _stamp(file)
        if stamp != self._secret.stamp:
            self._secret = _Secret(stamp, read_secret(file))
        if self._mimir.username is None:
            return {"Authorization": f"Bearer {self._secret.text}"}
        pair = f"{self._mimir.username}:{self._secret.text}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def _clean(self, words: object) -> str:
        """Words for people: short, printable, without the secret should it be in there."""
        text = _UNPRINTABLE.sub(" ", str(words))
        if self._secret.text:
            text = text.replace(self._secret.text, "***")
            header = self._credentials_shown()
            text = text.replace(header, "***")
        return text[:_MAX_DETAIL]

    def _credentials_shown(self) -> str:
        pair = f"{self._mimir.username}:{self._secret.text}".encode()
        return base64.b64encode(pair).decode()


_TOO_LARGE: Final = b"too large"


def _unavailable(detail: str) -> QueryFailure:
    return QueryFailure(FailureKind.UNAVAILABLE, detail[:_MAX_DETAIL])


def _stamp(file: Path | None) -> _Stamp | None:
    if file is None:
        return None
    found = file.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def read_secret(file: Path) -> str:
    """The content of a credential file, without the spaces around it.

    Raises:
        OSError: it cannot be read.
        ValueError: it cannot stand in a header; none of it is shown.
    """
    with file.open("rb") as stream:
        content = stream.read(_MAX_CREDENTIAL_BYTES)
    text = content.strip()
    if not text or any(byte < 0x20 or byte > 0x7E for byte in text):
        raise ValueError("the credential file is empty, or has more than one line of plain ASCII")
    return text.decode("ascii")


def _words_of_the_store(body: bytes) -> tuple[str, str]:
    """What kind of error the store names, and its words; empty when it is not it that speaks."""
    try:
        answer = _load(body)
    except _AnswerError:
        return "", ""
    if not isinstance(answer, dict):
        return "", ""
    kind, words = answer.get("errorType"), answer.get("error")
    return (kind, words) if isinstance(kind, str) and isinstance(words, str) else ("", "")


def decode(body: bytes) -> Vector | QueryFailure:
    """Read the body of an answer with status 200; anything but its one right shape is Malformed.

    A series whose value is a native histogram comes out as NaN: it is there, and it is no number.
    """
    try:
        return _vector(_load(body))
    except _AnswerError as error:
        return QueryFailure(FailureKind.MALFORMED, str(error))


def _load(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _AnswerError("the answer is not JSON") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _vector(answer: Any) -> Vector:
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise _AnswerError("the answer does not say success")
    data = answer.get("data")
    if not isinstance(data, dict):
        raise _AnswerError("the answer has no data")
    result = data.get("result")
    warnings = _warnings(answer.get("warnings"))
    match data.get("resultType"):
        case "vector" if isinstance(result, list):
            return Vector(tuple([_series(one) for one in result]), warnings)
        case "scalar":
            return Vector((Series({}, *_sample(result)),), warnings)
        case "matrix" | "string" as kind:
            raise _AnswerError(f"the answer is a {kind}, not a vector")
    raise _AnswerError("the answer is not a vector")


def _warnings(found: Any) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _AnswerError("the answer's warnings are no list of texts")
    return tuple(_UNPRINTABLE.sub(" ", one)[:_MAX_DETAIL] for one in found[:16])


def _series(one: Any) -> Series:
    labels = one.get("metric") if isinstance(one, dict) else None
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise _AnswerError("a series of the answer has no labels")
    if "value" in one:
        return Series(labels, *_sample(one["value"]))
    if "histogram" in one:
        return Series(labels, math.nan, _time(one["histogram"]))
    raise _AnswerError("a series of the answer has no value")


def _sample(pair: Any) -> tuple[float, float]:
    """Value and time of a sample."""
    time_s = _time(pair)
    text = pair[1]
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise _AnswerError("a value of the answer is not a number in quotes")
    return float(text), time_s


def _time(pair: Any) -> float:
    if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) not in (int, float):
        raise _AnswerError("a sample of the answer is not a pair of time and value")
    try:
        time_s = float(pair[0])
    except OverflowError:
        time_s = math.inf
    if not math.isfinite(time_s):
        raise _AnswerError("the time of a sample is not finite")
    return time_s
