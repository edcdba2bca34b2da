"""Reads a data set with the stock `lerobot` and writes it with the same; runs in another environment.

python rewrite_with_lerobot.py DATASET OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from read_with_lerobot import decode_with_pyav
from torchvision_stand_in import stand_in_for_torchvision

OWN = {"timestamp", "frame_index", "episode_index", "index", "task_index"}


def main(path: Path, out: Path) -> None:
    stand_in_for_torchvision()
    from lerobot.datasets import lerobot_dataset

    lerobot_dataset.decode_video_frames = decode_with_pyav
    read = lerobot_dataset.LeRobotDataset("orrery/test", root=path, video_backend="pyav")
    features = {
        name: {**feature, "shape": tuple(feature["shape"])}
        for name, feature in read.features.items()
        if name not in OWN
    }
    written = lerobot_dataset.LeRobotDataset.create(
        "orrery/back", fps=read.fps, features=features, root=out, use_videos=True
    )
    last = 0
    for k in range(len(read)):
        row = read[k]
        if int(row["episode_index"]) != last:
            written.save_episode()
            last = int(row["episode_index"])
        frame = {"task": row["task"]}
        for name, feature in features.items():
            value = np.asarray(row[name])
            if feature["dtype"] == "video":
                frame[name] = np.rint(value.transpose(1, 2, 0) * 255).astype(np.uint8)
            else:
                frame[name] = value.reshape(feature["shape"]).astype(feature["dtype"])
        written.add_frame(frame)
    written.save_episode()
    written.finalize()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
