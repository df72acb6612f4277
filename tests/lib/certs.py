# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests: a CA and server certificates that it signs, valid ones and each kind of invalid one."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
_Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Cert:
    """A server's certificate on disk."""

    cert: Path  # PEM
    key: Path  # PEM, mode 0600
    ca: Path  # PEM of the issuer: the CA, or the certificate itself when it is self-signed
    fingerprint: str  # SHA-256 of the DER: upper-case hex with colons, as openssl and Proxmox print it


class Authority:
    """A CA in a directory; `ca` is its certificate in PEM."""

    def __init__(
        self, directory: Path, name: str = "proxxy test CA", parent: Authority | None = None, is_ca: bool = True
    ) -> None:
        """parent signs the certificate; without a parent it is a root. is_ca=False: it may not sign others."""
        self.directory = Path(directory)
        self.ca = self.directory / "ca.pem"
        self._key = _new_key(rsa_bits=None)
        self._name = _name(name)
        issuer = parent or self
        builder = _builder(self._name, issuer._name, self._key, -DAY, 30 * DAY)
        length = None if not is_ca else 0 if parent else 1
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=length), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=is_ca), critical=True)
        self.ca.write_bytes(_pem(builder.sign(issuer._key, hashes.SHA256())))

    def leaf(
        self,
        name: str = "pve01",
        *,
        dns: Iterable[str] = ("localhost", "pve01"),
        ips: Iterable[str] = ("127.0.0.1", "::1"),
        starts: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 30 * DAY,
        self_signed: bool = False,
        rsa_bits: int | None = None,
        key: _Key | None = None,
        organization: str = "",
    ) -> Cert:
        """Creates a server certificate; starts and ends are relative to now. `name` is also the file's name."""
        key = key or _new_key(rsa_bits)
        subject = _name(name, organization)
        issuer, signer = (subject, key) if self_signed else (self._name, self._key)
        names: list[x509.GeneralName] = [x509.DNSName(entry) for entry in dns]
        names += [x509.IPAddress(ipaddress.ip_address(entry)) for entry in ips]
        builder = _builder(subject, issuer, key, starts, ends)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return self._store(name, builder.sign(signer, digest), key, self_signed)

    def expired(self, name: str = "expired") -> Cert:
        return self.leaf(name, starts=-10 * DAY, ends=-DAY)

    def not_yet_valid(self, name: str = "not-yet-valid") -> Cert:
        return self.leaf(name, starts=DAY, ends=10 * DAY)

    def wrong_name(self, name: str = "wrong-name") -> Cert:
        return self.leaf(name, dns=("other.example",), ips=("192.0.2.1",))

    def self_signed(self, name: str = "self-signed") -> Cert:
        return self.leaf(name, self_signed=True)

    def _store(self, name: str, cert: x509.Certificate, key: _Key, self_signed: bool) -> Cert:
        cert_path = self.directory / f"{name}.pem"
        key_path = self.directory / f"{name}.key"
        cert_path.write_bytes(_pem(cert))
        key_path.touch(mode=0o600)
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        fingerprint = cert.fingerprint(hashes.SHA256()).hex(":").upper()
        return Cert(cert_path, key_path, cert_path if self_signed else self.ca, fingerprint)


def _new_key(rsa_bits: int | None) -> _Key:
    if rsa_bits:
        return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str, organization: str = "") -> x509.Name:
    names = [(NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, common_name)]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in names if text])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: _Key,
    starts: datetime.timedelta,
    ends: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.PEM)
