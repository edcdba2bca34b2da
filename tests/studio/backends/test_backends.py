"""Backends: each through a real pipeline with tiny random weights, and what each refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers")
pytest.importorskip("peft")

from tiny_pipelines import save_cogvideox_fun, save_ltx2, save_ltx2_lora, save_wan_vace

from orrery.errors import BadUse, UserError
from orrery.streams import Array
from orrery.studio.backends.dress import Dressing
from orrery.studio.backends.pieces import film_in_pieces
from orrery.studio.backends.pipeline import DiffusersPipeline, find_backend
from orrery.studio.backends.request import Film, Guide, Request
from orrery.studio.backends.table import BACKENDS, backend_of
from orrery.studio.backends.wan_vace import WAN_VACE, arguments

pytestmark = pytest.mark.slow
FRAMES, SIDE = 17, 64
SAVE = {"wan-vace": save_wan_vace, "cogvideox-fun": save_cogvideox_fun, "ltx-2": save_ltx2}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {name: save(folder / name) for name, save in SAVE.items()}


@pytest.fixture(scope="module", params=BACKENDS)
def pipeline(request: pytest.FixtureRequest, weights: dict[str, Path]) -> DiffusersPipeline:
    folder = str(weights[request.param])
    return DiffusersPipeline(folder, find_backend(folder, request.param))


def guide_frames(count: int = FRAMES, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


def asked(backend_name: str, count: int = FRAMES, **changed: object) -> Request:
    rate = backend_of(backend_name).limits.rates[0]
    guides = (Guide("depth", guide_frames(count)),)
    request = Request("a red ball falls", count, (SIDE, SIDE), rate, guides, "blurry", 1, 2, 3.0)
    return replace(request, **changed)  # pyright: ignore[reportArgumentType]


def test_a_film_is_made_and_made_again_the_same(pipeline: DiffusersPipeline) -> None:
    name = pipeline.backend.name
    steps = []
    film = pipeline.make(asked(name), lambda: steps.append(len(steps)))
    assert film.frames.shape == (FRAMES, SIDE, SIDE, 3)
    assert film.frames.dtype == np.uint8
    assert film.frames_per_second == pipeline.backend.limits.rates[0]
    assert steps == [0, 1]
    np.testing.assert_array_equal(pipeline.make(asked(name)).frames, film.frames)
    assert (pipeline.make(asked(name, seed=2)).frames != film.frames).mean() > 0.3


def test_the_guide_and_the_prompt_matter(pipeline: DiffusersPipeline) -> None:
    name = pipeline.backend.name
    film = pipeline.make(asked(name)).frames
    other = (Guide("depth", guide_frames(seed=9)),)
    assert (pipeline.make(asked(name, guides=other)).frames != film).any()
    assert (pipeline.make(asked(name, prompt="a marble")).frames != film).any()


def test_a_film_can_be_stopped_at_any_step(pipeline: DiffusersPipeline) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.make(asked(pipeline.backend.name), stop)


def test_what_a_model_cannot_make_is_named_before_it_runs(pipeline: DiffusersPipeline) -> None:
    name = pipeline.backend.name

    def refused(match: str, **changed: object) -> None:
        with pytest.raises(BadUse, match=match):
            pipeline.make(asked(name, **changed), pytest.fail)

    refused("needs a prompt", prompt=" ")
    refused("would take 64x64", size=(SIDE + 2, SIDE))
    refused("up to .* pixels", size=(8192, 4096))
    refused("30 frames a second", frames_per_second=30)
    refused("is not guided by segmentation", guides=(Guide("segmentation", guide_frames()),))
    refused("takes 1 guide at once, and 2", guides=(Guide("depth", guide_frames()),) * 2)
    refused("and 0 are given", guides=())
    refused("--strength", guides=(Guide("depth", guide_frames(), 7.0),))
    with pytest.raises(ValueError, match="expected"):
        pipeline.make(asked(name, guides=(Guide("depth", guide_frames(9)),)))


def test_vace_is_guided_as_closely_as_is_asked(weights: dict[str, Path]) -> None:
    folder = str(weights["wan-vace"])
    pipeline = DiffusersPipeline(folder, find_backend(folder, None))
    films = [
        pipeline.make(asked("wan-vace", guides=(Guide("depth", guide_frames(), strength),))).frames
        for strength in (0.0, 1.0)
    ]
    assert (films[0] != films[1]).any()
    with pytest.raises(BadUse, match="follows a guide as it does"):
        backend_of("cogvideox-fun").check_guides(("depth",), 0.5)


def test_ltx2_takes_a_lora_and_goes_on_from_frames(weights: dict[str, Path], tmp_path: Path) -> None:
    folder = weights["ltx-2"]
    lora = save_ltx2_lora(tmp_path / "lora", folder)
    backend = find_backend(str(folder), "ltx-2")
    plain = DiffusersPipeline(str(folder), backend).make(asked("ltx-2")).frames
    pipeline = DiffusersPipeline(str(folder), backend, lora=str(lora))
    film = pipeline.make(asked("ltx-2")).frames
    assert (film != plain).any()
    assert (pipeline.make(asked("ltx-2", known=guide_frames(9, seed=3))).frames != film).any()
    with pytest.raises(UserError, match="cannot be loaded"):
        DiffusersPipeline(str(folder), backend, lora=str(tmp_path / "none"))
    with pytest.raises(BadUse, match="name it with --lora"):
        Dressing(str(folder), backend, "a ball")
    assert "LTX-2.x Community License" in backend.licence


def test_vace_keeps_what_is_known_and_makes_the_rest() -> None:
    known = guide_frames(9, seed=3)
    given = arguments(asked("wan-vace", known=known))
    masks = np.array([np.array(mask) for mask in given["mask"]])
    video = np.array([np.array(frame) for frame in given["video"]])
    assert (masks[:9] == 0).all()
    assert (masks[9:] == 255).all()
    np.testing.assert_array_equal(video[:9], known)
    np.testing.assert_array_equal(video[9:], guide_frames()[9:])
    fresh = arguments(asked("wan-vace"))
    assert all((np.array(mask) == 255).all() for mask in fresh["mask"])


@pytest.mark.parametrize("name", BACKENDS)
def test_a_long_film_is_made_of_pieces_that_meet(name: str) -> None:
    """What shows its guide, piece by piece, gives the guide of the whole film, whichever way pieces meet."""
    backend = backend_of(name)
    length = backend.limits.num_frames(3 * backend.limits.most_frames)
    y, x = np.mgrid[:16, :16]
    frames = np.array([np.stack([x * 3, y * 3, 0 * x + k % 250], -1) for k in range(length)], np.uint8)
    seen: list[Request] = []

    def show(request: Request) -> Film:
        seen.append(request)
        return Film(request.guides[0].frames, request.frames_per_second)

    film = film_in_pieces(backend, asked(name, length, size=(16, 16), guides=(Guide("depth", frames),)), show)
    np.testing.assert_array_equal(film.frames, frames)
    assert len(seen) > 3
    assert [request.seed for request in seen] == [1 + k for k in range(len(seen))]
    assert seen[0].known is None
    for request in seen[1:]:
        if backend.goes_on:
            assert request.known is not None
            np.testing.assert_array_equal(request.known, request.guides[0].frames[: backend.limits.overlap])
        else:
            assert request.known is None


def test_pieces_that_do_not_go_on_are_mixed_where_they_meet() -> None:
    backend = backend_of("cogvideox-fun")
    length = backend.limits.num_frames(backend.limits.most_frames + 1)
    levels = iter((0, 200))

    def flat(request: Request) -> Film:
        level = next(levels)
        return Film(np.full((request.num_frames, 16, 16, 3), level, np.uint8), request.frames_per_second)

    frames = np.zeros((length, 16, 16, 3), np.uint8)
    request = asked(backend.name, length, size=(16, 16), guides=(Guide("depth", frames),))
    made = film_in_pieces(backend, request, flat).frames[:, 0, 0, 0].astype(int)
    first = backend.limits.pieces(length)[1].first
    assert (made[:first] == 0).all()
    assert (made[first + backend.limits.overlap :] == 200).all()
    assert (np.diff(made[first - 1 : first + backend.limits.overlap + 1]) == 20).all()


def test_a_long_film_through_a_real_pipeline(weights: dict[str, Path]) -> None:
    """Two pieces of 81 frames would take a while; the limits of this one end at 17."""
    backend = replace(WAN_VACE, limits=replace(WAN_VACE.limits, most_frames=17))
    folder = str(weights["wan-vace"])
    pipeline = DiffusersPipeline(folder, backend)
    length = backend.limits.num_frames(20)
    film = film_in_pieces(backend, asked("wan-vace", length), pipeline.make)
    assert film.frames.shape == (length, SIDE, SIDE, 3) == (21, SIDE, SIDE, 3)
    first = pipeline.make(replace(asked("wan-vace", length), num_frames=17, guides=(
        Guide("depth", guide_frames(length)[:17]),
    )))  # fmt: skip
    np.testing.assert_array_equal(film.frames[:17], first.frames)


def test_weights_say_which_backend_they_are(weights: dict[str, Path], tmp_path: Path) -> None:
    for name, folder in weights.items():
        assert find_backend(str(folder), None).name == name
    with pytest.raises(BadUse, match="is a WanVACEPipeline, and --backend cogvideox-fun runs"):
        find_backend(str(weights["wan-vace"]), "cogvideox-fun")
    with pytest.raises(BadUse, match="perhaps wan-vace"):
        find_backend(str(weights["wan-vace"]), "wan-vase")
    with pytest.raises(UserError, match=r"no diffusers pipeline, for it has no model_index\.json"):
        find_backend(str(tmp_path), None)
    with pytest.raises(UserError, match="there is no such folder"):
        find_backend(str(tmp_path / "none"), None)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(BadUse, match="FluxPipeline, which no backend runs"):
        find_backend(str(tmp_path), None)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        find_backend(str(tmp_path), None)


def test_weights_that_are_missing_or_damaged_are_named(weights: dict[str, Path], tmp_path: Path) -> None:
    backend = backend_of("wan-vace")
    for name, damage in (("missing", Path.unlink), ("damaged", lambda path: path.write_bytes(b"none"))):
        folder = tmp_path / name
        shutil.copytree(weights["wan-vace"], folder)
        damage(folder / "transformer/diffusion_pytorch_model.safetensors")
        with pytest.raises(UserError, match="cannot be loaded"):
            DiffusersPipeline(str(folder), backend)
