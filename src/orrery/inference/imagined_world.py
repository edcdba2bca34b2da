"""The learned world wears the interface of any world: reset and step.

Each tick is made in the order of its ranks: state (with camera), then touch and sound, then pictures. A
stream that is given is encoded instead of sampled; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from orrery.diffusion.samplers import levels_for, sample
from orrery.engines.torch import TorchEngine
from orrery.errors import BadUse
from orrery.inference.checkpoints import WorldModel, load_model
from orrery.inference.coding import decoded, encoded
from orrery.inference.senses import Senses
from orrery.models.kv_cache import KVCache
from orrery.models.precision import prefers_bf16
from orrery.streams import Array, Observation, WorldSpec
from orrery.tokenizers.audio import AudioDecoderState
from orrery.tokenizers.codecs import GENERATE, PERCEIVE
from orrery.tokenizers.state import Told

__all__ = ["ImaginedWorld", "load_world"]

MAX_BEGINNINGS = 10
"""How often a first tick is drawn at most."""


def load_world(
    folder: str | Path, num_worlds: int = 1, streams: Iterable[str] | None = None
) -> ImaginedWorld:
    """The imagined world of a checkpoint folder; see `ImaginedWorld`. Raises UserError for a damaged one."""
    return ImaginedWorld(load_model(folder), num_worlds, streams)


class ImaginedWorld:
    """`num_worlds` independent dreams of one model; see `orrery.world.World`.

    streams: names of those to observe; None for all. Without `video.main` nothing is drawn, which costs less;
    the other streams are the same either way.
    """

    def __init__(self, model: WorldModel, num_worlds: int = 1, streams: Iterable[str] | None = None) -> None:
        unknown = set(streams or ()) - set(model.spec.streams)
        if unknown:
            known = ", ".join(model.spec.streams)
            raise BadUse(f"the model has no stream {', '.join(sorted(unknown))}; it has {known}")
        if prefers_bf16():  # of a copy: whoever gave the model may need it as it is
            model = replace(model, video=deepcopy(model.video))
            model.video.decoder.bfloat16()
        self.model = model
        self.spec = model.spec if streams is None else model.spec.only(streams)
        self.num_worlds = num_worlds
        self.checkpoint_hash = model.hash
        engine = TorchEngine(model.transformer, GENERATE)
        self._engines = {"generate": engine, "perceive": TorchEngine(engine.model, PERCEIVE)}
        self._dreams: list[_Dream | None] = [None] * num_worlds

    @torch.inference_mode()
    def reset(
        self,
        seed: int,
        prompt: str | None = None,
        scene: Any | None = None,
        given: Mapping[str, Array] | None = None,
        mask: Array | None = None,
    ) -> Observation:
        """Start again. given: streams `[B, num_ticks, *shape]`, used tick by tick until they run out.

        With `video.main` given and no `state`, that of the first `sampling.perceived` ticks is perceived.
        Raises UserError for a prompt that the model cannot follow.
        """
        if scene is not None:
            raise BadUse("an imagined world starts from a prompt or from given streams, not from a scene")
        if prompt is not None:
            self.check_prompt(prompt)
        for index in range(self.num_worlds):
            if mask is None or mask[index]:
                mine = {name: value[index] for name, value in (given or {}).items()}
                dream = _Dream(self.model, self.spec, self._engines, prompt or "", mine, [seed, index])
                dream.advance(None)
                self._dreams[index] = dream
        return self._observe()

    def check_prompt(self, prompt: str) -> None:
        """See `Promptable`."""
        self.model.check_sentence(prompt)

    @torch.inference_mode()
    def step(self, action: Array | None = None) -> Observation:
        """Imagine the next tick.

        action: `[B, frames, 3]` m/s of the finger's target, cut to the spec's range; None withholds it.
        """
        spec = self.model.spec.streams["action"]
        expected = (self.num_worlds, *spec.shape)
        if action is not None and np.shape(action) != expected:
            raise BadUse(f"action: expected {expected}, got {np.shape(action)}")
        if action is not None:
            low = -np.inf if spec.low is None else spec.low
            high = np.inf if spec.high is None else spec.high
            action = np.clip(np.asarray(action, np.float32), low, high)
        for index in range(self.num_worlds):
            self._dream(index).advance(None if action is None else action[index])
        return self._observe()

    def text(self, index: int = 0) -> str:
        """The sentence that world `index` started from."""
        return self._dream(index).prompt

    def snapshot(self) -> list[Any]:
        """All memory of all worlds."""
        return [self._dream(index).snapshot() for index in range(self.num_worlds)]

    def restore(self, snapshot: list[Any]) -> None:
        """Go back to `snapshot`."""
        for index, values in enumerate(snapshot):
            self._dream(index).restore(values)

    def _dream(self, index: int) -> _Dream:
        dream = self._dreams[index]
        if dream is None:
            raise BadUse("reset() comes before anything else")
        return dream

    def _observe(self) -> Observation:
        ticks = [self._dream(index).tick for index in range(self.num_worlds)]
        return {name: np.stack([tick[name] for tick in ticks]) for name in self.spec.streams}


@dataclass
class _Memory:
    """What a dream carries from tick to tick."""

    cache: KVCache
    camera: Tensor | None = None
    anchor: Tensor | None = None
    sound: AudioDecoderState | None = None
    senses: Senses | None = None
    generator: Tensor = field(default_factory=lambda: torch.empty(0))

    def copy(self) -> _Memory:
        senses = None if self.senses is None else self.senses.copy()
        return replace(self, cache=self.cache.copy(), senses=senses)


class _Asked(NamedTuple):
    """What a tick's state is to be sampled from.

    known: numbers of what is given. anchor, has_anchor, told: see `StateCodec`. camera: its numbers, None
    where they are to be sampled too. senses: those the state is to be read off, None to imagine it.
    """

    known: Mapping[str, Tensor]
    anchor: Tensor
    has_anchor: Tensor
    camera: Tensor | None
    told: Told
    senses: Senses | None


class _Dream:
    """One imagined world. spec: what is observed of it. given: stream to `[num_ticks, *shape]`."""

    def __init__(
        self,
        model: WorldModel,
        spec: WorldSpec,
        engines: Mapping[str, TorchEngine],
        prompt: str,
        given: Mapping[str, Array],
        seed: list[int],
    ) -> None:
        self.prompt = prompt
        self.tick: dict[str, Array] = {}
        self._model, self._spec, self._engines = model, spec, engines
        self._given = {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in given.items()}
        self._known = encoded(model, self._given)
        self._random = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        self._shapes = model.transformer.config.streams
        self._words = torch.from_numpy(model.words.encode_batch([prompt]))
        self._memory = _Memory(engines["generate"].new_cache(self._words))

    def advance(self, action: Array | None) -> None:
        """Make the next tick and leave its payload in `self.tick`. action: outdoes one that was given."""
        number = self._memory.cache.num_ticks
        given = {name: value[number] for name, value in self._given.items() if number < len(value)}
        known = {name: value[number][None] for name, value in self._known.items() if number < len(value)}
        if action is not None:
            given["action"] = torch.from_numpy(action)
            known["action"] = self._model.codecs.vectors["action"].encode(given["action"])[None]
        state, shown = self._settle_state(number, known)
        sound = self._settle_sound(known, shown)
        video = self._settle_video(known, shown)
        self._memory.cache.end_tick()
        self._memory.anchor = state[:, -1]
        self.tick = self._payload(given, known, state, sound, video)

    def _settle_state(self, number: int, known: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The tick's state `[1, frames, K, D]`, given, perceived or imagined, and what pictures see and the
        finger feels of it: features of these streams."""
        codec = self._model.codecs.state
        has_anchor = torch.tensor([number > 0])
        anchor = self._memory.anchor
        if anchor is None:
            anchor = torch.zeros(1, codec.num_slots, codec.layout.width)
        camera = known.get("camera.main", self._memory.camera)
        told = codec.tell(anchor, has_anchor, self._steering(known))
        is_given = "state" in self._given and number < len(self._given["state"])
        senses = None if is_given else self._senses(number, known)
        if is_given:
            state = self._given["state"][number][None]
        else:
            sample_one = self._begin if number == 0 and senses is None else self._sample_state
            state, camera = sample_one(_Asked(known, anchor, has_anchor, camera, told, senses))
        if camera is None:
            camera = torch.zeros(1, 1, self._model.codecs.vectors["camera.main"].width)
        self._memory.camera = camera
        numbers = codec.encode(state, anchor, has_anchor)
        pose = self._model.codecs.vectors["camera.main"].decode(camera)
        seen = (numbers, anchor, has_anchor, torch.zeros(1), pose)
        features = {"state": codec.features(*seen, told)}
        settled = {"camera.main": camera, "state": numbers}
        if senses is not None:
            senses.settle(settled, features)
        levels = {"action": float("action" not in known), "camera.main": 0.0, "state": 0.0}
        self.estimate({"action": self._action(known), **settled}, features, levels, settle=True)
        shown = {"video.main": codec.sight(*seen, self._model.video.config.latent_grid)}
        if "touch.finger" in self._shapes:
            shown["touch.finger"] = codec.feeling(*seen[:4])
        return state, shown

    def _begin(self, asked: _Asked) -> tuple[Tensor, Tensor | None]:
        """An imagined first state and its camera, drawn anew while its objects crowd as they hardly ever do
        when a scene begins (`StateCodec.room`); the roomiest of `MAX_BEGINNINGS` if all crowd."""
        room_of = self._model.codecs.state.room
        best = self._sample_state(asked)
        most = float(room_of(best[0]))
        for _ in range(MAX_BEGINNINGS - 1):
            if most >= 0.0:
                break
            drawn = self._sample_state(asked)
            room = float(room_of(drawn[0]))
            if room > most:
                best, most = drawn, room
        return best

    def _sample_state(self, asked: _Asked) -> tuple[Tensor, Tensor | None]:
        """An imagined state `[1, frames, K, D]`, or what senses say of it, and numbers of the camera where
        it is not known yet.

        Both are denoised together, as one row of numbers.
        """
        known, anchor, has_anchor, camera, told, senses = asked
        codec = self._model.codecs.state
        width = self._model.codecs.vectors["camera.main"].width
        num_state = codec.num_slots * codec.width

        def estimate(row: Tensor, level: float) -> Tensor:
            """Clean numbers of state and camera, `[1, n]`, from noisy ones at `level`."""
            numbers = row[:, :num_state].unflatten(1, (codec.num_slots, codec.width))
            view = row[:, None, num_state:] if camera is None else camera
            pose = self._model.codecs.vectors["camera.main"].decode(view)
            seen = (numbers, anchor, has_anchor, torch.full((1,), level), pose)
            features = codec.features(*seen, told)
            inputs = {"camera.main": view, "state": numbers}
            levels = {"camera.main": level if camera is None else 0.0, "state": level}
            if senses is None:
                inputs["action"], levels["action"] = self._action(known), float("action" not in known)
            out = (senses or self).estimate(inputs, {"state": features}, levels)
            return torch.cat([out["state"].flatten(1), out["camera.main"].flatten(1)], dim=1)

        steps = self._model.sampling.state if bool(has_anchor) else self._model.sampling.first
        row = sample(estimate, self._noise(1, num_state + width), levels_for(steps))
        numbers = row[:, :num_state].unflatten(1, (codec.num_slots, codec.width))
        state = codec.lift(codec.part(codec.decode(numbers, anchor, has_anchor)))
        return state, row[:, None, num_state:] if camera is None else camera

    def _senses(self, number: int, known: Mapping[str, Tensor]) -> Senses | None:
        """What is sensed of this tick, and was of the ones before; None where it is not to be perceived."""
        if "video.main" not in known or number >= self._model.sampling.perceived:
            return None
        if self._memory.senses is None:
            engine = self._engines["perceive"]
            self._memory.senses = Senses(engine, engine.new_cache(self._words))
        self._memory.senses.take_in(known)
        return self._memory.senses

    def _settle_sound(self, known: Mapping[str, Tensor], shown: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tick's touch and sound, as far as the world has them, denoised together; touch from what there
        is to be felt of the state."""
        names = tuple(name for name in ("touch.finger", "audio.main") if name in self._shapes)
        return self._settle(names, known, self._model.sampling.sound, shown) if names else {}

    def _settle_video(self, known: Mapping[str, Tensor], shown: Mapping[str, Tensor]) -> Tensor | None:
        """The tick's pictures `[1, tokens, width]`, from what each of their cells knows of the state; None
        where nobody looks."""
        if "video.main" not in self._spec.streams:
            shape = self._shapes["video.main"]
            if "video.main" not in known:  # the other streams' noise is that of a dream that is drawn
                self._noise(1, shape.num_tokens * shape.width)
            return None
        sampling = self._model.sampling
        settled = self._settle(("video.main",), known, sampling.video, shown, sampling.remember_video)
        return settled["video.main"]

    def _settle(
        self,
        names: tuple[str, ...],
        known: Mapping[str, Tensor],
        steps: int,
        features: Mapping[str, Tensor] | None = None,
        remember: bool = True,
    ) -> dict[str, Tensor]:
        """Streams of one rank, `[1, tokens, width]` each: sampled where not known, then kept.

        remember: keep what was sampled; else keep the first pass, at level 1, in which it is still withheld.
        """
        features = dict(features or {})
        shapes = {name: self._shapes[name] for name in names}
        wanted = [name for name in names if name not in known]
        settled = {name: known[name] for name in names if name in known}
        sizes = [shapes[name].num_tokens * shapes[name].width for name in wanted]

        def split(row: Tensor) -> dict[str, Tensor]:
            parts = row.split(sizes, dim=1)
            return {n: p.unflatten(1, (-1, shapes[n].width)) for n, p in zip(wanted, parts, strict=True)}

        def estimate(row: Tensor, level: float) -> Tensor:
            levels = {name: level if name in wanted else 0.0 for name in names}
            withheld = not remember and level >= 1.0
            out = self.estimate(settled | split(row), features, levels, settle=withheld)
            return torch.cat([out[name].flatten(1) for name in wanted], dim=1)

        if wanted:
            settled |= split(sample(estimate, self._noise(1, sum(sizes)), levels_for(steps)))
        if remember or not wanted:
            self.estimate(settled, features, dict.fromkeys(names, 0.0), settle=True)
        return settled

    def estimate(
        self,
        numbers: dict[str, Tensor],
        features: dict[str, Tensor],
        levels: dict[str, float],
        settle: bool = False,
    ) -> dict[str, Tensor]:
        """One pass of the generating engine over streams of one rank; see `TorchEngine.estimate`."""
        return self._engines["generate"].estimate(self._memory.cache, numbers, features, levels, settle)

    def _action(self, known: Mapping[str, Tensor]) -> Tensor:
        return known.get("action", torch.zeros(1, 1, self._model.codecs.vectors["action"].width))

    def _steering(self, known: Mapping[str, Tensor]) -> Tensor | None:
        """The tick's action `[1, frames, 3]` m/s of a finger, None where it is withheld or there is none."""
        if "action" not in known or not self._model.codecs.state.has_finger:
            return None
        return self._model.codecs.vectors["action"].decode(known["action"])

    def _noise(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._random)

    def _payload(
        self,
        given: Mapping[str, Tensor],
        known: Mapping[str, Tensor],
        state: Tensor,
        sound: Mapping[str, Tensor],
        video: Tensor | None,
    ) -> dict[str, Array]:
        """The tick as observed: given streams as they were given, the others decoded."""
        assert self._memory.camera is not None
        numbers = {"camera.main": self._memory.camera, "action": self._action(known), **sound}
        if video is not None:
            numbers["video.main"] = video
        tick = {"state": state, **decoded(self._model, numbers, state)}
        if (audio := self._model.audio) is not None:
            heard, self._memory.sound = audio.decode_tick(sound["audio.main"], self._memory.sound)
            tick["audio.main"] = heard.clamp(-1.0, 1.0)
        tick |= {name: value[None] for name, value in given.items()}
        return {name: tick[name][0].numpy().astype(spec.dtype) for name, spec in self._spec.streams.items()}

    def snapshot(self) -> tuple[_Memory, dict[str, Array]]:
        return replace(self._memory.copy(), generator=self._random.get_state()), dict(self.tick)

    def restore(self, snapshot: tuple[_Memory, dict[str, Array]]) -> None:
        memory, tick = snapshot
        self._memory = memory.copy()
        self._random.set_state(memory.generator)
        self.tick = dict(tick)
