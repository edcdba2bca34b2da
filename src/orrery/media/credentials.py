"""Content credentials of films (C2PA): what made a film and from what, signed, in the film itself.

Nothing leaves the machine: no time stamp is asked for and no certificate is looked up. Source: C2PA technical
specification 2.2, https://spec.c2pa.org; kinds of origin: IPTC, https://cv.iptc.org/newscodes/digitalsourcetype.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from PIL import Image

from orrery import __version__
from orrery.atomic import disk_failure, temporary_name
from orrery.errors import UserError

__all__ = ["Credentials", "read_credentials", "sign_film"]

ABOUT = "org.orrery.generated"
"""Label of the assertion that holds what a film was made from."""
_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype"
_FILM = "video/mp4"
_KEY = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----\s*", re.DOTALL)
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Credentials:
    """With what a film is signed: a private key, its certificate and those that vouch for it, as PEM.

    algorithm: of the signature, as C2PA calls it (`es256`).
    """

    algorithm: str
    certificates: bytes
    key: bytes


def read_credentials(path: str | Path) -> Credentials:
    """Credentials of a PEM file that holds a private key and a chain of certificates, the key's own first.

    UserError for a file that nothing could be signed with, before any film is made.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    found = _KEY.search(content)
    if found is None:
        raise UserError(f"{path}: holds no private key; put one there, in PEM, beside its certificates")
    certificates = _KEY.sub(b"", content)
    try:
        key = load_pem_private_key(found.group(), None)
        chain = x509.load_pem_x509_certificates(certificates)
    except TypeError as error:
        raise UserError(
            f"{path}: the private key has a password; give one without (openssl pkey -in …)"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: is no PEM of a private key and certificates ({reason})") from error
    credentials = Credentials(_algorithm(path, key), certificates, found.group())
    _check_own(path, chain[0], key)
    _try_out(path, credentials)
    return credentials


def _algorithm(path: Path, key: object) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise UserError(f"{path}: C2PA signs with keys of the curves P-256, P-384, P-521 and Ed25519, and RSA")


def _check_own(path: Path, certificate: x509.Certificate, key: Any) -> None:
    """That the first certificate is the key's own, and holds now."""
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*public) != key.public_key().public_bytes(*public):
        raise UserError(f"{path}: the first certificate is not that of the private key; put its own first")
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begins <= datetime.now(UTC) <= ends:
        raise UserError(f"{path}: its certificate holds from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}, not today")


def _try_out(path: Path, credentials: Credentials) -> None:
    """Sign a picture of one pixel, and have it read back: a certificate may be unfit in many ways."""
    picture, signed = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (1, 1)).save(picture, "PNG")
    picture.seek(0)
    try:
        _sign(credentials, _manifest("", {}, is_learned=False), "image/png", picture, signed, ())
        signed.seek(0)
        state = c2pa.Reader("image/png", signed).get_validation_state()
    except c2pa.C2paError as error:
        raise UserError(f"{path}: nothing can be signed with it ({error}); see docs/studio.md") from error
    if state == "Invalid":
        raise UserError(
            f"{path}: what is signed with it is not accepted; a certificate for C2PA has a key usage of "
            "digitalSignature and an extended one of emailProtection; see docs/studio.md"
        )


def sign_film(
    path: Path,
    about: Mapping[str, Any],
    is_learned: bool,
    credentials: Credentials,
    ingredients: Sequence[Path] = (),
) -> None:
    """Replace a film (MP4) by itself with content credentials, in one step; its picture and sound stay.

    about: what it was made from, as plain values; `title` names it, if there is one. is_learned: whether a
    model that was trained made it, and not a simulation. ingredients: films that it was made from, such as
    the one that guided a large model; what they say of themselves is kept. UserError where it cannot be
    signed or written; the film is then as it was.
    """
    temporary = temporary_name(path)
    manifest = _manifest(str(about.get("title") or path.name), about, is_learned)
    try:
        with path.open("rb") as film, temporary.open("w+b") as signed:
            _sign(credentials, manifest, _FILM, film, signed, ingredients)
        temporary.replace(path)
    except OSError as error:
        raise disk_failure(path, error) from error
    except c2pa.C2paError as error:
        raise UserError(f"{path}: cannot be signed ({error}); the film is there, unsigned") from error
    finally:
        temporary.unlink(missing_ok=True)


def _manifest(title: str, about: Mapping[str, Any], is_learned: bool) -> dict[str, Any]:
    source = "trainedAlgorithmicMedia" if is_learned else "algorithmicMedia"
    created = {"action": "c2pa.created", "digitalSourceType": f"{_SOURCES}/{source}"}
    return {
        "claim_generator_info": [{"name": "Orrery", "version": __version__}],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": ABOUT, "data": dict(about)},
        ],
    }


def _sign(
    credentials: Credentials,
    manifest: Mapping[str, Any],
    media_type: str,
    source: Any,
    destination: Any,
    ingredients: Sequence[Path],
) -> None:
    info = c2pa.C2paSignerInfo(credentials.algorithm, credentials.certificates, credentials.key, None)
    with ExitStack() as stack:
        signer = stack.enter_context(c2pa.Signer.from_info(info))
        builder = stack.enter_context(c2pa.Builder(json.dumps(manifest)))
        for film in ingredients:
            of_it = json.dumps({"title": film.name, "relationship": "inputTo"})
            builder.add_ingredient(of_it, _FILM, stack.enter_context(film.open("rb")))
        builder.sign(signer, media_type, source, destination)
