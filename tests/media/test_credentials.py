"""Content credentials, read back by the reader of those who made the standard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
from certificates import KEYS, Studio
from cryptography.hazmat.primitives.serialization import Encoding

from orrery.cli import main
from orrery.errors import UserError
from orrery.media import FilmWriter, read_film
from orrery.media.credentials import ABOUT, Credentials, read_credentials, sign_film


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio()


@pytest.fixture
def credentials(studio: Studio, tmp_path: Path) -> Credentials:
    return read_credentials(studio.written(tmp_path / "studio.pem"))


def film(path: Path, grey: int = 100) -> Path:
    """A short film that hums."""
    sound = 0.1 * np.sin(np.arange(24_000) / 20.0)
    with FilmWriter(path, 24, 48_000, (32, 32)) as writer:
        writer.write(np.full((12, 32, 32, 3), grey, np.uint8), np.stack([sound, sound], 1).astype(np.float32))
    return path


def state(path: Path, trusted: Studio | None = None) -> str | None:
    """What C2PA's own reader makes of a film. trusted: whose authority it trusts."""
    if trusted is None:
        return c2pa.Reader(str(path)).get_validation_state()
    anchors = trusted.root.public_bytes(Encoding.PEM).decode()
    context = c2pa.Context(c2pa.Settings.from_dict({"trust": {"trust_anchors": anchors}}))
    return c2pa.Reader(str(path), context=context).get_validation_state()


def manifest(path: Path) -> dict[str, Any]:
    found = c2pa.Reader(str(path)).get_active_manifest()
    assert found is not None
    return found


def assertion(path: Path, label: str) -> Any:
    return next(a["data"] for a in manifest(path)["assertions"] if a["label"] == label)


def test_a_signed_film_is_trusted_and_says_what_made_it(
    tmp_path: Path, studio: Studio, credentials: Credentials
) -> None:
    path = film(tmp_path / "film.mp4")
    before = read_film(path)
    sign_film(path, {"title": "a hum", "seed": 3, "prompt": None}, True, credentials)
    assert (state(path), state(path, studio), state(path, Studio())) == ("Valid", "Trusted", "Valid")
    assert manifest(path)["title"] == "a hum"
    assert manifest(path)["signature_info"]["issuer"] == "A studio"
    assert assertion(path, ABOUT) == {"title": "a hum", "seed": 3, "prompt": None}
    created = assertion(path, "c2pa.actions.v2")["actions"][0]
    assert created["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    after = read_film(path)
    assert np.array_equal(after.frames, before.frames)
    assert np.array_equal(after.audio, before.audio)
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_one_flipped_bit_is_refused(tmp_path: Path, credentials: Credentials) -> None:
    path = film(tmp_path / "film.mp4")
    sign_film(path, {}, False, credentials)
    assert state(path) == "Valid"
    content = bytearray(path.read_bytes())
    content[content.index(b"mdat") + 40] ^= 1
    path.write_bytes(content)
    assert state(path) == "Invalid"


def test_what_a_film_was_made_from_goes_with_it(tmp_path: Path, credentials: Credentials) -> None:
    guide, dressed = film(tmp_path / "guide.mp4"), film(tmp_path / "dressed.mp4", grey=180)
    sign_film(guide, {"title": "the guide"}, False, credentials)
    sign_film(dressed, {}, True, credentials, [guide])
    assert state(dressed) == "Valid"
    (ingredient,) = manifest(dressed)["ingredients"]
    assert (ingredient["title"], ingredient["relationship"]) == ("guide.mp4", "inputTo")
    whole = json.loads(c2pa.Reader(str(dressed)).json())
    assert whole["manifests"][ingredient["active_manifest"]]["title"] == "the guide"


@pytest.mark.parametrize("algorithm", KEYS)
def test_any_usual_key_signs(tmp_path: Path, algorithm: str) -> None:
    found = read_credentials(Studio(algorithm).written(tmp_path / "studio.pem"))
    assert found.algorithm == algorithm
    sign_film(film(tmp_path / "film.mp4"), {}, False, found)
    assert state(tmp_path / "film.mp4") == "Valid"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no private key"),
        (Studio().chain(), "no private key"),
        (Studio().pem().replace(b"MII", b"MIX", 1), "no PEM of a private key and certificates"),
        (Studio().pem(b"secret"), "has a password"),
        (Studio().chain() + Studio().private_key(), "is not that of the private key"),
        (Studio(days=(-30, -1)).pem(), "holds from"),
        (Studio(days=(1, 30)).pem(), "holds from"),
        (Studio(for_signing=False).pem(), "emailProtection|certificate is invalid"),
    ],
    ids=["empty", "no key", "damaged", "password", "another's key", "past", "future", "not for signing"],
)  # fmt: skip
def test_what_nothing_can_be_signed_with_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "studio.pem"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_credentials(path)


def test_a_missing_film_or_key_is_told(tmp_path: Path, credentials: Credentials) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        sign_film(tmp_path / "nowhere.mp4", {}, False, credentials)
    with pytest.raises(UserError, match="cannot be read"):
        read_credentials(tmp_path / "nowhere.pem")
    (tmp_path / "text.mp4").write_text("this is no film")
    with pytest.raises(UserError, match="cannot be signed"):
        sign_film(tmp_path / "text.mp4", {}, False, credentials)
    assert (tmp_path / "text.mp4").read_text() == "this is no film"


def test_a_film_of_a_sentence_is_signed(tmp_path: Path, studio: Studio) -> None:
    pytest.importorskip("mujoco")
    out, pem = tmp_path / "film.mp4", studio.written(tmp_path / "studio.pem")
    sentence = "a red ball drops"
    command = ["generate", sentence, "--exact", "--seconds", "0.2", "--seed", "4", "--out", str(out)]
    assert main([*command, "--sign", str(pem)]) == 0
    assert state(out, studio) == "Trusted"
    said = assertion(out, ABOUT)
    assert (said["prompt"], said["seed"], said["world"]) == (sentence, 4, "exact")
    assert assertion(out, "c2pa.actions.v2")["actions"][0]["digitalSourceType"].endswith("/algorithmicMedia")
    pem.write_bytes(b"")
    assert main([*command, "--force", "--sign", str(pem)]) == 1
    assert state(out, studio) == "Trusted", "the film that was there is as it was"
