"""Small recordings in HDF5, as ALOHA, robomimic, stable-worldmodel and Minari write them, without their
libraries. Every picture tells its episode and row; so does every number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from robot_data import coded, encoded


def number_of(episode: int, row: int) -> int:
    return 100 * episode + row


def pictures(episode: int, num_rows: int) -> np.ndarray:
    """`[num_rows, H, W, 3]`."""
    return np.stack([coded(number_of(episode, row)) for row in range(num_rows)])


def values(episode: int, num_rows: int, width: int, begin: float = 0.0) -> np.ndarray:
    """`[num_rows, width]`, each number another."""
    rows = np.arange(num_rows)[:, None] + np.arange(width) / width
    return (begin + 100 * episode + rows).astype(np.float32)


def padded(episode: int, num_rows: int) -> np.ndarray:
    """JPEG pictures, as long as the longest, as Mobile ALOHA writes them."""
    cells = [encoded(picture, "JPEG")["bytes"] for picture in pictures(episode, num_rows)]
    longest = max(map(len, cells))
    return np.stack([np.frombuffer(cell.ljust(longest, b"\0"), np.uint8) for cell in cells])


def aloha(path: Path, episode: int, num_rows: int, compress: bool = False, **more: Any) -> Path:
    """more: path (with `__` for `/`) to further arrays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["sim"], file.attrs["compress"] = not compress, compress
        image = padded(episode, num_rows) if compress else pictures(episode, num_rows)
        file["observations/images/cam_high"] = image
        file["observations/qpos"] = values(episode, num_rows, 14)
        file["observations/qvel"] = values(episode, num_rows, 14, 0.25)
        file["action"] = values(episode, num_rows, 14, 0.5)
        if compress:
            file["compress_len"] = np.full((1, num_rows), image.shape[1])
        for name, array in more.items():
            file[name.replace("__", "/")] = array
    return path


def robomimic(path: Path, lengths: list[int], rate: float | None = 20) -> Path:
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        kwargs = {} if rate is None else {"control_freq": rate}
        data.attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": kwargs})
        data.attrs["total"] = sum(lengths)
        for e, num in enumerate(lengths):
            demo = data.create_group(f"demo_{e}")
            demo.attrs["num_samples"] = num
            demo.attrs["ep_meta"] = json.dumps({"lang": f"lift cube {e}"})
            demo["actions"] = values(e, num, 7).astype(np.float64)
            demo["rewards"] = np.arange(num, dtype=np.float64) + 1
            demo["dones"] = (np.arange(num) == num - 1).astype(np.int64)
            demo["states"] = values(e, num, 5, 0.5)
            demo.create_dataset("obs/agentview_image", data=pictures(e, num), compression="gzip")
            demo["obs/agentview_depth"] = np.full((num, 32, 48, 1), 0.5 + e, np.float32)
            demo["obs/robot0_eef_pos"] = values(e, num, 3)
            demo["next_obs/robot0_eef_pos"] = values(e, num, 3, 1)
        file["mask/train"] = np.array([b"demo_0"])
    return path


def stable_worldmodel(path: Path, lengths: list[int]) -> Path:
    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts)

    with h5py.File(path, "w", libver="latest") as file:
        pairs = list(enumerate(lengths))
        file["pixels"] = joined([pictures(e, num) for e, num in pairs])
        file["state"] = joined([values(e, num, 4).astype(np.float64) for e, num in pairs])
        actions = [values(e, num, 2, 0.5) for e, num in pairs]
        for array in actions:
            array[-1] = np.nan
        file["action"] = joined(actions)
        rewards = [values(e, num, 1)[:, 0] for e, num in pairs]
        for array in rewards:
            array[0] = np.nan
        file["reward"] = joined(rewards)
        file["terminated"] = joined([np.arange(num) == num - 1 for _, num in pairs])
        texts = [f"task {e}" for e, num in pairs for _ in range(num)]
        file.create_dataset("instruction", data=texts, dtype=h5py.string_dtype())
        file["ep_len"] = np.array(lengths, np.int32)
        file["ep_offset"] = np.cumsum([0, *lengths[:-1]]).astype(np.int64)
    return path


def box(shape: list[int], dtype: str = "float32", low: float = -1e6, high: float = 1e6) -> dict[str, Any]:
    """A Box as Minari's metadata have it."""
    bounds = {"low": np.full(shape, low).tolist(), "high": np.full(shape, high).tolist()}
    return {"type": "Box", "dtype": dtype, "shape": shape, **bounds}


def minari(root: Path, lengths: list[int], environment: str = "CartPole-v1") -> Path:
    """An environment with a Dict that holds a picture (JPEG), joints, and a Tuple of a choice and numbers."""
    (root / "data").mkdir(parents=True)
    observed = {
        "type": "Dict",
        "subspaces": {
            "camera": box([32, 48, 3], "uint8", 0, 255),
            "joints": box([3]),
            "rest": {"type": "Tuple", "subspaces": [{"type": "Discrete", "n": 5, "start": 0}, box([2])]},
        },
    }
    metadata = {
        "data_format": "hdf5",
        "dataset_id": "test/things-v0",
        "total_episodes": len(lengths),
        "total_steps": sum(lengths),
        "observation_space": json.dumps(observed),
        "action_space": json.dumps({"type": "Discrete", "n": 3, "start": 0, "dtype": "int64"}),
        "env_spec": json.dumps({"id": environment, "max_episode_steps": 500}),
    }
    (root / "data/metadata.json").write_text(json.dumps(metadata))
    with h5py.File(root / "data/main_data.hdf5", "w") as file:
        for e, num in enumerate(lengths):
            group = file.create_group(f"episode_{e}")
            group.attrs["id"], group.attrs["seed"], group.attrs["total_steps"] = e, 7 + e, num
            cells = [
                np.frombuffer(encoded(coded(number_of(e, k)), "JPEG")["bytes"], np.uint8)
                for k in range(num + 1)
            ]
            camera = group.create_dataset("observations/camera", (num + 1,), dtype=h5py.vlen_dtype(np.uint8))
            for k, cell in enumerate(cells):
                camera[k] = cell
            group["observations/joints"] = values(e, num + 1, 3)
            group["observations/rest/_index_0"] = np.arange(num + 1) % 5
            group["observations/rest/_index_1"] = values(e, num + 1, 2, 0.5)
            group["actions"] = np.arange(num) % 3
            group["rewards"] = np.arange(num) + 0.5
            group["terminations"] = np.arange(num) == num - 1 if e == 0 else np.zeros(num, bool)
            group["truncations"] = np.arange(num) == num - 1 if e else np.zeros(num, bool)
            group["infos/speed"] = np.zeros(num + 1)
    return root
