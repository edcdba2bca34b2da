"""Frames of a dataset as one array on disk, with a mask of where the objects are.

The recordings carry no segmentation. Cameras stand still and objects are elsewhere in every episode, so the
median over many frames of a camera is its empty scene, and objects are where a frame differs from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from orrery.atomic import written_folder
from orrery.data.dataset import Dataset
from orrery.errors import BadUse, UserError

__all__ = ["MASK_CELL", "FrameSource", "camera_backgrounds", "extract_frames", "object_mask"]

MASK_CELL = 4
"""Side in pixels of a cell of an object mask."""
STREAM = "video.main"

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameSource:
    """Frames to train on, in the order of their episodes.

    frames: uint8 `[N, H, W, 3]`, an array or a memory map. mask: uint8 `[N, H/4, W/4]`, 1 where an object is;
    None counts every cell as background. Raises BadUse where the shapes do not fit.
    """

    frames: Frames
    mask: Frames | None = None

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[3] != 3 or self.frames.dtype != np.uint8:
            raise BadUse(f"frames are uint8 [N, H, W, 3], got {self.frames.dtype} {list(self.frames.shape)}")
        num, height, width, _ = self.frames.shape
        if self.mask is not None and self.mask.shape != (num, height // MASK_CELL, width // MASK_CELL):
            raise BadUse(f"a mask of {list(self.mask.shape)} does not fit frames {list(self.frames.shape)}")

    def __len__(self) -> int:
        return len(self.frames)

    def split(self, num_held_out: int) -> tuple[FrameSource, FrameSource]:
        """All but the last `num_held_out` frames, and those: whole episodes but for the one that is cut."""
        cut = len(self) - num_held_out
        if not 0 < cut < len(self):
            raise BadUse(f"cannot hold out {num_held_out} of {len(self)} frames")
        return self[:cut], self[cut:]

    def __getitem__(self, index: slice) -> FrameSource:
        mask = None if self.mask is None else self.mask[index]
        return FrameSource(self.frames[index], mask)

    def cells(self, index: int) -> Frames:
        """The mask of one frame, `[H/4, W/4]`; zeros where there is none."""
        if self.mask is None:
            return np.zeros([side // MASK_CELL for side in self.frames.shape[1:3]], np.uint8)
        return self.mask[index]

    @classmethod
    def open(cls, folder: str | Path) -> FrameSource:
        """Map the `frames.npy` of a folder and, if it is there, its `mask.npy`. Raises UserError."""
        folder = Path(folder)
        try:
            frames = np.load(folder / "frames.npy", mmap_mode="r")
            mask = np.load(folder / "mask.npy") if (folder / "mask.npy").exists() else None
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} holds no extracted frames: {error}") from error
        return cls(frames, mask)


def camera_backgrounds(
    frames: Frames, camera_ids: NDArray[np.integer], rng: np.random.Generator, num_samples: int = 64
) -> Frames:
    """The empty scene each camera sees, `[num_cameras, H, W, 3]` uint8: the median over random frames.

    camera_ids: `[N]`, 0 to num_cameras - 1; a camera without frames gets black. Right where each pixel is
    free of objects in more than half of the camera's frames.
    """
    num_cameras = int(camera_ids.max()) + 1
    backgrounds = np.zeros((num_cameras, *frames.shape[1:]), np.uint8)
    for camera in range(num_cameras):
        of_camera = np.flatnonzero(camera_ids == camera)
        if of_camera.size:
            drawn = np.sort(rng.choice(of_camera, min(num_samples, of_camera.size), replace=False))
            backgrounds[camera] = np.median(frames[drawn], axis=0)
    return backgrounds


def object_mask(frames: Frames, backgrounds: Frames, threshold: int = 24) -> Frames:
    """Where objects and their shadows are: uint8 `[N, H/4, W/4]`, 1 in cells of 4x4 pixels that changed.

    frames: `[N, H, W, 3]`. backgrounds: `[H, W, 3]`, or one for each frame. A pixel has changed if one of its
    channels differs by more than `threshold` of 255; a cell, if a quarter of its pixels have, so that single
    pixels of video noise do not count.
    """
    difference = np.abs(frames.astype(np.int16) - backgrounds.astype(np.int16)).max(axis=-1)
    num, height, width = difference.shape
    cells = (difference > threshold).reshape(
        num, height // MASK_CELL, MASK_CELL, width // MASK_CELL, MASK_CELL
    )
    return (cells.mean(axis=(2, 4)) >= 0.25).astype(np.uint8)


def extract_frames(
    datasets: Sequence[Dataset], out: str | Path, every: int = 4, seed: int = 0
) -> FrameSource:
    """Decode every `every`-th frame of `video.main` of all readable episodes into a folder, and map it.

    Writes `frames.npy` `[N, H, W, 3]`, `mask.npy` `[N, H/4, W/4]`, `camera_ids.npy` `[N]` int64 and
    `backgrounds.npy` `[num_cameras, H, W, 3]`; the folder appears complete or not at all.
    The scene's `camera` tells cameras apart. The first frame taken differs from episode to episode. Raises
    BadUse, or a dataset's UserError.
    """
    if every < 1 or not all(STREAM in dataset.spec.streams for dataset in datasets):
        raise BadUse(f"every {every} frames of {STREAM} of {', '.join(str(d.path) for d in datasets)}")
    rng = np.random.default_rng(seed)
    picks = [(dataset, *pick) for dataset in datasets for pick in _picks(dataset, every, rng)]
    cameras = [str(dataset.scene(index).get("camera", "")) for dataset, index, _ in picks]
    _, numbers = np.unique(cameras, return_inverse=True)
    camera_ids = np.repeat(numbers, [len(picked) for _, _, picked in picks])
    with written_folder(Path(out)) as folder:
        shape = (len(camera_ids), *datasets[0].spec.streams[STREAM].shape[1:])
        frames = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.uint8, shape)
        start = 0
        for dataset, index, picked in track(picks, "frames of episodes"):
            episode = dataset.load(index, [STREAM])[STREAM].reshape(-1, *shape[1:])
            frames[start : start + len(picked)] = episode[picked]
            start += len(picked)
        backgrounds = camera_backgrounds(frames, camera_ids, rng)
        spans = [slice(first, first + 256) for first in range(0, len(frames), 256)]
        masks = [object_mask(frames[span], backgrounds[camera_ids[span]]) for span in spans]
        np.save(folder / "mask.npy", np.concatenate(masks))
        np.save(folder / "camera_ids.npy", camera_ids)
        np.save(folder / "backgrounds.npy", backgrounds)
        frames.flush()
    return FrameSource.open(out)


def _picks(dataset: Dataset, every: int, rng: np.random.Generator) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Episode number, and the numbers of its frames that are taken, at least one each."""
    for index in dataset.readable:
        num = dataset.num_ticks(index) * dataset.spec.clock.frames_per_tick
        yield index, np.arange(rng.integers(min(every, num)), num, every)
