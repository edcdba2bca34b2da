"""The page in a real browser: seen, heard, steered, taken back and recorded, and nobody else is asked."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")

from orrery.serving.app import create_app  # noqa: E402
from orrery.serving.opening import Playable  # noqa: E402
from orrery.serving.session import Session  # noqa: E402
from orrery.worlds.dummy import DummyWorld  # noqa: E402

pytestmark = pytest.mark.slow

POLLS = 300
"""How often something is looked for, a fifth of a second apart, before it counts as never coming."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        own = Path(started.chromium.executable_path)
        path = shutil.which("chromium") or shutil.which("chromium-browser") or (own if own.exists() else None)
        if path is None:
            pytest.skip("no Chromium is installed")
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        opened = started.chromium.launch(executable_path=path, args=arguments)
        yield opened
        opened.close()


@dataclass(frozen=True)
class _Kept(Playable):
    """Remembers its last session."""

    server: Any = None

    def make(self, with_beside: bool = False, rewinds: bool = False) -> Session:
        self.server.session = super().make(with_beside, rewinds)
        return self.server.session


class Server:
    """The dummy world on a port of its own; `session` is that of the page that came last."""

    def __init__(self) -> None:
        self.session = Session(DummyWorld())
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        app = create_app(_Kept("dummy", "exact", lambda: DummyWorld(size=32), sentences=True, server=self))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.stop()


def until(page: Any, holds: Callable[[], bool], what: str) -> None:
    for _ in range(POLLS):
        if holds():
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"never: {what}")


def test_the_page_plays(browser: Any, server: Server) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(120_000)
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda asked: (
            faults.append(asked.url) if not asked.url.startswith((server.address, "blob:")) else None
        ),
    )
    page.goto(server.address)

    def tick() -> int:
        return int(page.evaluate("document.body.dataset.tick || -1"))

    def picture() -> str:
        return page.evaluate("document.getElementById('world').toDataURL()")

    def pushed() -> list[float]:
        action = server.session.done[-1].action if server.session.done else None
        return [] if action is None else action["action"].tolist()

    until(page, lambda: page.locator("#overlay-button").is_visible(), "a button to begin with")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    still = picture()
    page.locator("#overlay-button").click()
    until(page, lambda: tick() > 2 and picture() != still, "the picture moves")

    page.keyboard.down("ArrowRight")
    until(page, lambda: pushed() == [1.0], "a key changes what is done")
    assert page.locator(".control.active").count() == 1
    page.keyboard.up("ArrowRight")
    until(page, lambda: pushed() == [0.0], "the key is let go")

    until(page, lambda: float(page.evaluate("document.body.dataset.loudest || 0")) > 0.01, "a beep is heard")

    page.locator(".mark").first.click()
    until(page, lambda: tick() == 0 and picture() == still, "back where it began")
    page.locator("#record").click()
    until(page, lambda: page.locator("#recording-lamp").is_visible(), "a lamp says that it records")
    page.keyboard.press("Period")
    until(page, lambda: "branch 1" in page.locator("#clock").inner_text(), "a branch begins")
    page.locator("#record").click()
    with page.expect_download() as film:
        page.locator(".toast a").first.click()
    assert film.value.suggested_filename == "dummy.mp4"

    page.locator("#world").click()
    page.keyboard.press("Slash")
    page.keyboard.type("to the right")
    page.keyboard.press("Enter")
    until(page, lambda: "to the right" in page.locator(".toast").last.inner_text(), "a sentence on the way")
    page.keyboard.press("Period")
    until(
        page, lambda: server.session.done[-1].sentences == ("to the right",), "it happens with the next tick"
    )
    page.locator("#sentence").fill("sideways")
    page.locator("#direct-button").click()
    until(page, lambda: page.locator(".toast.wrong").is_visible(), "a sentence that cannot be followed")
    page.locator(".toast.wrong button").click()

    page.locator("#prompt").fill("to the left")
    page.locator("#start-button").click()
    until(
        page,
        lambda: server.session.start is not None and server.session.start.prompt == "to the left",
        "a sentence",
    )
    page.locator("#prompt").fill("upwards")
    until(page, lambda: page.locator("#start-button").is_enabled(), "ready to start again")
    page.locator("#start-button").click()
    until(page, lambda: page.locator(".toast.wrong").is_visible(), "a sentence that is refused")
    assert not faults
