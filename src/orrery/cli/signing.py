"""`--sign`: content credentials for the films that commands make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from orrery.cli.console import needs

__all__ = ["signing"]


def signing(pem: Path | None) -> Callable[[Path, Mapping[str, Any], bool], None]:
    """What signs a film with the credentials of a PEM file, or nothing where there is none; called as
    `orrery.media.credentials.sign_film`. UserError for credentials that nothing can be signed with."""
    if pem is None:
        return lambda path, about, is_learned: None
    with needs("sign", "--sign"):
        from orrery.media.credentials import read_credentials, sign_film
    return partial(sign_film, credentials=read_credentials(pem))
