"""What the tests of the application share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@pytest.fixture
def playing() -> Any:
    """Opens the page's socket: `with playing() as page`."""

    pytest.importorskip("fastapi")
    from dummy_page import PLAY, Page, dummy_playable
    from starlette.testclient import TestClient

    from orrery.serving.app import create_app

    @contextmanager
    def open_page(playable: Any = None, acknowledges: bool = True, limits: Any = None) -> Iterator[Any]:
        client = TestClient(
            create_app(playable or dummy_playable(), limits=limits), base_url="http://localhost"
        )
        with client, client.websocket_connect(PLAY) as socket:
            page = Page(socket, acknowledges)
            page.client = client  # type: ignore[attr-defined]
            yield page

    return open_page
