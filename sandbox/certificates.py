"""A small certificate authority for tests and demo: EC P-256, accepted by OpenSSL 3 (strict) and Chromium.

Pure but for the keys' entropy: the moment of issue is an argument, and nothing touches a disk until `write`.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)
_YEAR = datetime.timedelta(days=365)


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """A certificate chain and its key, as PEM files."""

    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return a server's TLS context that offers HTTP/1.1 only."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.key)
        context.set_alpn_protocols(["http/1.1"])
        return context


@dataclass(frozen=True, slots=True)
class Issued:
    """A server's certificate chain (leaf first) and its private key, both PEM."""

    chain: bytes
    key: bytes = field(repr=False)

    def write(self, folder: Path, stem: str = "server") -> ServerFiles:
        """Write `stem.pem` and `stem-key.pem` (0600) and return where they are."""
        files = ServerFiles(folder / f"{stem}.pem", folder / f"{stem}-key.pem")
        folder.mkdir(parents=True, exist_ok=True)
        files.chain.write_bytes(self.chain)
        files.key.touch(mode=0o600)
        files.key.write_bytes(self.key)
        return files


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority that lives a year from the day before `now`."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @staticmethod
    def create(name: str, *, now: datetime.datetime) -> Authority:
        """Return a new authority; `now` carries its time zone."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            _builder(subject, subject, key=key, now=now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(_signed_by(identifier), critical=False)
            .sign(key, hashes.SHA256())
        )
        return Authority(certificate, key)

    @property
    def pem(self) -> bytes:
        """The certificate to trust, for `ca:` of an estate and `--cacert`."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, path: Path) -> Path:
        """Write the certificate to trust (never the key) and return where it is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.pem)
        return path

    def issue(self, names: Sequence[str], *, now: datetime.datetime) -> Issued:
        """Return a server certificate for DNS names (also `*.cms.example`) and addresses."""
        if not names:
            raise ValueError("a certificate needs at least one name or address")
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        certificate = (
            _builder(_name(names[0]), self.certificate.subject, key=key, now=now)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_signed_by(issuer), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Issued(
            chain=certificate.public_bytes(serialization.Encoding.PEM) + self.pem,
            key=key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, *, key: ec.EllipticCurvePrivateKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _YEAR)
    )


def _name(text: str) -> x509.Name:
    # RFC 5280 appendix A: a common name has at most 64 characters; who is named is in subjectAltName anyway.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _signed_by(identifier: x509.SubjectKeyIdentifier) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
