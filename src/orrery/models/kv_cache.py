"""What a running transformer remembers: keys and values of text, the first tick and a window of recent ones.

Memory and cost stay flat however long a rollout is. Ticks that fall out of the window are forgotten, the
first tick (the sink) never is, and time is counted from the sink through the window, so that a tick seen
after an hour looks like one seen after a second (Xiao et al. 2023, arXiv 2309.17453).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from orrery.models.transformer import Past

__all__ = ["KVCache"]

LayerKeys = Sequence[tuple[Tensor, Tensor]]
"""Of each layer, keys, not turned yet, and values, `[B, heads, n, head]`."""
Keys = tuple[Tensor, Tensor]
"""The same of all layers together, `[layers, B, heads, n, head]`."""


class KVCache:
    """Keys and values by rank (see `WorldTransformer`), of ticks that are settled.

    window: ticks kept besides the first. turned: turns the keys of a past to their positions
    (`WorldTransformer.turned`); None leaves them as they are.
    """

    def __init__(self, window: int, turned: Callable[[Past], Past] | None = None) -> None:
        self.window = window
        self._turned = turned
        self._text: Keys | None = None
        self._sink: dict[int, Keys] = {}
        self._recent: deque[dict[int, Keys]] = deque(maxlen=window)
        self._current: dict[int, Keys] = {}
        self._pasts: dict[tuple[int, int], Past | None] = {}
        self.num_ticks = 0

    def set_text(self, keys: LayerKeys | None) -> None:
        """Replace the sentence, or take it away; what has happened stays."""
        self._text = None if keys is None else _together(keys)
        self._pasts.clear()

    def settle(self, rank: int, keys: LayerKeys) -> None:
        """Add the current tick's final keys and values of one rank."""
        self._current[rank] = _together(keys)
        self._pasts.clear()

    def end_tick(self) -> None:
        """The current tick becomes past."""
        self._pasts.clear()
        if self.num_ticks == 0:
            self._sink = self._current
        else:
            self._recent.append(self._current)
        self._current = {}
        self.num_ticks += 1

    def copy(self) -> KVCache:
        """A second memory with the same content; tensors are shared, for they are never written to."""
        other = KVCache(self.window, self._turned)
        other._text, other._sink, other.num_ticks = self._text, self._sink, self.num_ticks
        other._recent.extend(self._recent)
        other._current = dict(self._current)
        return other

    def position(self, window: int) -> int:
        """Where a query with this window stands, counted from text (0) and the sink (1)."""
        return min(self.num_ticks, window + (self.num_ticks > 0)) + 1

    def past(self, rank: int, window: int) -> Past | None:
        """What a query of `rank` with `window` ticks of past may see; None where there is nothing. Gathered
        once for all passes between two changes."""
        if (rank, window) not in self._pasts:
            self._pasts[rank, window] = self._gather(rank, window)
        return self._pasts[rank, window]

    def _gather(self, rank: int, window: int) -> Past | None:
        recent = list(self._recent)[-window:] if window else []
        here = self.position(window)
        ticks = [(1, self._sink)] if self.num_ticks else []
        ticks += [(here - len(recent) + index, tick) for index, tick in enumerate(recent)]
        ticks.append((here, self._current))
        pieces = [(0, self._text)] if self._text is not None else []
        pieces += [(at, keys) for at, tick in ticks for known, keys in sorted(tick.items()) if known <= rank]
        if not pieces:
            return None
        keys, values = (torch.cat([both[part] for _, both in pieces], dim=-2) for part in range(2))
        positions = [at for at, (key, _) in pieces for _ in range(key.shape[-2])]
        past = Past(keys, values, torch.tensor(positions, device=keys.device))
        return past if self._turned is None else self._turned(past)


def _together(keys: LayerKeys) -> Keys:
    return torch.stack([key for key, _ in keys]), torch.stack([value for _, value in keys])
