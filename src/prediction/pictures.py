"""What the Python API accepts as a picture, as uint8 RGB."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from src.datamodules.images import read_image
from src.errors import UserError

_UNCERTAIN = ("I", "F", "LAB")  # Pillow's modes; it would clip them, or take them for another

Picture = np.ndarray | Image.Image | str | Path


def as_rgb(picture: Picture) -> np.ndarray:
    """A picture as uint8 `(H, W, 3)`, upright, transparency over white, 16 bit scaled to 8.

    Raises:
        UserError: An array or a Pillow image of another kind, or a file that cannot be read.
    """
    if isinstance(picture, np.ndarray):
        return _checked(picture)
    if isinstance(picture, Image.Image):
        return _converted(ImageOps.exif_transpose(picture))
    return read_image(Path(picture).expanduser())


def _converted(upright: Image.Image) -> np.ndarray:
    if upright.mode in _UNCERTAIN:
        raise UserError(
            f"a Pillow image of kind {upright.mode!r} has no certain 8-bit form; convert it to RGB"
        )
    if upright.mode.startswith("I;16"):  # Pillow would make white of whatever is above 255
        grey = (np.asarray(upright).astype(np.uint32) + 128) // 257
        return cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2RGB)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        backdrop = Image.new("RGBA", layer.size, "white")
        upright = Image.alpha_composite(backdrop, layer)
    return np.asarray(upright.convert("RGB"))


def _checked(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or array.size == 0 or array.ndim not in (2, 3):
        raise UserError(
            f"a picture is a uint8 array (H, W, 3) in RGB, not {array.dtype} {array.shape}; "
            "multiply values from 0 to 1 by 255, and convert with .astype('uint8')"
        )
    if array.ndim == 2:
        return cv2.cvtColor(array, cv2.COLOR_GRAY2RGB)
    if array.shape[2] != 3:
        raise UserError(
            f"a picture has 3 channels (RGB), not {array.shape[2]}: {array.shape}; "
            "PIL.Image.fromarray(array) makes an image of it that says what its channels are"
        )
    return np.ascontiguousarray(array)
