"""`--sign`: content credentials for the films that commands make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from orrery.cli.console import needs

__all__ = ["signing"]


class SignFilm(Protocol):
    """`orrery.media.credentials.sign_film` with the credentials given."""

    def __call__(
        self, path: Path, about: Mapping[str, Any], is_learned: bool, *, ingredients: Sequence[Path] = ()
    ) -> None: ...


def signing(pem: Path | None) -> SignFilm:
    """What signs a film with the credentials of a PEM file, or nothing where there is none. UserError for
    credentials that nothing can be signed with."""
    if pem is None:
        return lambda path, about, is_learned, ingredients=(): None
    with needs("sign", "--sign"):
        from orrery.media.credentials import read_credentials, sign_film
    return partial(sign_film, credentials=read_credentials(pem))
