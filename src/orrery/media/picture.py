"""Pictures in, and two films side by side."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from orrery.errors import UserError
from orrery.streams import Array

__all__ = ["decode_image", "read_image", "side_by_side"]

MAX_IMAGE_PIXELS = 100_000_000


def read_image(path: str | Path, size: int) -> Array:
    """The picture `path` as `[size, size, 3]` uint8 sRGB: its centre square, upright, on white where clear.

    Raises UserError for what is missing, damaged, no picture, or above 100 megapixels.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such picture" if not path.exists() else f"{path}: not a file")
    try:
        with path.open("rb") as file:
            return decode_image(file, str(path), size)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def decode_image(file: BinaryIO, name: str, size: int, max_pixels: int = MAX_IMAGE_PIXELS) -> Array:
    """As `read_image`, of an open file. name: what errors call it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is ours
            with Image.open(file) as image:
                if image.width * image.height > max_pixels:
                    raise UserError(
                        f"{name}: {image.width}x{image.height} pixels are too many; make it smaller first"
                    )
                upright = ImageOps.exif_transpose(image)
                return np.asarray(ImageOps.fit(_rgb(upright), (size, size), Image.Resampling.LANCZOS))
    except UserError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UserError(f"{name}: not a picture; a PNG, JPEG or WebP is needed") from error
    except Exception as error:  # Pillow's decoders raise nearly anything for a damaged file
        raise UserError(f"{name}: cannot be read as a picture ({error}); is it damaged?") from error


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB: 16-bit grey is scaled, not cut off; what is transparent shows white."""
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64) // 257
        return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


def side_by_side(left_frames: Array, right_frames: Array, separator: int = 4) -> Array:
    """Two stretches of the same length and height, `[T, H, W, 3]` uint8 each, with a light line between.

    The result is `[T, H, W_left + separator + W_right, 3]`.
    """
    if left_frames.shape[:2] != right_frames.shape[:2]:
        raise ValueError(
            f"side by side: {left_frames.shape} and {right_frames.shape} differ in length or height"
        )
    line = np.full((*left_frames.shape[:2], separator, 3), 235, np.uint8)
    return np.concatenate([left_frames, line, right_frames], axis=2)
