"""A certificate authority for one test, and certificates that it signs."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK: Final = ("localhost", "127.0.0.1")


class Authority:
    def __init__(self, folder: Path, name: str = "mesh") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
        self._certificate = self._sign(self._name, self._key.public_key(), LOOPBACK, is_authority=True)
        self.file = str(self._write(f"{name}-ca.pem", self._certificate.public_bytes(serialization.Encoding.PEM)))

    def issue(self, name: str, hours: int = 1, names: Sequence[str] = ()) -> tuple[str, str]:
        """A certificate for these names, or for this one and loopback, good for so long, and its key: the two files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), names or (name, *LOOPBACK), hours=hours)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return (
            str(self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))),
            str(self._write(f"{name}-key.pem", private)),
        )

    def _sign(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, names: Sequence[str], *, is_authority: bool = False, hours: int = 1
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(hours=hours))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path


def _general(name: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
