"""Keys and certificates such as those of a studio, made when a test asks for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)  # fmt: skip
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEYS = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ps256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


class Studio:
    """An authority, and the key of a studio whose certificate it signs.

    algorithm: one of KEYS. days: from when to when the certificate holds, from today. for_signing: whether it
    is one with which contents may be signed.
    """

    def __init__(
        self, algorithm: str = "es256", days: tuple[int, int] = (-1, 30), for_signing: bool = True
    ) -> None:
        authority = KEYS["es256"]()
        self.key: Any = KEYS[algorithm]()
        self.root = _certificate("An authority", authority, authority, "An authority", (-400, 400), None)
        self.certificate = _certificate("A studio", self.key, authority, "An authority", days, for_signing)

    def pem(self, password: bytes | None = None) -> bytes:
        """Certificates, then the key."""
        return self.chain() + self.private_key(password)

    def private_key(self, password: bytes | None = None) -> bytes:
        """The key alone."""
        encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def chain(self) -> bytes:
        """Its own certificate, and the authority's."""
        return b"".join(c.public_bytes(Encoding.PEM) for c in (self.certificate, self.root))

    def written(self, path: Path) -> Path:
        """`pem` in a file."""
        path.write_bytes(self.pem())
        return path


def _certificate(
    name: str, key: Any, issuer_key: Any, issuer: str, days: tuple[int, int], for_signing: bool | None
) -> x509.Certificate:
    """for_signing: None for an authority's."""
    is_authority = for_signing is None
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name)).issuer_name(_name(issuer))
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0])).not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(_usage(is_authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )  # fmt: skip
    if not is_authority:
        usage = ExtendedKeyUsageOID.EMAIL_PROTECTION if for_signing else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
