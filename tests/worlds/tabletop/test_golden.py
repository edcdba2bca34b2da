"""The tabletop that the shipped checkpoint was trained on: what it makes of a seed never changes.

Its scenes, sentences, words and spec are plain numbers and text, the same everywhere. Its streams are
compared byte for byte on a machine like that where they were taken (see `golden.json`), and elsewhere within
rounding, for other processors add up in another order. `python tests/worlds/tabletop/test_golden.py` takes
them anew: only for a new tabletop, with a new checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco_warp")

from orrery.streams import Array, Observation
from orrery.worlds.tabletop.language import caption, parse, vocabulary
from orrery.worlds.tabletop.scene import sample_scene
from orrery.worlds.tabletop.world import TabletopWorld

GOLDEN = Path(__file__).with_name("golden.json")
BLIND = ["audio.main", "touch.finger", "state", "camera.main", "action"]
SEEDS = (3, 4, 12, 17)
"""In the second a cylinder stands upright and the finger pushes and feels."""
NUM_TICKS = 14
PLACES = 24


def digest(*parts: Any) -> str:
    """SHA-256 of arrays' bytes, or of plain values' JSON."""
    hashed = hashlib.sha256()
    for part in parts:
        is_array = isinstance(part, np.ndarray)
        hashed.update(part.tobytes() if is_array else json.dumps(part, sort_keys=True).encode())
    return hashed.hexdigest()


def told() -> dict[str, str]:
    """Digests of what has no physics in it: scenes, sentences, the words, the spec."""
    rng = np.random.default_rng(0)
    scenes = [sample_scene(rng) for _ in range(200)]
    texts = [caption(scene, (), rng) for scene in scenes]
    asked = [sample_scene(rng, parse(text)) for text in texts]
    return {
        "scenes": digest([scene.to_json() for scene in scenes]),
        "sentences": digest(texts),
        "asked": digest([scene.to_json() for scene in asked]),
        "vocabulary": digest(list(vocabulary())),
        "spec": digest(TabletopWorld().spec.to_json()),
    }


def episode(seed: int, streams: list[str] | None, **options: int) -> tuple[list[Observation], list[Any]]:
    world = TabletopWorld(streams=streams, **options)
    ticks = [world.reset(seed), *(world.step() for _ in range(NUM_TICKS - 1))]
    return ticks, [[e.seconds, e.kind, e.a, e.b, e.impulse_ns] for e in world.events()]


def places(values: Array) -> list[float]:
    """A few values spread over a stream: what is left to compare where bytes are not."""
    flat = values.astype(np.float64).ravel()
    return flat[np.linspace(0, len(flat) - 1, PLACES).astype(int)].tolist()


def taken(ticks: list[Observation], events: list[Any]) -> dict[str, Any]:
    stacked = {name: np.stack([tick[name] for tick in ticks]) for name in ticks[0]}
    return {
        "bytes": {name: digest(values) for name, values in stacked.items()} | {"events": digest(events)},
        "places": {name: places(values) for name, values in stacked.items()},
    }


def machine() -> str:
    libraries = [
        f"{name}-{version(name)}" for name in ("mujoco", "mujoco-warp", "warp-lang", "numpy", "scipy")
    ]
    features = getattr(np._core._multiarray_umath, "__cpu_features__", {})
    wide = "avx512" if features.get("AVX512F") else "narrow"
    return "-".join([platform.system(), platform.machine(), wide, *libraries])


def everything() -> dict[str, Any]:
    films = {f"blind-{seed}": taken(*episode(seed, BLIND)) for seed in SEEDS}
    films["seen-5"] = taken(*episode(5, None, image_size=64))
    return {"machine": machine(), "told": told(), "films": films}


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text("utf-8"))


def test_scenes_sentences_and_words_are_those_of_the_checkpoint(golden: dict[str, Any]) -> None:
    assert told() == golden["told"]


@pytest.mark.parametrize("name", [*(f"blind-{seed}" for seed in SEEDS), "seen-5"])
def test_an_episode_is_that_of_the_checkpoint(golden: dict[str, Any], name: str) -> None:
    kind, seed = name.split("-")
    ticks, events = episode(int(seed), BLIND) if kind == "blind" else episode(int(seed), None, image_size=64)
    now, then = taken(ticks, events), golden["films"][name]
    if machine() == golden["machine"]:
        assert now["bytes"] == then["bytes"]
    for stream, values in then["places"].items():
        # Three levels of a byte, and a ten-thousandth of anything else.
        np.testing.assert_allclose(
            now["places"][stream], values, atol=3.0 if stream.startswith("video") else 1e-4, err_msg=stream
        )


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(everything(), indent=1) + "\n", "utf-8")
