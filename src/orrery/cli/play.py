"""`orrery play`: put your hand into a world, live in the browser."""

from __future__ import annotations

import secrets
import webbrowser
from pathlib import Path

import tyro

from orrery.cli.console import needs
from orrery.errors import BadUse, UserError
from orrery.registry import DEFAULT_MODEL

__all__ = ["bound", "one_thread_each", "play"]

MAX_IMAGE_SIZE = 1024


def play(
    world: tyro.conf.Positional[str] = DEFAULT_MODEL,
    host: str = "127.0.0.1",
    port: int = 8717,
    exact: bool = False,
    beside: str | None = None,
    recordings: Path | None = None,
    image_size: int | None = None,
    token: str | None = None,
    no_browser: bool = False,
) -> int:
    """Play a world live in the browser, with its sound: move, go back, branch, record.

    Args:
        world: a model's name or a checkpoint's folder, which imagine one; gym:ENV_ID for a Gymnasium
            environment, such as gym:ALE/Pong-v5; or an exact world's name (see `orrery worlds`).
        host: address to bind to. Beyond this machine (such as 0.0.0.0) a token is asked for.
        port: to listen on; 0 for any that is free.
        exact: the exact world, where a model has the same name.
        beside: the real environment (gym:ENV_ID) to step beside an imagined world; the one that it was
            learned from, if left out and installed.
        recordings: a data set's folder; an imagined world can start from its episodes.
        image_size: pixels on each side of the picture of an exact world or an environment; 128 if left out,
            of an environment its own.
        token: what a page beyond this machine must know; drawn by chance if left out.
        no_browser: print the address only.
    """
    if not 0 <= port <= 65535:
        raise BadUse(f"--port {port}: must be from 0 to 65535")
    if image_size is not None and not 16 <= image_size <= MAX_IMAGE_SIZE:
        raise BadUse(f"--image-size {image_size}: must be from 16 to {MAX_IMAGE_SIZE}")
    with needs("serve", "playing"):
        import uvicorn

        from orrery.serving.app import create_app
        from orrery.serving.guard import is_loopback
        from orrery.serving.messages import MAX_MESSAGE_BYTES
    with needs("sim", "this world"):
        from orrery.serving.opening import open_world

        playable = open_world(world, exact, image_size, beside, recordings)
    one_thread_each()
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(16)
    listener = bound(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}/{f'?token={token}' if token else ''}"
    print(f"{playable.title} ({playable.kind}): {address}   Ctrl-C ends it", flush=True)
    if not no_browser:
        webbrowser.open(address)
    config = uvicorn.Config(
        create_app(playable, host, token),
        log_level="warning",
        ws_max_size=2 * MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def bound(host: str, port: int):
    """A listening socket. UserError for an address that is taken or not ours."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # whoever comes as soon as the address is printed waits, and is not refused
    except OSError as error:
        listener.close()
        raise UserError(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port"
        ) from error
    return listener


def one_thread_each() -> None:
    """Small passes gain little from a second thread, and on a busy machine two wait for one another."""
    import torch

    torch.set_num_threads(1)
