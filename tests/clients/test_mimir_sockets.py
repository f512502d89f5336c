"""How Mimir is asked over real sockets: what a transport of httpx's own cannot show."""

import asyncio
import contextlib
import datetime
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from charon_operator import settings
from charon_operator.clients import mimir
from charon_operator.ports import FailureKind, QueryFailure
from tests.clients.test_mimir_transport import GOOD, SEVEN, ask

Answer = Callable[[asyncio.StreamWriter], AsyncIterator[None]]


def _head(**headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Connection: close", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _plain(body: bytes, **headers: str) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        writer.write(_head(**headers) + body)
        yield

    return answer


@contextlib.asynccontextmanager
async def _server(
    answer: Answer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    asked: list[bytes] = []
    begun = 0
    served = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begun
        begun += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            async for _ in answer(writer):
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        served.release()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}", asked
        # A connection just accepted takes a few steps to reach `serve`; asyncio does not close one
        # that is still on its way when the server goes.
        for _ in range(16):
            await asyncio.sleep(0)
    for _ in range(begun):
        await served.acquire()


async def test_a_proxy_when_only_the_environment_names_it_then_it_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _server(_plain(GOOD)) as (url, asked):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        async with mimir.MimirClient(settings.Mimir(url=url)) as client:
            assert await ask(client) == SEVEN
    assert len(asked) == 1


async def test_a_body_when_it_never_ends_then_cut_at_the_cap() -> None:
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        nonlocal sent
        writer.write(_head())
        while not writer.is_closing():
            writer.write(b" " * 65536)
            sent += 65536
            yield

    async with _server(flood) as (url, _):
        config = settings.Mimir(url=url, max_body_bytes=1_000_000)
        async with mimir.MimirClient(config) as client:
            found = await ask(client)
    assert found == QueryFailure(FailureKind.REJECTED, "the answer is larger than 1000000 bytes")
    assert sent < 64 * 2**20


async def test_a_body_when_compressed_then_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    async with (
        _server(_plain(bomb, **{"Content-Encoding": "gzip"})) as (url, _),
        mimir.MimirClient(settings.Mimir(url=url)) as client,
    ):
        found = await ask(client)
    assert isinstance(found, QueryFailure)
    assert found.kind is FailureKind.MALFORMED


async def test_a_body_when_it_drips_then_the_deadline_is_for_all_of_it() -> None:
    over = asyncio.Event()

    async def drip(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        writer.write(_head())
        while not writer.is_closing() and not over.is_set():
            writer.write(b" ")
            yield
            await asyncio.sleep(0.01)

    async with _server(drip) as (url, _):
        async with mimir.MimirClient(settings.Mimir(url=url)) as client:
            found = await ask(client, timeout_s=0.2)
        over.set()
    assert found == QueryFailure(FailureKind.TIMEOUT, "no answer within 0.2 s")


async def test_the_configured_timeout_when_shorter_then_it_counts() -> None:
    over = asyncio.Event()

    async def silent(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        await over.wait()
        yield

    async with _server(silent) as (url, _):
        async with mimir.MimirClient(settings.Mimir(url=url, timeout_seconds=0.1)) as client:
            found = await ask(client, timeout_s=60)
        over.set()
    assert isinstance(found, QueryFailure)
    assert found.kind is FailureKind.TIMEOUT


async def test_a_port_when_nobody_listens_then_unavailable() -> None:
    async with _server(_plain(GOOD)) as (url, _):
        pass
    async with mimir.MimirClient(settings.Mimir(url=url)) as client:
        found = await ask(client)
    assert isinstance(found, QueryFailure)
    assert found.kind is FailureKind.UNAVAILABLE
    assert found.detail.startswith("cannot be reached: ConnectError")


# TLS


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate of loopback and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private


def _serving(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_tls_when_the_ca_is_known_then_answered_else_unavailable(tmp_path: Path) -> None:
    mine, other = _certificate(tmp_path, "mine"), _certificate(tmp_path, "other")
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes(other[0].read_bytes())
    async with (
        _server(_plain(GOOD), _serving(*mine)) as (url, _),
        mimir.MimirClient(settings.Mimir(url=url, ca_file=trusted)) as client,
    ):
        found = await ask(client)
        assert isinstance(found, QueryFailure)
        assert found.kind is FailureKind.UNAVAILABLE
        assert "CERTIFICATE_VERIFY_FAILED" in found.detail
        trusted.write_bytes(mine[0].read_bytes())  # rotated, while the client lives
        assert await ask(client) == SEVEN
        trusted.unlink()
        gone = await ask(client)
        assert isinstance(gone, QueryFailure)
        assert gone.kind is FailureKind.UNAVAILABLE


async def test_tls_when_the_server_wants_a_certificate_then_ours_is_shown(tmp_path: Path) -> None:
    server, ours = _certificate(tmp_path, "server"), _certificate(tmp_path, "ours")
    context = _serving(*server)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ours[0])
    async with _server(_plain(GOOD), context) as (url, _):
        bare = settings.Mimir(url=url, ca_file=server[0])
        async with mimir.MimirClient(bare) as client:
            assert isinstance(await ask(client), QueryFailure)
        whole = settings.Mimir(
            url=url, ca_file=server[0], certificate_file=ours[0], key_file=ours[1]
        )
        async with mimir.MimirClient(whole) as client:
            assert await ask(client) == SEVEN


async def test_tls_when_older_than_1_2_then_not_spoken(tmp_path: Path) -> None:
    client = mimir.MimirClient(settings.Mimir(ca_file=_certificate(tmp_path, "ca")[0]))
    assert client._tls().minimum_version is ssl.TLSVersion.TLSv1_2
