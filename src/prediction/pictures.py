"""What the Python API accepts as a picture, as uint8 RGB."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from src.datamodules.images import read_image
from src.errors import UserError

Picture = np.ndarray | Image.Image | str | Path


def as_rgb(picture: Picture) -> np.ndarray:
    """A picture as uint8 `(H, W, 3)`, upright, transparency over white.

    Raises:
        UserError: An array of another kind, or a file that cannot be read.
    """
    if isinstance(picture, np.ndarray):
        return _checked(picture)
    if isinstance(picture, Image.Image):
        upright = ImageOps.exif_transpose(picture)
        if upright.has_transparency_data:
            layer = upright.convert("RGBA")
            backdrop = Image.new("RGBA", layer.size, "white")
            upright = Image.alpha_composite(backdrop, layer)
        return np.asarray(upright.convert("RGB"))
    return read_image(Path(picture).expanduser())


def _checked(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or array.size == 0 or array.ndim not in (2, 3):
        raise UserError(
            f"a picture is a uint8 array (H, W, 3) in RGB, not {array.dtype} {array.shape}"
        )
    if array.ndim == 2:
        return cv2.cvtColor(array, cv2.COLOR_GRAY2RGB)
    if array.shape[2] != 3:
        raise UserError(f"a picture has 3 channels (RGB), not {array.shape[2]}: {array.shape}")
    return np.ascontiguousarray(array)
