"""The state stream as numbers that a network can denoise, and as features that it can see.

What is denoised is, per slot and frame, the *change* since the last frame of the previous tick (position,
rotation vector, velocities), squashed by asinh(change / s) with s a quarter of the field's RMS: impacts do
not rule the scale and rest is exactly zero. The first tick has no previous one and is written absolutely.
What the network sees besides is the anchor itself (the state the change is counted from), its clearance
over the table, its nearest neighbour (`surroundings`), where inertia would take it (`inertia`), and where the
denoised estimate lies in the camera's picture. Pictures and touch see of it what concerns them (`sight`,
`feeling`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from orrery.tokenizers.bodies import apart, clearance, has_finger, sphere_gap
from orrery.tokenizers.feeling import feel, feel_width
from orrery.tokenizers.inertia import COAST_WIDTH, coast
from orrery.tokenizers.perspective import project
from orrery.tokenizers.rotation import (
    conjugate,
    from_rotation_vector,
    multiply,
    six_numbers,
    to_rotation_vector,
)
from orrery.tokenizers.sight import look, look_width, see, see_width
from orrery.tokenizers.surroundings import BODY_WIDTH, NEIGHBOUR_WIDTH, body, neighbour
from orrery.worlds.rigid_bodies.state import STATE, StateLayout

__all__ = ["MOVING_FIELDS", "StateCodec", "Told"]

MOVING_FIELDS = ("position", "rotation", "linear_velocity", "angular_velocity")
_ABSOLUTE_SCALE = {"position": 0.2, "rotation": 1.5, "linear_velocity": 0.4, "angular_velocity": 4.0}
_SIZE_MEAN_M, _SIZE_SCALE_M = 0.049, 0.01
_UV_BANDS = 3
_ACTION_SCALE_M_S = 0.2
_NUM_PARTINGS = 2
"""Two pairs may push one body; a second round settles most of what the first leaves."""
_KICK_SCALE = {"linear_velocity": 0.5, "angular_velocity": 8.0}


class Told(NamedTuple):
    """Features of an anchor, `[..., K, n]` each: those that come before what is seen of the estimate, and
    those that come after it."""

    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class StateCodec:
    """Numbers for states of `num_slots` slots and `frames` frames a tick.

    change_scale: field to the scale of its asinh, in the field's unit (m, rad, m/s, rad/s). frame_seconds:
    from one frame to the next. first_gap_m: hardly a scene begins with the bounding spheres of two objects
    nearer than this; None where nothing is known of it.
    """

    num_slots: int
    frames: int
    change_scale: Mapping[str, float] = field(
        default_factory=lambda: {
            "position": 0.008,
            "rotation": 0.06,
            "linear_velocity": 0.1,
            "angular_velocity": 1.0,
        }
    )
    layout: StateLayout = STATE
    frame_seconds: float = 1.0 / 24.0
    first_gap_m: float | None = None

    @property
    def what_width(self) -> int:
        return 1 + len(self.layout.shapes) + 3 + 3 + len(self.layout.materials)

    @property
    def width(self) -> int:
        """Numbers a slot that are denoised: what it is, then 13 for each frame."""
        return self.what_width + 13 * self.frames

    @property
    def feature_width(self) -> int:
        """Numbers a slot that are only seen."""
        told = 1 + 3 * self.frames if self.has_finger else 0
        seen = self.what_width + BODY_WIDTH + NEIGHBOUR_WIDTH
        return 1 + seen + told + self.frames * (9 + 3 + 4 * _UV_BANDS + 7 + COAST_WIDTH)

    @property
    def has_finger(self) -> bool:
        """Whether the last slot is a finger, which the action steers."""
        return has_finger(self.layout)

    def to_json(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_json`."""
        return {
            "num_slots": self.num_slots,
            "frames": self.frames,
            "change_scale": dict(self.change_scale),
            "layout": {"shapes": list(self.layout.shapes), "materials": list(self.layout.materials)},
            "frame_seconds": self.frame_seconds,
            "first_gap_m": self.first_gap_m,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StateCodec:
        """A codec from `to_json`'s values. Raises KeyError where one is missing."""
        layout = StateLayout(tuple(values["layout"]["shapes"]), tuple(values["layout"]["materials"]))
        scale, seconds = dict(values["change_scale"]), values["frame_seconds"]
        return cls(values["num_slots"], values["frames"], scale, layout, seconds, values["first_gap_m"])

    def encode(self, state: Tensor, anchor: Tensor, has_anchor: Tensor) -> Tensor:
        """Numbers to denoise, `[..., K, width]`.

        state: `[..., frames, K, D]`. anchor: `[..., K, D]`, the last frame before. has_anchor: `[...]` bool.
        """
        change = self._change(state, anchor[..., None, :, :])
        absolute = {
            "position": self._get(state, "position"),
            "rotation": to_rotation_vector(self._get(state, "quaternion")),
            "linear_velocity": self._get(state, "linear_velocity"),
            "angular_velocity": self._get(state, "angular_velocity"),
        }
        choose = has_anchor[..., None, None, None]
        parts = [
            torch.where(
                choose,
                torch.asinh(change[name] / self.change_scale[name]),
                absolute[name] / _ABSOLUTE_SCALE[name],
            )
            for name in MOVING_FIELDS
        ]
        moving = torch.cat([*parts, 2.0 * self._get(state, "visible") - 1.0], dim=-1)
        moving = _by_slot(moving * self._get(state, "present"))  # [..., K, frames * 13]
        return torch.cat([self._what(state[..., -1, :, :]), moving], dim=-1)

    def decode(self, numbers: Tensor, anchor: Tensor, has_anchor: Tensor, snap: bool = True) -> Tensor:
        """The inverse: `[..., frames, K, D]`. What an object is stays as in the anchor, where there is one.

        snap: make a first tick's shape, material and presence definite.
        """
        choose, written = has_anchor[..., None, None], self._read_what(numbers[..., : self.what_width], snap)
        what = {name: torch.where(choose, self._get(anchor, name), value) for name, value in written.items()}
        moving = numbers[..., self.what_width :].unflatten(-1, (self.frames, 13)).movedim(-2, -3)
        parts = dict(zip(MOVING_FIELDS, moving[..., :12].split(3, dim=-1), strict=True))
        fixed = anchor[..., None, :, :]
        new = choose[..., None, :, :]
        limit = 6.0  # asinh squashes: 6 is 200 scales, beyond anything seen
        change = {n: torch.sinh(p.clamp(-limit, limit)) * self.change_scale[n] for n, p in parts.items()}
        absolute = {n: p * _ABSOLUTE_SCALE[n] for n, p in parts.items()}
        turned = multiply(from_rotation_vector(change["rotation"]), self._get(fixed, "quaternion"))
        quaternion = torch.where(new, turned, from_rotation_vector(absolute["rotation"]))
        result = {
            "visible": (moving[..., 12:] > 0).to(numbers.dtype),
            "quaternion": quaternion / quaternion.norm(dim=-1, keepdim=True).clamp_min(1e-6),
        }
        for name in ("position", "linear_velocity", "angular_velocity"):
            result[name] = torch.where(new, self._get(fixed, name) + change[name], absolute[name])
        return self._assemble(what, result)

    def lift(self, state: Tensor) -> Tensor:
        """`state [..., K, D]` with whatever reaches below the table raised until it touches it.

        The table (z = 0) is the one thing every scene shares, so a state that breaks it is known to be wrong.
        """
        raised = state.clone()
        height = self.layout.slice("position").start + 2
        depth = (-clearance(state, self.layout)[..., 0]).clamp_min(0.0)
        raised[..., height] += depth * self._get(state, "present")[..., 0]
        return raised

    def part(self, state: Tensor) -> Tensor:
        """`state [..., K, D]` with objects that reach into one another moved apart, each half of the way,
        along the direction in which that takes least.

        No two bodies are ever in one place, so a state that has them there is known to be wrong. A finger is
        left alone: it goes where it is steered.
        """
        place = self.layout.slice("position")
        parted = state.clone()
        for _ in range(_NUM_PARTINGS):
            gap, towards = apart(parted, self.layout)
            depth = (-gap).clamp_min(0.0)
            if self.has_finger:
                depth[..., -1, :] = depth[..., :, -1] = 0.0
            parted[..., place] -= (depth[..., None] / 2 * towards).sum(-2)
        return parted

    def room(self, state: Tensor) -> Tensor:
        """By how much the objects of a first tick `state [..., frames, K, D]` are further apart than the
        nearest in which scenes begin, `[...]` metres; negative where hardly a scene begins like that."""
        if self.first_gap_m is None:
            return torch.full(state.shape[:-3], torch.inf, device=state.device)
        return sphere_gap(state[..., 0, :, :], self.layout) - self.first_gap_m

    def tell(self, anchor: Tensor, has_anchor: Tensor, action: Tensor | None = None) -> Told:
        """What the network sees of the anchor and the action: the same however noisy the state is, so that
        a sampler asks once a tick.

        action: `[..., frames, 3]` m/s of the finger's target, NaN where it is withheld.
        """
        known = has_anchor[..., None, None].to(anchor.dtype)
        before = [
            known.expand(*anchor.shape[:-1], 1),
            self._what(anchor) * known,
            body(anchor, self.layout) * known,
            neighbour(anchor, self.layout) * known,
            self._action_features(anchor, action),
        ]
        seconds = anchor.new_tensor([(frame + 1) * self.frame_seconds for frame in range(self.frames)])
        after = _by_slot(coast(anchor, seconds, self.change_scale, self.layout))
        return Told(torch.cat(before, dim=-1), after * known)

    def features(
        self,
        numbers: Tensor,
        anchor: Tensor,
        has_anchor: Tensor,
        level: Tensor,
        camera: Tensor,
        told: Told,
    ) -> Tensor:
        """What the network sees besides `numbers`: `[..., K, feature_width]`.

        level: `[...]` noise level of the state. camera: `[..., 8]` pose and field of view. told: what
        `tell` makes of this anchor.
        """
        known = has_anchor[..., None, None].to(numbers.dtype)
        trust = (1.0 - level)[..., None, None]
        estimate = self.decode(numbers, anchor, has_anchor, snap=False)
        seen = _by_slot(self._picture_features(estimate, camera[..., None, :]))
        impacts = self._impact_features(estimate, anchor) * known
        return torch.cat([told.before, torch.cat([seen, impacts], dim=-1) * trust, told.after], dim=-1)

    def _action_features(self, anchor: Tensor, action: Tensor | None) -> Tensor:
        """How far the action takes the finger by each frame, and that it is known, `[..., K, 3 frames + 1]`;
        every slot sees it, for what the finger touches moves as it does. Nothing where no finger is."""
        if not self.has_finger:
            return anchor.new_zeros(*anchor.shape[:-1], 0)
        shape = *anchor.shape[:-1], 3 * self.frames + 1
        if action is None:
            return anchor.new_zeros(shape)
        gone = torch.asinh(action.to(anchor.dtype).cumsum(-2) / _ACTION_SCALE_M_S).flatten(-2)
        told = torch.cat([gone, torch.ones_like(gone[..., :1])], dim=-1)
        return torch.where(told.isnan().any(-1, keepdim=True), 0.0, told)[..., None, :].expand(shape)

    def _picture_features(self, state: Tensor, camera: Tensor) -> Tensor:
        """Pose, and place in the picture in bands of growing fineness, `[..., K, 12 + 4 * bands]`."""
        uv, apparent, _ = project(self._get(state, "position"), self._get(state, "size"), camera)
        bands = uv.new_tensor([torch.pi * 2.0**band for band in range(_UV_BANDS)])
        angles = uv[..., None, :] * bands[:, None]
        waves = torch.stack([torch.sin(angles), torch.cos(angles)], dim=-2).flatten(-3)
        rotation = six_numbers(self._get(state, "quaternion"))
        return torch.cat([self._get(state, "position") / 0.2, rotation, uv, 8.0 * apparent, waves], dim=-1)

    def _impact_features(self, estimate: Tensor, anchor: Tensor) -> Tensor:
        """Change of the velocities from frame to frame, and the clearance in each, `[..., K, 7 frames]`: what
        tells an impact, and between which frames it lies, from a fall."""
        before = torch.cat([anchor[..., None, :, :], estimate[..., :-1, :, :]], dim=-3)
        kicks = [
            (self._get(estimate, name) - self._get(before, name)) / scale
            for name, scale in _KICK_SCALE.items()
        ]
        gap = torch.asinh(clearance(estimate, self.layout) / 0.003)
        return _by_slot(torch.cat([*kicks, gap], dim=-1))

    def sight(
        self,
        numbers: Tensor,
        anchor: Tensor,
        has_anchor: Tensor,
        level: Tensor,
        camera: Tensor,
        grid: int,
    ) -> Tensor:
        """What each cell of the picture knows of the objects near it in each frame (see `sight.see`):
        `[..., grid * grid, sight_width]`, cells in rows from the top left."""
        frames = self.decode(numbers, anchor, has_anchor, snap=False)
        seen = see(frames, self._what(frames)[..., 1:], camera[..., None, :], grid, self.layout)
        return _by_slot(seen) * (1.0 - level)[..., None, None]

    @property
    def sight_width(self) -> int:
        """Numbers a cell in `sight`."""
        return self.frames * see_width(self.what_width - 1)

    def look(self, state: Tensor, camera: Tensor, grid: int) -> Tensor:
        """What each fine cell of the pictures of `state [..., frames, K, D]` knows of the objects near it
        (see `sight.look`), `[..., frames, grid * grid, look_width]`. camera: `[..., 8]`."""
        return look(state, self._what(state)[..., 1:], camera[..., None, :], grid, self.layout)

    @property
    def look_width(self) -> int:
        """Numbers a cell of one picture in `look`."""
        return look_width(self.what_width - 1)

    def feeling(self, numbers: Tensor, anchor: Tensor, has_anchor: Tensor, level: Tensor) -> Tensor:
        """What the finger can feel in each frame (see `feeling.feel`), `[..., 1, feeling_width]`; of a first
        tick's first frame, as if nothing had changed in it."""
        frames = self.decode(numbers, anchor, has_anchor, snap=False)
        first = torch.where(has_anchor[..., None, None], anchor, frames[..., 0, :, :])
        before = torch.cat([first[..., None, :, :], frames[..., :-1, :, :]], dim=-3)
        told = feel(frames, before, self._what(frames)[..., 1:], self.layout).flatten(-2)
        return (told * (1.0 - level)[..., None])[..., None, :]

    @property
    def feeling_width(self) -> int:
        """Numbers in `feeling`."""
        return self.frames * feel_width(self.what_width - 1)

    def _change(self, state: Tensor, anchor: Tensor) -> dict[str, Tensor]:
        before = conjugate(self._get(anchor, "quaternion")).expand_as(self._get(state, "quaternion"))
        change = {
            name: self._get(state, name) - self._get(anchor, name)
            for name in ("position", "linear_velocity", "angular_velocity")
        }
        change["rotation"] = to_rotation_vector(multiply(self._get(state, "quaternion"), before))
        return {name: change[name] for name in MOVING_FIELDS}

    def _what(self, state: Tensor) -> Tensor:
        """What each object is, about unit scale, `[..., K, what_width]`; only `present` where absent."""
        present = self._get(state, "present")
        parts = [
            2.0 * self._get(state, "shape") - 1.0,
            (self._get(state, "size") - _SIZE_MEAN_M) / _SIZE_SCALE_M,
            2.0 * self._get(state, "colour") - 1.0,
            2.0 * self._get(state, "material") - 1.0,
        ]
        return torch.cat([2.0 * present - 1.0, torch.cat(parts, dim=-1) * present], dim=-1)

    def _read_what(self, numbers: Tensor, snap: bool) -> dict[str, Tensor]:
        shapes, materials = len(self.layout.shapes), len(self.layout.materials)
        present, shape, size, colour, material = numbers.split([1, shapes, 3, 3, materials], dim=-1)
        if snap:
            present = (present > 0).to(numbers.dtype)
            shape, material = _one_hot(shape) * present, _one_hot(material) * present
        else:
            present = (present + 1.0) / 2.0
            shape, material = (shape + 1.0) / 2.0, (material + 1.0) / 2.0
        metres = (size * _SIZE_SCALE_M + _SIZE_MEAN_M).clamp(0.01, 0.2)
        return {
            "present": present,
            "shape": shape,
            "size": metres,
            "colour": ((colour + 1.0) / 2.0).clamp(0.0, 1.0),
            "material": material,
        }

    def _assemble(self, what: Mapping[str, Tensor], moving: Mapping[str, Tensor]) -> Tensor:
        leading = moving["visible"].shape[:-1]
        lasting = {n: v[..., None, :, :].expand(*leading, v.shape[-1]) for n, v in what.items()}
        frames = {**moving, **lasting}
        state = torch.cat([frames[name] for name in self.layout.fields], dim=-1)
        return state * (frames["present"] > 0.5)

    def _get(self, state: Tensor, name: str) -> Tensor:
        return state[..., self.layout.slice(name)]


def _by_slot(frames: Tensor) -> Tensor:
    """Of `frames [..., frames, K, n]` each slot's numbers, frame after frame, `[..., K, frames * n]`."""
    return frames.movedim(-3, -2).flatten(-2)


def _one_hot(scores: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)
