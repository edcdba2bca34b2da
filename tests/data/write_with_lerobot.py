"""Writes a small data set with the stock lerobot library: a camera, joints, actions, two tasks.

python write_with_lerobot.py FOLDER
"""

from __future__ import annotations

import sys

import numpy as np
from torchvision_stand_in import stand_in_for_torchvision

stand_in_for_torchvision()
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402

features = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["a", "b", "c"]},
    "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
    "observation.images.top": {
        "dtype": "video",
        "shape": (48, 64, 3),
        "names": ["height", "width", "channels"],
    },
}
dataset = LeRobotDataset.create("orrery/test", fps=10, features=features, root=sys.argv[1], use_videos=True)
rng = np.random.default_rng(0)
for episode in range(4):
    place = rng.uniform(10, 30, 2)
    for _ in range(20 + 3 * episode):
        action = rng.uniform(-1, 1, 2).astype(np.float32)
        place = np.clip(place + action, 4, 40)
        picture = np.full((48, 64, 3), 30, np.uint8)
        y, x = place.astype(int)
        picture[y : y + 6, x : x + 6] = 220
        state = np.array([*place, episode], np.float32)
        frame = {"observation.state": state, "action": action, "observation.images.top": picture}
        dataset.add_frame({**frame, "task": ("push", "reach")[episode % 2]})
    dataset.save_episode()
dataset.finalize()
