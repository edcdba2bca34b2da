"""What the tokenizers lose: pictures and sound of held-out scenes, encoded and decoded again.

Pictures: PSNR on all pixels and on those that show an object or the finger (`detect.segment` tells them).
Sound: log-spectral distance where something sounds, how far onsets move, and the level that silence comes
back at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro

from harness import EXACT, Subject, frames_of, progress, save, show, ticks_of
from orrery.errors import BadUse
from orrery.evaluation.detect import UNNAMED, camera_backgrounds, segment
from orrery.evaluation.statistics import median_interval
from orrery.evaluation.sync import match_onsets, onsets
from orrery.registry import resolve_model
from orrery.streams import Array
from orrery.world import Describable
from sound import level_dbfs

FIRST_SEED = 940_000
SPECTRUM_WINDOW = 512
AUDIBLE = 1e-4
ONSET_SECONDS = 0.050


@dataclass
class Settings:
    """model: folder of a checkpoint. num_scenes: held-out scenes. seconds: of each."""

    model: str
    num_scenes: int = 24
    seconds: float = 1.5


def psnr_db(squared_error: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error on the scale 0 to 255."""
    return float(10 * np.log10(255.0**2 / max(squared_error, 1e-9)))


def log_spectral_distance_db(found: Array, truth: Array) -> float | None:
    """Root mean square over audible frames of the difference of log power spectra, dB; None for silence.

    found, truth: `[samples]`. Spectra start at 80 dB under full scale (Rabiner and Juang 1993, section 4.5).
    """
    spectra = [_log_power_db(part) for part in (found, truth)]
    audible = spectra[1].max(1) > 20 * np.log10(AUDIBLE) + 1
    if not audible.any():
        return None
    return float(np.sqrt(((spectra[0] - spectra[1])[audible] ** 2).mean(1)).mean())


def _log_power_db(samples: Array) -> Array:
    frames = np.lib.stride_tricks.sliding_window_view(samples, SPECTRUM_WINDOW)[:: SPECTRUM_WINDOW // 4]
    taper = np.hanning(SPECTRUM_WINDOW)
    return 20 * np.log10(np.maximum(np.abs(np.fft.rfft(frames * taper)) * 2 / taper.sum(), AUDIBLE))


def measured(settings: Settings) -> dict[str, Any]:
    """All figures over the held-out scenes."""
    from orrery.inference.checkpoints import load_model

    model = load_model(resolve_model(settings.model))
    world = Subject(EXACT).open(["video.main", "audio.main"])
    assert isinstance(world, Describable)
    clock = world.spec.clock
    everywhere, on_objects, distances, delays, agreement = [], [], [], [], []
    for seed in progress(range(FIRST_SEED, FIRST_SEED + settings.num_scenes), "scenes"):
        ticks = list(ticks_of(world, seed, clock.num_ticks(settings.seconds)))
        frames, audio = frames_of(ticks, "video.main"), frames_of(ticks, "audio.main")
        again = model.video.decode(model.video.encode(torch.from_numpy(frames)[None]))[0].numpy()
        error = (frames.astype(float) - again) ** 2
        things = segment(frames, camera_backgrounds(frames.shape[1])[world.scene()["camera"]]) >= UNNAMED
        everywhere.append(error.mean())
        if things.any():
            on_objects.append(error[things].mean())
        sound = _again(model.audio, audio, clock.samples_per_tick)
        distance = log_spectral_distance_db(sound.mean(1), audio.mean(1))
        distances += [] if distance is None else [distance]
        heard, true = (onsets(part, clock.samples_per_second) for part in (sound, audio))
        match = match_onsets(heard, true, ONSET_SECONDS)
        delays += match.delays.tolist()
        agreement.append(match.f1)
    silence = _again(model.audio, np.zeros((clock.samples_per_second, 2), np.float32), clock.samples_per_tick)
    return {
        "psnr_db": psnr_db(float(np.mean(everywhere))),
        "psnr_objects_db": psnr_db(float(np.mean(on_objects))),
        "log_spectral_distance_db": median_interval(np.array(distances)),
        "onset_f1": float(np.mean(agreement)),
        "onset_error_ms": median_interval(1000 * np.abs(delays)),
        "silence_dbfs": level_dbfs(silence),
    }


def _again(tokenizer: Any, audio: Array, samples_per_tick: int) -> Array:
    """Sound `[samples, 2]` after encoding and decoding."""
    whole = len(audio) // samples_per_tick * samples_per_tick
    ticks = torch.from_numpy(audio[:whole].reshape(1, -1, samples_per_tick, 2))
    with torch.inference_mode():
        return tokenizer.decode(tokenizer.encode(ticks)).numpy().reshape(whole, 2)


def main(settings: Settings) -> None:
    if settings.model == EXACT:
        raise BadUse("tokenizers: the exact world has none; name a checkpoint with --model")
    figures = measured(settings)
    lines = [
        ("pictures: PSNR, all pixels, dB", figures["psnr_db"]),
        ("pictures: PSNR, object pixels, dB", figures["psnr_objects_db"]),
        ("sound: log-spectral distance, dB", figures["log_spectral_distance_db"]["median"]),
        ("sound: onset F1 within 50 ms", figures["onset_f1"]),
        ("sound: onset error, median, ms", figures["onset_error_ms"]["median"]),
        ("sound: silence comes back at, dBFS", figures["silence_dbfs"]),
    ]
    show(f"Tokenizers on {settings.num_scenes} held-out scenes", ["", settings.model], lines)
    save("tokenizers", Subject(settings.model), {"figures": figures}, seed=FIRST_SEED)


if __name__ == "__main__":
    main(tyro.cli(Settings))
