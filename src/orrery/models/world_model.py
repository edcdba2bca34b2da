"""The learned world: one network for every world.

It knows streams of tokens and nothing else. Two kinds meet. *Few* (state, action, touch, sound, reward,
words) pass through a transformer that sees the past. *Many* (the cells of pictures) pass through convolutions
on the latent grid that mix the last ticks. For each tick the *trunk* reads what was committed for the tick
before and what is given for this one; the *head* then denoises this tick's streams, each at a noise level of
its own: 0 is known, 1 is absent. Which of them is known, and in which order the others are imagined, is the
caller's choice.

Sources: a noise level for each tick, Chen et al. 2024, "Diffusion forcing", arXiv:2407.01392; for each
modality, Zhu et al. 2025, "Unified world models", arXiv:2504.02792; a feed-forward for each modality under
shared attention, Liang et al. 2024, "Mixture-of-transformers", arXiv:2411.04996.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from orrery.models.blocks import LAGS, Attention, FewBlock, GridBlock, LevelEmbedding, rms_norm, rotation
from orrery.models.cells import SUMMARY_TOKENS, CellsIn, Out, Summary
from orrery.models.located import LocatedCells
from orrery.models.sentences import Sentences
from orrery.models.tokens import Noisy, StreamTokens, Ticks, WorldModelConfig, grid_of, module_key

__all__ = ["Hidden", "TrunkCache", "WorldModel"]

PLACE_STD = 0.5
"""Of what tells tokens of a stream from one another at first: of the size of what is else said of them. Where
it was 0.02, slots that hold nothing yet were alike for hundreds of steps."""


class TrunkCache(NamedTuple):
    """What the trunk keeps of the past: a ring of `window_ticks` ticks.

    keys, values: `[layers, B, heads, window * n, head]`, rotated; valid: `[B, window]`; grids: of each
    picture `[layers, B, lags - 1, rows, columns, width]`.
    """

    keys: Tensor
    values: Tensor
    valid: Tensor
    grids: dict[str, Tensor]


class Hidden(NamedTuple):
    """What the trunk says of a tick: few `[B, T, n, few_width]`; grids by name `[B, T, rows, columns,
    width]`; text: keys that all may attend, `[B, words, few_width]`, and which of them are words."""

    few: Tensor
    grids: dict[str, Tensor]
    text: tuple[Tensor, Tensor] | None


class WorldModel(nn.Module):
    """See the module. `trunk`, then `head` as often as there are groups and denoising steps."""

    def __init__(self, config: WorldModelConfig) -> None:
        super().__init__()
        self.config = config
        self.pictures = [s for s in config.streams if s.grid is not None]
        self.few = [s for s in config.streams if s.grid is None and not s.text]
        self.texts = [s for s in config.streams if s.text]
        width, grid_width = config.few_width, config.grid_width
        runs = [s.tokens for s in self.few] + [SUMMARY_TOKENS + 1] * len(self.pictures)
        self.num_few = sum(runs)
        self.level = LevelEmbedding(width)
        self.places = nn.Parameter(PLACE_STD * torch.randn(self.num_few, width))
        self.few_in = _by_name((s, nn.Linear(s.width, width)) for s in self.few)
        self.few_blocks = nn.ModuleList(
            FewBlock(width, config.num_heads, runs, bool(self.texts)) for _ in range(config.few_layers)
        )
        self.head_places = nn.Parameter(PLACE_STD * torch.randn(self.num_few, width))
        self.head_in = _by_name((s, nn.Linear(s.width, width)) for s in self.few)
        self.head_from_trunk = nn.Linear(width, width)
        self.head_blocks = nn.ModuleList(
            FewBlock(width, config.num_heads, runs, bool(self.texts)) for _ in range(config.head_layers)
        )
        # From outputs that begin at zero, what sentences say of first ticks is learned much later.
        self.few_out = _by_name((s, Out(width, s.width, not self.texts)) for s in self.few)
        if self.texts:
            self.sentences = Sentences(self.texts, width, config.num_heads)
        if self.pictures:
            head_width = config.grid_head_width
            self.condition = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            self.grid_in = _by_name((s, CellsIn(grid_of(s), s.width, grid_width)) for s in self.pictures)
            self.grid_blocks = nn.ModuleList(GridBlock(grid_width, width) for _ in range(config.grid_layers))
            self.grid_summary = _by_name((s, Summary(grid_width, width)) for s in self.pictures)
            self.grid_head_from_trunk = nn.Linear(grid_width, head_width)
            self.grid_head_in = _by_name((s, CellsIn(grid_of(s), s.width, head_width)) for s in self.pictures)
            self.grid_head_level = LevelEmbedding(width)
            self.grid_head_first = GridBlock(head_width, width, lags=1)
            self.grid_head_summary = _by_name((s, Summary(head_width, width)) for s in self.pictures)
            self.grid_attention = Attention(head_width, config.num_heads)
            self.few_to_grid = nn.Linear(width, head_width)
            self.grid_condition = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            self.grid_head_blocks = nn.ModuleList(
                GridBlock(head_width, width, lags=1) for _ in range(config.grid_head_blocks)
            )
            self.grid_out = _by_name((s, Out(head_width, s.width)) for s in self.pictures)
            names = {s.name for s in self.pictures}
            self.located = _by_name(
                (s, LocatedCells(s.frames, s.numbers, width, head_width))
                for s in self.few
                if s.located_in in names
            )

    # ---- the trunk: what is known before this tick -----------------------------------------------------

    def trunk(
        self, past: Ticks, given: Ticks, seconds: Tensor, cache: TrunkCache | None = None
    ) -> tuple[Hidden, TrunkCache | None]:
        """Read the committed streams of the ticks before, and what is given for these.

        past: streams of the tick before each, absent at an episode's start. given: action and text of each
        tick (of text one tick serves all). seconds: `[T]`, of each tick. cache: of the ticks before these (T
        is 1 then), advanced in what is returned; None for a clip from its start.
        """
        text = self.sentences(given) if all(s.name in given for s in self.texts) and self.texts else None
        embedded = self._embed_few(past, given)
        batch, ticks = embedded.shape[:2] if self.few else _lead(past, given)
        grids, summaries, grid_memory = self._grid_trunk(past, embedded, batch, ticks, cache)
        x = torch.cat([embedded, *summaries], 2) + self.places
        mask = self._mask(batch, ticks, cache, x.device)
        turn = rotation(seconds, self.num_few, self.config.few_width // self.config.num_heads)
        memories: list[tuple[Tensor, Tensor]] = []
        for layer, block in enumerate(self.few_blocks):
            before = None
            if cache is not None:
                oldest = self.num_few  # with this tick there would be one too many
                before = (cache.keys[layer][:, :, oldest:], cache.values[layer][:, :, oldest:])
            x, own = block(x, turn, mask, before, text)
            memories.append(own)
        hidden = Hidden(x, grids, text)
        return hidden, None if cache is None else self._advanced(cache, memories, grid_memory)

    def empty_cache(self, batch: int, device: torch.device | str = "cpu") -> TrunkCache:
        """A cache of `batch` worlds in which nothing has happened."""
        config = self.config
        head = config.few_width // config.num_heads
        shape = (config.few_layers, batch, config.num_heads, config.window_ticks * self.num_few, head)
        grids = {
            s.name: torch.zeros(
                config.grid_layers, batch, LAGS - 1, *grid_of(s), config.grid_width, device=device
            )
            for s in self.pictures
        }
        return TrunkCache(
            torch.zeros(shape, device=device),
            torch.zeros(shape, device=device),
            torch.zeros(batch, config.window_ticks, dtype=torch.bool, device=device),
            grids,
        )

    def _embed_few(self, past: Ticks, given: Ticks) -> Tensor:
        """Tokens `[B, T, few tokens, width]` of the tick before, and of what is given for this one."""
        batch, ticks = _lead(past, given)
        parts = [
            self._embedded(s, (given if s.given else past).get(s.name), self.few_in, batch, ticks)
            for s in self.few
        ]
        return torch.cat(parts, 2) if parts else self.places.new_zeros(batch, ticks, 0, self.config.few_width)

    def _embedded(
        self, stream: StreamTokens, noisy: Noisy | None, layers: nn.ModuleDict, batch: int, ticks: int
    ) -> Tensor:
        if noisy is None:
            level = self.level(self.places.new_ones(batch, ticks)) + layers[module_key(stream.name)].bias
            return level[:, :, None].expand(-1, -1, stream.tokens, -1)
        return layers[module_key(stream.name)](noisy.visible) + self.level(noisy.level)[:, :, None]

    def _grid_trunk(
        self, past: Ticks, embedded: Tensor, batch: int, ticks: int, cache: TrunkCache | None
    ) -> tuple[dict[str, Tensor], list[Tensor], dict[str, Tensor]]:
        """Hidden cells of every picture, their summaries `[B, T, summary, few_width]`, and what to
        remember."""
        grids: dict[str, Tensor] = {}
        summaries: list[Tensor] = []
        memories: dict[str, Tensor] = {}
        if not self.pictures:
            return grids, summaries, memories
        means = [part.mean(2) for part in embedded.split([s.tokens for s in self.few], 2)] if self.few else []
        few = (
            torch.stack(means).sum(0) if means else self.places.new_zeros(batch, ticks, self.config.few_width)
        )
        for stream in self.pictures:
            noisy = past.get(stream.name)
            if noisy is None:  # nothing is seen: no convolution is run for it
                grids[stream.name] = self.places.new_zeros(
                    batch, ticks, *grid_of(stream), self.config.grid_width
                )
                summaries.append(
                    self.places.new_zeros(batch, ticks, SUMMARY_TOKENS + 1, self.config.few_width)
                )
                if cache is not None:
                    memories[stream.name] = torch.zeros_like(cache.grids[stream.name])
                continue
            condition = self.condition(few + self.level(noisy.level))
            x = self.grid_in[module_key(stream.name)](noisy)
            kept: list[Tensor] = []
            for layer, block in enumerate(self.grid_blocks):
                x, memory = block(x, condition, None if cache is None else cache.grids[stream.name][layer])
                if cache is not None:
                    kept.append(memory)
            x = rms_norm(x)
            grids[stream.name] = x
            summaries.append(self.grid_summary[module_key(stream.name)](x))
            if kept:
                memories[stream.name] = torch.stack(kept)
        return grids, summaries, memories

    def _mask(self, batch: int, ticks: int, cache: TrunkCache | None, device: torch.device) -> Tensor:
        """`[B or 1, 1, T * n, past + T * n]`: what each few token may attend."""
        num, window = self.num_few, self.config.window_ticks
        tick = torch.arange(ticks, device=device)
        behind = tick[:, None] - tick[None]
        own = ((behind >= 0) & (behind < window)).repeat_interleave(num, 0).repeat_interleave(num, 1)[None]
        parts = [own]
        if cache is not None:
            valid = cache.valid[:, 1:].repeat_interleave(num, 1)[:, None].expand(-1, ticks * num, -1)
            parts = [valid, own.expand(batch, -1, -1)]
        return torch.cat(parts, -1)[:, None]

    def _advanced(
        self, cache: TrunkCache, memories: list[tuple[Tensor, Tensor]], grids: dict[str, Tensor]
    ) -> TrunkCache:
        """The cache one tick later: the oldest tick goes, this one comes last."""
        num = self.num_few
        keys = torch.stack([key for key, _ in memories]).to(cache.keys.dtype)
        values = torch.stack([value for _, value in memories]).to(cache.values.dtype)
        return TrunkCache(
            torch.cat([cache.keys[..., num:, :], keys], -2),
            torch.cat([cache.values[..., num:, :], values], -2),
            torch.cat([cache.valid[:, 1:], torch.ones_like(cache.valid[:, :1])], 1),
            {name: grid.to(cache.grids[name].dtype) for name, grid in grids.items()},
        )

    # ---- the head: this tick --------------------------------------------------------------------------

    def head(self, hidden: Hidden, now: Ticks, past: Ticks, want: Iterable[str]) -> dict[str, Tensor]:
        """The clean latents that the network expects, of the streams in `want`, `[B, T, tokens, width]`.

        now: this tick's streams at their noise levels, given ones too; a missing one is absent. past: as in
        `trunk`, which predictions are written as changes from.
        """
        want = set(want)
        batch, ticks = hidden.few.shape[:2]
        cells = {
            s.name: self._head_cells(s, hidden, now.get(s.name), s.name not in {*past, *now, *want})
            for s in self.pictures
        }
        few = self._head_few(hidden, now, cells, batch, ticks)
        predictions: dict[str, Tensor] = {}
        start = 0
        for stream in self.few:
            if stream.name in want:
                x = rms_norm(few[:, :, start : start + stream.tokens])
                predictions[stream.name] = self.few_out[module_key(stream.name)](x, past.get(stream.name))
            start += stream.tokens
        for stream in self.pictures:
            if stream.name in want:
                x = self._head_grid(stream, cells[stream.name], few, now)
                predictions[stream.name] = self.grid_out[module_key(stream.name)](x, past.get(stream.name))
        return predictions

    def _head_cells(
        self, stream: StreamTokens, hidden: Hidden, noisy: Noisy | None, is_unseen: bool
    ) -> tuple[Tensor, Tensor]:
        """Cells of this tick's picture as far as they are known, and the embedding of their level. is_unseen:
        nothing of it is known or asked, and those of one tick are all ticks'."""
        batch, ticks = (1, 1) if is_unseen else hidden.few.shape[:2]
        x = self.grid_head_from_trunk(hidden.grids[stream.name][:batch, :ticks])
        level = self.places.new_ones(batch, ticks) if noisy is None else noisy.level
        embedded = self.grid_head_level(level)
        x = x + self.grid_head_in[module_key(stream.name)](noisy, batch, ticks)
        x, _ = self.grid_head_first(x, embedded)
        return x, embedded

    def _head_few(
        self, hidden: Hidden, now: Ticks, cells: Mapping[str, tuple[Tensor, Tensor]], batch: int, ticks: int
    ) -> Tensor:
        parts = [self._embedded(s, now.get(s.name), self.head_in, batch, ticks) for s in self.few]
        summaries = (self.grid_head_summary[module_key(s.name)](cells[s.name][0]) for s in self.pictures)
        parts += [summary.expand(batch, ticks, -1, -1) for summary in summaries]
        x = torch.cat(parts, 2) + self.head_from_trunk(rms_norm(hidden.few)) + self.head_places
        x = x.flatten(0, 1)[:, None]  # every tick by itself
        for block in self.head_blocks:
            x, _ = block(x, None, None, text=hidden.text)
        return x[:, 0].unflatten(0, (batch, ticks))

    def _head_grid(
        self, stream: StreamTokens, look: tuple[Tensor, Tensor], few: Tensor, now: Ticks
    ) -> Tensor:
        x, level = look
        batch, ticks, rows, columns, width = x.shape
        tokens = self.few_to_grid(rms_norm(few)).flatten(0, 1)
        cells = rms_norm(x).view(batch * ticks, rows * columns, width)
        attention = self.grid_attention
        seen = attention.attend(attention.queries(cells), *attention.keys_values(tokens))
        x = x + seen.view_as(x)
        start = 0
        for other in self.few:
            placed = now.get(other.name)
            if other.located_in == stream.name and placed is not None:
                group = few[:, :, start : start + other.tokens]
                x = x + self.located[module_key(other.name)](
                    placed.visible, placed.level, group, (rows, columns)
                )
            start += other.tokens
        condition = self.grid_condition(level + few.mean(2))
        for block in self.grid_head_blocks:
            x, _ = block(x, condition)
        return rms_norm(x).flatten(2, 3)


def _by_name(layers: Iterable[tuple[StreamTokens, nn.Module]]) -> nn.ModuleDict:
    return nn.ModuleDict({module_key(stream.name): layer for stream, layer in layers})


def _lead(*several: Ticks) -> tuple[int, int]:
    """Batch and ticks of a clip: of whichever stream is there and is no sentence."""
    leads = [noisy.level.shape for ticks in several for noisy in ticks.values()]
    batch, ticks = max(leads, key=lambda lead: lead[1])
    return batch, ticks
