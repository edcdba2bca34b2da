"""Worlds of an `orrery serve` elsewhere, as worlds: reset and stepped here, run there.

```python
world = RemoteWorld("ws://127.0.0.1:8717", "tabletop", num_worlds=2)
tick = world.reset(seed=3)
env = gymnasium.make("orrery/remote", address="ws://127.0.0.1:8717", model="pong")
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import connect

from orrery.errors import BadUse, UserError
from orrery.serving.arrays import GIVEN, MASK, PATH, pack_arrays, unpack_arrays
from orrery.streams import Array, Observation, WorldSpec
from orrery.world import action_streams, actions_by_stream

__all__ = ["RemoteWorld", "make_env"]


class RemoteWorld:
    """`num_worlds` worlds of a server; see `orrery.world.World`.

    address: `ws://HOST:PORT`, or `wss://` behind a proxy with TLS. model: one of the server's, None for its
    first. streams: names of those to observe, None for all. token: where the server asks for one. UserError
    where the server cannot be reached or has gone; `close` lets it go.
    """

    def __init__(
        self,
        address: str,
        model: str | None = None,
        num_worlds: int = 1,
        streams: Sequence[str] | None = None,
        token: str | None = None,
    ) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._address = address
        try:
            self._socket = connect(
                address.rstrip("/") + PATH, additional_headers=headers, max_size=None, compression=None
            )
        except (OSError, InvalidURI, InvalidHandshake, TimeoutError) as error:
            raise UserError(f"{address}: no world is served there ({error})") from error
        header, _ = self._request(
            {
                "type": "open",
                "model": model,
                "num_worlds": num_worlds,
                "streams": None if streams is None else list(streams),
            }
        )
        self.spec = WorldSpec.from_json(header["spec"])
        self.num_worlds: int = header["num_worlds"]
        self._header: dict[str, Any] = {}
        if header["directable"]:
            self.direct = self._direct  # a `Directable` world only where the one there is

    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """See `World.reset`. BadUse for a scene, and for whatever the world there refuses."""
        if scene is not None:
            raise BadUse("a remote world starts from a seed, a sentence or given streams, not from a scene")
        arrays = {f"{GIVEN}{name}": np.asarray(value) for name, value in (given or {}).items()}
        if mask is not None:
            arrays[MASK] = np.asarray(mask)
        return self._tick({"type": "reset", "seed": int(seed), "prompt": prompt}, arrays)

    def step(self, action: Array | Mapping[str, Array] | None = None) -> Observation:
        """See `World.step`."""
        arrays = (
            {} if action is None else actions_by_stream(action_streams(self.spec), self.num_worlds, action)
        )
        return self._tick({"type": "step"}, arrays)

    def _direct(self, sentence: str, mask: Array | None = None) -> None:
        """See `Directable`."""
        arrays = {} if mask is None else {MASK: np.asarray(mask)}
        self._request({"type": "direct", "sentence": sentence}, arrays)

    def text(self, index: int = 0) -> str:
        """The sentence of world `index`, empty where the world there has none."""
        return self._header.get("texts", [""] * self.num_worlds)[index]

    @property
    def ended(self) -> Array:
        """`[B]`: which worlds have ended and hold still, where they are such."""
        return np.array(self._header.get("ended", [False] * self.num_worlds))

    @property
    def endings(self) -> list[str]:
        """How each ended, empty for one that did not."""
        return self._header.get("endings", [""] * self.num_worlds)

    def close(self) -> None:
        """Let the server go."""
        self._socket.close()

    def _tick(self, header: dict[str, Any], arrays: Mapping[str, Array]) -> Observation:
        self._header, tick = self._request(header, arrays)
        return tick

    def _request(
        self, header: dict[str, Any], arrays: Mapping[str, Array] | None = None
    ) -> tuple[dict[str, Any], dict[str, Array]]:
        try:
            self._socket.send(pack_arrays(header, arrays or {}))
            answer = self._socket.recv(decode=False)
        except ConnectionClosed as error:
            reason = error.rcvd.reason if error.rcvd is not None else ""
            raise UserError(f"{self._address}: the server closed: {reason or 'it has gone'}") from error
        said, received = unpack_arrays(answer)
        if said["type"] == "error":
            raise (BadUse if said["kind"] == "use" else UserError)(said["message"])
        return said, received


def make_env(
    address: str,
    model: str | None = None,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    token: str | None = None,
) -> Any:
    """What `gymnasium.make("orrery/remote", address=...)` makes; see `RemoteWorld` and `WorldEnv`."""
    from orrery.worlds.gymnasium.environment import WorldEnv

    world = RemoteWorld(address, model, token=token)
    return WorldEnv(world, max_ticks=max_episode_steps, render_mode=render_mode)
