"""What a running transformer remembers: keys and values of text, the first tick and a window of recent ones.

Memory and cost stay flat however long a rollout is. Ticks that fall out of the window are forgotten, the
first tick (the sink) never is, and time is counted from the sink through the window, so that a tick seen
after an hour looks like one seen after a second (Xiao et al. 2023, arXiv 2309.17453).
"""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from orrery.models.transformer import Past

__all__ = ["KVCache"]

LayerKeys = list[tuple[Tensor, Tensor]]


class KVCache:
    """Keys and values by rank (see `WorldTransformer`), of ticks that are settled.

    window: ticks kept besides the first.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self._text: LayerKeys | None = None
        self._sink: dict[int, LayerKeys] = {}
        self._recent: deque[dict[int, LayerKeys]] = deque(maxlen=window)
        self._current: dict[int, LayerKeys] = {}
        self.num_ticks = 0

    def set_text(self, keys: LayerKeys | None) -> None:
        """Replace the sentence, or take it away; what has happened stays."""
        self._text = keys

    def settle(self, rank: int, keys: LayerKeys) -> None:
        """Add the current tick's final keys and values of one rank."""
        self._current[rank] = keys

    def end_tick(self) -> None:
        """The current tick becomes past."""
        if self.num_ticks == 0:
            self._sink = self._current
        else:
            self._recent.append(self._current)
        self._current = {}
        self.num_ticks += 1

    def copy(self) -> KVCache:
        """A second memory with the same content; tensors are shared, for they are never written to."""
        other = KVCache(self.window)
        other._text, other._sink, other.num_ticks = self._text, self._sink, self.num_ticks
        other._recent.extend(self._recent)
        other._current = dict(self._current)
        return other

    def position(self, window: int) -> int:
        """Where a query with this window stands, counted from text (0) and the sink (1)."""
        return min(self.num_ticks, window + (self.num_ticks > 0)) + 1

    def past(self, rank: int, window: int) -> Past | None:
        """What a query of `rank` with `window` ticks of past may see; None where there is nothing."""
        recent = list(self._recent)[-window:] if window else []
        here = self.position(window)
        ticks = [(1, self._sink)] if self.num_ticks else []
        ticks += [(here - len(recent) + index, tick) for index, tick in enumerate(recent)]
        ticks.append((here, self._current))
        pieces = [(0, self._text)] if self._text is not None else []
        pieces += [(at, keys) for at, tick in ticks for known, keys in sorted(tick.items()) if known <= rank]
        if not pieces:
            return None
        layers = [
            (
                torch.cat([keys[n][0] for _, keys in pieces], dim=2),
                torch.cat([keys[n][1] for _, keys in pieces], dim=2),
            )
            for n in range(len(pieces[0][1]))
        ]
        positions = torch.cat([torch.full((keys[0][0].shape[2],), at) for at, keys in pieces])
        return Past(layers, positions.to(layers[0][0].device))
