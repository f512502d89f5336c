"""The testbed's own certificate authority: signs servers, clients, and makes key pairs.

Reads: the testbed's key folder. Gives: PEM files, private keys readable by their owner only.
Never: leaves that folder, nor is trusted by anything outside the testbed.
"""

import dataclasses
import datetime
import ipaddress
import os
import pathlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

_LIFETIME = datetime.timedelta(days=365)
# A clock that was set back a little must not find the certificate "not yet valid".
_BACKDATED = datetime.timedelta(hours=1)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as PEM files."""

    certificate: pathlib.Path
    key: pathlib.Path


class Authority:
    """One certificate authority, kept in a folder and made at first use.

    Args:
        folder: where its PEM files and all it signs are kept.
        name: its common name and the name of its files.
    """

    def __init__(self, folder: pathlib.Path, name: str = "ca") -> None:
        self._folder = folder
        self.pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.pair.key.exists():
            _make_authority(self.pair, f"charon-testbed-{name}")
        self._certificate = x509.load_pem_x509_certificate(self.pair.certificate.read_bytes())
        key = serialization.load_pem_private_key(self.pair.key.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.pair.key} holds no elliptic curve key")
        self._key = key

    def server(self, name: str, hosts: Sequence[str]) -> Pair:
        """A certificate for a server that is reached by the given names and addresses."""
        alternatives = x509.SubjectAlternativeName([_host(host) for host in hosts])
        usages = [oid.ExtendedKeyUsageOID.SERVER_AUTH, oid.ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._sign(name, x509.Name([_common(name)]), usages, alternatives)

    def client(self, name: str, user: str, groups: Sequence[str] = ()) -> Pair:
        """A certificate Kubernetes takes for the user with the groups."""
        organizations = [
            x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, group) for group in groups
        ]
        subject = x509.Name([*organizations, _common(user)])
        return self._sign(name, subject, [oid.ExtendedKeyUsageOID.CLIENT_AUTH], None)

    def _sign(
        self,
        name: str,
        subject: x509.Name,
        usages: list[x509.ObjectIdentifier],
        alternatives: x509.SubjectAlternativeName | None,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self._certificate.subject, key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if alternatives:
            builder = builder.add_extension(alternatives, critical=False)
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        _write(pair, builder.sign(self._key, hashes.SHA256()), key)
        return pair


def key_pair(folder: pathlib.Path, name: str) -> tuple[pathlib.Path, pathlib.Path]:
    """A private key and its public key as PEM files, made at first use."""
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    if not private.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        _write_key(private, key)
    return private, public


def _make_authority(pair: Pair, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([_common(name)])
    builder = _builder(subject, subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_signing_usage(), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    _write(pair, builder.sign(key, hashes.SHA256()), key)


def _signing_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
    )


def _common(name: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(oid.NameOID.COMMON_NAME, name)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(pair.key, key)


def _write_key(path: pathlib.Path, key: ec.EllipticCurvePrivateKey) -> None:
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
