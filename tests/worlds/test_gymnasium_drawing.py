"""Whatever form `render()` gives its pictures in, they are colours, camera by camera."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from gymnasium import spaces  # noqa: E402
from PIL import Image  # noqa: E402

from orrery.errors import BadUse, UserError  # noqa: E402
from orrery.streams import Array  # noqa: E402
from orrery.worlds.gymnasium import GymnasiumWorld  # noqa: E402

PICTURE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
PICTURE[0, 0] = 255  # so that its range is known
GREY = np.repeat(PICTURE[..., :1], 3, -1)
ALPHA = np.full((30, 40, 1), 255, np.uint8)


class Bare(gymnasium.Env):
    """Says nothing about what it draws, and takes no `render_mode`."""

    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)
    drawn: Any = PICTURE
    count = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.count = 0
        return 0, {}

    def step(self, action: Any) -> Any:
        self.count += 1
        return 0, 0.0, False, False, {}

    def render(self) -> Any:
        return self.drawn(self) if callable(self.drawn) else self.drawn


class Stated(Bare):
    """Says that it draws."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode


class Lists(Stated):
    """Draws all since the last call."""

    metadata = {"render_modes": ["rgb_array_list"]}  # noqa: RUF012


class Old(Bare):
    """Has old Gym's names, and is told the mode when it draws."""

    metadata = {"render.modes": ["human", "rgb_array"]}  # noqa: RUF012

    def render(self, mode: str = "human") -> Any:  # type: ignore[override]
        assert mode == "rgb_array"
        return self.drawn


class Human(Stated):
    """Draws on a screen alone."""

    metadata = {"render_modes": ["human"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        assert render_mode in (None, "human")
        super().__init__(render_mode)


class Undrawn(gymnasium.Env):
    """Has no `render` of its own."""

    observation_space = action_space = spaces.Discrete(2)
    reset, step = Bare.reset, Bare.step


def world_of(kind: type[Any], drawn: Any = PICTURE, **options: Any) -> GymnasiumWorld:
    """A world of an environment that is made by its name. drawn: what it draws, or a function of it."""
    kind = type(kind.__name__, (kind,), {"drawn": staticmethod(drawn) if callable(drawn) else drawn})
    gymnasium.register("OrreryDrawn-v0", entry_point=kind)
    try:
        return GymnasiumWorld("OrreryDrawn-v0", **options)
    finally:
        del gymnasium.registry["OrreryDrawn-v0"]


def seen(world: GymnasiumWorld) -> dict[str, Array]:
    """Camera to the picture of the first tick."""
    tick = world.reset(seed=0)
    return {name: value[0, 0] for name, value in tick.items() if name.startswith("video")}


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (PICTURE, PICTURE),
        (PICTURE[::-1, ::-1], PICTURE[::-1, ::-1]),
        (PICTURE.astype(np.int64), PICTURE),
        (PICTURE.astype(np.uint16) * 257, PICTURE),
        (PICTURE.astype(np.float32), PICTURE),
        (PICTURE / 255.0, PICTURE),
        (PICTURE.transpose(2, 0, 1), PICTURE),
        (np.concatenate([PICTURE, ALPHA], -1), PICTURE),
        (np.concatenate([PICTURE, ALPHA], -1).transpose(2, 0, 1), PICTURE),
        (np.concatenate([PICTURE, 0 * ALPHA], -1), 0 * PICTURE),
        (GREY[..., 0], GREY),
        (GREY[..., :1], GREY),
        (GREY[..., 0][None], GREY),
        (GREY[..., 0] / 255.0, GREY),
        (GREY[..., 0] > 99, np.where(GREY > 99, 255, 0)),
        (PICTURE.tolist(), PICTURE),
        (Image.fromarray(PICTURE), PICTURE),
        ([PICTURE], PICTURE),
        ((PICTURE,), PICTURE),
        (PICTURE[None], PICTURE),
        ({"only": PICTURE}, PICTURE),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'shape', '')} {getattr(value, 'dtype', '')}",
)
def test_every_form_of_a_picture(drawn: Any, expected: Array) -> None:
    pictures = seen(world_of(Stated, drawn))
    assert list(pictures) == ["video.main"]
    np.testing.assert_array_equal(pictures["video.main"], expected)


@pytest.mark.parametrize(
    ("drawn", "names"),
    [
        ([PICTURE, GREY[:20, :, 0]], ["video.main", "video.1"]),
        (np.stack([PICTURE, GREY]), ["video.main", "video.1"]),
        ({"front": PICTURE, "left wrist": GREY[:20]}, ["video.main", "video.left_wrist"]),
        ({"front": PICTURE, "main": GREY[:20]}, ["video.front", "video.main"]),
        ({"top": PICTURE, "a b": GREY, "a/b": GREY}, ["video.main", "video.a_b", "video.a_b_2"]),
    ],
    ids=["list", "array", "dict", "main", "alike"],
)
def test_several_cameras(drawn: Any, names: list[str]) -> None:
    pictures = seen(world_of(Stated, drawn))
    assert list(pictures) == names
    np.testing.assert_array_equal(pictures[names[0]], PICTURE)
    second = pictures[names[1]]
    np.testing.assert_array_equal(second, GREY[: len(second)])


@pytest.mark.parametrize("kind", [Bare, Old, Lists])
def test_environments_that_state_nothing_or_in_the_old_way(kind: type[Any]) -> None:
    drawn: Any = (lambda self: [GREY] * self.count + [PICTURE]) if kind is Lists else PICTURE
    world = world_of(kind, drawn)
    np.testing.assert_array_equal(seen(world)["video.main"], PICTURE)
    np.testing.assert_array_equal(world.step()["video.main"][0, 0], PICTURE)


@pytest.mark.parametrize(("kind", "drawn"), [(Human, PICTURE), (Undrawn, PICTURE), (Bare, None)])
def test_environments_that_draw_nothing_have_no_pictures(kind: type[Any], drawn: Any) -> None:
    world = world_of(kind, drawn)
    assert not world.spec.of_kind("video")
    assert "left_out" not in world.spec.environment


def fail(_: Any) -> Any:
    raise RuntimeError("no screen")


@pytest.mark.parametrize(
    ("kind", "drawn", "why"),
    [
        (Stated, None, "gives no picture"),
        (Stated, "a map in letters", "gives no picture"),
        (Stated, [], "gives no picture"),
        (Bare, fail, "cannot draw its picture: RuntimeError: no screen"),
        (Bare, np.zeros((3, 5, 7, 9, 3)), r"gave \[3, 5, 7, 9, 3\] float64"),
    ],
)
def test_pictures_that_are_not_there_are_left_out_and_told(kind: type[Any], drawn: Any, why: str) -> None:
    world = world_of(kind, drawn)
    assert not world.spec.of_kind("video")
    assert re.search(why, world.spec.environment["left_out"]["video.main"])
    with pytest.raises(BadUse, match=f"video.main cannot be recorded: .*{why}"):
        world_of(kind, drawn, streams=["video.main"])


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (fail, "cannot draw its picture: RuntimeError: no screen; .*--streams"),
        (np.zeros((30, 40, 7), np.uint8), r"gave \[30, 40, 7\] uint8"),
        (np.array([[{}]]), "object"),
        (PICTURE * np.nan, "not numbers .NaN. where 0 to 255 is expected"),
        (PICTURE - 128.0, "from -128 to 127 where 0 to 255"),
        (PICTURE * 1e6, "where 0 to 255 is expected"),
    ],
)
def test_what_is_no_picture_is_refused(drawn: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        world_of(Stated, drawn)


def later(first: Any, then: Any) -> Callable[[Any], Any]:
    return lambda env: then if env.count else first


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (PICTURE, PICTURE[:20], r"changed from \[30, 40, 3\] to \[20, 40, 3\]"),
        (PICTURE, None, "gave nothing where it gave main"),
        ([PICTURE], [PICTURE] * 2, "gave main, 1 where it gave main"),
        ({"a": PICTURE, "b": PICTURE}, {"a": PICTURE}, "gave main where it gave main, b"),
        (PICTURE / 255.0, PICTURE * 1.0, "from 0 to 255 where 0 to 1 is expected"),
    ],
)
def test_pictures_that_change_are_named(first: Any, then: Any, said: str) -> None:
    world = world_of(Stated, later(first, then))
    world.reset(seed=0)
    with pytest.raises(UserError, match=said):
        world.step()


def test_a_black_picture_does_not_settle_how_bright_white_is() -> None:
    world = world_of(Stated, later(PICTURE * 0.0, PICTURE * 1.0))
    assert not seen(world)["video.main"].any()
    np.testing.assert_array_equal(world.step()["video.main"][0, 0], PICTURE)
