"""Reads a dataset with the stock `lerobot` reader and saves what it gave; runs in another environment.

    python read_with_lerobot.py DATASET OUT.npz

Films are decoded by PyAV.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from torchvision_stand_in import stand_in_for_torchvision


def decode_with_pyav(path: Any, timestamps: list[float], tolerance_s: float, *_: Any, **__: Any) -> Any:
    """As lerobot's own decoders: the frames `[n, 3, H, W]` in [0, 1] nearest to the instants asked for."""
    import av
    import torch

    wanted = np.array(timestamps)
    seconds, frames = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        container.seek(int(wanted.min() / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            seconds.append(float(frame.time))
            frames.append(frame.to_ndarray(format="rgb24"))
            if frame.time > wanted.max():
                break
    gaps = np.abs(wanted[:, None] - np.array(seconds))
    assert gaps.min(1).max() < tolerance_s, "no frame at an instant that was asked for"
    chosen = np.stack([frames[k] for k in gaps.argmin(1)])
    return torch.from_numpy(chosen).permute(0, 3, 1, 2) / 255


def main(path: Path, out: Path) -> None:
    stand_in_for_torchvision()
    from lerobot.datasets import lerobot_dataset

    lerobot_dataset.decode_video_frames = decode_with_pyav
    dataset = lerobot_dataset.LeRobotDataset("orrery/test", root=path, video_backend="pyav")
    rows = [dataset[i] for i in range(len(dataset))]
    texts = [row.pop("task") for row in rows]
    columns = {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}
    stats = {f"stats {n} {k}": np.asarray(v) for n, s in dataset.meta.stats.items() for k, v in s.items()}
    facts = {"fps": dataset.fps, "num_episodes": dataset.num_episodes, "num_frames": dataset.num_frames}
    np.savez(out, texts=np.array(texts), **columns, **stats, **{k: np.array(v) for k, v in facts.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
