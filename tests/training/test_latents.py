"""A dataset encoded once: nothing lost, nothing out of step, and never half there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from orrery.data.dataset import Dataset
from orrery.data.record.collect import collect
from orrery.errors import UserError
from orrery.tokenizers.audio import AudioTokenizer, AudioTokenizerConfig
from orrery.tokenizers.video import VideoTokenizer, VideoTokenizerConfig
from orrery.training.latents import LatentSet, encode_dataset

MakeLatents = Callable[..., LatentSet]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three short episodes of the dummy world, which has every stream and needs no simulator."""
    out = tmp_path_factory.mktemp("data") / "dummy"
    collect("dummy", out, 3, seconds=0.5, image_size=32, progress=False)
    return Dataset(out)


@pytest.fixture(scope="module")
def tokenizers() -> tuple[VideoTokenizer, AudioTokenizer]:
    torch.manual_seed(0)
    video = VideoTokenizer(VideoTokenizerConfig(32, 4, 4, (8, 16), (1, 1)))
    audio = AudioTokenizer(AudioTokenizerConfig(width=32, num_encoder_blocks=1, num_decoder_blocks=1))
    return video.eval(), audio.eval()


def test_what_is_not_encoded_is_kept(
    dataset: Dataset, tokenizers: tuple[VideoTokenizer, AudioTokenizer], tmp_path: Path
) -> None:
    latents = encode_dataset(dataset, *tokenizers, tmp_path / "encoded")
    assert len(latents) == 3
    assert latents.num_ticks == dataset.num_ticks(0)
    assert latents.texts == [dataset.text(k) for k in range(3)]
    assert latents.scenes == [dataset.scene(k) for k in range(3)]
    for k in range(3):
        streams = dataset.episode(k).streams
        for name in ("state", "touch.finger", "action"):
            assert np.array_equal(latents.arrays[name][k], streams[name]), name
        assert np.array_equal(latents.arrays["camera.main"][k], streams["camera.main"][:, -1])
        assert latents.pixels is not None
        assert np.array_equal(latents.pixels[k], streams["video.main"])


def test_it_is_known_who_acted(tmp_path: Path) -> None:
    for policy in (None, "random"):
        out = tmp_path / f"by-{policy}"
        collect("dummy", out, 2, seconds=0.5, image_size=32, progress=False, policy=policy)
        latents = encode_dataset(Dataset(out), None, None, tmp_path / f"encoded-{policy}")
        assert latents.steered.tolist() == [policy is not None] * 2


def test_latents_decode_to_what_the_tokenizer_makes_of_each_frame(
    dataset: Dataset, tokenizers: tuple[VideoTokenizer, AudioTokenizer], tmp_path: Path
) -> None:
    """Tokens hold the two frames one after the other; unfolded they are the tokenizer's own latents."""
    video, audio = tokenizers
    latents = encode_dataset(dataset, video, audio, tmp_path / "encoded")
    tokens = torch.from_numpy(np.array(latents.arrays["video.main"][1])).float()  # [ticks, 16, 2 * 4]
    assert tokens.shape == (6, 16, 8)
    frames = torch.from_numpy(dataset.episode(1).streams["video.main"])
    with torch.no_grad():
        expected = video.encode(frames)
        heard = audio.encode(torch.from_numpy(dataset.episode(1).streams["audio.main"])[None])[0]
    unfolded = tokens.unflatten(1, (4, 4)).unflatten(3, (2, 4)).permute(0, 3, 1, 2, 4)
    torch.testing.assert_close(unfolded, expected, atol=5e-3, rtol=5e-3)
    stored = torch.from_numpy(np.array(latents.arrays["audio.main"][1])).float()
    torch.testing.assert_close(stored, heard, atol=5e-3, rtol=5e-3)


def test_without_tokenizers_pictures_and_sound_are_left_out(dataset: Dataset, tmp_path: Path) -> None:
    latents = encode_dataset(dataset, None, None, tmp_path / "silent")
    assert set(latents.arrays) == {"touch.finger", "state", "camera.main", "action"}
    assert set(latents.spec.streams) == set(latents.arrays)


def test_a_second_call_opens_what_the_first_made(dataset: Dataset, tmp_path: Path) -> None:
    first = encode_dataset(dataset, None, None, tmp_path / "once")
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "once").iterdir()}
    again = encode_dataset(dataset, None, None, tmp_path / "once")
    assert np.array_equal(first.arrays["state"], again.arrays["state"])
    assert times == {file: file.stat().st_mtime_ns for file in (tmp_path / "once").iterdir()}


def test_an_encoding_that_was_stopped_starts_again(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "x.part").mkdir()
    (tmp_path / "x.part" / "state.npy").write_bytes(b"half")
    assert len(encode_dataset(dataset, None, None, tmp_path / "x")) == 3
    assert not (tmp_path / "x.part").exists()


def test_splits_share_nothing_and_leave_something(make_latents: MakeLatents) -> None:
    latents = make_latents(num=5)
    kept, apart = latents.split(2)
    assert (len(kept), len(apart)) == (3, 2)
    whole = np.concatenate([kept.arrays["state"], apart.arrays["state"]])
    assert np.array_equal(whole, latents.arrays["state"])
    for num_held_out in (5, 64):
        with pytest.raises(UserError, match=rf"5 episodes .* too few: {num_held_out}"):
            latents.split(num_held_out)


@pytest.mark.parametrize("damage", ["nothing there", "no json", "no stream", "cut short"])
def test_a_damaged_set_is_named(dataset: Dataset, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "encoded"
    if damage != "nothing there":
        encode_dataset(dataset, None, None, folder)
    if damage == "no json":
        (folder / "about.json").write_text("{")
    elif damage == "no stream":
        (folder / "state.npy").unlink()
    elif damage == "cut short":
        (folder / "state.npy").write_bytes((folder / "state.npy").read_bytes()[:200])
    with pytest.raises(UserError, match=str(folder)):
        LatentSet.open(folder)
